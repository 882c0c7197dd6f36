// The inner loops, written once over a vector type; each kernels_*.cpp compiles them for its instruction set.
#pragma once

#include <math.h>
#include <string.h>

#include "kernels.hpp"
#include "vectors.hpp"

namespace spikewright {
namespace {

// Spikes of one neuron, appended to the lists of their steps; `cursor` is where each list ends.
inline void append_train(uint64_t train, uint16_t entry, uint16_t* list, uint32_t* cursor) {
  for (; train; train &= train - 1) list[cursor[most_chunk - 1 - lowest_bit(train)]++] = entry;
}

#if defined(__AVX2__)
// Of each byte, which of eight 16-bit values its bits select, as an order of bytes.
struct Selections {
  alignas(16) uint8_t at[256][16];
  Selections() {
    for (int byte = 0; byte < 256; ++byte) {
      int n = 0;
      for (int bit = 0; bit < 8; ++bit) {
        if (byte >> bit & 1) at[byte][n] = uint8_t(2 * bit), at[byte][n + 1] = uint8_t(2 * bit + 1), n += 2;
      }
      for (; n < 16; ++n) at[byte][n] = 128;
    }
  }
};

// Spikes of eight neurons: their trains are turned into a byte for each step, which selects entries.
inline void append_trains(const uint64_t* trains, const uint16_t* entries, const Selections& selections,
                          uint16_t* list, uint32_t* cursor) {
  const auto pair = [&](int i) {
    const __m128i a = _mm_cvtsi64_si128(int64_t(trains[i])), b = _mm_cvtsi64_si128(int64_t(trains[i + 1]));
    return _mm_unpacklo_epi8(a, b);
  };
  const __m128i p0 = pair(0), p1 = pair(2), p2 = pair(4), p3 = pair(6);
  const __m128i a = _mm_unpacklo_epi16(p0, p1), b = _mm_unpackhi_epi16(p0, p1);
  const __m128i c = _mm_unpacklo_epi16(p2, p3), d = _mm_unpackhi_epi16(p2, p3);
  __m256i low = _mm256_set_m128i(_mm_unpackhi_epi32(a, c), _mm_unpacklo_epi32(a, c));
  __m256i high = _mm256_set_m128i(_mm_unpackhi_epi32(b, d), _mm_unpacklo_epi32(b, d));
  const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(entries));
  for (int bit = 0; bit < 8; ++bit) {  // byte k now has in its highest bits the steps 56 - 8 k + bit
    uint64_t bytes = uint64_t(uint32_t(_mm256_movemask_epi8(high))) << 32 | uint32_t(_mm256_movemask_epi8(low));
    low = _mm256_add_epi8(low, low), high = _mm256_add_epi8(high, high);
    uint32_t* at = cursor + 56 + bit;
    for (int k = 0; k < 8; ++k, bytes >>= 8, at -= 8) {
      const uint32_t byte = uint32_t(bytes & 255), end = *at;
      const __m128i order = _mm_load_si128(reinterpret_cast<const __m128i*>(selections.at[byte]));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(list + end), _mm_shuffle_epi8(values, order));
      *at = end + uint32_t(__builtin_popcount(byte));
    }
  }
}
#endif

// The neurons of one column that fire at all, appended eight by eight.
class Column {
 public:
  Column(uint16_t* list, uint32_t* cursor) : list_(list), cursor_(cursor) {}

  void add(uint64_t train, uint16_t entry) {
    trains_[n_] = train, entries_[n_] = entry;
    if (++n_ == 8) flush();
  }

  void flush() {
#if defined(__AVX2__)
    static const Selections selections;
    int spikes = 0;
    for (int i = 0; i < n_; ++i) spikes += count_bits(trains_[i]);
    if (spikes > few_spikes) {
      for (int i = n_; i < 8; ++i) trains_[i] = 0;
      append_trains(trains_, entries_, selections, list_, cursor_);
      n_ = 0;
      return;
    }
#endif
    for (int i = 0; i < n_; ++i) append_train(trains_[i], entries_[i], list_, cursor_);
    n_ = 0;
  }

 private:
  static constexpr int few_spikes = 24;  // fewer are quicker one by one
  uint16_t* list_;
  uint32_t* cursor_;
  int n_ = 0;
  uint64_t trains_[8];
  uint16_t entries_[8];
};

