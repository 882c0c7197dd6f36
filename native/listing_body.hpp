// The inner loops that transpose the trains of a source into lists of entries by timestep; see inner_loops.hpp.
#pragma once

#include <string.h>

#include "inner_loops.hpp"
#include "vectors.hpp"

namespace spikewright {
namespace {

// Transposes the trains of eight neurons: byte 63 - t has the spikes of step t. Bytes are sorted by step first; then
// eight by eight bits are transposed by exchanging ever larger blocks.
#if defined(__AVX2__)
template <int shift>
inline __m256i exchange(__m256i x, int64_t blocks) {
  const __m256i swap =
      _mm256_and_si256(_mm256_xor_si256(x, _mm256_srli_epi64(x, shift)), _mm256_set1_epi64x(blocks));
  return _mm256_xor_si256(x, _mm256_xor_si256(swap, _mm256_slli_epi64(swap, shift)));
}

inline void transpose(const uint32_t* early, const uint32_t* late, uint8_t* bytes) {
  const auto pair = [&](int i) {
    const __m128i a = _mm_cvtsi64_si128(int64_t(train_of(early[i], late[i])));
    const __m128i b = _mm_cvtsi64_si128(int64_t(train_of(early[i + 1], late[i + 1])));
    return _mm_unpacklo_epi8(a, b);
  };
  const __m128i p0 = pair(0), p1 = pair(2), p2 = pair(4), p3 = pair(6);
  const __m128i a = _mm_unpacklo_epi16(p0, p1), b = _mm_unpackhi_epi16(p0, p1);
  const __m128i c = _mm_unpacklo_epi16(p2, p3), d = _mm_unpackhi_epi16(p2, p3);
  __m256i halves[2] = {_mm256_set_m128i(_mm_unpackhi_epi32(a, c), _mm_unpacklo_epi32(a, c)),
                       _mm256_set_m128i(_mm_unpackhi_epi32(b, d), _mm_unpacklo_epi32(b, d))};
  for (__m256i& x : halves) {
    x = exchange<7>(x, 0x00aa00aa00aa00aa);
    x = exchange<14>(x, 0x0000cccc0000cccc);
    x = exchange<28>(x, 0x00000000f0f0f0f0);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(bytes), x);
    bytes += 32;
  }
}
#else
inline void transpose(const uint32_t* early, const uint32_t* late, uint8_t* bytes) {
  const auto exchange = [](uint64_t x, int shift, uint64_t blocks) {
    const uint64_t swap = (x ^ x >> shift) & blocks;
    return x ^ swap ^ swap << shift;
  };
  for (int k = 0; k < max_chunk; k += 8) {
    uint64_t x = 0;
    for (int i = 0; i < 8; ++i) x |= (train_of(early[i], late[i]) >> k & 255) << (8 * i);
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
inline uint32_t firing(const uint32_t* early, const uint32_t* late) {
#if defined(__AVX2__)
  const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(early));
  const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(late));
  const __m256i silent = _mm256_cmpeq_epi32(_mm256_or_si256(a, b), _mm256_setzero_si256());
  return uint32_t(_mm256_movemask_ps(_mm256_castsi256_ps(silent))) ^ 255u;
#else
  uint32_t bits = 0;
  for (int i = 0; i < 8; ++i) bits |= uint32_t((early[i] | late[i]) != 0) << i;
  return bits;
#endif
}

inline void transpose_column(const uint32_t* early, const uint32_t* late, int octets, uint8_t* bytes, uint8_t* fires) {
  for (int e = 0; e < octets; ++e, early += 8, late += 8, bytes += max_chunk) {
    fires[e] = firing(early, late) != 0;
    if (fires[e]) transpose(early, late, bytes);
  }
}

// Those of a column that fire, side by side.
inline void transpose_firing(const uint32_t* early, const uint32_t* late, int octets, uint8_t* bytes, uint8_t* fires,
                        uint16_t* entry_of) {
  uint32_t packed[16];
  int n = 0, to = 0;
  const auto flush = [&] {
    transpose(packed, packed + 8, bytes + to * max_chunk);
    fires[to++] = 1, n = 0;
  };
  for (int e = 0; e < octets; ++e) {
    for (uint32_t bits = firing(early + 8 * e, late + 8 * e); bits; bits &= bits - 1) {
      const int i = 8 * e + lowest_bit(bits);
      packed[n] = early[i], packed[n + 8] = late[i], *entry_of++ = uint16_t(i);
      if (++n == 8) flush();
    }
  }
  if (n) {
    for (; n < 8; ++n) packed[n] = packed[n + 8] = 0, *entry_of++ = 0;
    flush();
  }
  for (; to < octets; ++to) fires[to] = 0;
}

inline void transpose_row(const RowTransposition& row) {
  const int octets = (row.width + 7) / 8;
  uint32_t *const words = row.words, *const early = words, *const late = words + transposition_words(row.width) / 2;
  for (int x = 0; x < row.columns; ++x) {
    const Extent* const extents = row.extents + row.extent_start[x];
    const uint32_t count = row.extent_start[x + 1] - row.extent_start[x];
    uint8_t* bytes = row.bytes + size_t(x) * size_t(octets) * max_chunk;
    uint8_t* fires = row.fires + size_t(x) * size_t(octets);
    const auto put = [&](const uint32_t* from_early, const uint32_t* from_late) {
      if (row.entry_of) {
        transpose_firing(from_early, from_late, octets, bytes, fires, row.entry_of + ptrdiff_t(x) * octets * 8);
      } else {
        transpose_column(from_early, from_late, octets, bytes, fires);
      }
    };
    if (count == 1 && extents->members == 1 && extents->count == 8 * octets) {
      const uint32_t slot = row.slots[extents->first];
      put(row.early + slot, row.late + slot);
      continue;
    }
    memset(words, 0, size_t(transposition_words(row.width)) * sizeof *words);
    for (const Extent* extent = extents; extent != extents + count; ++extent) {
      for (int m = 0; m < extent->members; ++m) {
        const uint32_t slot = row.slots[extent->first + uint32_t(m)];
        if (extent->members == 1) {
          memcpy(early + extent->entry, row.early + slot, extent->count * sizeof *early);
          memcpy(late + extent->entry, row.late + slot, extent->count * sizeof *late);
        } else {
          add_member(row.early + slot, extent->count, early + extent->entry, row.digits, row.digit);
          add_member(row.late + slot, extent->count, late + extent->entry, row.digits, row.digit);
        }
      }
    }
    put(early, late);
  }
}

// Where the entries of the next eight begin at each step.
inline void count_entries(const uint8_t* any, const uint32_t* start, uint32_t* next) {
#if defined(__AVX2__)
  for (int at = 0; at < max_chunk; at += 32) {
    const __m256i bytes = _mm256_load_si256(reinterpret_cast<const __m256i*>(any + at));
    alignas(32) uint8_t ones[32];
    _mm256_store_si256(reinterpret_cast<__m256i*>(ones), ones_of_bytes(bytes));
    for (int i = 0; i < 32; i += 8) {
      const __m256i more = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(ones + i)));
      const __m256i from = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(start + at + i));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(next + at + i), _mm256_add_epi32(from, more));
    }
  }
