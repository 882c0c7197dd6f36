// Bits of a word.
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

inline int highest_bit(uint64_t bits) {
#if defined(_MSC_VER)
  unsigned long at;
  _BitScanReverse64(&at, bits);
  return int(at);
#else
  return 63 - __builtin_clzll(bits);
#endif
}

// The spikes of a chunk: steps 0 to 31 in the one word, 32 to 63 in the other, the first in the highest bit.
inline uint64_t train_of(uint32_t early, uint32_t late) { return uint64_t(early) << 32 | late; }

inline int count_bits(uint64_t bits) {
#if defined(_MSC_VER)
  int n = 0;
  for (; bits; bits &= bits - 1) ++n;
  return n;
#else
  return __builtin_popcountll(bits);
#endif
}

}  // namespace
}  // namespace spikewright
