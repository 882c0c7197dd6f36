// A vector of floats of one instruction set: just what the inner loops need.
#pragma once

#include <math.h>

#include <cstdint>

#include "bits.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace spikewright {
namespace {  // each instruction set has its own

#if defined(__AVX2__)
// The ones of each byte: nibbles are looked up.
inline __m256i ones_of_bytes(__m256i bytes) {
  const __m256i table = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(bytes, nibble));
  const __m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble));
  return _mm256_add_epi8(low, high);
}
#endif

// Adds to each count the ones of its word, each of which counts as `value`; there is a multiple of eight.
inline void add_ones(const uint32_t* words, int n, float* counts, float value) {
#if defined(__AVX2__)
  for (int i = 0; i < n; i += 8) {
    const __m256i bytes = ones_of_bytes(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(words + i)));
    const __m256i pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1));
    const __m256 ones = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    const __m256 more = _mm256_mul_ps(ones, _mm256_set1_ps(value));
    _mm256_storeu_ps(counts + i, _mm256_add_ps(_mm256_loadu_ps(counts + i), more));
  }
#else
  for (int i = 0; i < n; ++i) counts[i] += value * float(count_bits(words[i]));
#endif
}

inline float add_values(float a, float b) { return a + b; }
inline int16_t add_values(int16_t a, int16_t b) {  // as far as 16 bits go
  const int sum = int(a) + int(b);
  return int16_t(sum > INT16_MAX ? INT16_MAX : sum < INT16_MIN ? INT16_MIN : sum);
}

// Plain C++, for any machine and, with wide vectors, to test their logic on any machine.
template <int lanes, class T = float>
struct PlainVector {
  static constexpr int width = lanes;
  using Value = T;
  T at[lanes];

  static PlainVector load(const T* from) {
    PlainVector r;
    for (int i = 0; i < lanes; ++i) r.at[i] = from[i];
    return r;
  }
  static PlainVector all(T value) {
    PlainVector r;
    for (int i = 0; i < lanes; ++i) r.at[i] = value;
    return r;
  }
  void store(T* to) const {
    for (int i = 0; i < lanes; ++i) to[i] = at[i];
  }
  friend PlainVector operator+(PlainVector a, PlainVector b) {
    for (int i = 0; i < lanes; ++i) a.at[i] = add_values(a.at[i], b.at[i]);
    return a;
  }
  friend PlainVector operator-(PlainVector a, PlainVector b) {
    for (int i = 0; i < lanes; ++i) a.at[i] = T(a.at[i] - b.at[i]);
    return a;
  }
  friend PlainVector operator*(PlainVector a, PlainVector b) {
    for (int i = 0; i < lanes; ++i) a.at[i] = T(a.at[i] * b.at[i]);
    return a;
  }
  friend PlainVector operator/(PlainVector a, PlainVector b) {
    for (int i = 0; i < lanes; ++i) a.at[i] = T(a.at[i] / b.at[i]);
    return a;
  }
  static PlainVector floor(PlainVector a) {
    for (int i = 0; i < lanes; ++i) a.at[i] = floorf(a.at[i]);
    return a;
  }
  static PlainVector larger(PlainVector a, PlainVector b) {
    for (int i = 0; i < lanes; ++i) a.at[i] = a.at[i] < b.at[i] ? b.at[i] : a.at[i];
    return a;
  }
  static PlainVector smaller(PlainVector a, PlainVector b) {
    for (int i = 0; i < lanes; ++i) a.at[i] = b.at[i] < a.at[i] ? b.at[i] : a.at[i];
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
    for (int i = 0; i < lanes; ++i) m |= Mask(a.at[i] != 0) << i;
    return m;
  }
  static PlainVector where(Mask m, PlainVector a) {  // a or zero
    for (int i = 0; i < lanes; ++i) a.at[i] = m >> i & 1 ? a.at[i] : T(0);
    return a;
  }
  static PlainVector choose(Mask m, PlainVector a, PlainVector b) {
    for (int i = 0; i < lanes; ++i) a.at[i] = m >> i & 1 ? a.at[i] : b.at[i];
    return a;
  }
  static uint32_t bits(Mask m) { return m; }
  // The masks of `span` steps, a word of bits for each lane.
  struct History {
    static constexpr int span = 32;
    uint32_t at[lanes] = {};
    void push(Mask m) {
      for (int i = 0; i < lanes; ++i) at[i] = at[i] << 1 | (m >> i & 1);
    }
    void end(int missing) {  // brings the first step to the highest bit
      for (int i = 0; i < lanes; ++i) at[i] = missing < span ? at[i] << missing : 0;
    }
    static void store(const History* of, uint32_t* to) {
      for (int i = 0; i < lanes; ++i) to[i] = of->at[i];
    }
  };
  // The way back: masks of the steps of a part of the words, one after the other.
  struct Future {
    uint32_t at[lanes];
    Future(const uint32_t* words, int) {
      for (int i = 0; i < lanes; ++i) at[i] = words[i];
    }
    Mask pop() {
      Mask m = 0;
      for (int i = 0; i < lanes; ++i) m |= Mask(at[i] >> 31) << i, at[i] <<= 1;
      return m;
    }
  };
};

