// What calibration counts of a batch of activations, in one look at them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace spikewright {

// Rectified float32 values as bit patterns: those of numbers from zero up are ordered like the numbers.
struct Activations {
  const int32_t* bits;  // (samples, channels, positions)
  int64_t samples, channels, positions;
};

// Where counts are added to what was counted before.
struct ActivationCounts {
  int32_t* largest;    // (channels): the largest pattern, of NaN and infinity too, whatever its sign
  int64_t* positives;  // (channels)
  int64_t* histogram;  // (histogram_bins) of positive values by the upper 16 bits, zero is left out; null for none
};

constexpr int64_t histogram_bins = 1 << 15;
// Neighbouring values are counted in several tables in turn: the next of an equal value need not wait for this one.
constexpr int64_t histogram_tables = 4;

// The values from their channel's cutoff up.
struct LargeActivations {
  std::vector<int32_t> pattern, channel;

  void add(int32_t one, int64_t of_channel);
};

// Memory that the count needs while it runs, zero before.
struct ActivationScratch {
  uint32_t* tables;                     // (histogram_tables, histogram_bins)
  int32_t *largest, *positives, *cutoff;  // (channels, positions), where positions are few
};

// Where a channel has fewer positions than this, places are looked at side by side, whatever their channel.
constexpr int64_t few_positions = 32;

// `cutoff` (channels) is positive. Fewer than 2^31 values are counted at once.
void count_activations(const Activations& from, const int32_t* cutoff, const ActivationCounts& counts,
                       LargeActivations& large);

// The loops of it, compiled for each instruction set.
using CountLoops = void(const Activations& from, const int32_t* cutoff, const ActivationCounts& counts,
                        const ActivationScratch& scratch, LargeActivations& large);
CountLoops count_portable;
#ifdef SPIKEWRIGHT_X86
CountLoops count_avx2;
#endif

}  // namespace spikewright
