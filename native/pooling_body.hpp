// Windows of a pool, as many channels side by side as there are lanes: part of inner_loops_body.hpp, compiled for each
// machine.
#pragma once

#include <string.h>

#include "inner_loops.hpp"

namespace spikewright {
namespace {

template <bool takes_back>
void count_inputs(const PoolWindows& w, const uint32_t* spikes, const uint32_t* back, int shift) {
  const size_t all = size_t(w.inputs) * pool_lanes;
  for (size_t i = 0; i < all; ++i) {
    w.counts[i] += int32_t(spikes[i] >> shift & 1) - (takes_back ? int32_t(back[i] >> shift & 1) : 0);
  }
}

template <bool by_count, bool takes_back>
void pool_windows_of(const PoolWindows& w) {
  constexpr int n = pool_lanes;
  const size_t half = size_t(w.inputs) * n, answer = size_t(w.windows) * n;
  memset(w.sent, 0, 4 * answer * sizeof *w.sent);
  for (int late = 0; 32 * late < w.steps; ++late) {
    const uint32_t *spikes = w.spikes + late * half, *back = takes_back ? w.back + late * half : nullptr;
    uint32_t any = 0;
    for (size_t i = 0; i < half; ++i) any |= spikes[i] | (takes_back ? back[i] : 0);
    const int after = 32 * (late + 1) - w.steps, last = after > 0 ? after : 0;
    for (int shift = 31; shift >= last; --shift) {
      if (!(any >> shift & 1)) continue;  // no count changes
      count_inputs<takes_back>(w, spikes, back, shift);
      for (int window = 0; window < w.windows; ++window) {
        uint32_t *sent = w.sent + late * answer + size_t(window) * n, *undone = sent + 2 * answer;
        int32_t* const largest = w.largest + size_t(window) * n;
        const uint32_t* input = w.input + w.start[window];
        const uint32_t* const end = w.input + w.start[window + 1];
        int32_t best[n];
        uint32_t sends[n], undoes[n];
        memcpy(best, w.counts + size_t(*input) * n, sizeof best);
        if (!by_count) memcpy(sends, spikes + size_t(*input) * n, sizeof sends);
        if (!by_count && takes_back) memcpy(undoes, back + size_t(*input) * n, sizeof undoes);
        while (++input < end) {
          const size_t at = size_t(*input) * n;
          for (int c = 0; c < n; ++c) {
            const int32_t count = w.counts[at + c];
            const bool more = count > best[c];
            best[c] = more ? count : best[c];
            if (by_count) continue;
            sends[c] = more ? spikes[at + c] : sends[c];
            if (takes_back) undoes[c] = more ? back[at + c] : undoes[c];
          }
        }
        for (int c = 0; c < n; ++c) {
          sent[c] |= (by_count ? uint32_t(best[c] > largest[c]) : sends[c] >> shift & 1) << shift;
          if (takes_back) undone[c] |= (by_count ? uint32_t(best[c] < largest[c]) : undoes[c] >> shift & 1) << shift;
          if (by_count) largest[c] = best[c];
        }
      }
    }
  }
}

inline void pool_windows(const PoolWindows& w) {
  if (w.by_count) return w.back ? pool_windows_of<true, true>(w) : pool_windows_of<true, false>(w);
  return w.back ? pool_windows_of<false, true>(w) : pool_windows_of<false, false>(w);
}

}  // namespace
}  // namespace spikewright
