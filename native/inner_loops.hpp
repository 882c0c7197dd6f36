// The inner loops, compiled once for each instruction set and chosen when the engine starts.
//
// Only plain data crosses this border: code compiled for one instruction set must not share inline functions, such as
// those of std::vector, with code that runs everywhere.
#pragma once

#include <cstddef>
#include <cstdint>

namespace spikewright {

// Most timesteps that a layer runs before the next: the spikes of one neuron in a chunk are the bits of two words.
constexpr int max_chunk = 64;

// Steps of a chunk are told in so many bits of each word or byte of a list: short chunks cost little.
static constexpr int span_of(int steps) { return steps <= 8 ? 8 : steps <= 16 ? 16 : steps <= 32 ? 32 : max_chunk; }

// Entries are copied so many at a time, so lists have so much room behind them.
constexpr int list_slack = 16;

// Rows of weights are added so many at a time; rows of zeros make up the number.
constexpr int rows_per_round = 4;

// Positions that are summed before the next block of channels: enough to use weights while they are in the first
// cache, few enough that the sums of several panels stay in the second.
constexpr int tile = 8;

// Neurons that are neighbours both in the source's slots and among the entries of a column: they are copied at once.
// Where several neurons share a point of the operator's grid, as behind an average pool, there are so many `members`,
// each such a sequence; their spikes are added up, and the binary digits of the sums are entries: three spikes are one
// entry for one and one for two.
struct Extent {
  uint32_t first;  // where the first slots of its members are in `slots` of the range
  uint16_t entry, count, members;
};

// Most binary digits of what a neuron sends in a step, where they are kept as trains.
constexpr int max_bits = 4;

// Most binary digits of the number of neurons at one grid point.
constexpr int max_digits = 16;

// Rows of a source that are listed together, so that neurons above one another are one entry where they fire together.
constexpr int max_joined = 3;

// Arguments of transpose_row, which makes of the trains of one row of a source, a word a neuron, bytes by timestep: for
// every octet of a column's entries a byte for each step of the span, the last step first, a bit an entry. Where a range joins no
// rows, entries that never fire are left out, and `entry_of` says which the others are.
struct RowTransposition {
  int span;                      // of the chunk, see span_of()
  const uint32_t *early, *late;  // trains: steps 0 to 31 and, in spans of 64, 32 to 63; the first in the highest bit
  const uint32_t* extent_start;  // (columns + 1)
  const Extent* extents;
  const uint32_t* slots;
  int columns, digits;
  int digit, width;  // entries of one digit, and of a column
  uint32_t* words;   // as many as transposition_words()
  uint8_t* bytes;    // (columns, octets, span)
  uint8_t* fires;    // (columns, octets): whether any byte is not zero
  uint16_t* entry_of;  // (columns, octets, 8): which entries of the column they are; null where none is left out
};

// Words that are needed to put together a column: early and late ones, in whole octets, with eight to spare.
static constexpr int transposition_words(int width) { return 2 * ((width + 7) / 8 * 8 + 8); }

// Arguments of list_rows, which lists the entries of a stack of rows by timestep and, within it, by column. An entry
// stands for some of its `joined` rows: the first, the second, both, the third, and so on. Octets in which no neuron
// fires are left out.
struct Listing {
  int joined, span, steps;
  int columns, octets, column;      // octets and entries of a column
  const uint8_t* bytes[max_joined];  // of each row as from transpose_row; null where there is none
  const uint8_t* fires[max_joined];
  const uint16_t* entry_of;  // where rows are not joined: what to add to the first entry of a column for each
  uint32_t stride;           // entries between the lists of two steps
  uint16_t* list;            // (span, stride), the last step first
  uint32_t* start;           // (octets that are listed + 1, span): where the entries of an octet begin
  uint32_t* before;          // (columns + 1): how many octets are listed before a column
};

// The entries of some columns, which an output position reads.
struct Slice {
  const uint16_t* list;
  const uint32_t *from, *to;  // by timestep of the span, the last first
  uint16_t shift;             // from entries to rows of weights
  bool sparse;                // whether it has entries at few steps
};

// Arguments of assemble: the slices that the list of rows of weights of one output position is copied from, and where
// the list goes.
struct Assembly {
  const Slice *slices, *slices_end;
  uint16_t *rows, *rounds;
};

// The rows of weights that an output position adds up, step after step: `rounds[t]` times `rows_per_round` at step t.
struct RowList {
  const uint16_t *rows, *rounds;
};

// Arguments of add_one_to_one: the spikes of a one-to-one projection, at some positions, as those of Sums.
template <class T>
struct OneToOneSums {
  int steps, positions;
  const uint32_t *early, *late;
  const T* weight;  // (lanes)
  const T* base;    // null where this adds to the currents there are
  T* current;
  ptrdiff_t stride;
};

// Arguments of add_taps: a row of output positions of a convolution of an image of floats, for one block of channels.
struct TapSums {
  int positions;
  ptrdiff_t step;         // in the image, between positions
  const float* image;
  const uint32_t* offset;  // of each tap, from a position's first
  int taps;
  const float* weight;  // (taps, stride)
  ptrdiff_t stride;     // slots between positions, and lanes between the weights of two taps
  const float* from;    // what the taps are added to
  float* to;
};

// Arguments of add_channelwise: the spikes of channels that each have a filter of their own, at some positions; adds to
// the currents there are, as those of Sums.
template <class T>
struct ChannelwiseSums {
  int steps, positions, taps;
  const uint32_t* const* words;  // (positions, taps): of steps 0 to 31, by slot; null where there is no neuron
  ptrdiff_t late;                // from them to the words of steps 32 to 63
  const T* weight;               // (taps, lanes)
  T* current;
};

// Arguments of multiply, which adds to the currents at some positions the products of graded values and weights, for
// all steps.
struct Product {
  int steps, positions, taps, channels;
  const float* const* from;  // (taps, positions): the values of step 0; null where there are none
  ptrdiff_t step;            // values between one step and the next
  int first_channel;
  const float* zeros;        // as many as there are channels
  const float* weight;       // (taps, tap_weights), of which each tap has (channels, vectors)
  ptrdiff_t tap_weights;
  float* current;            // (positions, steps, lanes)
  ptrdiff_t lanes;
};

// Arguments of multiply_channelwise: the same of channels that each have a filter of their own.
struct ChannelwiseProduct {
  int steps, positions, taps;
  const float* const* from;
  ptrdiff_t step;
  const float* weight;  // (taps, vectors)
  float* current;
  ptrdiff_t lanes;
};

// What the neurons of a population do in a step.
struct NeuronRule {
  float decay, v_reset;
  bool subtract;
  int cap;  // spikes a step; 0 for any number
  bool takes_back, no_debt;
};

// Which rules a loop is compiled for: single spikes, a threshold that is subtracted and nothing else; that, and taking
// spikes back; several spikes a step, taken back or not; any.
enum class Firing { plain, both_ways, bursts, any };

// Where numbers go that are too large for the planes of their population: `add` gets `to`, the slot counted from that of
// the first lane of Sums, the step and the number. It counts what is sent where the loop does not. Null where there are
// none.
struct Overflow {
  void (*add)(void* to, ptrdiff_t slot, int t, float number);
  void* to;
};

// Arguments of sum: some output positions of one block of channels, over the timesteps of a chunk; values are float or
// int16_t.
template <class T>
struct Sums {
  int steps, positions;
  // Null where nothing is to be added: neurons fire by the base or, where that is in the currents already, by these, and
  // their potentials after each step take the place of these.
  const RowList* row_lists;
  const T* weight;   // (rows, lanes)
  const T* base;     // what arrives at each step, spikes apart
  T* current;        // (positions, steps, lanes): sums so far; may be null where these are all
  bool first, last;  // of those that make up the current: the last makes neurons fire
  ptrdiff_t stride;  // slots between one position and the next
  T* v;
  float *count, *fired;        // fired may be null: 1 where a neuron ever sent a spike
  const T *threshold, *v_min;  // v_min may be null
  ptrdiff_t neuron_stride;     // of threshold and v_min between positions: stride, or 0
  NeuronRule rule;
  int biased;                  // the first steps, which have a bias of their own
  const T *step_bias, *fired_bias;  // (steps, bias_stride) and (lanes) of this block; fired_bias may be null
  ptrdiff_t bias_stride;
  uint32_t *early, *late;
  int planes;       // of what is sent; see Layer
  ptrdiff_t plane;  // from the words of one plane to those of the next
  bool* several;    // becomes true where words of planes of higher bits are written; else those are zero
  Overflow overflow;
};

// Arguments of step_neurons: one step of a population whose currents are summed already.
struct NeuronStep {
  int neurons;
  float *v, *count, *fired;  // fired may be null
  float* current;            // becomes the number of spikes
  const float *threshold, *v_min;
  bool wide_threshold, wide_v_min;  // whether there is one for each neuron
  NeuronRule rule;
};

// Arguments of chip_event: one event, or one tick, at all neurons of a chip's layer that it reaches: rows and columns of
// positions, in slots of `lanes` 16-bit integers.
struct ChipEvent {
  int rows, columns;
  int16_t* v;          // of the layer
  uint32_t slot;       // of the first position
  uint32_t row_slots;  // between rows; positions lie `lanes` apart
  int lanes;
  const int16_t* weight;  // of the first position
  ptrdiff_t weight_row, weight_column;
  int16_t v_min, threshold, fire_at;  // it fires from fire_at on, and loses the threshold or all it has
  bool subtract, fires;
  uint32_t* fired;  // the slots of neurons that fire, in order; room for all that are reached
};

// Windows of a pool over the steps of a chunk, of as many channels as there are lanes: whole numbers of counts, and trains
// as the bits of words, the first step in the highest bit, of the first 32 steps and of those after them.
constexpr int pool_lanes = 16;
struct PoolWindows {
  int inputs, windows, steps;
  const uint32_t* start;   // (windows + 1): where the inputs of each window begin in `input`
  const uint32_t* input;   // in the order that breaks ties
  bool by_count;           // sends how the largest count changes; else what the first input with the largest one sends
  const uint32_t* spikes;  // (2, inputs, lanes)
  const uint32_t* back;    // the same of spikes that are taken back; null where none are
  int32_t* counts;         // (inputs, lanes): what each input has sent before the chunk; afterwards, with it
  int32_t* largest;        // (windows, lanes): by count
  uint32_t* sent;          // (2, 2, windows, lanes): spikes and what is taken back, the first 32 steps and those after
};

struct ByteLoops;  // see byte_loops.hpp

// The functions of one instruction set.
struct InnerLoops {
  const char* name;
  int width, short_width;  // floats and 16-bit integers of a vector
  int max_vectors;         // of a block of channels
  void (*transpose_row)(const RowTransposition& row);
  void (*list_rows)(const Listing& rows);
  // of at most `tile` positions: the rows of weights of all steps and the number of rounds of each
  void (*assemble)(const Assembly* positions, int count, int steps, int span, uint16_t zeros);
  void (*add_one_to_one)(const OneToOneSums<float>& sums, int vectors);
  void (*add_one_to_one_shorts)(const OneToOneSums<int16_t>& sums, int vectors);
  // of the channels of a block, the first of which is `lane`
  void (*add_channelwise)(const ChannelwiseSums<float>& sums, int vectors, ptrdiff_t lane);
  void (*add_channelwise_shorts)(const ChannelwiseSums<int16_t>& sums, int vectors, ptrdiff_t lane);
  void (*multiply)(const Product& product, int vectors);
  void (*multiply_channelwise)(const ChannelwiseProduct& product, int vectors, ptrdiff_t lane);
  void (*sum)(const Sums<float>& sums, int vectors, Firing firing);
  void (*sum_shorts)(const Sums<int16_t>& sums, int vectors);  // of plain neurons only
  void (*step_neurons)(const NeuronStep& step);
  // index and value of what is not zero; returns how many, and never writes beyond `values` entries
  uint32_t (*compress)(const float* from, int values, uint32_t* index, float* value);
  // values times their scales as 16-bit integers, the nearest or the last there is; of whole vectors
  void (*quantise)(const float* from, const float* scale, int values, int16_t* to);
  void (*add_taps)(const TapSums& sums, int vectors);
  void (*add_row)(float* to, const float* row, float factor, int values);
  uint32_t (*chip_event)(const ChipEvent& event);  // returns how many neurons fire
  void (*pool_windows)(const PoolWindows& windows);
  const ByteLoops* bytes;  // null where weights of 8 bits are taken for floats
};

// The best of this machine, or the named one; null for a name that does not exist or does not run here.
const InnerLoops* find_inner_loops(const char* name);

// Those that run on this machine, the best first; null beyond the last.
const InnerLoops* inner_loops_at(int place);

extern const InnerLoops inner_loops_portable, inner_loops_wide;
#ifdef SPIKEWRIGHT_X86
extern const InnerLoops inner_loops_avx2, inner_loops_avx512;
#endif
#ifdef SPIKEWRIGHT_ARM64
extern const InnerLoops inner_loops_neon;
#endif

}  // namespace spikewright
