#include "kernels_body.hpp"

namespace spikewright {
extern const Kernels kernels_avx512;
const Kernels kernels_avx512 = make_kernels<Vector16, Shorts16>("avx512");
}  // namespace spikewright
