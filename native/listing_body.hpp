// The inner loops that transpose the trains of a source into lists of entries by timestep; see inner_loops.hpp.
#pragma once

#include <string.h>

#include "inner_loops.hpp"
#include "vectors.hpp"

#if defined(SPIKEWRIGHT_NEON)
#include "listing_neon.hpp"
#elif defined(__AVX2__)
#include "listing_avx2.hpp"
#else
#include "listing_plain.hpp"
#endif

namespace spikewright {
namespace {

inline void add_member(const uint32_t* from, int count, uint32_t* sums, int digits, int pitch) {
  for (; count >= 8; count -= 8, from += 8, sums += 8) add_octet(from, sums, digits, pitch);
  if (!count) return;
  uint32_t rest[8] = {};
  memcpy(rest, from, size_t(count) * sizeof *rest);
  add_octet(rest, sums, digits, pitch);
}

template <int span>
inline void transpose_column(const uint32_t* early, const uint32_t* late, int octets, uint8_t* bytes, uint8_t* fires) {
  int e = transpose_whole_vectors<span>(early, octets, bytes, fires);
  early += 8 * e, late += 8 * e, bytes += span * e;
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
