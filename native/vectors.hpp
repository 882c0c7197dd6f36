// A vector of floats of one instruction set: just what the inner loops need.
#pragma once

#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif
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

inline int count_ones(uint32_t bits) {
  int n = 0;
  for (; bits; bits &= bits - 1) ++n;
  return n;
}

#if defined(__AVX2__)
// Of each 32-bit lane: its nibbles are looked up, then their counts summed.
inline __m256i count_ones(__m256i lanes) {
  const __m256i table = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(lanes, nibble));
  const __m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(lanes, 4), nibble));
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_add_epi8(low, high), _mm256_set1_epi8(1));
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}
#endif

// Plain C++, for any machine and, with sixteen lanes, to test the logic of wide vectors on any machine.
template <int lanes>
struct PlainVector {
  static constexpr int width = lanes;
  float at[lanes];

  static PlainVector load(const float* from) {
    PlainVector r;
    for (int i = 0; i < lanes; ++i) r.at[i] = from[i];
    return r;
  }
  static PlainVector all(float value) {
    PlainVector r;
    for (int i = 0; i < lanes; ++i) r.at[i] = value;
    return r;
  }
  void store(float* to) const {
    for (int i = 0; i < lanes; ++i) to[i] = at[i];
  }
  friend PlainVector operator+(PlainVector a, PlainVector b) {
    for (int i = 0; i < lanes; ++i) a.at[i] += b.at[i];
    return a;
  }
  friend PlainVector operator-(PlainVector a, PlainVector b) {
    for (int i = 0; i < lanes; ++i) a.at[i] -= b.at[i];
    return a;
  }
  friend PlainVector operator*(PlainVector a, PlainVector b) {
    for (int i = 0; i < lanes; ++i) a.at[i] *= b.at[i];
    return a;
  }
  static PlainVector larger(PlainVector a, PlainVector b) {
    for (int i = 0; i < lanes; ++i) a.at[i] = a.at[i] < b.at[i] ? b.at[i] : a.at[i];
    return a;
  }
  using Mask = uint32_t;
  static Mask at_least(PlainVector a, PlainVector b) {
    Mask m = 0;
    for (int i = 0; i < lanes; ++i) m |= Mask(a.at[i] >= b.at[i]) << i;
    return m;
  }
  static Mask not_zero(PlainVector a) {
    Mask m = 0;
    for (int i = 0; i < lanes; ++i) m |= Mask(a.at[i] != 0.0f) << i;
    return m;
  }
  static PlainVector where(Mask m, PlainVector a) {  // a or zero
    for (int i = 0; i < lanes; ++i) a.at[i] = m >> i & 1 ? a.at[i] : 0.0f;
    return a;
  }
  static PlainVector choose(Mask m, PlainVector a, PlainVector b) {
    for (int i = 0; i < lanes; ++i) a.at[i] = m >> i & 1 ? a.at[i] : b.at[i];
    return a;
  }
  static uint32_t bits(Mask m) { return m; }
  // The last 32 masks of each lane, the newest in the lowest bit.
  struct History {
    uint32_t at[lanes] = {};
    void push(Mask m) {
      for (int i = 0; i < lanes; ++i) at[i] = at[i] << 1 | (m >> i & 1);
    }
    void store(uint32_t* to, int unused) const {  // the oldest in the highest bit
      for (int i = 0; i < lanes; ++i) to[i] = at[i] << unused;
    }
    PlainVector ones() const {
      PlainVector r;
      for (int i = 0; i < lanes; ++i) r.at[i] = float(count_ones(at[i]));
      return r;
    }
  };
};

#if defined(__AVX2__)
struct Vector8 {
  static constexpr int width = 8;
  __m256 at;

