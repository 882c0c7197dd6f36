#include "activations_body.hpp"

namespace spikewright {

void count_avx2(const Activations& from, const int32_t* cutoff, const ActivationCounts& counts,
                const ActivationScratch& scratch, LargeActivations& large) {
  count_all(from, cutoff, counts, scratch, large);
}

}  // namespace spikewright
