// The inner loops, compiled once for each instruction set and chosen when the engine starts.
//
// Only plain data crosses this border: code compiled for one instruction set must not share inline functions, such as
// those of std::vector, with code that runs everywhere.
#pragma once

#include <cstddef>
#include <cstdint>

namespace spikewright {

// Most timesteps that a layer runs before the next: the spikes of one neuron in a chunk are the bits of two words.
constexpr int most_chunk = 64;

// Entries are copied so many at a time, so lists have so much room behind them.
constexpr int list_slack = 16;

// Rows of weights are added so many at a time; rows of zeros make up the number.
constexpr int group_size = 4;

// Positions that are summed before the next block of channels: enough to use weights while they are in the first
// cache, few enough that the sums of several passes stay in the second.
constexpr int tile = 8;

// Neurons that are neighbours both in the source's slots and among the entries of a row.
struct Run {
  uint32_t slot;
  uint16_t entry, count;
};

// What lists the spikes of one row of a source by timestep and, within it, by column.
struct Listing {
  const uint32_t *early, *late;  // trains: steps 0 to 31 and 32 to 63, the first in the highest bit
  const uint32_t* run_start;     // (columns + 1)
  const Run* runs;
  int columns, steps;
  uint32_t stride;   // entries between the lists of two steps
  uint16_t* list;    // (most_chunk, stride)
  uint32_t* start;   // (columns + 1, most_chunk): where the entries of a column begin
};

// The columns of one row that an output position reads.
struct Slice {
  const uint16_t* list;
  const uint32_t *from, *to;  // by timestep
  uint16_t shift;             // from entries to rows of weights
};

// What the list of rows of weights of one output position is put together from, and where it goes.
struct Assembly {
  const Slice *slices, *slices_end;
  uint16_t *rows, *groups;
};

// The rows of weights that an output position adds up: `groups[t]` times `group_size` of them at step t.
struct Window {
  const uint16_t *rows, *groups;
};

// Some output positions of one block of channels, over the timesteps of a chunk; values are float or int16_t.
template <class T>
struct Sums {
  int steps, positions;
  const Window* windows;
  const T* weight;   // (rows, lanes)
  const T* base;     // what arrives at each step, spikes apart
  T* current;        // (positions, steps, lanes): sums so far; may be null where these are all
  bool first, last;  // of those that make up the current: the last makes neurons fire
  ptrdiff_t stride;  // slots between one position and the next
  T* v;
  float* count;
  const T *threshold, *v_min;  // v_min may be null
  ptrdiff_t neuron_stride;     // of threshold and v_min between positions: stride, or 0
  T decay, v_reset;
  bool subtract;
  uint32_t *early, *late;
};

// One step of a population whose currents are summed already.
struct Step {
  int neurons;
  float *v, *count;
  float* current;  // becomes the number of spikes
  const float *threshold, *v_min;
  bool wide_threshold, wide_v_min;  // whether there is one for each neuron
  float decay, v_reset;
  bool subtract;
  int cap;
};

struct Kernels {
  const char* name;
  int width, short_width;  // floats and 16-bit integers of a vector
  int most_vectors;        // of a block of channels
  void (*list_row)(const Listing& to);
  // of at most `tile` positions: the rows of weights of all steps and the number of groups of each
  void (*assemble)(const Assembly* positions, int count, int steps, uint16_t zeros);
  void (*sum)(const Sums<float>& sums, int vectors, bool plain);
  void (*sum_shorts)(const Sums<int16_t>& sums, int vectors);  // of plain neurons only
  void (*step)(const Step& step);
  // index and value of what is not zero; returns how many, and never writes beyond `values` entries
  uint32_t (*compress)(const float* from, int values, uint32_t* index, float* value);
  // values times their scales as 16-bit integers, the nearest or the last there is; of whole vectors
  void (*narrow)(const float* from, const float* scale, int values, int16_t* to);
  void (*add_row)(float* to, const float* row, float factor, int values);
};

// The best of this machine, or the named one; null for a name that does not exist or does not run here.
const Kernels* find_kernels(const char* name);

extern const Kernels kernels_portable, kernels_wide;
#ifdef SPIKEWRIGHT_X86
extern const Kernels kernels_avx2, kernels_avx512;
#endif

}  // namespace spikewright
