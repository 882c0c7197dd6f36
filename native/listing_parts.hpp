// Parts of listing that are written by hand for each instruction set, in listing_plain.hpp, listing_avx2.hpp and
// listing_neon.hpp, and what they share.
//
// transpose<span>(early, late, bytes)          the trains of eight neurons as far as the chunk's span goes: byte
//                                              span - 1 - t has the spikes of step t. Bytes are sorted by step first;
//                                              then eight by eight bits are transposed by exchanging ever larger blocks.
// transpose_whole_vectors<span>(early, octets, bytes, fires)
//                                              octets of a column, as many as fill vectors, and whether they fire;
//                                              returns how many these were.
// add_octet(words, sums, digits, pitch)        adds words of eight neurons to binary sums, whose digits lie `pitch`
//                                              words from each other.
// firing<span>(early, late)                    which of eight neurons fire at all, a bit each.
// list_octet<joined, span>(octet, steps, selections, list, start, next)
//                                              the entries of an octet, step by step: those of step t begin at
//                                              start[span - 1 - t] and end where next[span - 1 - t] becomes.
#pragma once

#include <cstdint>

#include "inner_loops.hpp"

namespace spikewright {
namespace {

// The bytes of eight entries of a column, of each of the rows that are joined.
struct Octet {
  const uint8_t* bytes[max_joined];
  uint16_t entry;            // of the first neuron; each has one for each way in which some of the rows fire
  const uint16_t* entry_of;  // what to add to the first for each, where rows are not joined
};

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

}  // namespace
}  // namespace spikewright
