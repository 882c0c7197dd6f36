// An operator as gathering sees it: rows of a grid whose columns a kernel slides over.
#pragma once

#include <vector>

#include "plan.hpp"

namespace spikewright {

struct OperatorGrid {
  int rows = 1, columns = 1, channels = 1, groups = 1;
  std::vector<float> planes{1};                       // of the source, by what each stands for; see Layer
  int out_rows = 1, out_columns = 1;
  int kernel = 1, stride = 1, low = 0, dilation = 1;  // along columns
  int taps = 1, ring = 1;                             // rows that an output reads, and those from its first to its last
  double crowding = 1;                                // neurons that share a point of the grid, on average
  int digits = 1;                                     // of the largest such number
  bool one_to_one = false;                            // whether each spike arrives at one neuron, that of its own index
  std::vector<int> tap_rows;                          // (row of outputs, tap), -1 where there is no such row

  int lines() const { return int(planes.size()) * channels; }  // channels of all planes

  // Columns that so many positions side by side read.
  int reach(int positions) const { return (kernel - 1) * dilation + 1 + (positions - 1) * stride; }
};

// False where the operator is none that slides over a grid.
bool find_operator_grid(const Layer& layer, const Projection& projection, OperatorGrid& to);

}  // namespace spikewright
