// The loops over activations, for the instruction set that a file is compiled for. Nothing of the standard library is
// instantiated here: the linker would be free to take this copy for machines that do not run it.
#pragma once

#include "activations.hpp"

namespace spikewright {
namespace {

constexpr int64_t block = 512;  // values that stay in the first cache
constexpr int64_t group = 64;   // values of which the largest tells whether any is worth a look
constexpr int32_t no_sign = 0x7fffffff;

inline int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

inline void count_slots(const int32_t* bits, int64_t n, uint32_t* tables) {
  uint16_t slot[block];
  for (int64_t i = 0; i < n; ++i) slot[i] = uint16_t(larger(bits[i], 0) >> 16);
  int64_t i = 0;
  for (; i + histogram_tables <= n; i += histogram_tables) {
    for (int64_t table = 0; table < histogram_tables; ++table) ++tables[table * histogram_bins + slot[i + table]];
  }
  for (; i < n; ++i) ++tables[slot[i]];
}

// Many positions: a run of values has one channel.
void count_runs(const Activations& from, const int32_t* cutoff, const ActivationCounts& counts,
                const ActivationScratch& scratch, LargeActivations& large) {
  const int32_t* bits = from.bits;
  for (int64_t sample = 0; sample < from.samples; ++sample) {
    for (int64_t channel = 0; channel < from.channels; ++channel, bits += from.positions) {
      for (int64_t first = 0; first < from.positions; first += block) {
        const int64_t n = from.positions - first < block ? from.positions - first : block;
        const int32_t* const values = bits + first;
        int32_t tops[block / group], top = 0, positives = 0;
        for (int64_t start = 0; start < n; start += group) {
          const int64_t end = start + group < n ? start + group : n;
          int32_t most = 0;
          for (int64_t i = start; i < end; ++i) {
            most = larger(most, values[i] & no_sign);
            positives += values[i] > 0;
          }
          tops[start / group] = most;
          top = larger(top, most);
        }
        counts.largest[channel] = larger(counts.largest[channel], top);
        counts.positives[channel] += positives;
        if (!top) continue;
        if (counts.histogram) count_slots(values, n, scratch.tables);
        if (top < cutoff[channel]) continue;
        for (int64_t start = 0; start < n; start += group) {
          if (tops[start / group] < cutoff[channel]) continue;
          const int64_t end = start + group < n ? start + group : n;
          for (int64_t i = start; i < end; ++i) {
            if (values[i] >= cutoff[channel]) large.add(values[i], channel);
          }
        }
      }
    }
  }
}

// Few positions: what is counted is counted for each place of a sample first.
void count_places(const Activations& from, const int32_t* cutoff, const ActivationCounts& counts,
                  const ActivationScratch& scratch, LargeActivations& large) {
  const int64_t places = from.channels * from.positions;
  for (int64_t place = 0; place < places; ++place) scratch.cutoff[place] = cutoff[place / from.positions];
  const int32_t* bits = from.bits;
  for (int64_t sample = 0; sample < from.samples; ++sample, bits += places) {
    for (int64_t first = 0; first < places; first += block) {
      const int64_t n = places - first < block ? places - first : block;
      const int32_t* const values = bits + first;
      int32_t *const largest = scratch.largest + first, *const positives = scratch.positives + first;
      const int32_t* const limit = scratch.cutoff + first;
      int32_t reached = 0;
      for (int64_t i = 0; i < n; ++i) {
        largest[i] = larger(largest[i], values[i] & no_sign);
        positives[i] += values[i] > 0;
        reached |= int32_t(values[i] >= limit[i]);
      }
      if (counts.histogram) count_slots(values, n, scratch.tables);
      if (!reached) continue;
      for (int64_t i = 0; i < n; ++i) {
        if (values[i] >= limit[i]) large.add(values[i], (first + i) / from.positions);
      }
    }
  }
  for (int64_t place = 0; place < places; ++place) {
    const int64_t channel = place / from.positions;
    counts.largest[channel] = larger(counts.largest[channel], scratch.largest[place]);
    counts.positives[channel] += scratch.positives[place];
  }
}

void count_all(const Activations& from, const int32_t* cutoff, const ActivationCounts& counts,
               const ActivationScratch& scratch, LargeActivations& large) {
  (from.positions < few_positions ? count_places : count_runs)(from, cutoff, counts, scratch, large);
}

}  // namespace
}  // namespace spikewright
