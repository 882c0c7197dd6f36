// What is done with neighbouring activations with AVX-512; activations_body.hpp says what each of these functions does.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace spikewright {
namespace {

struct ByAvx512 {
  static __m512i some(const int32_t* values, int64_t left) {
    return left >= 16 ? _mm512_loadu_si512(values) : _mm512_maskz_loadu_epi32(__mmask16((1u << left) - 1), values);
  }

  template <bool rectify>
  static int64_t glance(int32_t* values, int64_t n, uint16_t* upper, int32_t& top) {
    const __m512i no_sign = _mm512_set1_epi32(0x7fffffff);
    __m512i most = _mm512_set1_epi32(top);
    int64_t positives = 0;
    for (int64_t i = 0; i < n; i += 16) {
      __m512i x = some(values + i, n - i);
      const __mmask16 positive = _mm512_cmpgt_epi32_mask(x, _mm512_setzero_si512());
      if constexpr (rectify) {
        const __mmask16 no_number = _mm512_cmpgt_epu32_mask(x, _mm512_set1_epi32(int32_t(0xff800000)));
        x = _mm512_maskz_and_epi32(__mmask16(positive | no_number), x, no_sign);
        _mm512_mask_storeu_epi32(values + i, n - i >= 16 ? 0xffff : __mmask16((1u << (n - i)) - 1), x);
      }
      most = _mm512_max_epi32(most, _mm512_and_si512(x, no_sign));
      const __m512i there = _mm512_maskz_compress_epi32(positive, _mm512_srli_epi32(x, 16));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(upper + positives), _mm512_cvtepi32_epi16(there));
      positives += __builtin_popcount(positive);
    }
    top = _mm512_reduce_max_epi32(most);
    return positives;
  }

  static int64_t pack_from(int32_t cutoff, const int32_t* values, int64_t n, int32_t* found) {
    const __m512i limit = _mm512_set1_epi32(cutoff);
    int64_t packed = 0;
    for (int64_t i = 0; i < n; i += 16) {
      const __m512i x = some(values + i, n - i);
      const __mmask16 reached = _mm512_cmpge_epi32_mask(x, limit);
      if (!reached) continue;
      _mm512_storeu_si512(found + packed, _mm512_maskz_compress_epi32(reached, x));
      packed += __builtin_popcount(reached);
    }
    return packed;
  }
};

}  // namespace
}  // namespace spikewright