// Which of up to eight neurons fire at all.
inline uint32_t firing(const uint32_t* early, const uint32_t* late, uint32_t count) {
#if defined(__AVX2__)
  if (count >= 8) {
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(early));
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(late));
    const __m256i silent = _mm256_cmpeq_epi32(_mm256_or_si256(a, b), _mm256_setzero_si256());
    return uint32_t(_mm256_movemask_ps(_mm256_castsi256_ps(silent))) ^ 255u;
  }
#endif
  uint32_t bits = 0;
  for (uint32_t i = 0; i < count && i < 8; ++i) bits |= uint32_t((early[i] | late[i]) != 0) << i;
  return bits;
}

inline void list_row(const Listing& to) {
  uint32_t cursor[most_chunk];
  for (int t = 0; t < most_chunk; ++t) cursor[t] = uint32_t(t) * to.stride;
  const size_t mark = size_t(to.steps) * sizeof *cursor;
  Column column(to.list, cursor);
  for (int x = 0; x < to.columns; ++x) {
    memcpy(to.start + ptrdiff_t(x) * most_chunk, cursor, mark);
    for (uint32_t r = to.run_start[x]; r < to.run_start[x + 1]; ++r) {
      const Run run = to.runs[r];
      for (uint32_t k = 0; k < run.count; k += 8) {
        const uint32_t *early = to.early + run.slot + k, *late = to.late + run.slot + k;
        for (uint32_t bits = firing(early, late, run.count - k); bits; bits &= bits - 1) {
          const int i = lowest_bit(bits);
          column.add(train_of(early[i], late[i]), uint16_t(run.entry + k + uint32_t(i)));
        }
      }
    }
    column.flush();
  }
  memcpy(to.start + ptrdiff_t(to.columns) * most_chunk, cursor, mark);
}

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
        const uint32_t begin = s->from[t], n = s->to[t] - begin;
        const uint16_t* from = s->list + begin;
        copy_entries(from, s->shift, to);
        for (uint32_t i = 16; i < n; i += 16) copy_entries(from + i, s->shift, to + i);
        to += n;
      }
      for (int i = 0; i < group_size; ++i) to[i] = zeros;
      const uint32_t groups = (uint32_t(to - first) + group_size - 1) / group_size;
      a.groups[t] = uint16_t(groups);
      ends[p] = first + groups * group_size;
    }
  }
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
    const uint16_t* rows = s.windows[position].rows;
    const uint16_t* groups = s.windows[position].groups;
    T* current = s.current ? s.current + ptrdiff_t(position) * s.steps * lanes : nullptr;
    const T* from = s.first ? s.base + at : current;
    const ptrdiff_t from_stride = s.first ? 0 : lanes;
    V v[vectors], threshold[vectors];
    for (int j = 0; j < vectors; ++j) {
      v[j] = V::load(s.v + at + j * V::width);
      threshold[j] = V::load(s.threshold + own + j * V::width);
    }
    for (int word = 0; word < most_chunk; word += 32) {
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
          for (int g = groups[t]; g; --g, rows += group_size) {
            for (int k = 0; k < group_size; ++k) {
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
              v[j] = v[j] + sum[0][j];
              const auto fires = V::at_least(v[j], threshold[j]);
              v[j] = v[j] - V::where(fires, threshold[j]);
              now[j].push(fires);
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
      uint32_t* words = (word ? s.late : s.early) + at;
      for (int j = 0; j < vectors; ++j) History::store(history[j], words + j * V::width);
      add_ones(words, int(lanes), s.count + at);
    }
    if (!s.last) continue;
    for (int j = 0; j < vectors; ++j) v[j].store(s.v + at + j * V::width);
  }
}

template <class V>
void sum_floats(const Sums<float>& sums, int vectors, bool plain) {
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
void sum_shorts(const Sums<int16_t>& sums, int vectors) {
  switch (vectors) {
    case 1: return sum<V, 1, true>(sums);
    case 2: return sum<V, 2, true>(sums);
    case 3: return sum<V, 3, true>(sums);
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

inline void narrow(const float* from, const float* scale, int values, int16_t* to) {
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
constexpr Kernels make_kernels(const char* name) {
  return {name,       V::width, Shorts::width, 4,       list_row, assemble, sum_floats<V>, sum_shorts<Shorts>,
          step<V>,    compress<V>, narrow, add_row<V>};
}

}  // namespace
}  // namespace spikewright