#else
  for (int at = 0; at < max_chunk; ++at) next[at] = start[at] + uint32_t(count_bits(any[at]));
#endif
}

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

template <int joined>
inline void list_octet(const Octet& octet, int steps, const Selections& selections, uint16_t* list,
                       const uint32_t* start, uint32_t* next) {
  constexpr int ways = (1 << joined) - 1;
  alignas(32) uint8_t any[max_chunk];
  uint64_t busy = 0;  // steps
  for (int at = 0; at < max_chunk; at += 32) {
    __m256i fires = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(octet.bytes[0] + at));
    for (int k = 1; k < joined; ++k) {
      fires = _mm256_or_si256(fires, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(octet.bytes[k] + at)));
    }
    _mm256_store_si256(reinterpret_cast<__m256i*>(any + at), fires);
    const __m256i silent = _mm256_cmpeq_epi8(fires, _mm256_setzero_si256());
    busy |= uint64_t(~uint32_t(_mm256_movemask_epi8(silent))) << at;
  }
  count_entries(any, start, next);
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
    if (count_bits(busy) < 48) {
      for (; busy; busy &= busy - 1) put(lowest_bit(busy), entries);
    } else {
      for (int at = max_chunk - steps; at < max_chunk; ++at) put(at, entries);
    }
    return;
  }
  const __m256i copies = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3,
                                          3, 3, 3, 3, 3, 3);
  const __m256i bit = _mm256_set1_epi64x(int64_t(0x8040201008040201u));
  for (int at = (max_chunk - steps) / 4 * 4; at < max_chunk; at += 4) {
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
#endif

template <int joined>
inline void list_stack(const Listing& rows) {
  uint32_t* start = rows.start;
  for (int at = 0; at < max_chunk; ++at) start[at] = uint32_t(at) * rows.stride;
#if defined(__AVX2__)
  const Selections& selections = all_selections();
  for (int e = 0; e < rows.count; ++e, start += max_chunk) {
    list_octet<joined>(rows.octets[e], rows.steps, selections, rows.list, start, start + max_chunk);
  }
#else
  for (int e = 0; e < rows.count; ++e, start += max_chunk) {
    const Octet& octet = rows.octets[e];
    for (int at = 0; at < max_chunk; ++at) {
      uint32_t any = 0, end = start[at];
      for (int k = 0; k < joined; ++k) any |= octet.bytes[k][at];
      for (; any; any &= any - 1) {
        const int i = lowest_bit(any);
        int way = 0;
        for (int k = 0; k < joined; ++k) way |= (octet.bytes[k][at] >> i & 1) << k;
        rows.list[end++] = uint16_t(octet.entry + (joined > 1 ? i * ((1 << joined) - 1) + way - 1 : octet.entry_of[i]));
      }
      start[max_chunk + at] = end;
    }
  }
#endif
}

inline void list_rows(const Listing& rows) {
  switch (rows.joined) {
    case 1: return list_stack<1>(rows);
    case 2: return list_stack<2>(rows);
    default: return list_stack<3>(rows);
  }
}

}  // namespace
}  // namespace spikewright
