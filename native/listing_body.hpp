// The inner loops that transpose the trains of a source into lists of entries by timestep; see inner_loops.hpp.
#pragma once

#include <string.h>

#include "inner_loops.hpp"
#include "vectors.hpp"

namespace spikewright {
namespace {

// Transposes the trains of eight neurons, as far as the chunk's span goes: byte span - 1 - t has the spikes of step t.
// Bytes are sorted by step first; then eight by eight bits are transposed by exchanging ever larger blocks.
#if defined(__AVX2__)
template <int shift>
inline __m256i exchange(__m256i x, int64_t blocks) {
  const __m256i swap =
      _mm256_and_si256(_mm256_xor_si256(x, _mm256_srli_epi64(x, shift)), _mm256_set1_epi64x(blocks));
  return _mm256_xor_si256(x, _mm256_xor_si256(swap, _mm256_slli_epi64(swap, shift)));
}

inline __m256i transposed(__m256i x) {
  x = exchange<7>(x, 0x00aa00aa00aa00aa);
  x = exchange<14>(x, 0x0000cccc0000cccc);
  return exchange<28>(x, 0x00000000f0f0f0f0);
}

inline __m256i load_words(const uint32_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }

// The bytes of so many octets that their transposed bytes fill a vector: of eights of words one after the other.
template <int span>
inline __m256i sorted_bytes(const uint32_t* words) {
  if constexpr (span == 8) {
    const auto top = [&](int octet) { return _mm256_srli_epi32(load_words(words + 8 * octet), 24); };
    const __m256i packed = _mm256_packus_epi16(_mm256_packs_epi32(top(0), top(1)), _mm256_packs_epi32(top(2), top(3)));
    return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  } else if constexpr (span == 16) {
    const auto top = [&](int octet) { return _mm256_srli_epi32(load_words(words + 8 * octet), 16); };
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(top(0), top(1)), 0xd8);
    const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    return _mm256_shuffle_epi8(packed, _mm256_broadcastsi128_si256(order));
  } else {
    const __m128i order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m256i bytes = _mm256_shuffle_epi8(load_words(words), _mm256_broadcastsi128_si256(order));
    return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  }
}

template <int span>
inline void transpose(const uint32_t* early, const uint32_t* late, uint8_t* bytes) {
  const auto store = [](__m256i x, uint8_t* to) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x); };
  if constexpr (span == 8 || span == 16) {  // one octet of those that fill a vector
    const __m256i words = load_words(early);
    const __m128i low = _mm256_castsi256_si128(words), high = _mm256_extracti128_si256(words, 1);
    const __m128i halves = _mm_packus_epi32(_mm_srli_epi32(low, 16), _mm_srli_epi32(high, 16));
    const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    const __m128i found = _mm256_castsi256_si128(
        transposed(_mm256_castsi128_si256(_mm_shuffle_epi8(halves, order))));
    if (span == 16) return _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes), found);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(bytes), _mm_unpackhi_epi64(found, found));
  } else if constexpr (span == 32) {
    store(transposed(sorted_bytes<32>(early)), bytes);
  } else {
    store(transposed(sorted_bytes<32>(late)), bytes), store(transposed(sorted_bytes<32>(early)), bytes + 32);
  }
}
#else
template <int span>
inline void transpose(const uint32_t* early, const uint32_t* late, uint8_t* bytes) {
  const auto exchange = [](uint64_t x, int shift, uint64_t blocks) {
    const uint64_t swap = (x ^ x >> shift) & blocks;
    return x ^ swap ^ swap << shift;
  };
  for (int k = 0; k < span; k += 8) {
    uint64_t x = 0;
    for (int i = 0; i < 8; ++i) {
      x |= (train_of(early[i], span > 32 ? late[i] : 0) >> (64 - span + k) & 255) << (8 * i);
    }
    x = exchange(x, 7, 0x00aa00aa00aa00aa);
    x = exchange(x, 14, 0x0000cccc0000cccc);
    x = exchange(x, 28, 0x00000000f0f0f0f0);
    for (int i = 0; i < 8; ++i) bytes[k + i] = uint8_t(x >> (8 * i));
  }
}
#endif

// Adds words of eight neurons to binary sums, whose digits lie `pitch` words from each other.
inline void add_octet(const uint32_t* words, uint32_t* sums, int digits, int pitch) {
#if defined(__AVX2__)
  __m256i carry = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
  for (int d = 0; d < digits && !_mm256_testz_si256(carry, carry); ++d, sums += pitch) {
    __m256i* to = reinterpret_cast<__m256i*>(sums);
    const __m256i digit = _mm256_loadu_si256(to);
    _mm256_storeu_si256(to, _mm256_xor_si256(digit, carry));
    carry = _mm256_and_si256(digit, carry);
  }
#else
  uint32_t carry[8], any = 1;
  memcpy(carry, words, sizeof carry);
  for (int d = 0; d < digits && any; ++d, sums += pitch) {
    any = 0;
    for (int k = 0; k < 8; ++k) {
      const uint32_t both = sums[k] & carry[k];
      sums[k] ^= carry[k];
      any |= carry[k] = both;
    }
  }
#endif
}

