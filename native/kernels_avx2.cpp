#include "kernels_body.hpp"

namespace spikewright {
extern const Kernels kernels_avx2;
const Kernels kernels_avx2 = make_kernels<Vector8, Shorts16>("avx2");
}  // namespace spikewright
