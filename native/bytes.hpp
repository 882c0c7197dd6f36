// Weights of 8 bits: what arrives over them at a gathering layer is multiplied as bytes. See README.md.
#pragma once

#include <vector>

#include "byte_loops.hpp"
#include "gather.hpp"
#include "run.hpp"

namespace spikewright {

// The scale of each output channel of which all its weights are whole multiples, from −127 to 127; empty where a channel
// has none. It has few digits, so that sums of many of these multiples are exact in single precision.
std::vector<float> byte_scales(const Layer& layer, const Projection& p);

// Whether what the neurons of a source send to one point of a grid fits a byte, and what a position receives 32 bits.
bool fits_bytes(const Layer& source, const OperatorGrid& grid);

// Weights of 8 bits in the order in which they are multiplied.
void pack_bytes(const Layer& layer, const OperatorGrid& grid, Gather& g, ByteProjection& to);

// Of one layer over one chunk.
class ByteSums {
 public:
  ByteSums(const Plan& plan, const Layer& layer, Workspace& work, int steps);

  bool any() const { return !g_.bytes.empty(); }

  // Writes what row `y` of outputs reads as bytes, as far as that was not done for a row before.
  void spread(int y);

  // Adds to the currents of one block at some positions, (positions, steps, lanes); the first one to `base` where that is
  // not null.
  void add(int y, int x, int positions, int block, const float* base, ptrdiff_t stride, float* current) const;

 private:
  void spread_row(const ByteProjection& one, size_t k, int row);
  int8_t* record_of(const ByteProjection& one, size_t k, int row, int x) const;

  const Plan& plan_;
  const Layer& layer_;
  const Gather& g_;
  Workspace& work_;
  const int steps_;
  std::vector<size_t> first_, kept_;  // of each projection: where its bytes and its rows are
  mutable std::vector<const int8_t*> from_;
};

}  // namespace spikewright