inline void add_member(const uint32_t* from, int count, uint32_t* sums, int digits, int pitch) {
  for (; count >= 8; count -= 8, from += 8, sums += 8) add_octet(from, sums, digits, pitch);
  if (!count) return;
  uint32_t rest[8] = {};
  memcpy(rest, from, size_t(count) * sizeof *rest);
  add_octet(rest, sums, digits, pitch);
}

// Which of eight neurons fire at all.
template <int span>
inline uint32_t firing(const uint32_t* early, const uint32_t* late) {
#if defined(__AVX2__)
  __m256i any = load_words(early);
  if (span > 32) any = _mm256_or_si256(any, load_words(late));
  const __m256i silent = _mm256_cmpeq_epi32(any, _mm256_setzero_si256());
  return uint32_t(_mm256_movemask_ps(_mm256_castsi256_ps(silent))) ^ 255u;
#else
  uint32_t bits = 0;
  for (int i = 0; i < 8; ++i) bits |= uint32_t((early[i] | (span > 32 ? late[i] : 0)) != 0) << i;
  return bits;
#endif
}

template <int span>
inline void transpose_column(const uint32_t* early, const uint32_t* late, int octets, uint8_t* bytes, uint8_t* fires) {
  int e = 0;
#if defined(__AVX2__)
  if constexpr (span <= 16) {
    constexpr int together = 32 / span;
    for (; e + together <= octets; e += together, early += 8 * together, late += 8 * together, bytes += 32) {
      const __m256i found = transposed(sorted_bytes<span>(early));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(bytes), found);
      const __m256i silent = _mm256_cmpeq_epi64(found, _mm256_setzero_si256());
      const uint32_t busy = uint32_t(_mm256_movemask_pd(_mm256_castsi256_pd(silent))) ^ 15u;
      for (int i = 0; i < together; ++i) {
        fires[e + i] = span == 8 ? busy >> i & 1 : (busy >> (2 * i) & 3) != 0;
      }
    }
  }
#endif
  for (; e < octets; ++e, early += 8, late += 8, bytes += span) {
    fires[e] = firing<span>(early, late) != 0;
    transpose<span>(early, late, bytes);
  }
}

// Those of a column that fire, side by side.
template <int span>
inline void transpose_firing(const uint32_t* early, const uint32_t* late, int octets, uint8_t* bytes, uint8_t* fires,
                             uint16_t* entry_of) {
  uint32_t packed[16];
  int n = 0, to = 0;
  const auto flush = [&] {
    transpose<span>(packed, packed + 8, bytes + to * span);
    fires[to++] = 1, n = 0;
  };
  for (int e = 0; e < octets; ++e) {
    for (uint32_t bits = firing<span>(early + 8 * e, late + 8 * e); bits; bits &= bits - 1) {
      const int i = 8 * e + lowest_bit(bits);
      packed[n] = early[i], *entry_of++ = uint16_t(i);
      if (span > 32) packed[n + 8] = late[i];
      if (++n == 8) flush();
    }
  }
  if (n) {
    for (; n < 8; ++n) packed[n] = packed[n + 8] = 0, *entry_of++ = 0;
    flush();
  }
  for (; to < octets; ++to) fires[to] = 0;
}

template <int span>
inline void transpose_span(const RowTransposition& row) {
  const int octets = (row.width + 7) / 8;
  uint32_t *const words = row.words, *const early = words, *const late = words + transposition_words(row.width) / 2;
  for (int x = 0; x < row.columns; ++x) {
    const Extent* const extents = row.extents + row.extent_start[x];
    const uint32_t count = row.extent_start[x + 1] - row.extent_start[x];
    uint8_t* bytes = row.bytes + size_t(x) * size_t(octets) * span;
    uint8_t* fires = row.fires + size_t(x) * size_t(octets);
    const auto put = [&](const uint32_t* from_early, const uint32_t* from_late) {
      if (row.entry_of) {
        transpose_firing<span>(from_early, from_late, octets, bytes, fires, row.entry_of + ptrdiff_t(x) * octets * 8);
      } else {
        transpose_column<span>(from_early, from_late, octets, bytes, fires);
      }
    };
    if (count == 1 && extents->members == 1 && extents->count == 8 * octets) {
      const uint32_t slot = row.slots[extents->first];
      put(row.early + slot, row.late + slot);
      continue;
    }
    const size_t words_used = size_t(transposition_words(row.width)) / (span > 32 ? 1 : 2);
    memset(words, 0, words_used * sizeof *words);
    for (const Extent* extent = extents; extent != extents + count; ++extent) {
      for (int m = 0; m < extent->members; ++m) {
        const uint32_t slot = row.slots[extent->first + uint32_t(m)];
        const auto add = [&](const uint32_t* from, uint32_t* to) {
          if (extent->members == 1) {
            memcpy(to, from, extent->count * sizeof *to);
          } else {
            add_member(from, extent->count, to, row.digits, row.digit);
          }
        };
        add(row.early + slot, early + extent->entry);
        if (span > 32) add(row.late + slot, late + extent->entry);
      }
    }
    put(early, late);
  }
}