  static Vector8 load(const float* from) { return {_mm256_loadu_ps(from)}; }
  static Vector8 all(float value) { return {_mm256_set1_ps(value)}; }
  void store(float* to) const { _mm256_storeu_ps(to, at); }
  friend Vector8 operator+(Vector8 a, Vector8 b) { return {_mm256_add_ps(a.at, b.at)}; }
  friend Vector8 operator-(Vector8 a, Vector8 b) { return {_mm256_sub_ps(a.at, b.at)}; }
  friend Vector8 operator*(Vector8 a, Vector8 b) { return {_mm256_mul_ps(a.at, b.at)}; }
  static Vector8 larger(Vector8 a, Vector8 b) { return {_mm256_max_ps(a.at, b.at)}; }
  struct Mask {
    __m256 at;
  };
  static Mask at_least(Vector8 a, Vector8 b) { return {_mm256_cmp_ps(a.at, b.at, _CMP_GE_OQ)}; }
  static Mask not_zero(Vector8 a) { return {_mm256_cmp_ps(a.at, _mm256_setzero_ps(), _CMP_NEQ_OQ)}; }
  static Vector8 where(Mask m, Vector8 a) { return {_mm256_and_ps(m.at, a.at)}; }
  static Vector8 choose(Mask m, Vector8 a, Vector8 b) { return {_mm256_blendv_ps(b.at, a.at, m.at)}; }
  static uint32_t bits(Mask m) { return uint32_t(_mm256_movemask_ps(m.at)); }
  struct History {
    __m256i at = _mm256_setzero_si256();
    void push(Mask m) { at = _mm256_sub_epi32(_mm256_add_epi32(at, at), _mm256_castps_si256(m.at)); }
    void store(uint32_t* to, int unused) const {
      const __m256i shifted = _mm256_sll_epi32(at, _mm_cvtsi32_si128(unused));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), shifted);
    }
    Vector8 ones() const { return {_mm256_cvtepi32_ps(count_ones(at))}; }
  };
};
#endif

#if defined(__AVX512F__)
struct Vector16 {
  static constexpr int width = 16;
  __m512 at;

  static Vector16 load(const float* from) { return {_mm512_loadu_ps(from)}; }
  static Vector16 all(float value) { return {_mm512_set1_ps(value)}; }
  void store(float* to) const { _mm512_storeu_ps(to, at); }
  friend Vector16 operator+(Vector16 a, Vector16 b) { return {_mm512_add_ps(a.at, b.at)}; }
  friend Vector16 operator-(Vector16 a, Vector16 b) { return {_mm512_sub_ps(a.at, b.at)}; }
  friend Vector16 operator*(Vector16 a, Vector16 b) { return {_mm512_mul_ps(a.at, b.at)}; }
  static Vector16 larger(Vector16 a, Vector16 b) { return {_mm512_max_ps(a.at, b.at)}; }
  using Mask = __mmask16;
  static Mask at_least(Vector16 a, Vector16 b) { return _mm512_cmp_ps_mask(a.at, b.at, _CMP_GE_OQ); }
  static Mask not_zero(Vector16 a) { return _mm512_cmp_ps_mask(a.at, _mm512_setzero_ps(), _CMP_NEQ_OQ); }
  static Vector16 where(Mask m, Vector16 a) { return {_mm512_maskz_mov_ps(m, a.at)}; }
  static Vector16 choose(Mask m, Vector16 a, Vector16 b) { return {_mm512_mask_blend_ps(m, b.at, a.at)}; }
  static uint32_t bits(Mask m) { return m; }
  struct History {
    __m512i at = _mm512_setzero_si512();
    void push(Mask m) {
      at = _mm512_add_epi32(at, at);
      at = _mm512_mask_add_epi32(at, m, at, _mm512_set1_epi32(1));
    }
    void store(uint32_t* to, int unused) const {
      _mm512_storeu_si512(to, _mm512_sll_epi32(at, _mm_cvtsi32_si128(unused)));
    }
    Vector16 ones() const {
      const __m256i low = count_ones(_mm512_castsi512_si256(at)), high = count_ones(_mm512_extracti64x4_epi64(at, 1));
      return {_mm512_cvtepi32_ps(_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1))};
    }
  };
};
#endif

}  // namespace
}  // namespace spikewright
