// What a run needs, foreseen.
#include <algorithm>

#include "gather.hpp"
#include "image.hpp"
#include "run.hpp"

namespace spikewright {

int64_t Engine::bytes_per_thread(int chunk) const {
  int64_t bytes = 0, widest = 0;
  for (const Layer& layer : plan_->layers) {
    const int64_t n = layer.size(), slots = int64_t(layer.slots());
    if (layer.image) bytes += 4 * (slots + layer.image->size());
    if (layer.kind != Kind::input) bytes += (layer.gather ? 12 : 16) * slots;  // v, counts, base; current
    if (layer.neurons.remembers_firing()) bytes += 4 * slots;
    if (layer.keeps_trains || layer.makes_trains()) bytes += 8 * int64_t(layer.words());
    if (layer.keeps_values || layer.makes_values()) bytes += 4 * int64_t(chunk) * slots;
    const bool tells = layer.makes_trains() || layer.makes_values() || (layer.kind == Kind::output && layer.gather);
    if (layer.keeps_lists || !tells) bytes += 8 * n * std::max(2, chunk / 4);  // lists, a quarter firing
    if (layer.kind == Kind::pool) bytes += 8 * int64_t(plan_->layers[size_t(layer.source)].size()) + 5 * n;
    int64_t lists = 0;
    if (layer.pool.of_trains) {  // a PoolBlock
      lists = 4 * pool_lanes * 5 * (int64_t(plan_->layers[size_t(layer.source)].positions) + layer.positions);
    }
    if (layer.gather) {
      const Gather& g = *layer.gather;
      for (const ChannelRange& p : g.ranges) {
        const int64_t octets = int64_t(p.columns) * p.octets();
        lists += int64_t(span_of(chunk) + 17) * p.ring * octets;
        lists += p.lists() * int64_t(span_of(chunk)) * (p.list_stride() / 2 + 4 * octets);
      }
      for (const Panel& p : g.panels) lists += int64_t(chunk) * g.at_once() * (p.capacity / 2 + rows_per_round);
      for (const ByteProjection& one : g.bytes) lists += one.range.ring * int64_t(one.row_bytes(g.width, chunk));
      lists += 4 * int64_t(g.currents(true, chunk));  // as if potentials were recorded
    }
    widest = std::max(widest, lists);
  }
  return bytes + widest;
}

}  // namespace spikewright