inline void transpose_row(const RowTransposition& row) {
  switch (row.span) {
    case 8: return transpose_span<8>(row);
    case 16: return transpose_span<16>(row);
    case 32: return transpose_span<32>(row);
    default: return transpose_span<max_chunk>(row);
  }
}

// The bytes of eight entries of a column, of each of the rows that are joined.
struct Octet {
  const uint8_t* bytes[max_joined];
  uint16_t entry;            // of the first neuron; each has one for each way in which some of the rows fire
  const uint16_t* entry_of;  // what to add to the first for each, where rows are not joined
};

#if defined(__AVX2__)
// Of each byte, which of eight 16-bit values its bits select, as an order of bytes.
struct Selections {
  alignas(16) uint8_t of[256][16];
  Selections() {
    for (int byte = 0; byte < 256; ++byte) {
      int n = 0;
      for (int bit = 0; bit < 8; ++bit) {
        if (byte >> bit & 1) of[byte][n] = uint8_t(2 * bit), of[byte][n + 1] = uint8_t(2 * bit + 1), n += 2;
      }
      for (; n < 16; ++n) of[byte][n] = 128;
    }
  }
};

inline const Selections& all_selections() {
  static const Selections selections;
  return selections;
}

template <int joined, int span>
inline void list_octet(const Octet& octet, int steps, const Selections& selections, uint16_t* list,
                       const uint32_t* start, uint32_t* next) {
  constexpr int ways = (1 << joined) - 1;
  alignas(32) uint8_t any[span < 32 ? 32 : span];
  uint64_t busy = 0;  // steps
  for (int at = 0; at < span; at += 32) {
    const auto load = [&](const uint8_t* bytes) {
      if constexpr (span == 8) return _mm256_zextsi128_si256(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes)));
      if constexpr (span == 16) {
        return _mm256_zextsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
      }
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
    };
    __m256i fires = load(octet.bytes[0] + at);
    for (int k = 1; k < joined; ++k) fires = _mm256_or_si256(fires, load(octet.bytes[k] + at));
    _mm256_store_si256(reinterpret_cast<__m256i*>(any + at), fires);
    const __m256i silent = _mm256_cmpeq_epi8(fires, _mm256_setzero_si256());
    busy |= uint64_t(~uint32_t(_mm256_movemask_epi8(silent))) << at;
    // where the entries of the next eight begin at each step
    alignas(32) uint8_t ones[32];
    _mm256_store_si256(reinterpret_cast<__m256i*>(ones), ones_of_bytes(fires));
    for (int i = 0; i < 32 && i < span; i += 8) {
      const __m256i more = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(ones + i)));
      const __m256i from = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(start + at + i));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(next + at + i), _mm256_add_epi32(from, more));
    }
  }
  const auto put = [&](int at, __m128i entries) {
    const __m128i order = _mm_load_si128(reinterpret_cast<const __m128i*>(selections.of[any[at]]));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(list + start[at]), _mm_shuffle_epi8(entries, order));
  };
  const __m256i first = _mm256_set1_epi16(short(octet.entry - (joined > 1)));
  const __m256i lane = _mm256_setr_epi8(0, ways, 2 * ways, 3 * ways, 4 * ways, 5 * ways, 6 * ways, 7 * ways, 0,
                                        ways, 2 * ways, 3 * ways, 4 * ways, 5 * ways, 6 * ways, 7 * ways, 0,
                                        ways, 2 * ways, 3 * ways, 4 * ways, 5 * ways, 6 * ways, 7 * ways, 0,
                                        ways, 2 * ways, 3 * ways, 4 * ways, 5 * ways, 6 * ways, 7 * ways);
  if (joined == 1) {
    const __m128i entry_of = _mm_loadu_si128(reinterpret_cast<const __m128i*>(octet.entry_of));
    const __m128i entries = _mm_add_epi16(_mm256_castsi256_si128(first), entry_of);
    if (span > 8 && count_bits(busy) < 3 * span / 4) {
      for (; busy; busy &= busy - 1) put(lowest_bit(busy), entries);
    } else {
      for (int at = span - steps; at < span; ++at) put(at, entries);
    }
    return;
  }
  const __m256i copies = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3,
                                          3, 3, 3, 3, 3, 3);
  const __m256i bit = _mm256_set1_epi64x(int64_t(0x8040201008040201u));
  for (int at = (span - steps) / 4 * 4; at < span; at += 4) {
    __m256i which = _mm256_setzero_si256();  // taps that fire, as a number below zero
    for (int k = joined - 1; k >= 0; --k) {
      int32_t four;
      memcpy(&four, octet.bytes[k] + at, sizeof four);
      const __m256i byte = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(four), copies), bit);
      which = _mm256_add_epi8(_mm256_add_epi8(which, which), _mm256_cmpeq_epi8(byte, bit));
    }
    const __m256i entry = _mm256_sub_epi8(lane, which);
    const __m256i low = _mm256_add_epi16(first, _mm256_cvtepu8_epi16(_mm256_castsi256_si128(entry)));
    const __m256i high = _mm256_add_epi16(first, _mm256_cvtepu8_epi16(_mm256_extracti128_si256(entry, 1)));
    put(at, _mm256_castsi256_si128(low)), put(at + 1, _mm256_extracti128_si256(low, 1));
    put(at + 2, _mm256_castsi256_si128(high)), put(at + 3, _mm256_extracti128_si256(high, 1));
  }
}
#else
struct Selections {};

