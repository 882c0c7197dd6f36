#include "inner_loops_body.hpp"

namespace spikewright {
extern const InnerLoops inner_loops_avx2;
const InnerLoops inner_loops_avx2 = make_inner_loops<Vector8, Shorts16>("avx2");
}  // namespace spikewright
