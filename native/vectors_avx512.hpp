// Vectors of floats of AVX-512; see vectors.hpp.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace spikewright {
namespace {

struct Vector16 {
  static constexpr int width = 16;
  static constexpr int sums = 24;
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

}  // namespace
}  // namespace spikewright
