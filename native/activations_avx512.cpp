#include "activations_body.hpp"
#include "glance_avx512.hpp"

namespace spikewright {

void count_avx512(const Activations& from, const int32_t* cutoff, const ActivationCounts& counts,
                  const ActivationScratch& scratch, LargeActivations& large) {
  count_all<ByAvx512>(from, cutoff, counts, scratch, large);
}

}  // namespace spikewright
