// What calibration counts of a batch of activations, in one look at them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace spikewright {

// Float32 values as bit patterns: those of numbers from zero up are ordered like the numbers.
struct Activations {
  int32_t* bits;  // (samples, channels, positions)
  int64_t samples, channels, positions;
  bool rectify;  // whether negative values become zero in their places, and are counted so; else bits are only read
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

  void add(const int32_t* values, int64_t count, int64_t of_channel);
};

// Memory that the count needs while it runs, zero before.
struct ActivationScratch {
  uint32_t* tables;                     // (histogram_tables, histogram_bins)
  int32_t *largest, *positives, *cutoff;  // (channels, positions), where positions are few
};

// Where a channel has fewer positions than this, places are looked at side by side, whatever their channel.
constexpr int64_t few_positions = 32;

// The loops, compiled for each instruction set.
using CountLoops = void(const Activations& from, const int32_t* cutoff, const ActivationCounts& counts,
                        const ActivationScratch& scratch, LargeActivations& large);

// `cutoff` (channels) is positive. Fewer than 2^31 values are counted at once.
void count_activations(const Activations& from, const int32_t* cutoff, const ActivationCounts& counts,
                       LargeActivations& large, CountLoops* loops);

struct InstructionSet {
  const char* name;
  CountLoops* loops;
};

// Those that this machine has, the best one last.
std::vector<InstructionSet> instruction_sets();

CountLoops count_portable;
#ifdef SPIKEWRIGHT_X86
CountLoops count_avx2, count_avx512;
#endif

}  // namespace spikewright
