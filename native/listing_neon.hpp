// What listing does by hand in NEON; listing_parts.hpp says what each of these functions does.
#pragma once

#include <arm_neon.h>

#include "bits.hpp"
#include "inner_loops.hpp"
#include "listing_parts.hpp"
#include "vectors.hpp"

namespace spikewright {
namespace {

template <int shift>
inline uint64x2_t exchange(uint64x2_t x, uint64_t blocks) {
  const uint64x2_t swap = vandq_u64(veorq_u64(x, vshrq_n_u64(x, shift)), vdupq_n_u64(blocks));
  return veorq_u64(x, veorq_u64(swap, vshlq_n_u64(swap, shift)));
}

inline uint8x16_t transposed(uint8x16_t bytes) {
  uint64x2_t x = vreinterpretq_u64_u8(bytes);
  x = exchange<7>(x, 0x00aa00aa00aa00aa);
  x = exchange<14>(x, 0x0000cccc0000cccc);
  return vreinterpretq_u8_u64(exchange<28>(x, 0x00000000f0f0f0f0));
}

// Of the words of eight neurons two bytes each, one after the other.
inline uint8x16_t two_bytes(const uint32_t* words, int first) {
  const uint8_t bytes[16] = {0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29};
  const uint8x16x2_t all = {{vreinterpretq_u8_u32(vld1q_u32(words)), vreinterpretq_u8_u32(vld1q_u32(words + 4))}};
  return vqtbl2q_u8(all, vaddq_u8(vld1q_u8(bytes), vdupq_n_u8(uint8_t(first))));
}

template <int span>
inline void transpose(const uint32_t* early, const uint32_t* late, uint8_t* bytes) {
  if constexpr (span == 8) {
    vst1_u8(bytes, vget_low_u8(transposed(two_bytes(early, 3))));
  } else if constexpr (span == 16) {
    vst1q_u8(bytes, transposed(two_bytes(early, 2)));
  } else if constexpr (span == 32) {
    vst1q_u8(bytes, transposed(two_bytes(early, 0))), vst1q_u8(bytes + 16, transposed(two_bytes(early, 2)));
  } else {
    transpose<32>(late, nullptr, bytes), transpose<32>(early, nullptr, bytes + 32);
  }
}

template <int span>
inline int transpose_whole_vectors(const uint32_t*, int, uint8_t*, uint8_t*) {
  return 0;  // an octet fills them
}

inline void add_octet(const uint32_t* words, uint32_t* sums, int digits, int pitch) {
  uint32x4_t low = vld1q_u32(words), high = vld1q_u32(words + 4);
  for (int d = 0; d < digits && vmaxvq_u32(vorrq_u32(low, high)); ++d, sums += pitch) {
    const uint32x4_t low_digit = vld1q_u32(sums), high_digit = vld1q_u32(sums + 4);
    vst1q_u32(sums, veorq_u32(low_digit, low)), vst1q_u32(sums + 4, veorq_u32(high_digit, high));
    low = vandq_u32(low_digit, low), high = vandq_u32(high_digit, high);
  }
}

template <int span>
inline uint32_t firing(const uint32_t* early, const uint32_t* late) {
  uint32x4_t low = vld1q_u32(early), high = vld1q_u32(early + 4);
  if (span > 32) low = vorrq_u32(low, vld1q_u32(late)), high = vorrq_u32(high, vld1q_u32(late + 4));
  const uint16_t lanes[8] = {1, 2, 4, 8, 16, 32, 64, 128};
  const uint16x8_t fires = vcombine_u16(vmovn_u32(vtstq_u32(low, low)), vmovn_u32(vtstq_u32(high, high)));
  return vaddvq_u16(vandq_u16(fires, vld1q_u16(lanes)));
}

template <int joined, int span>
inline void list_octet(const Octet& octet, int, const Selections& selections, uint16_t* list, const uint32_t* start,
                       uint32_t* next) {
  constexpr int ways = (1 << joined) - 1, at_once = span < 16 ? 8 : 16;
  constexpr uint8_t w = ways;
  const uint8_t first_way[8] = {0, w, 2 * w, 3 * w, 4 * w, 5 * w, 6 * w, 7 * w}, bit[8] = {1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x8_t lane = vld1_u8(first_way), bits = vld1_u8(bit);
  uint16x8_t entries = vdupq_n_u16(uint16_t(octet.entry - (joined > 1)));
  if (joined == 1) entries = vaddq_u16(entries, vld1q_u16(octet.entry_of));
  for (int from = 0; from < span; from += 16) {
    const auto load = [&](const uint8_t* bytes) {
      if constexpr (span == 8) return vcombine_u8(vld1_u8(bytes), vdup_n_u8(0));
      return vld1q_u8(bytes + from);
    };
    uint8x16_t fires = load(octet.bytes[0]);
    for (int k = 1; k < joined; ++k) fires = vorrq_u8(fires, load(octet.bytes[k]));
    uint8_t any[16], ones[16];
    vst1q_u8(any, fires), vst1q_u8(ones, vcntq_u8(fires));
    for (int i = 0; i < at_once; i += 8) {  // where the entries of the next octet begin at each step
      const uint16x8_t more = vmovl_u8(vld1_u8(ones + i));
      const uint32_t* const begin = start + from + i;
      vst1q_u32(next + from + i, vaddw_u16(vld1q_u32(begin), vget_low_u16(more)));
      vst1q_u32(next + from + i + 4, vaddw_u16(vld1q_u32(begin + 4), vget_high_u16(more)));
    }
    // four bits for each step
    const uint8x8_t four = vshrn_n_u16(vreinterpretq_u16_u8(vtstq_u8(fires, fires)), 4);
    uint64_t busy = vget_lane_u64(vreinterpret_u64_u8(four), 0) & 0x1111111111111111;
    for (; busy; busy &= busy - 1) {
      const int at = lowest_bit(busy) / 4;
      uint16x8_t put = entries;
      if constexpr (joined > 1) {
        uint8x8_t which = vdup_n_u8(0);  // taps that fire, as a number below zero
        for (int k = joined - 1; k >= 0; --k) {
          which = vadd_u8(vadd_u8(which, which), vtst_u8(vdup_n_u8(octet.bytes[k][from + at]), bits));
        }
        put = vaddw_u8(put, vsub_u8(lane, which));
      }
      const uint8x16_t order = vld1q_u8(selections.of[any[at]]);
      vst1q_u16(list + start[from + at], vreinterpretq_u16_u8(vqtbl1q_u8(vreinterpretq_u8_u16(put), order)));
    }
  }
}

}  // namespace
}  // namespace spikewright
