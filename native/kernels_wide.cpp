#include "kernels_body.hpp"

namespace spikewright {
extern const Kernels kernels_wide;
const Kernels kernels_wide = make_kernels<PlainVector<16>>("wide");
}  // namespace spikewright
