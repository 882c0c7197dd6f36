// Layers whose currents are summed output by output.
//
// Scattering an event reads and writes a row of membrane for each row of weights. Where all spikes that a layer reads
// are single and lie on a grid, it is better to stand at one output position, keep its potentials in registers for
// all timesteps of a chunk, and add up only rows of weights: half the memory traffic, and the neurons cost nothing
// extra.
//
// The spikes of rows of the source are listed by timestep and column, so that what an output position reads of them is
// a slice. For each position its slices are copied into one list of rows of weights, which serves all blocks of
// channels. Weights that would not stay in the cache are split into panels, each with some rows of the kernel and some
// channels of the source. README.md explains this with a picture and an example.
#pragma once

#include <memory>
#include <vector>

#include "aligned.hpp"
#include "inner_loops.hpp"
#include "plan.hpp"
#include "operator_grid.hpp"

namespace spikewright {

// A range of the channels of one source, on the grid of the operator. The taps of its kernel are rows that are listed
// one by one or, where `joined` is more than one, in stacks: neurons above one another that fire together are then one
// entry.
struct ChannelRange {
  int source = 0, projection = 0;
  int columns = 1, first_channel = 0, channels = 1;  // channels of all planes of the source, one plane after the other
  int digits = 1;                      // of the number of neurons at one grid point
  double use = 1;                      // how often a channel fires, on average, as a share of those of the first plane
  bool higher = false;                 // whether planes are those of bits higher than the lowest, which are often silent
  std::vector<int> tap_rows;           // (row of outputs, tap): the row that is read (a depth and a height), or -1
  int taps = 1, joined = 1;
  int reach = 1, stride = 1, low = 0;  // columns that fused positions read
  std::vector<int> first;              // of each stack, the first row of weights: (column, digit, channel, way to fire)
  int ring = 1;                        // rows that are kept
  std::vector<uint32_t> extent_start;     // (row, column + 1)
  std::vector<Extent> extents;
  std::vector<uint32_t> slots;         // of the members of extents

  int stacks() const { return (taps + joined - 1) / joined; }
  int lists() const { return joined > 1 ? stacks() : ring; }  // that are kept
  int ways() const { return (1 << joined) - 1; }              // in which some of the joined taps fire
  int width() const { return digits * channels; }             // of a column
  int octets() const { return (width() + 7) / 8; }            // of a column
  int column() const { return width() * ways(); }             // entries of a column
  int rows() const { return reach * column(); }               // of weights, of one stack
  uint32_t list_stride() const { return uint32_t(columns * width() + list_slack); }
};

// One stack of a range: `at` of `ranges[range]`.
struct Stack {
  int range, at;
};

// Stacks whose weights fit the cache together.
struct Panel {
  std::vector<Stack> stacks;
  int first = 0, rows = 0;        // of weights; one of zeros follows them
  std::vector<uint8_t> in_block;  // whether any of its weights is not zero, by block
  int capacity = 0;               // most rows of weights at one step
};

// What a layer adds up and compares, as floats or as 16-bit integers.
template <class T>
struct Parameters {
  Aligned<T> weight;                    // (block, rows, lanes)
  Aligned<T> one_to_one;                // (projection, block, lanes)
  Aligned<T> channelwise, graded;       // see their projections
  Aligned<T> threshold, v_init, v_min;  // by slot, or (fused, padded) where all positions agree
  Aligned<T> step_bias, fired_bias;     // (steps, fused, padded) and (fused, padded)
};

// A projection each of whose spikes arrives at the neuron with its own slot, as over the shortcut of a residual block:
// one plane of it.
struct OneToOneProjection {
  int source = 0, projection = 0, plane = 0;
  float value = 1;  // of the plane
  bool higher = false;  // as of ChannelRange
};

// What each output position reads of a source by a kernel that slides over a grid, whose points stand in the source's
// slots, or in a copy that is ordered by the grid.
struct SlidingTaps {
  int source = 0, projection = 0;
  int columns = 1, row_taps = 1, kernel = 1, stride = 1, low = 0, dilation = 1;
  std::vector<int> tap_rows;         // (row of outputs, row tap), as of OperatorGrid
  ptrdiff_t row = 0, column = 0;     // slots between rows and columns of the grid
  std::vector<uint32_t> from, to;    // where values are copied to a grid: slots of the source, and places of the copy
  size_t copied = 0;                 // places of the copy

