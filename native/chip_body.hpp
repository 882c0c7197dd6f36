// What one event does to the neurons of a chip's layer, written once over a vector of 16-bit integers.
#pragma once

#include "bits.hpp"
#include "inner_loops.hpp"
#include "vectors.hpp"

namespace spikewright {
namespace {

template <class V, bool subtract, bool fires>
uint32_t chip_event_of(const ChipEvent& e) {
  const V v_min = V::all(e.v_min), threshold = V::all(e.threshold), fire_at = V::all(e.fire_at), zero = V::all(0);
  uint32_t count = 0;
  for (int row = 0; row < e.rows; ++row) {
    uint32_t slot = e.slot + uint32_t(row) * e.row_slots;
    const int16_t* weight = e.weight + row * e.weight_row;
    for (int column = 0; column < e.columns; ++column, slot += uint32_t(e.lanes), weight += e.weight_column) {
      for (int lane = 0; lane < e.lanes; lane += V::width) {
        int16_t* const at = e.v + slot + lane;
        V v = V::larger(V::load(at) + V::load(weight + lane), v_min);  // the sum ends where 16 bits end
        if (fires) {
          const auto above = V::at_least(v, fire_at);
          v = subtract ? v - V::where(above, threshold) : V::choose(above, zero, v);
          for (uint32_t bits = V::bits(above); bits; bits &= bits - 1) {
            e.fired[count++] = slot + uint32_t(lane) + uint32_t(lowest_bit(bits));
          }
        }
        v.store(at);
      }
    }
  }
  return count;
}

template <class V>
uint32_t chip_event(const ChipEvent& event) {
  if (!event.fires) return chip_event_of<V, true, false>(event);
  return event.subtract ? chip_event_of<V, true, true>(event) : chip_event_of<V, false, true>(event);
}

}  // namespace
}  // namespace spikewright
