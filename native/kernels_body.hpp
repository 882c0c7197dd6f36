// The inner loops, written once over a vector type; each kernels_*.cpp compiles them for its instruction set.
#pragma once

#include <math.h>
#include <string.h>

#include "kernels.hpp"
#include "vectors.hpp"

namespace spikewright {
namespace {

inline void list_row(const Listing& to) {
  uint16_t* end[most_chunk];  // by timestep, the last first
  uint32_t last = uint32_t(most_chunk - 1) * to.stride;
  for (int k = 0; k < most_chunk; ++k, last -= to.stride) end[k] = to.list + last;
  uint32_t* start = to.start;
  const auto mark = [&] {
    for (int k = 0; k < most_chunk; ++k) start[most_chunk - 1 - k] = uint32_t(end[k] - to.list);
    start += most_chunk;
  };
  for (int x = 0; x < to.columns; ++x) {
    mark();
    for (uint32_t r = to.run_start[x]; r < to.run_start[x + 1]; ++r) {
      const Run run = to.runs[r];
      for (uint32_t k = 0; k < run.count; ++k) {
        const uint16_t entry = uint16_t(run.entry + k);
        uint64_t spikes = uint64_t(to.early[run.slot + k]) << 32 | to.late[run.slot + k];
        for (; spikes; spikes &= spikes - 1) *end[lowest_bit(spikes)]++ = entry;
      }
    }
  }
  mark();
}

// Eight entries with a number added to each.
inline void copy_entries(const uint16_t* from, uint16_t shift, uint16_t* to) {
#if defined(__AVX2__)
  const __m128i entries = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_add_epi16(entries, _mm_set1_epi16(short(shift))));
#else
  for (int i = 0; i < 8; ++i) to[i] = uint16_t(from[i] + shift);
#endif
}

inline size_t assemble(const Slice* slices, int count, int steps, uint16_t zeros, uint16_t* rows, uint16_t* groups) {
  uint16_t* to = rows;
  for (int t = 0; t < steps; ++t) {
    uint16_t* const first = to;
    for (int s = 0; s < count; ++s) {
      const Slice& slice = slices[s];
      const uint32_t begin = slice.from[t], n = slice.to[t] - begin;
      const uint16_t* from = slice.list + begin;
      uint32_t i = 0;
      do {
        copy_entries(from + i, slice.shift, to + i);
        i += 8;
      } while (i < n);
      to += n;
    }
    for (int i = 0; i < group_size; ++i) to[i] = zeros;
    groups[t] = uint16_t((to - first + group_size - 1) / group_size);
    to = first + groups[t] * group_size;
  }
  return size_t(to - rows);
}

// An addition takes about three cycles to arrive, so narrow blocks sum alternate rows apart to keep the adders busy.
template <class V, int vectors, bool plain>
void sum(const Sums& s) {
  constexpr int sets = vectors == 1 ? 4 : vectors <= 4 ? 2 : 1;
  constexpr ptrdiff_t lanes = ptrdiff_t(vectors) * V::width;
  const V decay = V::all(s.decay), rest = V::all(s.v_reset);
  for (int position = 0; position < s.positions; ++position) {
    const ptrdiff_t at = position * s.stride, own = position * s.neuron_stride;
    const uint16_t* rows = s.windows[position].rows;
    const uint16_t* groups = s.windows[position].groups;
    float* current = s.current ? s.current + ptrdiff_t(position) * s.steps * lanes : nullptr;
    const float* from = s.first ? s.base + at : current;
    const ptrdiff_t from_stride = s.first ? 0 : lanes;
    V v[vectors], threshold[vectors];
    for (int j = 0; j < vectors; ++j) {
      v[j] = V::load(s.v + at + j * V::width);
      threshold[j] = V::load(s.threshold + own + j * V::width);
    }
    for (int half = 0; half < most_chunk; half += 32) {
      typename V::History history[vectors];
      const int end = s.steps < half + 32 ? s.steps : half + 32;
      for (int t = half; t < end; ++t, from += from_stride) {
        V sum[sets][vectors];
        for (int j = 0; j < vectors; ++j) sum[0][j] = V::load(from + j * V::width);
        for (int a = 1; a < sets; ++a) {
          for (int j = 0; j < vectors; ++j) sum[a][j] = V::all(0.0f);
        }
        for (int g = groups[t]; g; --g, rows += group_size) {
          for (int k = 0; k < group_size; ++k) {
            const float* w = s.weight + rows[k] * lanes;
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
          v[j] = (plain ? v[j] : decay * v[j]) + sum[0][j];
          const auto fires = V::at_least(v[j], threshold[j]);
          if (plain || s.subtract) {
            v[j] = v[j] - V::where(fires, threshold[j]);
          } else {
            v[j] = V::choose(fires, rest, v[j]);
          }
          if (!plain && s.v_min) v[j] = V::larger(v[j], V::load(s.v_min + own + j * V::width));
          history[j].push(fires);
        }
      }
      if (!s.last) continue;
      uint32_t* words = (half ? s.late : s.early) + at;
      for (int j = 0; j < vectors; ++j) {
        const ptrdiff_t lane = at + j * V::width;
        history[j].store(words + j * V::width, end > half ? half + 32 - end : 0);
        (V::load(s.count + lane) + history[j].ones()).store(s.count + lane);
      }
    }
    if (!s.last) continue;
    for (int j = 0; j < vectors; ++j) v[j].store(s.v + at + j * V::width);
  }
}

template <class V>
void any_sum(const Sums& sums, int vectors, bool plain) {
  switch (vectors * 2 + plain) {
    case 2: return sum<V, 1, false>(sums);
    case 3: return sum<V, 1, true>(sums);
    case 4: return sum<V, 2, false>(sums);
    case 5: return sum<V, 2, true>(sums);
    case 6: return sum<V, 3, false>(sums);
    case 7: return sum<V, 3, true>(sums);
    case 8: return sum<V, 4, false>(sums);
    default: return sum<V, 4, true>(sums);
  }
}

template <class V>
void step(const Step& s) {
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

template <class V>
constexpr Kernels make_kernels(const char* name) {
  return {name, V::width, 4, list_row, assemble, any_sum<V>, step<V>, compress<V>, add_row<V>};
}

}  // namespace
}  // namespace spikewright
