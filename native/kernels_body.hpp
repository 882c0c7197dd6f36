// The inner loops, written once over a vector type; each kernels_*.cpp compiles them for its instruction set.
#pragma once

#include <math.h>
#include <string.h>

#include "kernels.hpp"
#include "vectors.hpp"

namespace spikewright {
namespace {

// Where the window of one output position lies on the columns of a source.
struct Reach {
  const uint32_t *begin, *end, *list;
  const float* weight;
  ptrdiff_t shift;
};

inline int reach_of(const Row& row, int position, Reach* reach) {
  int n = 0;
  for (int s = 0; s < row.sources; ++s) {
    const RowSource& source = row.source[s];
    const int left = position * source.stride - source.low;
    const int from = left < 0 ? 0 : left;
    const int to = left + source.kernel > source.width ? source.width : left + source.kernel;
    if (from >= to) continue;
    reach[n++] = {source.start + ptrdiff_t(from) * row.chunk, source.start + ptrdiff_t(to) * row.chunk, source.list,
                  source.weight, ptrdiff_t(left) * source.column};
  }
  return n;
}

// The current that arrives at one position at one step. An addition takes about three cycles to arrive, so narrow
// blocks sum alternate events apart to keep the adders busy.
template <class V, int vectors, int sets>
inline void sum_events(const Reach* reach, int sources, int t, V (&sum)[sets][vectors]) {
  for (int s = 0; s < sources; ++s) {
    const Reach& r = reach[s];
    const uint32_t* list = r.list;
    uint32_t k = r.begin[t];
    const uint32_t end = r.end[t];
    for (; k + sets <= end; k += sets) {
      for (int a = 0; a < sets; ++a) {
        const float* w = r.weight + (ptrdiff_t(list[k + uint32_t(a)]) - r.shift);
        for (int j = 0; j < vectors; ++j) sum[a][j] = sum[a][j] + V::load(w + j * V::width);
      }
    }
    if (sets > 1) {
      for (; k < end; ++k) {
        const float* w = r.weight + (ptrdiff_t(list[k]) - r.shift);
        for (int j = 0; j < vectors; ++j) sum[0][j] = sum[0][j] + V::load(w + j * V::width);
      }
    }
  }
}

inline void store_bits(uint8_t* to, uint32_t bits, int width) {
  to[0] = uint8_t(bits);
  if (width == 16) to[1] = uint8_t(bits >> 8);
}

template <class V, int vectors, bool plain>
void gather_row(const Row& row) {
  constexpr int sets = vectors == 1 ? 4 : vectors <= 5 ? 2 : 1;
  const V one = V::all(1.0f), decay = V::all(row.decay), rest = V::all(row.v_reset);
  Reach reach[most_sources];
  for (int position = 0; position < row.positions; ++position) {
    const int sources = reach_of(row, position, reach);
    const ptrdiff_t at = position * row.padded, own = position * row.neuron_stride;
    uint8_t* masks = row.masks + position * row.mask_position;
    V v[vectors], count[vectors], base[vectors], threshold[vectors];
    for (int j = 0; j < vectors; ++j) {
      v[j] = V::load(row.v + at + j * V::width);
      count[j] = V::load(row.count + at + j * V::width);
      base[j] = V::load(row.base + at + j * V::width);
      threshold[j] = V::load(row.threshold + own + j * V::width);
    }
    for (int t = 0; t < row.steps; ++t, masks += row.mask_step) {
      V sum[sets][vectors];
      for (int j = 0; j < vectors; ++j) sum[0][j] = base[j];
      if (sources) {
        for (int a = 1; a < sets; ++a) {
          for (int j = 0; j < vectors; ++j) sum[a][j] = V::all(0.0f);
        }
        sum_events<V, vectors, sets>(reach, sources, t, sum);
        for (int a = 1; a < sets; ++a) {
          for (int j = 0; j < vectors; ++j) sum[0][j] = sum[0][j] + sum[a][j];
        }
      }
      for (int j = 0; j < vectors; ++j) {
        v[j] = (plain ? v[j] : decay * v[j]) + sum[0][j];
        const auto fires = V::at_least(v[j], threshold[j]);
        count[j] = count[j] + V::where(fires, one);
        if (plain || row.subtract) {
          v[j] = v[j] - V::where(fires, threshold[j]);
        } else {
          v[j] = V::choose(fires, rest, v[j]);
        }
        if (!plain && row.v_min) v[j] = V::larger(v[j], V::load(row.v_min + own + j * V::width));
        store_bits(masks + j * (V::width / 8), V::bits(fires), V::width);
      }
    }
    for (int j = 0; j < vectors; ++j) {
      v[j].store(row.v + at + j * V::width);
      count[j].store(row.count + at + j * V::width);
    }
  }
}

template <class V>
void any_gather_row(const Row& row, int vectors, bool plain) {
  switch (vectors * 2 + plain) {
    case 2: return gather_row<V, 1, false>(row);
    case 3: return gather_row<V, 1, true>(row);
    case 4: return gather_row<V, 2, false>(row);
    case 5: return gather_row<V, 2, true>(row);
    case 6: return gather_row<V, 3, false>(row);
    case 7: return gather_row<V, 3, true>(row);
    case 8: return gather_row<V, 4, false>(row);
    case 9: return gather_row<V, 4, true>(row);
    case 10: return gather_row<V, 5, false>(row);
    case 11: return gather_row<V, 5, true>(row);
    case 12: return gather_row<V, 6, false>(row);
    case 13: return gather_row<V, 6, true>(row);
    case 14: return gather_row<V, 7, false>(row);
    case 15: return gather_row<V, 7, true>(row);
    case 16: return gather_row<V, 8, false>(row);
    default: return gather_row<V, 8, true>(row);
  }
}

// Words are sparse and their bits unpredictable, so every byte is listed without asking whether it holds any.
template <int bytes>
inline void list_bytes(const Listing& to) {
  uint32_t n = 0;
  for (int t = 0; t < to.steps; ++t) {
    const uint32_t* masks = to.masks + ptrdiff_t(t) * to.mask_step;
    for (int x = 0; x < to.columns; ++x) {
      to.start[ptrdiff_t(x) * to.chunk + t] = n;
      for (uint32_t k = to.word_start[x]; k < to.word_start[x + 1]; ++k) {
        const uint32_t bits = masks[to.words[k].mask], offset = to.words[k].offset;
#if defined(__AVX2__)
        for (int b = 0; b < bytes; ++b) {
          const uint32_t byte = bits >> (8 * b) & 255;
          const __m128i entry = _mm_loadu_si128(reinterpret_cast<const __m128i*>(to.table + byte * 8));
          const __m256i first = _mm256_set1_epi32(int(offset + uint32_t(8 * b) * to.lanes));
          const __m256i listed = _mm256_add_epi32(_mm256_cvtepu16_epi32(entry), first);
          _mm256_storeu_si256(reinterpret_cast<__m256i*>(to.list + n), listed);
          n += uint32_t(__builtin_popcount(byte));
        }
#else
        for (uint32_t left = bits; left; left &= left - 1) {
          to.list[n++] = offset + uint32_t(lowest_bit(left)) * to.lanes;
        }
#endif
      }
    }
    to.start[ptrdiff_t(to.columns) * to.chunk + t] = n;
  }
}

inline void list_row(const Listing& to, int bytes) {
  if (bytes == 1) return list_bytes<1>(to);
  if (bytes == 2) return list_bytes<2>(to);
  list_bytes<4>(to);
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

// `vectors` bounds a block of filters. Wide blocks share the work of finding an event, narrow ones keep the weights that
// are in use in the first cache: four vectors were best on AVX2, and 64 filters look the same to the cache on AVX-512.
template <class V, int vectors>
constexpr Kernels make_kernels(const char* name) {
  return {name, V::width, vectors, any_gather_row<V>, list_row, step<V>, compress<V>, add_row<V>};
}

}  // namespace
}  // namespace spikewright
