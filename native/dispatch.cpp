#include <cstring>

#include "kernels.hpp"

namespace spikewright {
namespace {

bool runs_here(const Kernels& kernels) {
#ifdef SPIKEWRIGHT_X86
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
  if (&kernels == &kernels_avx512) return avx2 && __builtin_cpu_supports("avx512f");
  if (&kernels == &kernels_avx2) return avx2;
#endif
  return true;
}

}  // namespace

const Kernels* find_kernels(const char* name) {
  const Kernels* best_first[] = {
#ifdef SPIKEWRIGHT_X86
      &kernels_avx512, &kernels_avx2,
#endif
      &kernels_portable, &kernels_wide,
  };
  for (const Kernels* kernels : best_first) {
    if ((!*name || !std::strcmp(name, kernels->name)) && runs_here(*kernels)) return kernels;
  }
  return nullptr;
}

}  // namespace spikewright
