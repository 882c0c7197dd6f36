// Vectors of NEON, as every 64-bit ARM machine has it, and what else is written for it by hand; see vectors.hpp.
#pragma once

#include <arm_neon.h>

#include <cstdint>

namespace spikewright {
namespace {

struct Vector4 {
  static constexpr int width = 4;
  static constexpr int sums = 24;
  using Value = float;
  float32x4_t at;

  static Vector4 load(const float* from) { return {vld1q_f32(from)}; }
  static Vector4 all(float value) { return {vdupq_n_f32(value)}; }
  void store(float* to) const { vst1q_f32(to, at); }
  friend Vector4 operator+(Vector4 a, Vector4 b) { return {vaddq_f32(a.at, b.at)}; }
  friend Vector4 operator-(Vector4 a, Vector4 b) { return {vsubq_f32(a.at, b.at)}; }
  friend Vector4 operator*(Vector4 a, Vector4 b) { return {vmulq_f32(a.at, b.at)}; }
  friend Vector4 operator/(Vector4 a, Vector4 b) { return {vdivq_f32(a.at, b.at)}; }
  static Vector4 floor(Vector4 a) { return {vrndmq_f32(a.at)}; }
  static Vector4 larger(Vector4 a, Vector4 b) { return {vmaxq_f32(a.at, b.at)}; }
  static Vector4 smaller(Vector4 a, Vector4 b) { return {vminq_f32(a.at, b.at)}; }
  struct Mask {
    uint32x4_t at;
  };
  static Mask at_least(Vector4 a, Vector4 b) { return {vcgeq_f32(a.at, b.at)}; }
  static Mask not_zero(Vector4 a) { return {vmvnq_u32(vceqzq_f32(a.at))}; }
  static Vector4 where(Mask m, Vector4 a) {
    return {vreinterpretq_f32_u32(vandq_u32(m.at, vreinterpretq_u32_f32(a.at)))};
  }
  static Vector4 choose(Mask m, Vector4 a, Vector4 b) { return {vbslq_f32(m.at, a.at, b.at)}; }
  static uint32_t bits(Mask m) {
    const uint32_t lanes[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(m.at, vld1q_u32(lanes)));
  }
  struct History {
    static constexpr int span = 32;
    uint32x4_t at = vdupq_n_u32(0);
    void push(Mask m) { at = vsubq_u32(vaddq_u32(at, at), m.at); }
    void end(int missing) { at = vshlq_u32(at, vdupq_n_s32(missing)); }
    static void store(const History* of, uint32_t* to) { vst1q_u32(to, of->at); }
  };
  struct Future {
    uint32x4_t at;
    Future(const uint32_t* words, int) : at(vld1q_u32(words)) {}
    Mask pop() {
      const Mask m = {vcltzq_s32(vreinterpretq_s32_u32(at))};
      at = vaddq_u32(at, at);
      return m;
    }
  };
};

// Eight 16-bit integers; sums end where 16 bits end.
struct Shorts8 {
  static constexpr int width = 8;
  using Value = int16_t;
  int16x8_t at;

  static Shorts8 load(const int16_t* from) { return {vld1q_s16(from)}; }
  static Shorts8 all(int16_t value) { return {vdupq_n_s16(value)}; }
  void store(int16_t* to) const { vst1q_s16(to, at); }
  friend Shorts8 operator+(Shorts8 a, Shorts8 b) { return {vqaddq_s16(a.at, b.at)}; }
  friend Shorts8 operator-(Shorts8 a, Shorts8 b) { return {vsubq_s16(a.at, b.at)}; }
  static Shorts8 larger(Shorts8 a, Shorts8 b) { return {vmaxq_s16(a.at, b.at)}; }
  struct Mask {
    uint16x8_t at;
  };
  static Mask at_least(Shorts8 a, Shorts8 b) { return {vcgeq_s16(a.at, b.at)}; }
  static Shorts8 where(Mask m, Shorts8 a) { return {vandq_s16(vreinterpretq_s16_u16(m.at), a.at)}; }
  static Shorts8 choose(Mask m, Shorts8 a, Shorts8 b) { return {vbslq_s16(m.at, a.at, b.at)}; }
  static uint32_t bits(Mask m) {
    const uint16_t lanes[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    return vaddvq_u16(vandq_u16(m.at, vld1q_u16(lanes)));
  }
  struct History {
    static constexpr int span = 16;
    uint16x8_t at = vdupq_n_u16(0);
    void push(Mask m) { at = vsubq_u16(vaddq_u16(at, at), m.at); }
    void end(int missing) { at = vshlq_u16(at, vdupq_n_s16(int16_t(missing))); }
    static void store(const History* of, uint32_t* to) {  // of 16 steps and the next 16
      vst1q_u32(to, vreinterpretq_u32_u16(vzip1q_u16(of[1].at, of[0].at)));
      vst1q_u32(to + 4, vreinterpretq_u32_u16(vzip2q_u16(of[1].at, of[0].at)));
    }
  };
  struct Future {
    uint16x8_t at;
    Future(const uint32_t* words, int part) {
      const uint32x4_t a = vld1q_u32(words), b = vld1q_u32(words + 4);
      at = part == 0 ? vcombine_u16(vshrn_n_u32(a, 16), vshrn_n_u32(b, 16))
                     : vcombine_u16(vmovn_u32(a), vmovn_u32(b));
    }
    Mask pop() {
      const Mask m = {vcltzq_s16(vreinterpretq_s16_u16(at))};
      at = vaddq_u16(at, at);
      return m;
    }
  };
};

inline void add_ones(const uint32_t* words, int n, float* counts, float value) {
  for (int i = 0; i < n; i += 4) {
    const uint8x16_t bytes = vcntq_u8(vreinterpretq_u8_u32(vld1q_u32(words + i)));
    const float32x4_t ones = vcvtq_f32_u32(vpaddlq_u16(vpaddlq_u8(bytes)));
    vst1q_f32(counts + i, vaddq_f32(vld1q_f32(counts + i), vmulq_n_f32(ones, value)));
  }
}

inline void copy_entries(const uint16_t* from, uint16_t shift, uint16_t* to) {
  const uint16x8_t more = vdupq_n_u16(shift), low = vld1q_u16(from), high = vld1q_u16(from + 8);
  vst1q_u16(to, vaddq_u16(low, more)), vst1q_u16(to + 8, vaddq_u16(high, more));
}

inline void quantise(const float* from, const float* scale, int values, int16_t* to) {
  const auto four = [&](int i) {
    return vqmovn_s32(vcvtnq_s32_f32(vmulq_f32(vld1q_f32(from + i), vld1q_f32(scale + i))));
  };
  for (int i = 0; i < values; i += 8) vst1q_s16(to + i, vcombine_s16(four(i), four(i + 4)));
}

}  // namespace
}  // namespace spikewright
