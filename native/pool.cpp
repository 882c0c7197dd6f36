// Max pooling of spikes: the four policies, window by window.
#include <algorithm>

#include "bits.hpp"
#include "run.hpp"

namespace spikewright {

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

// Window by window, at the steps at which any of its inputs fires.
void pool_trains(const Layer& layer, const Layer& source, const LayerState& from, LayerState& state,
                 const std::atomic<bool>& stop) {
  const Pool& pool = layer.pool;
  const uint32_t *early = from.trains.data(), *late = early + source.slots();
  std::vector<uint64_t> trains;
  std::vector<float> counts;
  for (size_t w = 0; w + 1 < pool.start.size() && !stop.load(std::memory_order_relaxed); ++w) {
    uint64_t left = 0, sent = 0;
    trains.clear(), counts.clear();
    for (uint32_t k = pool.start[w]; k < pool.start[w + 1]; ++k) {
      const uint32_t slot = pool.slot[k];
      trains.push_back(train_of(early[slot], late[slot])), counts.push_back(state.v[pool.index[k]]);
      left |= trains.back();
    }
    while (left) {
      const uint64_t step = uint64_t(1) << highest_bit(left);
      left ^= step;
      size_t best = 0;
      for (size_t k = 0; k < trains.size(); ++k) {
        counts[k] += trains[k] & step ? 1.0f : 0.0f;
        if (counts[k] > counts[best]) best = k;
      }
      if (pool.policy == Policy::avg_max) {
        sent |= trains[best] & step;
      } else if (counts[best] > state.largest[w]) {
        state.largest[w] = counts[best], sent |= step;
      }
    }
    state.count[w] += float(count_bits(sent));
    state.trains[w] = uint32_t(sent >> 32), state.trains[layer.slots() + w] = uint32_t(sent);
  }
  for (int position = 0, i = 0; position < source.positions; ++position) {
    size_t slot = source.slot(position);
    for (int c = 0; c < source.channels; ++c, ++i, ++slot) {
      state.v[size_t(i)] += float(count_bits(train_of(early[slot], late[slot])));
    }
  }
}

}  // namespace spikewright
