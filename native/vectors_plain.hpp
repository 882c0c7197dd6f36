// Vectors in plain C++, for any machine and, with wide vectors, to test their logic on any machine; see vectors.hpp.
#pragma once

#include <math.h>

#include <cstdint>

#include "bits.hpp"

namespace spikewright {
namespace {

inline float add_values(float a, float b) { return a + b; }
inline int16_t add_values(int16_t a, int16_t b) {  // as far as 16 bits go
  const int sum = int(a) + int(b);
  return int16_t(sum > INT16_MAX ? INT16_MAX : sum < INT16_MIN ? INT16_MIN : sum);
}

template <int lanes, class T = float>
struct PlainVector {
  static constexpr int width = lanes;
  static constexpr int sums = lanes == 16 ? 24 : 12;  // that registers hold, with some to spare
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

}  // namespace
}  // namespace spikewright