#if defined(__AVX2__)
struct Vector8 {
  static constexpr int width = 8;
  using Value = float;
  __m256 at;

  static Vector8 load(const float* from) { return {_mm256_loadu_ps(from)}; }
  static Vector8 all(float value) { return {_mm256_set1_ps(value)}; }
  void store(float* to) const { _mm256_storeu_ps(to, at); }
  friend Vector8 operator+(Vector8 a, Vector8 b) { return {_mm256_add_ps(a.at, b.at)}; }
  friend Vector8 operator-(Vector8 a, Vector8 b) { return {_mm256_sub_ps(a.at, b.at)}; }
  friend Vector8 operator*(Vector8 a, Vector8 b) { return {_mm256_mul_ps(a.at, b.at)}; }
  friend Vector8 operator/(Vector8 a, Vector8 b) { return {_mm256_div_ps(a.at, b.at)}; }
  static Vector8 floor(Vector8 a) { return {_mm256_floor_ps(a.at)}; }
  static Vector8 larger(Vector8 a, Vector8 b) { return {_mm256_max_ps(a.at, b.at)}; }
  static Vector8 smaller(Vector8 a, Vector8 b) { return {_mm256_min_ps(a.at, b.at)}; }
  struct Mask {
    __m256 at;
  };
  static Mask at_least(Vector8 a, Vector8 b) { return {_mm256_cmp_ps(a.at, b.at, _CMP_GE_OQ)}; }
  static Mask not_zero(Vector8 a) { return {_mm256_cmp_ps(a.at, _mm256_setzero_ps(), _CMP_NEQ_OQ)}; }
  static Vector8 where(Mask m, Vector8 a) { return {_mm256_and_ps(m.at, a.at)}; }
  static Vector8 choose(Mask m, Vector8 a, Vector8 b) { return {_mm256_blendv_ps(b.at, a.at, m.at)}; }
  static uint32_t bits(Mask m) { return uint32_t(_mm256_movemask_ps(m.at)); }
  struct History {
    static constexpr int span = 32;
    __m256i at = _mm256_setzero_si256();
    void push(Mask m) { at = _mm256_sub_epi32(_mm256_add_epi32(at, at), _mm256_castps_si256(m.at)); }
    void end(int missing) { at = _mm256_sll_epi32(at, _mm_cvtsi32_si128(missing)); }
    static void store(const History* of, uint32_t* to) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), of->at);
    }
  };
  struct Future {
    __m256i at;
    Future(const uint32_t* words, int) : at(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(words))) {}
    Mask pop() {
      const Mask m = {_mm256_castsi256_ps(_mm256_srai_epi32(at, 31))};
      at = _mm256_add_epi32(at, at);
      return m;
    }
  };
};

// Sixteen 16-bit integers; sums end where 16 bits end.
struct Shorts16 {
  static constexpr int width = 16;
  using Value = int16_t;
  __m256i at;

