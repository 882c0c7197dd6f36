// The inner loops of what is not listed: graded values, whose currents are products, and spikes of channels that each
// have a filter of their own. Written once over a vector type; see inner_loops.hpp.
#pragma once

#include "inner_loops.hpp"
#include "vectors.hpp"

namespace spikewright {
namespace {

// Some lines of a product, from line `first` on; their sums stay in registers.
template <class V, int vectors, int lines>
void multiply_lines(const Product& p, int first) {
  constexpr ptrdiff_t lanes = ptrdiff_t(vectors) * V::width;
  V sum[lines][vectors];
  int position[lines];
  ptrdiff_t step[lines];
  float* to[lines];
  for (int l = 0; l < lines; ++l) {
    position[l] = (first + l) / p.steps;
    step[l] = (first + l) % p.steps * p.step;
    to[l] = p.current + (first + l) * p.lanes;
    for (int j = 0; j < vectors; ++j) sum[l][j] = V::load(to[l] + j * V::width);
  }
  for (int tap = 0; tap < p.taps; ++tap) {
    const float* from[lines];
    bool any = false;
    for (int l = 0; l < lines; ++l) {
      const float* const values = p.from[tap * p.positions + position[l]];
      any = any || values;
      from[l] = values ? values + step[l] + p.first_channel : p.zeros;
    }
    if (!any) continue;
    const float* weight = p.weight + tap * p.tap_weights;
    for (int c = 0; c < p.channels; ++c, weight += lanes) {
      for (int l = 0; l < lines; ++l) {
        const V value = V::all(from[l][c]);
        for (int j = 0; j < vectors; ++j) sum[l][j] = sum[l][j] + value * V::load(weight + j * V::width);
      }
    }
  }
  for (int l = 0; l < lines; ++l) {
    for (int j = 0; j < vectors; ++j) sum[l][j].store(to[l] + j * V::width);
  }
}

template <class V, int vectors>
void multiply(const Product& p) {
  constexpr int lines = V::sums / vectors;  // as many as registers hold
  const int all = p.positions * p.steps;
  int line = 0;
  for (; line + lines <= all; line += lines) multiply_lines<V, vectors, lines>(p, line);
  for (; line < all; ++line) multiply_lines<V, vectors, 1>(p, line);
}

template <class V>
void multiply_any(const Product& product, int vectors) {
  switch (vectors) {
    case 1: return multiply<V, 1>(product);
    case 2: return multiply<V, 2>(product);
    case 3: return multiply<V, 3>(product);
    default: return multiply<V, 4>(product);
  }
}

// One vector of channels at one position: so many taps at once, over the steps of one part of the words.
template <class V, int taps>
void add_taps(const uint32_t* const* words, const V* weight, int part, int steps, typename V::Value* current,
              ptrdiff_t lanes) {
  typename V::Future spikes[4] = {{words[0], part}, {words[taps > 1 ? 1 : 0], part}, {words[taps > 2 ? 2 : 0], part},
                                  {words[taps - 1], part}};
  for (int t = 0; t < steps; ++t, current += lanes) {
    V sum = V::load(current);
    for (int k = 0; k < taps; ++k) sum = sum + V::where(spikes[k].pop(), weight[k]);
    sum.store(current);
  }
}

inline bool silent(const uint32_t* words, int count) {
  uint32_t any = 0;
  for (int i = 0; i < count; ++i) any |= words[i];
  return !any;
}

// Taps whose neurons are all silent are left out.
template <class V>
void add_channelwise(const ChannelwiseSums<typename V::Value>& s, int vectors, ptrdiff_t lane) {
  constexpr int span = V::History::span, parts = 32 / span;
  const ptrdiff_t lanes = ptrdiff_t(vectors) * V::width;
  for (int position = 0; position < s.positions; ++position) {
    const uint32_t* const* taps = s.words + position * s.taps;
    typename V::Value* const first = s.current + position * s.steps * lanes;
    for (int begin = 0; begin < s.steps; begin += span) {
      const int steps = s.steps - begin < span ? s.steps - begin : span, part = begin / span % parts;
      for (int j = 0; j < vectors; ++j) {
        typename V::Value* const current = first + begin * lanes + j * V::width;
        const uint32_t* words[4];
        V weight[4];
        int n = 0;
        for (int tap = 0; tap < s.taps; ++tap) {
          if (!taps[tap]) continue;
          words[n] = taps[tap] + (begin < 32 ? 0 : s.late) + lane + j * V::width;
          if (silent(words[n], V::width)) continue;
          weight[n++] = V::load(s.weight + tap * lanes + j * V::width);
          if (n == 4) add_taps<V, 4>(words, weight, part, steps, current, lanes), n = 0;
        }
        if (n == 3) add_taps<V, 3>(words, weight, part, steps, current, lanes);
        if (n == 2) add_taps<V, 2>(words, weight, part, steps, current, lanes);
        if (n == 1) add_taps<V, 1>(words, weight, part, steps, current, lanes);
      }
    }
  }
}

// The same of graded values.
template <class V>
void multiply_channelwise(const ChannelwiseProduct& p, int vectors, ptrdiff_t lane) {
  const ptrdiff_t lanes = ptrdiff_t(vectors) * V::width;
  for (int position = 0; position < p.positions; ++position) {
    float* current = p.current + position * p.steps * p.lanes;
    for (int t = 0; t < p.steps; ++t, current += p.lanes) {
      for (int j = 0; j < vectors; ++j) {
        V sum = V::load(current + j * V::width);
        for (int tap = 0; tap < p.taps; ++tap) {
          const float* const from = p.from[tap * p.positions + position];
          if (!from) continue;
          sum = sum + V::load(from + t * p.step + lane + j * V::width) * V::load(p.weight + tap * lanes + j * V::width);
        }
        sum.store(current + j * V::width);
      }
    }
  }
}

}  // namespace
}  // namespace spikewright
