#include <cstring>

#include "inner_loops.hpp"

namespace spikewright {
namespace {

bool runs_here(const InnerLoops& loops) {
#ifdef SPIKEWRIGHT_X86
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
  if (&loops == &inner_loops_avx512) return avx2 && __builtin_cpu_supports("avx512f");
  if (&loops == &inner_loops_avx2) return avx2;
#endif
  return true;
}

}  // namespace

const InnerLoops* find_inner_loops(const char* name) {
  const InnerLoops* best_first[] = {
#ifdef SPIKEWRIGHT_X86
      &inner_loops_avx512, &inner_loops_avx2,
#endif
      &inner_loops_portable, &inner_loops_wide,
  };
  for (const InnerLoops* loops : best_first) {
    if ((!*name || !std::strcmp(name, loops->name)) && runs_here(*loops)) return loops;
  }
  return nullptr;
}

}  // namespace spikewright
