#include "activations.hpp"

#include "activations_body.hpp"

namespace spikewright {
namespace {

CountLoops* loops_of_this_machine() {
#ifdef SPIKEWRIGHT_X86
  if (__builtin_cpu_supports("avx2")) return count_avx2;
#endif
  return count_portable;
}

}  // namespace

void LargeActivations::add(int32_t one, int64_t of_channel) {
  pattern.push_back(one);
  channel.push_back(int32_t(of_channel));
}

void count_portable(const Activations& from, const int32_t* cutoff, const ActivationCounts& counts,
                    const ActivationScratch& scratch, LargeActivations& large) {
  count_all(from, cutoff, counts, scratch, large);
}

void count_activations(const Activations& from, const int32_t* cutoff, const ActivationCounts& counts,
                       LargeActivations& large) {
  std::vector<uint32_t> tables(counts.histogram ? size_t(histogram_tables * histogram_bins) : 0);
  const int64_t places = from.positions < few_positions ? from.channels * from.positions : 0;
  std::vector<int32_t> largest(size_t(places), 0), positives(size_t(places), 0), cutoffs(size_t(places), 0);
  static CountLoops* const loops = loops_of_this_machine();
  loops(from, cutoff, counts, {tables.data(), largest.data(), positives.data(), cutoffs.data()}, large);
  if (!counts.histogram) return;
  for (int64_t table = 0; table < histogram_tables; ++table) {
    const uint32_t* const counted = tables.data() + table * histogram_bins;
    for (int64_t bin = 1; bin < histogram_bins; ++bin) counts.histogram[bin] += counted[bin];
  }
}

}  // namespace spikewright
