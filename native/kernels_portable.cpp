#include "kernels_body.hpp"

namespace spikewright {
extern const Kernels kernels_portable;
const Kernels kernels_portable = make_kernels<PlainVector<8>, PlainVector<16, int16_t>>("portable");
}  // namespace spikewright
