// What listing does by hand, in plain C++; listing_parts.hpp says what each of these functions does.
#pragma once

#include <string.h>

#include "inner_loops.hpp"
#include "listing_parts.hpp"
#include "vectors.hpp"

namespace spikewright {
namespace {

template <int span>
inline void transpose(const uint32_t* early, const uint32_t* late, uint8_t* bytes) {
  const auto exchange = [](uint64_t x, int shift, uint64_t blocks) {
    const uint64_t swap = (x ^ x >> shift) & blocks;
    return x ^ swap ^ swap << shift;
  };
  for (int k = 0; k < span; k += 8) {
    uint64_t x = 0;
    for (int i = 0; i < 8; ++i) {
      x |= (train_of(early[i], span > 32 ? late[i] : 0) >> (64 - span + k) & 255) << (8 * i);
    }
    x = exchange(x, 7, 0x00aa00aa00aa00aa);
    x = exchange(x, 14, 0x0000cccc0000cccc);
    x = exchange(x, 28, 0x00000000f0f0f0f0);
    for (int i = 0; i < 8; ++i) bytes[k + i] = uint8_t(x >> (8 * i));
  }
}

template <int span>
inline int transpose_whole_vectors(const uint32_t*, int, uint8_t*, uint8_t*) {
  return 0;
}

inline void add_octet(const uint32_t* words, uint32_t* sums, int digits, int pitch) {
  uint32_t carry[8], any = 1;
  memcpy(carry, words, sizeof carry);
  for (int d = 0; d < digits && any; ++d, sums += pitch) {
    any = 0;
    for (int k = 0; k < 8; ++k) {
      const uint32_t both = sums[k] & carry[k];
      sums[k] ^= carry[k];
      any |= carry[k] = both;
    }
  }
}

template <int span>
inline uint32_t firing(const uint32_t* early, const uint32_t* late) {
  uint32_t bits = 0;
  for (int i = 0; i < 8; ++i) bits |= uint32_t((early[i] | (span > 32 ? late[i] : 0)) != 0) << i;
  return bits;
}

template <int joined, int span>
inline void list_octet(const Octet& octet, int, const Selections&, uint16_t* list, const uint32_t* start,
                       uint32_t* next) {
  for (int at = 0; at < span; ++at) {
    uint32_t any = 0, end = start[at];
    for (int k = 0; k < joined; ++k) any |= octet.bytes[k][at];
    for (; any; any &= any - 1) {
      const int i = lowest_bit(any);
      int way = 0;
      for (int k = 0; k < joined; ++k) way |= (octet.bytes[k][at] >> i & 1) << k;
      list[end++] = uint16_t(octet.entry + (joined > 1 ? i * ((1 << joined) - 1) + way - 1 : octet.entry_of[i]));
    }
    next[at] = end;
  }
}

}  // namespace
}  // namespace spikewright
