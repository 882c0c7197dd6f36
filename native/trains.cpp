// Trains, which gathering layers read, and event lists, which all others do: each from the other.
#include <algorithm>
#include <cmath>

#include "bits.hpp"
#include "run.hpp"

namespace spikewright {

void sort_large(LayerState& state) {
  std::sort(state.large.begin(), state.large.end(), [](const LargeNumber& a, const LargeNumber& b) {
    return a.neuron != b.neuron ? a.neuron < b.neuron : a.t < b.t;
  });
}

// What a port wants to know of all that was sent.
void note_trains(const Layer& layer, const Port& port, int steps, LayerState& state) {
  const uint32_t *const early = state.trains.data(), *const late = early + layer.words();
  const auto train_at = [&](int plane, size_t slot) {
    const size_t word = size_t(plane) * layer.slots() + slot;
    return train_of(early[word], steps > 32 ? late[word] : 0);
  };
  const size_t slots = layer.slots();
  for (int plane = 0; plane < layer.planes(); ++plane) {
    const float value = layer.value_of(plane);
    const bool below = port.negative.wanted() && value < 0, large = port.graded.wanted() && std::abs(value) != 1.0f;
    for (size_t slot = 0; (below || large) && slot < slots; ++slot) {
      const uint64_t train = train_at(plane, slot);
      if (!train) continue;
      if (below) state.negative[slot] -= value * float(count_bits(train));
      if (large) state.graded[slot] = 1.0f;
    }
  }
  for (const LargeNumber& one : state.large) {
    const uint32_t channels = uint32_t(layer.channels);
    const size_t slot = layer.slot(int(one.neuron / channels)) + one.neuron % channels;
    if (port.active.wanted()) state.active[slot] += 1.0f;
    if (port.graded.wanted()) state.graded[slot] = 1.0f;
    if (port.negative.wanted()) state.negative[slot] -= std::min(one.number, 0.0f);
  }
  for (size_t slot = 0; port.active.wanted() && !layer.counts_steps() && slot < slots; ++slot) {
    uint64_t any = 0;
    for (int plane = 0; plane < layer.planes(); ++plane) any |= train_at(plane, slot);
    if (any) state.active[slot] += float(count_bits(any));
  }
}

// Event lists from trains: counted by timestep first, then written in that order.
void list_trains(const Layer& layer, int steps, LayerState& state, const std::atomic<bool>& stop) {
  uint32_t cursor[max_chunk] = {};
  const int planes = state.several ? layer.planes() : layer.low_planes();
  const auto each_spike = [&](const auto& of) {
    const uint32_t *early = state.trains.data(), *late = early + layer.words();
    auto large = state.large.begin();
    for (int p = 0; p < layer.positions && !stop.load(std::memory_order_relaxed); ++p) {
      size_t slot = layer.slot(p);
      for (int c = 0; c < layer.channels; ++c, ++slot) {
        uint64_t trains[2 * max_bits], any = 0;
        for (; large != state.large.end() && large->neuron == uint32_t(p * layer.channels + c); ++large) {
          of(large->t, large->neuron, large->number);
        }
        for (int plane = 0; plane < planes; ++plane) {
          const size_t word = size_t(plane) * layer.slots() + slot;
          any |= trains[plane] = train_of(early[word], steps > 32 ? late[word] : 0);
        }
        for (; any; any &= any - 1) {
          const int at = lowest_bit(any);
          float value = 0;
          for (int plane = 0; plane < planes; ++plane) {
            if (trains[plane] >> at & 1) value += layer.value_of(plane);
          }
          of(max_chunk - 1 - at, uint32_t(p * layer.channels + c), value);
        }
      }
    }
  };
  each_spike([&](int t, uint32_t, float) { ++cursor[t]; });
  EventList& events = state.events;
  events.start.assign(1, 0);
  for (int t = 0; t < steps; ++t) {
    events.start.push_back(events.start.back() + cursor[t]);
    cursor[t] = events.start[size_t(t)];
  }
  events.reserve(0);
  each_spike([&](int t, uint32_t i, float value) {
    events.index[cursor[t]] = i;
    events.value[cursor[t]++] = value;
  });
}

// Event lists from the values of a relay.
void list_values(const Layer& layer, const InnerLoops& loops, int steps, LayerState& state) {
  EventList& events = state.events;
  events.clear();
  const float* values = state.values.data();
  for (int t = 0; t < steps; ++t, values += layer.slots()) {
    events.reserve(uint32_t(layer.size()));
    uint32_t at = events.size();
    for (int p = 0; p < layer.positions; ++p) {
      const uint32_t first = uint32_t(p * layer.channels);
      const uint32_t count = loops.compress(values + layer.slot(p), layer.channels, events.index.data() + at,
                                            events.value.data() + at);
      for (uint32_t i = at; i < at + count; ++i) events.index[i] += first;
      at += count;
    }
    events.start.push_back(at);
  }
}

// The values of a relay from its event lists; its slots have no gaps.
void value_lists(const Layer& layer, int steps, LayerState& state) {
  std::fill(state.values.begin(), state.values.end(), 0.0f);
  for (int t = 0; t < steps; ++t) {
    float* values = state.values.data() + size_t(t) * layer.slots();
    for (uint32_t e = state.events.start[size_t(t)]; e < state.events.start[size_t(t) + 1]; ++e) {
      values[state.events.index[e]] = state.events.value[e];
    }
  }
}

// The slots of a layer that does not gather have no gaps.
void train_lists(const Layer& layer, int steps, LayerState& state, const std::atomic<bool>& stop) {
  std::fill(state.trains.begin(), state.trains.end(), 0u);
  state.several = layer.bits > 1, state.large.clear();
  for (int t = 0; t < steps && !stop.load(std::memory_order_relaxed); ++t) {
    uint32_t* words = state.trains.data() + size_t(t / 32) * layer.words();
    for (uint32_t e = state.events.start[size_t(t)]; e < state.events.start[size_t(t) + 1]; ++e) {
      float left = std::abs(state.events.value[e]);
      if (left >= float(1 << layer.bits)) {
        state.large.push_back({state.events.index[e], t, state.events.value[e]});
        continue;
      }
      uint32_t* lowest = words + state.events.index[e];
      if (state.events.value[e] < 0 && layer.takes_back) lowest += layer.slots();
      for (int bit = layer.bits - 1; bit >= 0; --bit) {
        if (left < float(1 << bit)) continue;
        left -= float(1 << bit);
        lowest[size_t(bit * layer.low_planes()) * layer.slots()] |= 1u << (31 - t % 32);
      }
    }
  }
  sort_large(state);
}

}  // namespace spikewright
