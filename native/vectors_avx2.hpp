// Vectors of AVX2, and what else is written for it by hand; see vectors.hpp.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace spikewright {
namespace {

struct Vector8 {
  static constexpr int width = 8;
  static constexpr int sums = 12;
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

// The ones of each byte: nibbles are looked up.
inline __m256i ones_of_bytes(__m256i bytes) {
  const __m256i table = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(bytes, nibble));
  const __m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble));
  return _mm256_add_epi8(low, high);
}

inline void add_ones(const uint32_t* words, int n, float* counts, float value) {
  for (int i = 0; i < n; i += 8) {
    const __m256i bytes = ones_of_bytes(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(words + i)));
    const __m256i pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1));
    const __m256 ones = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    const __m256 more = _mm256_mul_ps(ones, _mm256_set1_ps(value));
    _mm256_storeu_ps(counts + i, _mm256_add_ps(_mm256_loadu_ps(counts + i), more));
  }
}

inline void copy_entries(const uint16_t* from, uint16_t shift, uint16_t* to) {
  const __m256i entries = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_add_epi16(entries, _mm256_set1_epi16(short(shift))));
}

inline void quantise(const float* from, const float* scale, int values, int16_t* to) {
  const __m256 most = _mm256_set1_ps(INT16_MAX);  // beyond 32 bits a conversion would end below
  const auto eight = [&](int i) {
    const __m256 scaled = _mm256_mul_ps(_mm256_loadu_ps(from + i), _mm256_loadu_ps(scale + i));
    return _mm256_cvtps_epi32(_mm256_min_ps(scaled, most));
  };
  for (int i = 0; i < values; i += 16) {
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(eight(i), eight(i + 8)), 0xd8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), packed);
  }
}

}  // namespace
}  // namespace spikewright
