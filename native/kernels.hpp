// The inner loops, compiled once for each instruction set and chosen when the engine starts.
//
// Only plain data crosses this border: code compiled for one instruction set must not share inline functions, such as
// those of std::vector, with code that runs everywhere.
#pragma once

#include <cstddef>
#include <cstdint>

namespace spikewright {

// Weights and listed spikes that one source brings to a row of outputs.
struct RowSource {
  const uint32_t* list;   // offsets of weight rows, by timestep and within it by column
  const uint32_t* start;  // (width + 1, chunk): where the events of each column and timestep begin
  const float* weight;    // of one block of filters
  ptrdiff_t column;       // floats of weight between one column of the kernel and the next
  int width, kernel, stride, low;
};

constexpr int most_sources = 8;

// One row of outputs of one block of filters, over the timesteps of a chunk.
struct Row {
  int steps, chunk, positions;
  ptrdiff_t padded;  // floats between one position and the next
  float *v, *count;
  const float *base, *threshold, *v_min;  // v_min may be null
  ptrdiff_t neuron_stride;                // of threshold and v_min between positions: padded, or 0
  float decay, v_reset;
  bool subtract;
  uint8_t* masks;            // first byte of this block at the first position
  ptrdiff_t mask_position, mask_step;  // bytes
  int sources;
  RowSource source[most_sources];
};

// A word of a spike mask and the offset of its first channel's weights.
struct ListedWord {
  uint32_t mask, offset;
};

// What lists the spikes in reach of one row of outputs.
struct Listing {
  const uint32_t* masks;
  ptrdiff_t mask_step;        // words between one timestep and the next
  int steps, chunk, columns;
  const uint32_t* word_start;  // (columns + 1)
  const ListedWord* words;
  const uint16_t* table;  // (256, 8): offsets of the set bits of a byte
  uint32_t lanes;         // floats of weight between one channel and the next
  uint32_t* list;         // written eight at a time
  uint32_t* start;        // (columns + 1, chunk)
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
  int width;         // floats of a vector
  int most_vectors;  // of a block of filters
  void (*gather_row)(const Row& row, int vectors, bool plain);
  void (*list_row)(const Listing& to, int bytes);  // 1, 2 or 4 bytes of each word
  void (*step)(const Step& step);
  // index and value of what is not zero; returns how many, and never writes beyond `values` entries
  uint32_t (*compress)(const float* from, int values, uint32_t* index, float* value);
  void (*add_row)(float* to, const float* row, float factor, int values);
};

// The best of this machine, or the named one; null for a name that does not exist or does not run here.
const Kernels* find_kernels(const char* name);

extern const Kernels kernels_portable, kernels_wide;
#ifdef SPIKEWRIGHT_X86
extern const Kernels kernels_avx2, kernels_avx512;
#endif

}  // namespace spikewright
