#include "kernels_body.hpp"

namespace spikewright {
extern const Kernels kernels_portable;
const Kernels kernels_portable = make_kernels<PlainVector<8>>("portable");
}  // namespace spikewright
