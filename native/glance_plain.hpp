// What is done with neighbouring activations in plain code; activations_body.hpp says what each of these functions does.
#pragma once

#include <cstdint>

namespace spikewright {
namespace {

struct Plainly {
  // Of negative ones: NaN, which stays what it is.
  static bool no_number(int32_t negative) { return uint32_t(negative) > 0xff800000u; }

  template <bool rectify>
  static int64_t glance(int32_t* values, int64_t n, uint16_t* upper, int32_t& top) {
    int64_t positives = 0;
    for (int64_t i = 0; i < n; ++i) {
      if constexpr (rectify) values[i] = values[i] > 0 ? values[i] : no_number(values[i]) ? values[i] & 0x7fffffff : 0;
      const int32_t size = values[i] & 0x7fffffff;
      top = size > top ? size : top;
      upper[positives] = uint16_t(uint32_t(values[i]) >> 16);
      positives += values[i] > 0;
    }
    return positives;
  }

  static int64_t pack_from(int32_t cutoff, const int32_t* values, int64_t n, int32_t* found) {
    int64_t packed = 0;
    for (int64_t i = 0; i < n; ++i) {
      found[packed] = values[i];
      packed += values[i] >= cutoff;
    }
    return packed;
  }
};

}  // namespace
}  // namespace spikewright
