// The inner loops, written once over a vector type; each inner_loops_*.cpp compiles them for its instruction set.
#pragma once

#include <math.h>
#include <string.h>

#include "inner_loops.hpp"
#include "listing_body.hpp"
#include "vectors.hpp"

namespace spikewright {
namespace {

// Sixteen entries with a number added to each.
inline void copy_entries(const uint16_t* from, uint16_t shift, uint16_t* to) {
#if defined(__AVX2__)
  const __m256i entries = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_add_epi16(entries, _mm256_set1_epi16(short(shift))));
#else
  for (int i = 0; i < 16; ++i) to[i] = uint16_t(from[i] + shift);
#endif
}

// Step by step for all positions, so that the entries of a step are in the first cache.
inline void assemble(const Assembly* positions, int count, int steps, uint16_t zeros) {
  uint16_t* ends[tile];
  for (int p = 0; p < count; ++p) ends[p] = positions[p].rows;
  for (int t = 0; t < steps; ++t) {
    for (int p = 0; p < count; ++p) {
      const Assembly& a = positions[p];
      uint16_t* const first = ends[p];
      uint16_t* to = first;
      for (const Slice* s = a.slices; s != a.slices_end; ++s) {
        const uint32_t begin = s->from[max_chunk - 1 - t], n = s->to[max_chunk - 1 - t] - begin;
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

// One step of neurons that neither leak nor have a lowest potential, with reset by subtraction; returns which fire.
template <class V>
auto fire_plain(V& v, V current, V threshold) {
  v = v + current;
  const auto fires = V::at_least(v, threshold);
  v = V::choose(fires, v - threshold, v);
  return fires;
}

// Keeps the spikes of 32 steps of one position, and counts them.
template <class V, int vectors, int parts>
void keep_words(const Sums<typename V::Value>& s, int word, ptrdiff_t at,
                const typename V::History (&history)[vectors][parts]) {
  uint32_t* words = (word ? s.late : s.early) + at;
  for (int j = 0; j < vectors; ++j) V::History::store(history[j], words + j * V::width);
  add_ones(words, vectors * V::width, s.count + at);
}

// An addition takes about three cycles to arrive, so narrow blocks sum alternate rows apart to keep the adders busy.
template <class V, int vectors, bool plain>
void sum(const Sums<typename V::Value>& s) {
  using T = typename V::Value;
  using History = typename V::History;
  constexpr int sets = vectors == 1 ? 4 : 2;
  constexpr int span = History::span, parts = 32 / span;
  constexpr ptrdiff_t lanes = ptrdiff_t(vectors) * V::width;
  const V zero = V::all(T(0)), decay = V::all(s.decay), rest = V::all(s.v_reset);
  for (int position = 0; position < s.positions; ++position) {
    const ptrdiff_t at = position * s.stride, own = position * s.neuron_stride;
    const uint16_t* rows = s.row_lists[position].rows;
    const uint16_t* rounds = s.row_lists[position].rounds;
    T* current = s.current ? s.current + ptrdiff_t(position) * s.steps * lanes : nullptr;
    const T* from = s.first ? s.base + at : current;
    const ptrdiff_t from_stride = s.first ? 0 : lanes;
    V v[vectors], threshold[vectors];
    for (int j = 0; j < vectors; ++j) {
      v[j] = V::load(s.v + at + j * V::width);
      threshold[j] = V::load(s.threshold + own + j * V::width);
    }
    for (int word = 0; word < max_chunk; word += 32) {
      History history[vectors][parts];
      for (int part = 0; part < parts; ++part) {
        const int begin = word + part * span;
        const int end = s.steps < begin ? begin : s.steps < begin + span ? s.steps : begin + span;
        History now[vectors];
        for (int t = begin; t < end; ++t, from += from_stride) {
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
          if (!s.last) {
            for (int j = 0; j < vectors; ++j) sum[0][j].store(current + j * V::width);
            current += lanes;
            continue;
          }
          for (int j = 0; j < vectors; ++j) {
            if constexpr (plain) {
              now[j].push(fire_plain(v[j], sum[0][j], threshold[j]));
            } else {
              v[j] = decay * v[j] + sum[0][j];
              const auto fires = V::at_least(v[j], threshold[j]);
              v[j] = s.subtract ? v[j] - V::where(fires, threshold[j]) : V::choose(fires, rest, v[j]);
              if (s.v_min) v[j] = V::larger(v[j], V::load(s.v_min + own + j * V::width));
              now[j].push(fires);
            }
          }
        }
        for (int j = 0; j < vectors; ++j) {
          now[j].end(begin + span - end);
          history[j][part] = now[j];
        }
      }
      if (!s.last) continue;
      keep_words<V, vectors>(s, word, at, history);
    }
    if (!s.last) continue;
    for (int j = 0; j < vectors; ++j) v[j].store(s.v + at + j * V::width);
  }
}

// Neurons that no spike reaches: what arrives is the same at every step.
template <class V, int vectors>
void fire(const Sums<typename V::Value>& s) {
  using History = typename V::History;
  constexpr int span = History::span, parts = 32 / span;
  for (int position = 0; position < s.positions; ++position) {
    const ptrdiff_t at = position * s.stride, own = position * s.neuron_stride;
    V v[vectors], base[vectors], threshold[vectors];
    for (int j = 0; j < vectors; ++j) {
      v[j] = V::load(s.v + at + j * V::width), base[j] = V::load(s.base + at + j * V::width);
      threshold[j] = V::load(s.threshold + own + j * V::width);
    }
    for (int word = 0; word < max_chunk; word += 32) {
      History history[vectors][parts];
      for (int part = 0; part < parts; ++part) {
        const int begin = word + part * span;
        const int end = s.steps < begin ? begin : s.steps < begin + span ? s.steps : begin + span;
        History now[vectors];
        for (int t = begin; t < end; ++t) {
          for (int j = 0; j < vectors; ++j) {
            now[j].push(fire_plain(v[j], base[j], threshold[j]));
          }
        }
        for (int j = 0; j < vectors; ++j) {
          now[j].end(begin + span - end);
          history[j][part] = now[j];
        }
      }
      keep_words<V, vectors>(s, word, at, history);
    }
    for (int j = 0; j < vectors; ++j) v[j].store(s.v + at + j * V::width);
  }
}

template <class V, int vectors>
void sum_plain(const Sums<typename V::Value>& s) {
  s.row_lists ? sum<V, vectors, true>(s) : fire<V, vectors>(s);
}

template <class V>
void sum_floats(const Sums<float>& sums, int vectors, bool plain) {
  switch (vectors * 2 + plain) {
    case 2: return sum<V, 1, false>(sums);
    case 3: return sum_plain<V, 1>(sums);
    case 4: return sum<V, 2, false>(sums);
    case 5: return sum_plain<V, 2>(sums);
    case 6: return sum<V, 3, false>(sums);
    case 7: return sum_plain<V, 3>(sums);
    case 8: return sum<V, 4, false>(sums);
    default: return sum_plain<V, 4>(sums);
  }
}

template <class V>
void sum_shorts(const Sums<int16_t>& sums, int vectors) {
  switch (vectors) {
    case 1: return sum_plain<V, 1>(sums);
    case 2: return sum_plain<V, 2>(sums);
    case 3: return sum_plain<V, 3>(sums);
    default: return sum_plain<V, 4>(sums);
  }
}

template <class V>
void step_neurons(const NeuronStep& s) {
  const bool plain = s.decay == 1.0f && s.subtract && !s.v_min;
  const V one = V::all(1.0f), zero = V::all(0.0f), decay = V::all(s.decay), rest = V::all(s.v_reset);
  int i = 0;
  if (s.cap == 1) {
    V threshold = V::all(s.threshold[0]), lowest = s.v_min ? V::all(s.v_min[0]) : zero;
    for (; i + V::width <= s.neurons; i += V::width) {
      if (s.wide_threshold) threshold = V::load(s.threshold + i);
      V v = V::load(s.v + i);
      v = (plain ? v : decay * v) + V::load(s.current + i);
      const auto fires = V::at_least(v, threshold);
      const V n = V::where(fires, one);
      v = s.subtract ? v - V::where(fires, threshold) : V::choose(fires, rest, v);
      if (s.v_min) v = V::larger(v, s.wide_v_min ? V::load(s.v_min + i) : lowest);
      v.store(s.v + i);
      n.store(s.current + i);
      (V::load(s.count + i) + n).store(s.count + i);
    }
  }
  const float most = s.cap ? float(s.cap) : INFINITY;
  for (; i < s.neurons; ++i) {  // several spikes a step, and what no vector covers
    const float threshold = s.threshold[s.wide_threshold ? i : 0];
    float v = s.decay == 1.0f ? s.v[i] + s.current[i] : s.decay * s.v[i] + s.current[i];
    float n = s.cap == 1 ? float(v >= threshold) : floorf(v / threshold);
    n = n < 0.0f ? 0.0f : n > most ? most : n;
    v = s.subtract ? v - n * threshold : n == 0.0f ? v : s.v_reset;
    if (s.v_min) {
      const float lowest = s.v_min[s.wide_v_min ? i : 0];
      v = v < lowest ? lowest : v;
    }
    s.v[i] = v;
    s.current[i] = n;
    s.count[i] += n;
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

inline void quantise(const float* from, const float* scale, int values, int16_t* to) {
#if defined(__AVX2__)
  const auto eight = [&](int i) {
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(from + i), _mm256_loadu_ps(scale + i)));
  };
  for (int i = 0; i < values; i += 16) {
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(eight(i), eight(i + 8)), 0xd8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), packed);
  }
#else
  for (int i = 0; i < values; ++i) {
    const float scaled = nearbyintf(from[i] * scale[i]);
    to[i] = int16_t(scaled < INT16_MIN ? INT16_MIN : scaled > INT16_MAX ? INT16_MAX : scaled);
  }
#endif
}

template <class V, class Shorts>
constexpr InnerLoops make_inner_loops(const char* name) {
  return {name,
          V::width,
          Shorts::width,
          4,
          transpose_row,
          list_rows,
          assemble,
          add_any_one_to_one<V>,
          add_any_one_to_one<Shorts>,
          sum_floats<V>,
          sum_shorts<Shorts>,
          step_neurons<V>,
          compress<V>,
          quantise,
          add_row<V>};
}

}  // namespace
}  // namespace spikewright
