// The lowest bit of a word.
#pragma once

#include <cstdint>

#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace spikewright {
namespace {  // each instruction set has its own

inline int lowest_bit(uint32_t bits) {
#if defined(_MSC_VER)
  unsigned long at;
  _BitScanForward(&at, bits);
  return int(at);
#else
  return __builtin_ctz(bits);
#endif
}

inline int lowest_bit(uint64_t bits) {
#if defined(_MSC_VER)
  unsigned long at;
  _BitScanForward64(&at, bits);
  return int(at);
#else
  return __builtin_ctzll(bits);
#endif
}

}  // namespace
}  // namespace spikewright
