// Max pooling of spikes: the four policies, window by window.
#include <algorithm>

#include "bits.hpp"
#include "run.hpp"

namespace spikewright {
namespace {

// What the windows of some channels sent: their trains, and the sums of these.
void keep_answer(const Layer& layer, const PoolBlock& block, size_t first, size_t lanes, LayerState& state) {
  constexpr size_t n = pool_lanes;
  const size_t windows = size_t(layer.positions), channels = size_t(layer.channels), half = windows * n;
  for (size_t w = 0; w < windows; ++w) {
    const size_t at = w * channels + first;
    const uint32_t* sent = block.sent.data() + w * n;
    for (size_t c = 0; c < lanes; ++c) {
      const int spikes = count_bits(train_of(sent[c], sent[half + c]));
      state.count[at + c] += float(spikes - count_bits(train_of(sent[2 * half + c], sent[3 * half + c])));
    }
    std::copy_n(block.largest.data() + w * n, lanes, state.largest.data() + at);
    uint32_t* to = state.trains.data() + at;
    for (int late = 0; late < 2; ++late, sent += half, to += layer.words()) {
      std::copy_n(sent, lanes, to);
      if (layer.takes_back) std::copy_n(sent + 2 * half, lanes, to + layer.slots());
    }
  }
}

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
  const uint32_t channels = uint32_t(layer.channels);
  // Only windows that an event reached can send anything.
  for (uint32_t e = begin; e < end; ++e) {
    const uint32_t position = from.index[e] / channels, c = from.index[e] % channels;
    for (uint32_t r = pool.reach_start[position]; r < pool.reach_start[position + 1]; ++r) {
      const uint32_t window = pool.reach[r], w = window * channels + c;
      if (state.touched[w]) continue;
      if (stop.load(std::memory_order_relaxed)) return;
      state.touched[w] = 1;
      uint32_t best = pool.index[pool.start[window]] * channels + c;
      for (uint32_t k = pool.start[window] + 1; k < pool.start[window + 1]; ++k) {
        const uint32_t i = pool.index[k] * channels + c;
        if (state.v[i] > state.v[best]) best = i;
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
    const uint32_t i = from.index[e], position = i / channels;
    state.spikes[i] = 0.0f;
    for (uint32_t r = pool.reach_start[position]; r < pool.reach_start[position + 1]; ++r) {
      state.touched[pool.reach[r] * channels + i % channels] = 0;
    }
  }
  sent.start.push_back(n);
}

// As many channels side by side as there are lanes.
void pool_trains(const Layer& layer, const Layer& source, const LayerState& from, const InnerLoops& loops, int steps,
                 PoolBlock& block, LayerState& state, const std::atomic<bool>& stop) {
  constexpr size_t n = pool_lanes;
  const size_t inputs = size_t(source.positions), windows = size_t(layer.positions), channels = size_t(layer.channels);
  const int halves = steps > 32 ? 2 : 1;
  block.spikes.resize(2 * inputs * n), block.back.resize(layer.takes_back ? 2 * inputs * n : 0);
  block.counts.resize(inputs * n), block.largest.resize(windows * n), block.sent.resize(4 * windows * n);
  for (size_t first = 0; first < channels && !stop.load(std::memory_order_relaxed); first += n) {
    const size_t lanes = std::min(n, channels - first);
    const auto copy = [&](const auto* read, auto* to) {
      std::copy_n(read, lanes, to);
      std::fill(to + lanes, to + n, 0);
    };
    for (size_t i = 0; i < inputs; ++i) {
      copy(state.v.data() + i * channels + first, block.counts.data() + i * n);
      const uint32_t* trains = from.trains.data() + source.slot(int(i)) + first;
      for (int half = 0; half < halves; ++half, trains += source.words()) {
        const size_t at = (size_t(half) * inputs + i) * n;
        copy(trains, block.spikes.data() + at);
        if (layer.takes_back) copy(trains + source.slots(), block.back.data() + at);
      }
    }
    for (size_t w = 0; w < windows; ++w) {
      copy(state.largest.data() + w * channels + first, block.largest.data() + w * n);
    }
    loops.pool_windows({int(inputs), int(windows), steps, layer.pool.start.data(), layer.pool.index.data(),
                        layer.pool.policy == Policy::count_max, block.spikes.data(),
                        layer.takes_back ? block.back.data() : nullptr, block.counts.data(), block.largest.data(),
                        block.sent.data()});
    for (size_t i = 0; i < inputs; ++i) {
      std::copy_n(block.counts.data() + i * n, lanes, state.v.data() + i * channels + first);
    }
    keep_answer(layer, block, first, lanes, state);
  }
}

}  // namespace spikewright
