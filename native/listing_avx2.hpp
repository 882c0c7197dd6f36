// What listing does by hand in AVX2; listing_parts.hpp says what each of these functions does.
#pragma once

#include <immintrin.h>
#include <string.h>

#include "inner_loops.hpp"
#include "listing_parts.hpp"
#include "vectors.hpp"

namespace spikewright {
namespace {

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

// Octets of a column, as many as fill vectors; returns how many that were.
template <int span>
inline int transpose_whole_vectors(const uint32_t* early, int octets, uint8_t* bytes, uint8_t* fires) {
  int e = 0;
  if constexpr (span <= 16) {
    constexpr int together = 32 / span;
    for (; e + together <= octets; e += together, early += 8 * together, bytes += 32) {
      const __m256i found = transposed(sorted_bytes<span>(early));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(bytes), found);
      const __m256i silent = _mm256_cmpeq_epi64(found, _mm256_setzero_si256());
      const uint32_t busy = uint32_t(_mm256_movemask_pd(_mm256_castsi256_pd(silent))) ^ 15u;
      for (int i = 0; i < together; ++i) {
        fires[e + i] = span == 8 ? busy >> i & 1 : (busy >> (2 * i) & 3) != 0;
      }
    }
  }
  return e;
}

inline void add_octet(const uint32_t* words, uint32_t* sums, int digits, int pitch) {
  __m256i carry = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
  for (int d = 0; d < digits && !_mm256_testz_si256(carry, carry); ++d, sums += pitch) {
    __m256i* to = reinterpret_cast<__m256i*>(sums);
    const __m256i digit = _mm256_loadu_si256(to);
    _mm256_storeu_si256(to, _mm256_xor_si256(digit, carry));
    carry = _mm256_and_si256(digit, carry);
  }
}

template <int span>
inline uint32_t firing(const uint32_t* early, const uint32_t* late) {
  __m256i any = load_words(early);
  if (span > 32) any = _mm256_or_si256(any, load_words(late));
  const __m256i silent = _mm256_cmpeq_epi32(any, _mm256_setzero_si256());
  return uint32_t(_mm256_movemask_ps(_mm256_castsi256_ps(silent))) ^ 255u;
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

}  // namespace
}  // namespace spikewright
