#include "activations.hpp"

#include <algorithm>

#include "activations_body.hpp"
#include "glance_plain.hpp"

namespace spikewright {
namespace {

// Adds up what the tables hold, and makes them zero again.
void empty_into(int64_t* histogram, uint32_t* tables) {
  constexpr int64_t some = 64;
  for (int64_t first = 0; first < histogram_bins; first += some) {
    uint32_t sums[some] = {};
    for (int64_t table = 0; table < histogram_tables; ++table) {
      const uint32_t* const counted = tables + table * histogram_bins + first;
      for (int64_t bin = 0; bin < some; ++bin) sums[bin] += counted[bin];
    }
    if (std::all_of(sums, sums + some, [](uint32_t one) { return one == 0; })) continue;
    for (int64_t bin = first == 0; bin < some; ++bin) histogram[first + bin] += sums[bin];
    for (int64_t table = 0; table < histogram_tables; ++table) {
      std::fill_n(tables + table * histogram_bins + first, some, 0);
    }
  }
}

}  // namespace

std::vector<InstructionSet> instruction_sets() {
  std::vector<InstructionSet> found{{"portable", count_portable}};
#ifdef SPIKEWRIGHT_X86
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt")) found.push_back({"avx2", count_avx2});
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("popcnt")) found.push_back({"avx512", count_avx512});
#endif
  return found;
}

void LargeActivations::add(const int32_t* values, int64_t count, int64_t of_channel) {
  pattern.insert(pattern.end(), values, values + count);
  channel.insert(channel.end(), size_t(count), int32_t(of_channel));
}

void count_portable(const Activations& from, const int32_t* cutoff, const ActivationCounts& counts,
                    const ActivationScratch& scratch, LargeActivations& large) {
  count_all<Plainly>(from, cutoff, counts, scratch, large);
}

void count_activations(const Activations& from, const int32_t* cutoff, const ActivationCounts& counts,
                       LargeActivations& large, CountLoops* loops) {
  // Zero from call to call: memory that is new each time costs more than what is counted of a small batch.
  static thread_local std::vector<uint32_t> tables(size_t(histogram_tables * histogram_bins));
  const int64_t places = from.positions < few_positions ? from.channels * from.positions : 0;
  std::vector<int32_t> largest(size_t(places), 0), positives(size_t(places), 0), cutoffs(size_t(places), 0);
  try {
    loops(from, cutoff, counts, {tables.data(), largest.data(), positives.data(), cutoffs.data()}, large);
  } catch (...) {  // no memory for those that are large
    std::fill(tables.begin(), tables.end(), 0);
    throw;
  }
  if (counts.histogram) empty_into(counts.histogram, tables.data());
}

}  // namespace spikewright
