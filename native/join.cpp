// Layers side by side or added up, as one: what they sent in a chunk, brought to where the join has it.
#include <algorithm>

#include "run.hpp"

namespace spikewright {
namespace {

void join_trains(const Plan& plan, const Layer& layer, const Workspace& workspace, int steps, LayerState& state) {
  state.several = false;
  std::fill(state.trains.begin(), state.trains.end(), 0u);
  const int halves = steps > 32 ? 2 : 1;
  for (const Part& part : layer.parts) {
    const Layer& source = plan.layers[size_t(part.source)];
    const LayerState& from = workspace.layers[size_t(part.source)];
    state.several = state.several || (source.bits > 1 && from.several);
    for (int plane = 0; plane < (from.several ? source.planes() : source.low_planes()); ++plane) {
      // planes of sources that take nothing back are every other one of a join that does
      const size_t to = size_t(layer.takes_back && !source.takes_back ? 2 * plane : plane) * layer.slots();
      for (int half = 0; half < halves; ++half) {
        const uint32_t* read = from.trains.data() + size_t(half) * source.words() + size_t(plane) * source.slots();
        uint32_t* write = state.trains.data() + size_t(half) * layer.words() + to;
        for (const Part::Stretch& one : part.stretches) std::copy_n(read + one.from, one.length, write + one.to);
      }
    }
  }
}

// Of one layer to another: they do not overlap, which lets the compiler take vectors. Most have a few channels.
void add_stretch(const float* __restrict from, float factor, size_t length, float* __restrict to) {
  size_t i = 0;
  for (; i + 4 <= length; i += 4) {
    for (size_t k = i; k < i + 4; ++k) to[k] += factor * from[k];
  }
  for (; i < length; ++i) to[i] += factor * from[i];
}

void join_values(const Plan& plan, const Layer& layer, const Workspace& workspace, int steps, LayerState& state) {
  std::fill(state.values.begin(), state.values.end(), 0.0f);
  std::vector<float> dense;
  for (const Part& part : layer.parts) {
    const Layer& source = plan.layers[size_t(part.source)];
    const LayerState& from = workspace.layers[size_t(part.source)];
    const auto add = [&](int t, const float* read) {
      float* write = state.values.data() + size_t(t) * layer.slots();
      for (const Part::Stretch& one : part.stretches) add_stretch(read + one.from, one.factor, one.length, write + one.to);
    };
    if (source.sends_graded()) {
      for (int t = 0; t < steps; ++t) add(t, from.values.data() + size_t(t) * source.slots());
      continue;
    }
    const EventList& events = from.events;
    dense.assign(size_t(source.size()), 0.0f);
    for (int t = 0; t < steps; ++t) {
      const uint32_t begin = events.start[size_t(t)], end = events.start[size_t(t) + 1];
      for (uint32_t e = begin; e < end; ++e) dense[events.index[e]] = events.value[e];
      add(t, dense.data());
      for (uint32_t e = begin; e < end; ++e) dense[events.index[e]] = 0.0f;
    }
  }
}

}  // namespace

void join_layers(const Plan& plan, const Layer& layer, Workspace& workspace, int steps, LayerState& state) {
  layer.bits ? join_trains(plan, layer, workspace, steps, state) : join_values(plan, layer, workspace, steps, state);
}

}  // namespace spikewright