  int taps() const { return row_taps * kernel; }
};

// A projection from channels that send spikes and have a filter each: one plane of it.
struct ChannelwiseProjection {
  SlidingTaps taps;
  int plane = 0;
  float value = 1;   // of the plane
  bool higher = false;  // as of ChannelRange
  size_t first = 0;  // of its weights in Parameters::channelwise: (block, tap, lanes)
};

// A projection of graded values, which a relay sends.
struct GradedProjection {
  SlidingTaps taps;
  bool channelwise = false;  // whether channels have a filter each
  int channels = 1;
  size_t first = 0;               // of its weights in Parameters::graded: (block, tap, channel, lanes of one position)
  std::vector<int> begin, end;    // of channels that reach a block
};

// A projection of spikes whose weights are whole multiples of a scale for each channel, so small that they are bytes. What
// its source sends is written as bytes too, those that a position reads of one row as a record, and multiplied, silent or
// not: machines do so many of these products at once that lists do not pay.
struct ByteProjection {
  ChannelRange range;           // what is read, of the first plane; neither joined nor with digits
  std::vector<int8_t> values;   // of a spike, by plane
  int record = 0;               // bytes, in whole tiles
  Aligned<int8_t> weight;       // see ByteProduct, by block
  std::vector<float> scales;    // of whole numbers, by output channel
  Aligned<float> scale;         // the same, (blocks, lanes)

  // Bytes of one row of the source for all positions and steps.
  size_t row_bytes(int width, int steps) const { return size_t(width) * size_t(steps) * size_t(record); }
};

// The gathering form of a layer.
struct Gather {
  int height = 1, width = 1;    // of the outputs; the width in fused positions
  int fused = 1;                // positions side by side that are summed as one
  int vectors = 1, blocks = 1;  // of fused positions: blocks of so many vectors
  int lanes = 1;                // channels of a block, padding included
  int rows = 0;                 // of weights
  bool per_neuron = false;
  std::vector<ChannelRange> ranges;
  std::vector<Panel> panels;
  std::vector<OneToOneProjection> one_to_one;
  std::vector<ChannelwiseProjection> channelwise;
  std::vector<GradedProjection> graded;
  std::vector<ByteProjection> bytes;
  Parameters<float> floats;    // of these two one is used
  Parameters<int16_t> shorts;
  std::vector<float> scale;  // from floats to 16-bit integers: (fused, padded); empty for floats

  int at_once() const { return width < tile ? width : tile; }  // positions
  int own_lanes() const { return lanes / fused; }  // of one position
  // Whether something arrives that is not listed.
  bool adds_unlisted() const { return !one_to_one.empty() || !channelwise.empty() || !graded.empty(); }
  // Values of the currents of so many positions and steps, where these come about bit by bit or are wanted as such.
  size_t currents(bool wanted, int steps) const {
    const bool kept = panels.size() > 1 || adds_unlisted() || !bytes.empty() || wanted;
    return kept ? size_t(at_once()) * size_t(steps) * size_t(lanes) : 0;
  }
};

// The gathering form of a layer, or null where it has none; in 16-bit integers if asked for and possible. Sets the
// layer's slots.
std::shared_ptr<Gather> make_gather(const std::vector<Layer>& layers, Layer& layer, const InnerLoops& loops,
                                    bool int16);

// Weights of output channel `out` of an operator from channel `channel` of its grid, by tap and column of the kernel;
// null where these are in different groups. `stride` becomes the weights between one and the next.
const float* weight_of(const Projection& p, const Layer& layer, int channel, int out, ptrdiff_t& stride);

// What the layer adds up and compares, in the order of its ranges, panels and slots.
void pack_weights(const Layer& layer, const std::vector<OperatorGrid>& grids, const InnerLoops& loops, bool int16,
                  Gather& g);

}  // namespace spikewright