  static Shorts16 load(const int16_t* from) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))}; }
  static Shorts16 all(int16_t value) { return {_mm256_set1_epi16(value)}; }
  void store(int16_t* to) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), at); }
  friend Shorts16 operator+(Shorts16 a, Shorts16 b) { return {_mm256_adds_epi16(a.at, b.at)}; }
  friend Shorts16 operator-(Shorts16 a, Shorts16 b) { return {_mm256_sub_epi16(a.at, b.at)}; }
  static Shorts16 larger(Shorts16 a, Shorts16 b) { return {_mm256_max_epi16(a.at, b.at)}; }
  struct Mask {
    __m256i not_set;
  };
  static Mask at_least(Shorts16 a, Shorts16 b) { return {_mm256_cmpgt_epi16(b.at, a.at)}; }
  static Shorts16 where(Mask m, Shorts16 a) { return {_mm256_andnot_si256(m.not_set, a.at)}; }
  static Shorts16 choose(Mask m, Shorts16 a, Shorts16 b) { return {_mm256_blendv_epi8(a.at, b.at, m.not_set)}; }
  static uint32_t bits(Mask m) {
    const __m128i low = _mm256_castsi256_si128(m.not_set), high = _mm256_extracti128_si256(m.not_set, 1);
    return uint32_t(_mm_movemask_epi8(_mm_packs_epi16(low, high))) ^ 0xffff;
  }
  struct History {
    static constexpr int span = 16;
    __m256i at = _mm256_setzero_si256();  // of what is not set
    void push(Mask m) { at = _mm256_sub_epi16(_mm256_add_epi16(at, at), m.not_set); }
    void end(int missing) {
      const __m256i set = _mm256_xor_si256(at, _mm256_set1_epi16(-1));
      at = _mm256_sll_epi16(set, _mm_cvtsi32_si128(missing));
    }
    static void store(const History* of, uint32_t* to) {  // of 16 steps and the next 16
      const __m256i low = _mm256_unpacklo_epi16(of[1].at, of[0].at), high = _mm256_unpackhi_epi16(of[1].at, of[0].at);
      __m256i* words = reinterpret_cast<__m256i*>(to);
      _mm256_storeu_si256(words, _mm256_permute2x128_si256(low, high, 0x20));
      _mm256_storeu_si256(words + 1, _mm256_permute2x128_si256(low, high, 0x31));
    }
  };
  struct Future {
    __m256i at;
    Future(const uint32_t* from, int part) {
      const __m256i* words = reinterpret_cast<const __m256i*>(from);
      __m256i a = _mm256_loadu_si256(words), b = _mm256_loadu_si256(words + 1);
      if (part == 0) a = _mm256_srli_epi32(a, 16), b = _mm256_srli_epi32(b, 16);
      const __m256i low = _mm256_set1_epi32(0xffff);
      at = _mm256_packus_epi32(_mm256_and_si256(a, low), _mm256_and_si256(b, low));
      at = _mm256_permute4x64_epi64(at, 0xd8);
    }
    Mask pop() {
      const Mask m = {_mm256_cmpgt_epi16(at, _mm256_set1_epi16(-1))};
      at = _mm256_add_epi16(at, at);
      return m;
    }
  };
};
#endif

#if defined(__AVX512F__)
struct Vector16 {
  static constexpr int width = 16;
  using Value = float;
  __m512 at;

  static Vector16 load(const float* from) { return {_mm512_loadu_ps(from)}; }
  static Vector16 all(float value) { return {_mm512_set1_ps(value)}; }
  void store(float* to) const { _mm512_storeu_ps(to, at); }
  friend Vector16 operator+(Vector16 a, Vector16 b) { return {_mm512_add_ps(a.at, b.at)}; }
  friend Vector16 operator-(Vector16 a, Vector16 b) { return {_mm512_sub_ps(a.at, b.at)}; }
  friend Vector16 operator*(Vector16 a, Vector16 b) { return {_mm512_mul_ps(a.at, b.at)}; }
  friend Vector16 operator/(Vector16 a, Vector16 b) { return {_mm512_div_ps(a.at, b.at)}; }
  static Vector16 floor(Vector16 a) { return {_mm512_roundscale_ps(a.at, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
  static Vector16 larger(Vector16 a, Vector16 b) { return {_mm512_max_ps(a.at, b.at)}; }
  static Vector16 smaller(Vector16 a, Vector16 b) { return {_mm512_min_ps(a.at, b.at)}; }
  using Mask = __mmask16;
  static Mask at_least(Vector16 a, Vector16 b) { return _mm512_cmp_ps_mask(a.at, b.at, _CMP_GE_OQ); }
  static Mask not_zero(Vector16 a) { return _mm512_cmp_ps_mask(a.at, _mm512_setzero_ps(), _CMP_NEQ_OQ); }
  static Vector16 where(Mask m, Vector16 a) { return {_mm512_maskz_mov_ps(m, a.at)}; }
  static Vector16 choose(Mask m, Vector16 a, Vector16 b) { return {_mm512_mask_blend_ps(m, b.at, a.at)}; }
  static uint32_t bits(Mask m) { return m; }
  struct History {
    static constexpr int span = 32;
    __m512i at = _mm512_setzero_si512();
    void push(Mask m) {
      at = _mm512_add_epi32(at, at);
      at = _mm512_mask_add_epi32(at, m, at, _mm512_set1_epi32(1));
    }
    void end(int missing) { at = _mm512_sll_epi32(at, _mm_cvtsi32_si128(missing)); }
    static void store(const History* of, uint32_t* to) { _mm512_storeu_si512(to, of->at); }
  };
  struct Future {
    __m512i at;
    Future(const uint32_t* words, int) : at(_mm512_loadu_si512(words)) {}
    Mask pop() {
      const Mask m = _mm512_cmplt_epi32_mask(at, _mm512_setzero_si512());
      at = _mm512_add_epi32(at, at);
      return m;
    }
  };
};
#endif

}  // namespace
}  // namespace spikewright
