// Max pooling of spikes: the four policies, window by window.
#include <algorithm>

#include "bits.hpp"
#include "run.hpp"

namespace spikewright {
namespace {

// What a neuron sends in a chunk: the steps of its spikes, and those in which it takes one back.
struct Train {
  uint64_t spikes = 0, back = 0;

  float sum() const { return float(count_bits(spikes) - count_bits(back)); }
};

}  // namespace

void start_pool(const Layer& layer, int inputs, LayerState& state) {
  state.v.assign(size_t(inputs), 0.0f);  // cumulative counts, or estimates of the rates
  state.spikes.assign(size_t(inputs), 0.0f);
  state.largest.assign(size_t(layer.size()), 0.0f);
  state.touched.assign(size_t(layer.size()), 0);
  state.past.clear();
  if (layer.pool.policy == Policy::fir_max) state.past.resize(size_t(layer.pool.horizon));
}

// `t` counts from the start of the chunk, `first + t` from that of the run. What is sent is appended to state.events.
void step_pool(const Layer& layer, const EventList& from, int t, int first, LayerState& state,
               const std::atomic<bool>& stop) {
  const Pool& pool = layer.pool;
  const uint32_t begin = from.start[size_t(t)], end = from.start[size_t(t) + 1];
  for (uint32_t e = begin; e < end; ++e) state.spikes[from.index[e]] = from.value[e];
  if (pool.policy == Policy::exp_max) {
    const float horizon = float(pool.horizon);
    for (size_t i = 0; i < state.v.size(); ++i) state.v[i] = state.v[i] + (state.spikes[i] - state.v[i]) / horizon;
  } else {
    for (uint32_t e = begin; e < end; ++e) state.v[from.index[e]] += from.value[e];
  }
  if (pool.policy == Policy::fir_max) {
    auto& slot = state.past[size_t((first + t) % pool.horizon)];
    for (const auto& [i, value] : slot) state.v[i] -= value;  // of `horizon` steps ago
    slot.clear();
    for (uint32_t e = begin; e < end; ++e) slot.emplace_back(from.index[e], from.value[e]);
  }
  EventList& sent = state.events;
  sent.reserve(uint32_t(layer.size()));
  uint32_t n = sent.size();
  // Only windows that an event reached can send anything.
  for (uint32_t e = begin; e < end; ++e) {
    const uint32_t i = from.index[e];
    for (uint32_t r = pool.reach_start[i]; r < pool.reach_start[i + 1]; ++r) {
      const uint32_t w = pool.reach[r];
      if (state.touched[w]) continue;
      if (stop.load(std::memory_order_relaxed)) return;
      state.touched[w] = 1;
      uint32_t best = pool.index[pool.start[w]];
      for (uint32_t k = pool.start[w] + 1; k < pool.start[w + 1]; ++k) {
        if (state.v[pool.index[k]] > state.v[best]) best = pool.index[k];
      }
      float out = state.spikes[best];
      if (pool.policy == Policy::count_max) {
        out = state.v[best] - state.largest[w];
        state.largest[w] = state.v[best];
      }
      if (out == 0.0f) continue;
      sent.index[n] = w;
      sent.value[n++] = out;
      state.count[w] += out;
    }
  }
  for (uint32_t e = begin; e < end; ++e) {
    const uint32_t i = from.index[e];
    state.spikes[i] = 0.0f;
    for (uint32_t r = pool.reach_start[i]; r < pool.reach_start[i + 1]; ++r) state.touched[pool.reach[r]] = 0;
  }
  sent.start.push_back(n);
}

// Several windows side by side. One that has fewer inputs than another repeats its last, which changes no largest.
void pool_trains(const Layer& layer, const Layer& source, const LayerState& from, const InnerLoops& loops, int steps,
                 LayerState& state, const std::atomic<bool>& stop) {
  constexpr uint32_t n = pool_lanes;
  const Pool& pool = layer.pool;
  const uint32_t *early = from.trains.data(), *late = early + source.words();
  const bool takes_back = layer.takes_back;
  const auto train_at = [&](size_t word) { return train_of(early[word], steps > 32 ? late[word] : 0); };
  std::vector<uint32_t> spikes, back;
  std::vector<int32_t> counts;
  int32_t largest[n];
  uint32_t sent[4 * n];
  const uint32_t windows = uint32_t(layer.size());
  for (uint32_t w = 0; w < windows && !stop.load(std::memory_order_relaxed); w += n) {
    const uint32_t lanes = std::min(n, windows - w);
    uint32_t inputs = 0;
    for (uint32_t c = 0; c < lanes; ++c) inputs = std::max(inputs, pool.start[w + c + 1] - pool.start[w + c]);
    const size_t half = size_t(inputs) * n;
    spikes.assign(2 * half, 0), counts.assign(half, 0), back.assign(takes_back ? 2 * half : 0, 0);
    for (uint32_t c = 0; c < lanes; ++c) {
      largest[c] = int32_t(state.largest[w + c]);
      for (uint32_t k = 0; k < inputs; ++k) {
        const size_t input = std::min(pool.start[w + c] + k, pool.start[w + c + 1] - 1), slot = pool.slot[input];
        const size_t at = size_t(k) * n + c;
        counts[at] = int32_t(state.v[pool.index[input]]);
        spikes[at] = early[slot];
        if (steps > 32) spikes[half + at] = late[slot];
        if (!takes_back) continue;
        back[at] = early[slot + source.slots()];
        if (steps > 32) back[half + at] = late[slot + source.slots()];
      }
    }
    std::fill(largest + lanes, largest + n, 0);
    loops.pool_windows({int(inputs), steps, pool.policy == Policy::count_max, spikes.data(),
                        takes_back ? back.data() : nullptr, counts.data(), largest, sent});
    for (uint32_t c = 0; c < lanes; ++c) {
      const Train train{train_of(sent[c], sent[n + c]), train_of(sent[2 * n + c], sent[3 * n + c])};
      state.largest[w + c] = float(largest[c]);
      state.count[w + c] += train.sum();
      uint32_t* const to = state.trains.data() + w + c;
      to[0] = sent[c], to[layer.words()] = sent[n + c];
      if (!takes_back) continue;
      to[layer.slots()] = sent[2 * n + c], to[layer.slots() + layer.words()] = sent[3 * n + c];
    }
  }
  for (int position = 0, i = 0; position < source.positions; ++position) {
    size_t slot = source.slot(position);
    for (int c = 0; c < source.channels; ++c, ++i, ++slot) {
      Train train;
      train.spikes = train_at(slot);
      if (takes_back) train.back = train_at(slot + source.slots());
      state.v[size_t(i)] += train.sum();
    }
  }
}

}  // namespace spikewright
