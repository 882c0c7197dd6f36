// Layers whose currents are summed output by output.
//
// Scattering an event reads and writes a row of membrane for each row of weights. Where all spikes that a layer reads
// are single and lie on a grid, it is better to stand at one output position, keep its potentials in registers for
// all timesteps of a chunk, and add up only rows of weights: half the memory traffic, and the neurons cost nothing
// extra.
//
// The spikes of rows of the source are listed by timestep and column, so that what an output position reads of them lies
// together. For each position these pieces are put together to one list of rows of weights, which serves
// all blocks of channels. Weights that would not stay in the cache are split into passes, each with some rows of
// the kernel and some channels of the source.
#pragma once

#include <memory>
#include <vector>

#include "aligned.hpp"
#include "kernels.hpp"
#include "plan.hpp"
#include "shape.hpp"

namespace spikewright {

// Some channels of one source, on the grid of the operator. The taps of its kernel are rows that are listed one by one
// or, where `joined` is more than one, in stacks: neurons above one another that fire together are then one entry.
struct Part {
  int source = 0, projection = 0;
  int columns = 1, first_channel = 0, channels = 1;
  int digits = 1;                      // of the number of neurons that stand at one place
  std::vector<int> tap_rows;           // (row of outputs, tap): the row that is read (a depth and a height), or -1
  int taps = 1, joined = 1;
  int reach = 1, stride = 1, low = 0;  // columns that a group of positions reads
  std::vector<int> first;              // of each stack, the first row of weights: (column, digit, channel, ways to fire)
  int ring = 1;                        // rows that are kept
  std::vector<uint32_t> run_start;     // (row, column + 1)
  std::vector<Run> runs;
  std::vector<uint32_t> slots;         // of the members of runs

  int stacks() const { return (taps + joined - 1) / joined; }
  int lists() const { return joined > 1 ? stacks() : ring; }  // that are kept
  int ways() const { return (1 << joined) - 1; }              // in which some of the joined taps fire
  int width() const { return digits * channels; }             // of a column
  int eights() const { return (width() + 7) / 8; }            // of a column
  int column() const { return width() * ways(); }             // entries of a column
  int rows() const { return reach * column(); }               // of weights, of one stack
  uint32_t list_stride() const { return uint32_t(columns * width() + list_slack); }
};

struct Stack {
  int part, at;
};

// Stacks whose weights fit the cache together.
struct Pass {
  std::vector<Stack> stacks;
  int first = 0, rows = 0;        // of weights; one of zeros follows them
  std::vector<uint8_t> in_block;  // whether any of its weights is not zero, by block
  int capacity = 0;               // most rows of weights at one step
};

// What a layer adds up and compares, as floats or as 16-bit integers.
template <class T>
struct Values {
  Aligned<T> weight;                    // (block, rows, lanes)
  Aligned<T> direct;                    // (shortcut, block, lanes)
  Aligned<T> threshold, v_init, v_min;  // by slot, or (group, padded) where all positions agree
};

// A projection each of whose spikes arrives at the neuron in its place.
struct Shortcut {
  int source = 0, projection = 0;
};

struct Gather {
  int height = 1, width = 1;    // of the outputs; the width in groups
  int group = 1;                // positions side by side that are summed as one
  int vectors = 1, blocks = 1;  // of each group: blocks of so many vectors
  int lanes = 1;                // channels of a block, padding included
  int rows = 0;                 // of weights
  bool per_neuron = false;
  std::vector<Part> parts;
  std::vector<Pass> passes;
  std::vector<Shortcut> shortcuts;
  Values<float> floats;    // of these two one is used
  Values<int16_t> shorts;
  std::vector<float> scale;  // of each padded channel of a group, from floats to 16-bit integers; empty for floats

  int at_once() const { return width < tile ? width : tile; }  // positions
  // Values of the currents of so many positions and steps, where these come about bit by bit or are wanted as such.
  size_t currents(bool output, int steps) const {
    const bool kept = passes.size() > 1 || !shortcuts.empty() || output;
    return kept ? size_t(at_once()) * size_t(steps) * size_t(lanes) : 0;
  }
};

// The gathering form of a layer, or null where it has none; in 16-bit integers if asked for and possible. Sets the
// layer's slots.
std::shared_ptr<Gather> make_gather(const std::vector<Layer>& layers, Layer& layer, const Kernels& kernels, bool narrow);

// What the layer adds up and compares, put where its parts, passes and slots say.
void pack_weights(const Layer& layer, const std::vector<Shape>& shapes, const Kernels& kernels, bool narrow, Gather& g);

}  // namespace spikewright
