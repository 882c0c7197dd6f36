// What arrives at a gathering layer without being listed: the spikes of channels that have a filter each, as in a
// depthwise convolution, from the words of their trains; graded values, which relays send, as products over all steps of
// a chunk; and numbers that are too large for trains, one by one. See README.md.
#pragma once

#include <vector>

#include "gather.hpp"
#include "run.hpp"

namespace spikewright {

// How a kernel slides over the neurons of a source whose slots the grid can be read from as they are; false where it
// cannot, which `copies` makes up for.
bool find_sliding_taps(const Layer& source, const Projection& p, const OperatorGrid& grid, SlidingTaps& to);

// How a grid is read from a copy, whose points lie `padded` places apart.
void copy_to_grid(const Layer& source, const Projection& p, const OperatorGrid& grid, int padded, SlidingTaps& to);

// Of one layer over one chunk.
class Unlisted {
 public:
  Unlisted(const Plan& plan, const Layer& layer, Workspace& work, int steps);

  // Whether there is anything that is not listed: in this chunk, as far as large numbers go.
  bool any() const { return g_.adds_unlisted() || large_; }

  // Finds what is read at some output positions of row `y`, counted in fused ones.
  void find(int y, int x, int positions);

  // Adds to the currents of one block there, (positions, steps, lanes).
  void add(int block, const Parameters<float>& values, float* current) const;
  void add(int block, const Parameters<int16_t>& values, int16_t* current) const;

 private:
  template <class T, class Add>
  void add_spikes(int block, const Aligned<T>& weight, T* current, const Add& add) const;
  template <class T>
  void find_taps(const SlidingTaps& taps, const T* values, int y, int x, int positions, bool by_position,
                 std::vector<const T*>& to) const;
  void multiply(const GradedProjection& graded, size_t k, int member, int block, const Aligned<float>& weight,
                float* current) const;
  const float* values_of(const GradedProjection& graded) const;
  ptrdiff_t step_of(const GradedProjection& graded) const;

  const Plan& plan_;
  const Layer& layer_;
  const Gather& g_;
  Workspace& work_;
  const int steps_;
  void scatter_large();
  void add_large(int block, float* current) const;

  bool large_ = false;
  int positions_ = 0, first_ = 0, column_ = 0;  // those of the tile: how many, the first, and its place in its row
  std::vector<std::vector<const uint32_t*>> words_;  // of each channelwise projection, (positions, taps)
  std::vector<std::vector<const float*>> values_;    // of each graded projection and fused position, (taps, positions)
  std::vector<size_t> grids_;                        // of each graded projection, where its copy is
  std::vector<float> zeros_;
};

}  // namespace spikewright
