#include "inner_loops_body.hpp"

namespace spikewright {
extern const InnerLoops inner_loops_portable;
const InnerLoops inner_loops_portable = make_inner_loops<PlainVector<8>, PlainVector<16, int16_t>>("portable");
}  // namespace spikewright
