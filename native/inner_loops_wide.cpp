#include "byte_loops.hpp"
#include "inner_loops_body.hpp"

namespace spikewright {
extern const InnerLoops inner_loops_wide;
const InnerLoops inner_loops_wide =
    make_inner_loops<PlainVector<16>, PlainVector<32, int16_t>>("wide", &byte_loops_plain);
}  // namespace spikewright