inline Selections all_selections() { return {}; }

template <int joined, int span>
inline void list_octet(const Octet& octet, int, const Selections&, uint16_t* list, const uint32_t* start,
                       uint32_t* next) {
  for (int at = 0; at < span; ++at) {
    uint32_t any = 0, end = start[at];
    for (int k = 0; k < joined; ++k) any |= octet.bytes[k][at];
    for (; any; any &= any - 1) {
      const int i = lowest_bit(any);
      int way = 0;
      for (int k = 0; k < joined; ++k) way |= (octet.bytes[k][at] >> i & 1) << k;
      list[end++] = uint16_t(octet.entry + (joined > 1 ? i * ((1 << joined) - 1) + way - 1 : octet.entry_of[i]));
    }
    next[at] = end;
  }
}
#endif

template <int joined, int span>
inline void list_stack(const Listing& rows) {
  static const uint8_t nothing[max_chunk] = {};
  uint32_t* start = rows.start;
  for (int at = 0; at < span; ++at) start[at] = uint32_t(at) * rows.stride;
  const Selections& selections = all_selections();
  const uint8_t *bytes[joined], *fires[joined];
  ptrdiff_t next[joined], one[joined];  // to the next octet; none where there is no row
  for (int k = 0; k < joined; ++k) {
    bytes[k] = rows.bytes[k] ? rows.bytes[k] : nothing, fires[k] = rows.fires[k] ? rows.fires[k] : nothing;
    next[k] = rows.bytes[k] ? span : 0, one[k] = rows.bytes[k] ? 1 : 0;
  }
  uint32_t listed = 0;
  const uint16_t* entry_of = rows.entry_of;
  for (int x = 0; x < rows.columns; ++x) {
    rows.before[x] = listed;
    for (int e = 0; e < rows.octets; ++e) {
      Octet octet{{}, uint16_t(x * rows.column + (joined > 1 ? 8 * e * ((1 << joined) - 1) : 0)), entry_of};
      uint32_t any = 0;
      for (int k = 0; k < joined; ++k) {
        any |= *fires[k], octet.bytes[k] = bytes[k];
        bytes[k] += next[k], fires[k] += one[k];
      }
      if (joined == 1 && entry_of) entry_of += 8;
      if (!any) continue;
      list_octet<joined, span>(octet, rows.steps, selections, rows.list, start, start + span);
      start += span, ++listed;
    }
  }
  rows.before[rows.columns] = listed;
}

template <int span>
inline void list_span(const Listing& rows) {
  switch (rows.joined) {
    case 1: return list_stack<1, span>(rows);
    case 2: return list_stack<2, span>(rows);
    default: return list_stack<3, span>(rows);
  }
}

inline void list_rows(const Listing& rows) {
  switch (rows.span) {
    case 8: return list_span<8>(rows);
    case 16: return list_span<16>(rows);
    case 32: return list_span<32>(rows);
    default: return list_span<max_chunk>(rows);
  }
}

}  // namespace
}  // namespace spikewright
