// Layers whose currents are summed output by output.
//
// Scattering an event reads and writes a row of membrane for each row of weights. Where all spikes that a layer reads
// are single and lie on a grid, it is better to stand at one output position, keep its potentials in registers for
// all timesteps of a chunk, and add up only rows of weights: half the memory traffic, and the neurons cost nothing
// extra. For this the spikes in reach of one row of outputs are listed by timestep and column, once for the row.
#pragma once

#include <memory>
#include <vector>

#include "plan.hpp"

namespace spikewright {

// One 32-bit word of a source's spike mask, whose first bit is a channel of some cell of the operator's grid.
struct Task {
  uint32_t row, word;  // of the source's mask, (row, step, words of the row)
  uint32_t bits, channel;
};

struct GatherSource {
  int source = 0;
  int height = 1, width = 1, channels = 1;  // the operator's grid
  int kernel_y = 1, kernel_x = 1, stride_y = 1, stride_x = 1, low_y = 0, low_x = 0, dilation_y = 1;
  std::vector<uint32_t> task_start;  // by (row, column)
  std::vector<Task> tasks;
  uint32_t capacity = 0;             // most events in reach of a row of outputs at one step
  int bytes = 4;                     // of each word that hold channels
  std::vector<float> weight;         // (block, kernel x, kernel y, channel, lanes of the block)
};

struct Gather {
  int height = 1, width = 1;        // of the outputs
  int vectors = 1, blocks = 1;      // of each position: blocks of so many vectors
  int lanes = 1;                    // channels of a block, padding included
  int padded = 1;                   // channels of a position, padding included
  std::vector<GatherSource> sources;
  std::vector<float> threshold, v_init, v_min;  // (position, padded), or (padded) where all positions agree
  bool per_neuron = false;
  std::vector<uint16_t> table;      // offsets of the set bits of a byte, times lanes: (256, 8)
};

// The gathering form of a layer, or null where it has none. Sets the words of the layer's own mask.
std::shared_ptr<Gather> make_gather(const std::vector<Layer>& layers, Layer& layer, const Kernels& kernels);

}  // namespace spikewright
