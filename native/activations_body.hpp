// The loops over activations, for the instruction set that a file is compiled for. Nothing of the standard library is
// instantiated here: the linker would be free to take this copy for machines that do not run it.
//
// `By` says how neighbouring values are looked at:
//   glance<rectify>(values, n, upper, top): rectifies the values first, if that is asked, in their places. The upper 16
//     bits of the positive ones, one after the other, at `upper`; returns how many these are, and raises `top` to the
//     largest pattern, of NaN and infinity too, whatever its sign.
//   pack_from(cutoff, values, n, found): the values from a positive cutoff up at `found`; returns how many.
// Both may write `spare` places further than what they give.
#pragma once

#include "activations.hpp"

namespace spikewright {
namespace {

constexpr int64_t block = 512;  // values that stay in the first cache
constexpr int64_t spare = 16;
constexpr int32_t no_sign = 0x7fffffff;

inline int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

// Counts positive values by their upper halves, many at once.
struct Tally {
  uint32_t* tables;  // null where nobody wants to know
  int64_t filled = 0;
  uint16_t upper[2 * block + spare];

  explicit Tally(uint32_t* to) : tables(to) {}

  // Where the upper halves of a block go.
  uint16_t* end() { return upper + filled; }

  void take(int64_t more) {
    if (!tables) return;
    filled += more;
    if (filled > block) empty();
  }

  void empty() {
    int64_t i = 0;
    for (; i + histogram_tables <= filled; i += histogram_tables) {
      for (int64_t table = 0; table < histogram_tables; ++table) ++tables[table * histogram_bins + upper[i + table]];
    }
    for (; i < filled; ++i) ++tables[upper[i]];
    filled = 0;
  }
};

// Many positions: a run of values has one channel.
template <class By, bool rectify>
void count_runs(const Activations& from, const int32_t* cutoff, const ActivationCounts& counts, Tally& tally,
                LargeActivations& large) {
  int32_t* bits = from.bits;
  int32_t found[block + spare];
  for (int64_t sample = 0; sample < from.samples; ++sample) {
    for (int64_t channel = 0; channel < from.channels; ++channel, bits += from.positions) {
      for (int64_t first = 0; first < from.positions; first += block) {
        const int64_t n = from.positions - first < block ? from.positions - first : block;
        int32_t top = 0;
        const int64_t positives = By::template glance<rectify>(bits + first, n, tally.end(), top);
        tally.take(positives);
        counts.largest[channel] = larger(counts.largest[channel], top);
        counts.positives[channel] += positives;
        if (top < cutoff[channel]) continue;
        large.add(found, By::pack_from(cutoff[channel], bits + first, n, found), channel);
      }
    }
  }
}

// Few positions: what is counted is counted for each place of a sample first.
template <class By, bool rectify>
void count_places(const Activations& from, const int32_t* cutoff, const ActivationCounts& counts,
                  const ActivationScratch& scratch, Tally& tally, LargeActivations& large) {
  const int64_t places = from.channels * from.positions;
  for (int64_t place = 0; place < places; ++place) scratch.cutoff[place] = cutoff[place / from.positions];
  int32_t* bits = from.bits;
  for (int64_t sample = 0; sample < from.samples; ++sample, bits += places) {
    for (int64_t first = 0; first < places; first += block) {
      const int64_t n = places - first < block ? places - first : block;
      int32_t* const values = bits + first;
      int32_t *const largest = scratch.largest + first, *const positives = scratch.positives + first;
      const int32_t* const limit = scratch.cutoff + first;
      int32_t reached = 0, top = 0;
      const int64_t packed = By::template glance<rectify>(values, n, tally.end(), top);
      tally.take(packed);
      for (int64_t i = 0; i < n; ++i) {
        largest[i] = larger(largest[i], values[i] & no_sign);
        positives[i] += values[i] > 0;
        reached |= int32_t(values[i] >= limit[i]);
      }
      if (!reached) continue;
      for (int64_t i = 0; i < n; ++i) {
        if (values[i] >= limit[i]) large.add(values + i, 1, (first + i) / from.positions);
      }
    }
  }
  for (int64_t place = 0; place < places; ++place) {
    const int64_t channel = place / from.positions;
    counts.largest[channel] = larger(counts.largest[channel], scratch.largest[place]);
    counts.positives[channel] += scratch.positives[place];
  }
}

template <class By, bool rectify>
void count_these(const Activations& from, const int32_t* cutoff, const ActivationCounts& counts,
               const ActivationScratch& scratch, LargeActivations& large) {
  Tally tally(counts.histogram ? scratch.tables : nullptr);
  if (from.positions < few_positions) {
    count_places<By, rectify>(from, cutoff, counts, scratch, tally, large);
  } else {
    count_runs<By, rectify>(from, cutoff, counts, tally, large);
  }
  tally.empty();
}

template <class By>
void count_all(const Activations& from, const int32_t* cutoff, const ActivationCounts& counts,
               const ActivationScratch& scratch, LargeActivations& large) {
  (from.rectify ? count_these<By, true> : count_these<By, false>)(from, cutoff, counts, scratch, large);
}

}  // namespace
}  // namespace spikewright
