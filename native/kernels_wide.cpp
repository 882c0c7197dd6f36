#include "kernels_body.hpp"

namespace spikewright {
extern const Kernels kernels_wide;
const Kernels kernels_wide = make_kernels<PlainVector<16>, PlainVector<32, int16_t>>("wide");
}  // namespace spikewright
