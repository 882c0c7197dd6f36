// What is done with neighbouring activations with AVX2; activations_body.hpp says what each of these functions does.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "glance_plain.hpp"

namespace spikewright {
namespace {

// For each set of 8 lanes where they come from that it packs: by bytes of 16 bits a lane, and by lanes.
struct Packing {
  alignas(16) uint8_t halves[256][16];
  alignas(8) uint8_t words[256][8];

  constexpr Packing() : halves(), words() {
    for (int set = 0; set < 256; ++set) {
      int packed = 0;
      for (int lane = 0; lane < 8; ++lane) {
        if (!(set >> lane & 1)) continue;
        halves[set][2 * packed] = uint8_t(2 * lane);
        halves[set][2 * packed + 1] = uint8_t(2 * lane + 1);
        words[set][packed++] = uint8_t(lane);
      }
    }
  }
};

constexpr Packing packing;

struct ByAvx2 {
  static __m256i eight(const int32_t* values) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values)); }
  static unsigned set_of(__m256i mask) { return unsigned(_mm256_movemask_ps(_mm256_castsi256_ps(mask))); }

  template <bool rectify>
  static int64_t glance(int32_t* values, int64_t n, uint16_t* upper, int32_t& top) {
    const __m256i no_sign = _mm256_set1_epi32(0x7fffffff);
    __m256i most = _mm256_setzero_si256();
    int64_t positives = 0, i = 0;
    for (; i + 8 <= n; i += 8) {
      __m256i x = eight(values + i);
      const __m256i high = _mm256_srli_epi32(x, 16), positive = _mm256_cmpgt_epi32(x, _mm256_setzero_si256());
      const unsigned set = set_of(positive);
      if constexpr (rectify) {
        const __m256i beyond = _mm256_cmpgt_epi32(x, _mm256_set1_epi32(int32_t(0xff800000)));
        const __m256i no_number = _mm256_and_si256(beyond, _mm256_srai_epi32(x, 31));
        x = _mm256_and_si256(_mm256_and_si256(x, no_sign), _mm256_or_si256(positive, no_number));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(values + i), x);
      }
      most = _mm256_max_epi32(most, _mm256_and_si256(x, no_sign));
      const __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
      const __m128i order = _mm_load_si128(reinterpret_cast<const __m128i*>(packing.halves[set]));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(upper + positives), _mm_shuffle_epi8(halves, order));
      positives += __builtin_popcount(set);
    }
    int32_t each[8];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(each), most);
    for (const int32_t one : each) top = one > top ? one : top;
    return positives + Plainly::glance<rectify>(values + i, n - i, upper + positives, top);
  }

  static int64_t pack_from(int32_t cutoff, const int32_t* values, int64_t n, int32_t* found) {
    const __m256i below = _mm256_set1_epi32(cutoff - 1);
    int64_t packed = 0, i = 0;
    for (; i + 8 <= n; i += 8) {
      const __m256i x = eight(values + i);
      const unsigned set = set_of(_mm256_cmpgt_epi32(x, below));
      if (!set) continue;
      const __m128i lanes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(packing.words[set]));
      const __m256i there = _mm256_permutevar8x32_epi32(x, _mm256_cvtepu8_epi32(lanes));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(found + packed), there);
      packed += __builtin_popcount(set);
    }
    return packed + Plainly::pack_from(cutoff, values + i, n - i, found + packed);
  }
};

}  // namespace
}  // namespace spikewright
