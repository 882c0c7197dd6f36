#define SPIKEWRIGHT_NEON
#include "inner_loops_body.hpp"

namespace spikewright {
extern const InnerLoops inner_loops_neon;
const InnerLoops inner_loops_neon = make_inner_loops<Vector4, Shorts8>("neon");
}  // namespace spikewright
