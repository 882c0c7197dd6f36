#include "inner_loops_body.hpp"

namespace spikewright {
extern const InnerLoops inner_loops_avx512;
const InnerLoops inner_loops_avx512 = make_inner_loops<Vector16, Shorts16>("avx512");
}  // namespace spikewright
