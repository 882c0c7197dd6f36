// What is not written over a vector type, in plain C++; see vectors.hpp.
#pragma once

#include <math.h>

#include <cstdint>

#include "bits.hpp"

namespace spikewright {
namespace {

inline void add_ones(const uint32_t* words, int n, float* counts, float value) {
  for (int i = 0; i < n; ++i) counts[i] += value * float(count_bits(words[i]));
}

inline void copy_entries(const uint16_t* from, uint16_t shift, uint16_t* to) {
  for (int i = 0; i < 16; ++i) to[i] = uint16_t(from[i] + shift);
}

inline void quantise(const float* from, const float* scale, int values, int16_t* to) {
  for (int i = 0; i < values; ++i) {
    const float scaled = nearbyintf(from[i] * scale[i]);
    to[i] = int16_t(scaled < INT16_MIN ? INT16_MIN : scaled > INT16_MAX ? INT16_MAX : scaled);
  }
}

}  // namespace
}  // namespace spikewright
