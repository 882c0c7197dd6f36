#include <cstring>

#include "byte_loops.hpp"
#include "inner_loops.hpp"

namespace spikewright {
namespace {

bool runs_here([[maybe_unused]] const InnerLoops& loops) {
#ifdef SPIKEWRIGHT_X86
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
  if (&loops == &inner_loops_avx512) return avx2 && __builtin_cpu_supports("avx512f");
  if (&loops == &inner_loops_avx2) return avx2;
#endif
  return true;
}

#ifdef SPIKEWRIGHT_AMX
// Those of AVX-512, and tiles of bytes besides.
const InnerLoops* inner_loops_amx() {
  static const InnerLoops loops = [] {
    InnerLoops made = inner_loops_avx512;
    made.name = "amx", made.bytes = find_byte_loops_amx();
    return made;
  }();
  return &loops;
}
#endif

const InnerLoops* const best_first[] = {
#ifdef SPIKEWRIGHT_X86
    &inner_loops_avx512, &inner_loops_avx2,
#endif
#ifdef SPIKEWRIGHT_ARM64
    &inner_loops_neon,
#endif
    &inner_loops_portable, &inner_loops_wide,
};

}  // namespace

const InnerLoops* find_inner_loops(const char* name) {
  const InnerLoops* loops = nullptr;
  for (int place = 0; (loops = inner_loops_at(place)); ++place) {
    if (!*name || !std::strcmp(name, loops->name)) break;
  }
  return loops;
}

const InnerLoops* inner_loops_at(int place) {
#ifdef SPIKEWRIGHT_AMX
  if (inner_loops_amx()->bytes && runs_here(inner_loops_avx512) && !place--) return inner_loops_amx();
#endif
  for (const InnerLoops* loops : best_first) {
    if (runs_here(*loops) && !place--) return loops;
  }
  return nullptr;
}

}  // namespace spikewright
