#include <cstring>

#include "byte_loops.hpp"

namespace spikewright {
namespace {

void spread(const ByteColumn& c) {
  for (int t = 0; t < c.steps; ++t) std::memset(c.to + t * c.record, 0, size_t(c.channels));
  for (int plane = 0; plane < c.planes; ++plane) {
    for (const Extent* e = c.extents; e != c.extents_end; ++e) {
      for (int m = 0; m < e->members; ++m) {
        const ptrdiff_t slot = ptrdiff_t(c.slots[e->first + uint32_t(m)]) + plane * c.plane;
        for (int i = 0; i < e->count; ++i) {
          for (int t = 0; t < c.steps; ++t) {
            const uint32_t word = (t < 32 ? c.early : c.late)[slot + i];
            int8_t& to = c.to[t * c.record + e->entry + i];
            if (word >> (31 - t % 32) & 1) to = int8_t(to + c.values[plane]);
          }
        }
      }
    }
  }
  for (int k = 1; k < c.copies; ++k) {
    for (int t = 0; t < c.steps; ++t) {
      std::memcpy(c.to + k * c.next + t * c.record, c.to + t * c.record, size_t(c.channels));
    }
  }
}

int32_t dot(const ByteProduct& p, int row, int lane) {
  const ptrdiff_t tile = byte_tile * byte_lanes, tiles = p.record / byte_tile;
  int32_t sum = 0;
  for (int part = 0; part < p.parts; ++part) {
    if (!p.from[part]) continue;
    const int8_t* from = p.from[part] + row * p.record;
    for (ptrdiff_t k = 0; k < p.record; ++k) {
      const ptrdiff_t at = (part * tiles + k / byte_tile) * (p.lanes / byte_lanes) + lane / byte_lanes;
      const int8_t* weight = p.weight + at * tile + k % byte_tile / byte_group * byte_lanes * byte_group;
      sum += from[k] * weight[lane % byte_lanes * byte_group + k % byte_group];
    }
  }
  return sum;
}

void multiply(const ByteProduct& p) {
  float* to = p.current;
  for (int row = 0; row < p.positions * p.steps; ++row, to += p.lanes) {
    const float* from = p.base ? p.base + row / p.steps * p.stride : to;
    for (int lane = 0; lane < p.lanes; ++lane) to[lane] = from[lane] + float(dot(p, row, lane)) * p.scale[lane];
  }
}

}  // namespace

const ByteLoops byte_loops_plain{spread, multiply};

}  // namespace spikewright
