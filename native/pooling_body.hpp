// Windows of a pool, as many side by side as there are lanes: part of inner_loops_body.hpp, compiled for each machine.
#pragma once

#include <string.h>

#include "inner_loops.hpp"

namespace spikewright {
namespace {

template <bool by_count, bool takes_back>
void pool_windows_of(const PoolWindows& w) {
  constexpr int n = pool_lanes;
  const size_t half = size_t(w.inputs) * n;
  int32_t largest[n];
  memcpy(largest, w.largest, sizeof largest);
  memset(w.sent, 0, 4 * n * sizeof *w.sent);
  for (int late = 0; 32 * late < w.steps; ++late) {
    const uint32_t *spikes = w.spikes + late * half, *back = takes_back ? w.back + late * half : nullptr;
    uint32_t *sent = w.sent + late * n, *undone = sent + 2 * n, any = 0;
    for (size_t i = 0; i < half; ++i) any |= spikes[i] | (takes_back ? back[i] : 0);
    const int after = 32 * (late + 1) - w.steps, last = after > 0 ? after : 0;
    for (int shift = 31; shift >= last; --shift) {
      if (!(any >> shift & 1)) continue;  // no count changes
      int32_t best[n] = {};
      uint32_t sends[n] = {}, undoes[n] = {};
      for (int k = 0; k < w.inputs; ++k) {
        int32_t* const counts = w.counts + k * n;
        for (int c = 0; c < n; ++c) {
          const uint32_t spike = spikes[k * n + c] >> shift & 1, undo = takes_back ? back[k * n + c] >> shift & 1 : 0;
          const int32_t count = counts[c] + int32_t(spike) - int32_t(undo);
          counts[c] = count;
          const bool more = k == 0 || count > best[c];
          best[c] = more ? count : best[c];
          if (by_count) continue;
          sends[c] = more ? spike : sends[c];
          undoes[c] = more ? undo : undoes[c];
        }
      }
      for (int c = 0; c < n; ++c) {
        sent[c] |= (by_count ? uint32_t(best[c] > largest[c]) : sends[c]) << shift;
        if (takes_back) undone[c] |= (by_count ? uint32_t(best[c] < largest[c]) : undoes[c]) << shift;
        if (by_count) largest[c] = best[c];
      }
    }
  }
  memcpy(w.largest, largest, sizeof largest);
}

inline void pool_windows(const PoolWindows& w) {
  if (w.by_count) return w.back ? pool_windows_of<true, true>(w) : pool_windows_of<true, false>(w);
  return w.back ? pool_windows_of<false, true>(w) : pool_windows_of<false, false>(w);
}

}  // namespace
}  // namespace spikewright
