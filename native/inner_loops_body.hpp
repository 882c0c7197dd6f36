// The inner loops, written once over a vector type; each inner_loops_*.cpp compiles them for its instruction set.
#pragma once

#include <math.h>
#include <string.h>

#include <type_traits>

#include "chip_body.hpp"
#include "inner_loops.hpp"
#include "listing_body.hpp"
#include "neurons_body.hpp"
#include "pooling_body.hpp"
#include "products_body.hpp"
#include "vectors.hpp"

namespace spikewright {
namespace {

// Step by step for all positions, so that the entries of a step are in the first cache.
inline void assemble(const Assembly* positions, int count, int steps, int span, uint16_t zeros) {
  uint16_t* ends[tile];
  for (int p = 0; p < count; ++p) ends[p] = positions[p].rows;
  for (int t = 0; t < steps; ++t) {
    for (int p = 0; p < count; ++p) {
      const Assembly& a = positions[p];
      uint16_t* const first = ends[p];
      uint16_t* to = first;
      for (const Slice* s = a.slices; s != a.slices_end; ++s) {
        const uint32_t begin = s->from[span - 1 - t], n = s->to[span - 1 - t] - begin;
        if (s->sparse && !n) continue;
        const uint16_t* from = s->list + begin;
        copy_entries(from, s->shift, to);
        for (uint32_t i = 16; i < n; i += 16) copy_entries(from + i, s->shift, to + i);
        to += n;
      }
      for (int i = 0; i < rows_per_round; ++i) to[i] = zeros;
      const uint32_t rounds = (uint32_t(to - first) + rows_per_round - 1) / rows_per_round;
      a.rounds[t] = uint16_t(rounds);
      ends[p] = first + rounds * rows_per_round;
    }
  }
}

template <class V, int vectors>
void add_one_to_one(const OneToOneSums<typename V::Value>& s) {
  using T = typename V::Value;
  constexpr int span = V::History::span, parts = 32 / span;
  constexpr ptrdiff_t lanes = ptrdiff_t(vectors) * V::width;
  V weight[vectors];
  for (int j = 0; j < vectors; ++j) weight[j] = V::load(s.weight + j * V::width);
  T* current = s.current;
  for (int position = 0; position < s.positions; ++position) {
    const ptrdiff_t at = position * s.stride, from_stride = s.base ? 0 : lanes;
    const T* from = s.base ? s.base + at : current;
    for (int begin = 0; begin < s.steps; begin += span) {
      const uint32_t* words = (begin < 32 ? s.early : s.late) + at;
      const auto future = [&](int j) { return typename V::Future(words + j * V::width, begin / span % parts); };
      // four, of which as many are used as there are vectors
      typename V::Future spikes[4] = {future(0), future(vectors > 1), future(vectors > 2 ? 2 : 0), future(vectors - 1)};
      const int end = s.steps < begin + span ? s.steps : begin + span;
      for (int t = begin; t < end; ++t, from += from_stride, current += lanes) {
        for (int j = 0; j < vectors; ++j) {
          const V sum = V::load(from + j * V::width) + V::where(spikes[j].pop(), weight[j]);
          sum.store(current + j * V::width);
        }
      }
    }
  }
}

template <class V, class T = typename V::Value>
void add_any_one_to_one(const OneToOneSums<T>& sums, int vectors) {
  switch (vectors) {
    case 1: return add_one_to_one<V, 1>(sums);
    case 2: return add_one_to_one<V, 2>(sums);
    case 3: return add_one_to_one<V, 3>(sums);
    default: return add_one_to_one<V, 4>(sums);
  }
}

// An addition takes about three cycles to arrive, so narrow blocks sum alternate rows apart to keep the adders busy.
template <class V, int vectors, Firing firing>
void sum(const Sums<typename V::Value>& s) {
  using T = typename V::Value;
  constexpr int sets = vectors == 1 ? 4 : 2;
  constexpr ptrdiff_t lanes = ptrdiff_t(vectors) * V::width;
  const V zero = V::all(T(0));
  for (int position = 0; position < s.positions; ++position) {
    Position<V, vectors, firing> neurons(s, position);
    const uint16_t* rows = s.row_lists[position].rows;
    const uint16_t* rounds = s.row_lists[position].rounds;
    T* current = s.current ? s.current + ptrdiff_t(position) * s.steps * lanes : nullptr;
    const T* from = s.first ? s.base + position * s.stride : current;
    const ptrdiff_t from_stride = s.first ? 0 : lanes;
    neurons.run([&](int t) {
      V sum[sets][vectors];
      for (int j = 0; j < vectors; ++j) sum[0][j] = V::load(from + j * V::width);
      for (int a = 1; a < sets; ++a) {
        for (int j = 0; j < vectors; ++j) sum[a][j] = zero;
      }
      for (int g = rounds[t]; g; --g, rows += rows_per_round) {
        for (int k = 0; k < rows_per_round; ++k) {
          const T* w = s.weight + rows[k] * lanes;
          for (int j = 0; j < vectors; ++j) sum[k % sets][j] = sum[k % sets][j] + V::load(w + j * V::width);
        }
      }
      for (int a = 1; a < sets; ++a) {
        for (int j = 0; j < vectors; ++j) sum[0][j] = sum[0][j] + sum[a][j];
      }
      from += from_stride;
      if (s.last) {
        neurons.fire(t, sum[0]);
      } else {
        for (int j = 0; j < vectors; ++j) sum[0][j].store(current + j * V::width);
        current += lanes;
      }
    });
  }
}

// Neurons that no spike reaches: what arrives is the same at every step.
template <class V, int vectors, Firing firing>
void rest(const Sums<typename V::Value>& s) {
  for (int position = 0; position < s.positions; ++position) {
    Position<V, vectors, firing> neurons(s, position);
    V base[vectors];
    for (int j = 0; j < vectors; ++j) base[j] = V::load(s.base + position * s.stride + j * V::width);
    neurons.run([&](int t) {
      V current[vectors];
      for (int j = 0; j < vectors; ++j) current[j] = base[j];
      neurons.fire(t, current);
    });
  }
}

// Neurons whose potentials are recorded: the currents are summed already, and the potentials come in their place.
template <class V, int vectors, Firing firing>
void show_potentials(const Sums<float>& s) {
  float* current = s.current;
  for (int position = 0; position < s.positions; ++position) {
    Position<V, vectors, firing> neurons(s, position);
    neurons.run([&](int t) {
      V sum[vectors];
      for (int j = 0; j < vectors; ++j) sum[j] = V::load(current + j * V::width);
      neurons.fire(t, sum);
      neurons.show(current);
      current += ptrdiff_t(vectors) * V::width;
    });
  }
}

template <class V, int vectors, Firing firing>
void sum_or_fire(const Sums<typename V::Value>& s) {
  if (s.row_lists) return sum<V, vectors, firing>(s);
  if constexpr (std::is_same_v<typename V::Value, float>) {
    if (!s.first) return show_potentials<V, vectors, firing>(s);
  }
  rest<V, vectors, firing>(s);
}

template <class V, Firing firing>
void sum_blocks(const Sums<typename V::Value>& sums, int vectors) {
  switch (vectors) {
    case 1: return sum_or_fire<V, 1, firing>(sums);
    case 2: return sum_or_fire<V, 2, firing>(sums);
    case 3: return sum_or_fire<V, 3, firing>(sums);
    default: return sum_or_fire<V, 4, firing>(sums);
  }
}

template <class V>
void sum_floats(const Sums<float>& sums, int vectors, Firing firing) {
  switch (firing) {
    case Firing::plain: return sum_blocks<V, Firing::plain>(sums, vectors);
    case Firing::both_ways: return sum_blocks<V, Firing::both_ways>(sums, vectors);
    case Firing::bursts: return sum_blocks<V, Firing::bursts>(sums, vectors);
    default: return sum_blocks<V, Firing::any>(sums, vectors);
  }
}

template <class V>
uint32_t compress(const float* from, int values, uint32_t* index, float* value) {
  uint32_t n = 0;
  int i = 0;
  for (; i + V::width <= values; i += V::width) {
    for (uint32_t bits = V::bits(V::not_zero(V::load(from + i))); bits; bits &= bits - 1) {
      const int at = i + lowest_bit(bits);
      index[n] = uint32_t(at);
      value[n++] = from[at];
    }
  }
  for (; i < values; ++i) {
    if (from[i] == 0.0f) continue;
    index[n] = uint32_t(i);
    value[n++] = from[i];
  }
  return n;
}

template <class V>
void add_row(float* to, const float* row, float factor, int values) {
  const V f = V::all(factor);
  int i = 0;
  for (; i + V::width <= values; i += V::width) (V::load(to + i) + f * V::load(row + i)).store(to + i);
  for (; i < values; ++i) to[i] += factor * row[i];
}

// Some neighbouring positions, tap by tap in the same order whatever the vectors.
template <class V, int vectors, int positions>
void add_taps_at(const TapSums& s, int first) {
  V sum[positions][vectors];
  for (int p = 0; p < positions; ++p) {
    for (int j = 0; j < vectors; ++j) sum[p][j] = V::load(s.from + (first + p) * s.stride + j * V::width);
  }
  const float* image = s.image + first * s.step;
  for (int k = 0; k < s.taps; ++k) {
    for (int p = 0; p < positions; ++p) {
      const V value = V::all(image[ptrdiff_t(s.offset[k]) + p * s.step]);
      for (int j = 0; j < vectors; ++j) {
        sum[p][j] = sum[p][j] + value * V::load(s.weight + k * s.stride + j * V::width);
      }
    }
  }
  for (int p = 0; p < positions; ++p) {
    for (int j = 0; j < vectors; ++j) sum[p][j].store(s.to + (first + p) * s.stride + j * V::width);
  }
}

template <class V, int vectors>
void add_taps_of(const TapSums& s) {
  int p = 0;
  for (; p + 2 <= s.positions; p += 2) add_taps_at<V, vectors, 2>(s, p);
  if (p < s.positions) add_taps_at<V, vectors, 1>(s, p);
}

template <class V>
void add_taps(const TapSums& sums, int vectors) {
  switch (vectors) {
    case 1: return add_taps_of<V, 1>(sums);
    case 2: return add_taps_of<V, 2>(sums);
    case 3: return add_taps_of<V, 3>(sums);
    default: return add_taps_of<V, 4>(sums);
  }
}

template <class V, class Shorts>
constexpr InnerLoops make_inner_loops(const char* name, const ByteLoops* bytes = nullptr) {
  return {name,
          V::width,
          Shorts::width,
          4,
          transpose_row,
          list_rows,
          assemble,
          add_any_one_to_one<V>,
          add_any_one_to_one<Shorts>,
          add_channelwise<V>,
          add_channelwise<Shorts>,
          multiply_any<V>,
          multiply_channelwise<V>,
          sum_floats<V>,
          sum_blocks<Shorts, Firing::plain>,
          step_neurons<V>,
          compress<V>,
          quantise,
          add_taps<V>,
          add_row<V>,
          chip_event<Shorts>,
          pool_windows,
          bytes};
}

}  // namespace
}  // namespace spikewright
