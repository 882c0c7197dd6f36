// The inner loops of weights of 8 bits: what a source sends is written as bytes, and multiplied whether it is silent or
// not. As in inner_loops.hpp only plain data crosses this border.
#pragma once

#include <cstddef>
#include <cstdint>

#include "inner_loops.hpp"

namespace spikewright {

// Bytes of a row of a tile, and lanes and rows of one: a tile of weights holds, four channels at a time, those of so many
// lanes.
constexpr int byte_tile = 64, byte_lanes = 16, byte_group = 4, byte_tile_rows = 16;

// Bytes are written so many at a time: the last ones of a record may lie behind its channels.
constexpr int byte_slack = 16;

// Arguments of spread: what the neurons of one column of a source send, as a byte a channel, step after step.
struct ByteColumn {
  int steps, channels;
  const uint32_t *early, *late;  // trains of the first plane, as of RowTransposition
  ptrdiff_t plane;               // from one plane to the next
  const int8_t* values;          // of a spike, by plane
  int planes;
  const Extent *extents, *extents_end;
  const uint32_t* slots;
  int8_t* to;        // where the bytes of step 0 go in the first record that holds the column; it is written
  int copies;        // records that do
  ptrdiff_t next;    // from one of them to the next
  ptrdiff_t record;  // bytes between one step and the next
};

// Arguments of multiply: what some positions read of a source, a row for each step of each, times weights of 8 bits, for
// one block of channels.
struct ByteProduct {
  int positions, steps;
  int parts;                  // rows of the source that a position reads
  const int8_t* const* from;  // (parts): the record of the first position and step; null where there is no such row
  ptrdiff_t record;           // bytes between one step, or position, and the next; whole tiles
  const int8_t* weight;       // (parts, tiles of a record, tiles of lanes, byte_tile / byte_group, byte_lanes, byte_group)
  int lanes;                  // whole tiles
  const float* scale;         // (lanes): of whole numbers
  const float* base;          // what the sums are added to; null where that is `current`
  ptrdiff_t stride;           // of base, from one position to the next
  float* current;             // (positions, steps, lanes)
};

// Numbers are from −127 to 127, and sums of their products less than 2 ** 31: whole, whatever the order.
struct ByteLoops {
  void (*spread)(const ByteColumn& column);
  void (*multiply)(const ByteProduct& product);
};

// In plain code, for tests; and with the tiles that AMX has, null where this machine or its system does not.
extern const ByteLoops byte_loops_plain;
const ByteLoops* find_byte_loops_amx();

}  // namespace spikewright
