// Adding the events of one timestep to the currents of a layer, event by event.
#include "inner_loops.hpp"
#include "run.hpp"

namespace spikewright {
namespace {

void scatter_conv(const Projection& p, const InnerLoops& loops, const uint32_t* index, const float* value,
                  uint32_t events, float* current, const std::atomic<bool>& stop) {
  const Axis &za = p.axis[0], &ya = p.axis[1], &xa = p.axis[2];
  const int filters = p.filters / p.groups, inputs = p.channels / p.groups;
  for (uint32_t e = 0; e < events && !stop.load(std::memory_order_relaxed); ++e) {
    const int32_t at = p.at(index[e]);
    if (at < 0) continue;
    const int channel = at % p.channels, cell = at / p.channels;
    const int x = cell % xa.length, y = cell / xa.length % ya.length, z = cell / xa.length / ya.length;
    const int group = channel / inputs;
    const size_t volume = size_t(za.kernel) * size_t(ya.kernel) * size_t(xa.kernel);
    const float* weight = p.weight.data() + size_t(channel) * volume * size_t(filters);
    for (uint32_t a = za.start[size_t(z)]; a < za.start[size_t(z) + 1]; ++a) {
      for (uint32_t b = ya.start[size_t(y)]; b < ya.start[size_t(y) + 1]; ++b) {
        const Axis::Tap z_tap = za.taps[a], y_tap = ya.taps[b];
        const size_t row = (size_t(z_tap.output) * size_t(ya.outputs) + size_t(y_tap.output)) * size_t(xa.outputs);
        const size_t tap = (size_t(z_tap.kernel) * size_t(ya.kernel) + size_t(y_tap.kernel)) * size_t(xa.kernel);
        for (uint32_t c = xa.start[size_t(x)]; c < xa.start[size_t(x) + 1]; ++c) {
          const size_t output = row + size_t(xa.taps[c].output);
          float* to = current + output * size_t(p.filters) + size_t(group) * size_t(filters);
          const float* from = weight + (tap + size_t(xa.taps[c].kernel)) * size_t(filters);
          if (filters == 1) {
            *to += value[e] * *from;
          } else {
            loops.add_row(to, from, value[e], filters);
          }
        }
      }
    }
  }
}

}  // namespace

void scatter(const Projection& p, const Layer& target, const InnerLoops& loops, const uint32_t* index,
             const float* value, uint32_t events, float* current, const std::atomic<bool>& stop) {
  if (p.kind == Operator::conv) return scatter_conv(p, loops, index, value, events, current, stop);
  const int outputs = target.size();
  for (uint32_t e = 0; e < events && !stop.load(std::memory_order_relaxed); ++e) {
    if (p.kind == Operator::dense) {
      const int32_t at = p.at(index[e]);
      if (at >= 0) loops.add_row(current, p.weight.data() + size_t(at) * size_t(outputs), value[e], outputs);
    } else {
      for (int64_t k = p.start[index[e]]; k < p.start[index[e] + 1]; ++k) {
        current[p.column[size_t(k)]] += value[e] * p.value[size_t(k)];
      }
    }
  }
}

}  // namespace spikewright
