#include "gather.hpp"

#include <algorithm>
#include <limits>

#include "bytes.hpp"
#include "unlisted.hpp"

namespace spikewright {
namespace {

constexpr int cached_bytes = 112 << 10;  // of a panel's weights; those in use most should be in the first cache
constexpr int max_entries = 65535;      // entries and rows of weights are 16-bit

// What times are estimated from: how many neurons fire at a step, and what each position and step costs, apart from a
// half cycle for each vector that is added. Where several neurons share a grid point, digits are fewer than spikes.
constexpr double usual_rate = 0.07, digits_per_spike = 0.65, step_cycles = 30;
constexpr int usual_steps = 8;

// Spikes of any other plane, as a share of those of the first: some are taken back, and few are large.
constexpr double taken_back = 0.3, other_bits = 0.1;

// Channels of planes that are listed together: those of the lowest bit, or of all others.
struct Lines {
  int first, end;
  double use;  // of a channel, as of ChannelRange
  bool higher;
};

Lines lowest_bit_of(const Layer& source, const OperatorGrid& grid) {
  return {0, source.low_planes() * grid.channels, source.takes_back ? (1 + taken_back) / 2 : 1, false};
}

Lines other_bits_of(const Layer& source, const OperatorGrid& grid) {
  return {source.low_planes() * grid.channels, grid.lines(), other_bits, true};
}

// Rows of weights that a position adds at a step, on average.
double usual_rows(const Layer& source, const OperatorGrid& grid, int fused) {
  const Lines lowest = lowest_bit_of(source, grid), others = other_bits_of(source, grid);
  const double lines = lowest.end * lowest.use + (others.end - others.first) * others.use;
  const double entries = usual_rate * grid.crowding * (grid.digits > 1 ? digits_per_spike : 1);
  return entries * grid.taps * grid.reach(fused) * lines;
}

// Bytes of what a position reads of a row, in whole tiles.
int record_of(const OperatorGrid& grid, int fused) {
  const int slack = grid.channels % byte_slack ? byte_slack - 1 : 0;
  return (grid.reach(fused) * grid.channels + slack + byte_tile - 1) / byte_tile * byte_tile;
}

// Cycles that a position takes at a step where weights of 8 bits are multiplied as bytes: more than one for a row of a
// tile, since weights come from the second cache, or from beyond it.
double byte_cycles(const Layer& layer, const OperatorGrid& grid, int fused, int lanes) {
  const double tiles = double(grid.taps) * record_of(grid, fused) / byte_tile * lanes / byte_lanes;
  const bool far = tiles * byte_tile * byte_lanes * (layer.channels * fused / double(lanes)) > 1 << 20;
  const int rows = layer.positions * usual_steps;  // that read a weight
  return tiles * (1.5 + (far ? 4.0 : 1.0) * (rows < 32 ? 32.0 / rows : 1)) + grid.kernel * 4.0;
}

// Fusing many positions wastes additions on zeros and saves the work that each position and step costs.
int best_fusion(const std::vector<Layer>& layers, const Layer& layer, const std::vector<OperatorGrid>& grids,
                const std::vector<std::vector<float>>& scales, int width, int vectors, int max_vectors) {
  int best = 1;
  double least = std::numeric_limits<double>::infinity();
  for (int fused = 1; fused * vectors <= max_vectors && fused <= width; ++fused) {
    double cycles = step_cycles;
    for (size_t k = 0; k < grids.size(); ++k) {
      const OperatorGrid& s = grids[k];
      if (s.one_to_one || s.planes.empty()) continue;
      const Layer& source = layers[size_t(layer.projections[k].source)];
      cycles += !scales[k].empty() ? byte_cycles(layer, s, fused, fused * vectors * byte_lanes)
                         : usual_rows(source, s, fused) * std::max(1.0, 0.5 * fused * vectors);
    }
    cycles *= double((width + fused - 1) / fused);
    if (cycles < least) least = cycles, best = fused;
  }
  return best;
}

// Adds the extents of one cell, whose neurons, an entry and a slot each, are in order.
void add_extents(const std::vector<std::pair<uint16_t, uint32_t>>& neurons, ChannelRange& range) {
  const size_t first = range.extents.size();
  for (size_t i = 0, end; i < neurons.size(); i = end) {
    const uint16_t entry = neurons[i].first;
    for (end = i + 1; end < neurons.size() && neurons[end].first == entry;) ++end;
    const size_t members = end - i;
    if (range.extents.size() > first) {
      Extent& last = range.extents.back();
      bool next = last.members == members && last.entry + last.count == entry;
      for (size_t m = 0; next && m < members; ++m) {
        next = range.slots[last.first + m] + last.count == neurons[i + m].second;
      }
      if (next) {
        ++last.count;
        continue;
      }
    }
    range.extents.push_back({uint32_t(range.slots.size()), entry, 1, uint16_t(members)});
    for (size_t m = i; m < end; ++m) range.slots.push_back(neurons[m].second);
  }
}

// The neurons of a source by grid point, as far as their channels belong to the range.
void find_extents(const Layer& source, const Projection& p, const OperatorGrid& grid, ChannelRange& range) {
  std::vector<std::vector<std::pair<uint16_t, uint32_t>>> cells(size_t(grid.rows) * size_t(grid.columns));
  for (int position = 0; position < source.positions; ++position) {
    for (int c = 0; c < source.channels; ++c) {
      const int32_t at = p.at(uint32_t(position * source.channels + c));
      if (at < 0) continue;
      for (int plane = 0; plane < source.planes(); ++plane) {
        const int line = plane * grid.channels + at % grid.channels - range.first_channel;
        if (line < 0 || line >= range.channels) continue;
        const size_t slot = size_t(plane) * source.slots() + source.slot(position) + size_t(c);
        cells[size_t(at / grid.channels)].emplace_back(uint16_t(line), uint32_t(slot));
      }
    }
  }
  for (size_t row = 0, cell = 0; row < size_t(grid.rows); ++row) {
    for (int x = 0; x < grid.columns; ++x, ++cell) {
      range.extent_start.push_back(uint32_t(range.extents.size()));
      std::sort(cells[cell].begin(), cells[cell].end());
      add_extents(cells[cell], range);
    }
    range.extent_start.push_back(uint32_t(range.extents.size()));
  }
}

// Rows of weights of a channel and column that are in use often enough to be worth their room in the cache: second
// digits are rarer than first ones, and so are the spikes of other planes.
double cached_rows(const ChannelRange& range) {
  return range.use * (range.digits > 1 ? (range.ways() * 3 + 1) / 2 : range.ways());
}

// The ranges of some lines of one projection: all of them, or so few that the weights of one stack fit the cache. Where channels are
// grouped, ranges are small, so that most meet few blocks. False where entries would not be 16-bit.
bool add_ranges(const Layer& source, const Layer& layer, int projection, const OperatorGrid& grid, const Lines& lines,
                int rows_in_cache, Gather& g) {
  const int all = lines.end - lines.first;
  if (!all) return true;
  const Projection& p = layer.projections[size_t(projection)];
  ChannelRange range;
  range.source = p.source, range.projection = projection;
  range.columns = grid.columns, range.digits = grid.digits, range.use = lines.use, range.higher = lines.higher;
  range.tap_rows = grid.tap_rows, range.taps = grid.taps, range.ring = grid.ring;
  range.reach = grid.reach(g.fused), range.stride = grid.stride * g.fused, range.low = grid.low;
  const int columns = std::max(range.columns, range.reach);
  const auto fits = [&](int channels, int joined) {
    return int64_t(columns) * channels * grid.digits * ((1 << joined) - 1) <= max_entries;
  };
  int most = grid.groups > 1 ? std::min(grid.channels, g.lanes) : all;
  const int joined = std::min(grid.taps, max_joined);
  const bool joins = grid.digits == 1 && !lines.higher && fits(most, joined);
  if (joins && range.use * range.reach * most * ((1 << joined) - 1) <= rows_in_cache) range.joined = joined;
  most = std::min(most, std::max(1, int(rows_in_cache / range.reach / cached_rows(range))));
  while (most > 1 && !fits(most, range.joined)) most = (most + 1) / 2;
  if (!fits(most, range.joined)) return false;
  const int count = (all + most - 1) / most;
  most = (all + count - 1) / count;
  for (int first = lines.first; first < lines.end; first += most) {
    ChannelRange& one = g.ranges.emplace_back(range);
    one.first_channel = first, one.channels = std::min(most, lines.end - first);
    find_extents(source, p, grid, one);
  }
  return true;
}

// Stacks in order, as many in a panel as fit. Those of grouped ranges, which few blocks need, stay apart where adding
// zeros in the other blocks would take longer than another panel does. False where more rows of weights could meet at a
// position and step than 16 bits of rounds count, or rows would not be 16-bit.
bool make_panels(const Layer& layer, int rows_in_cache, Gather& g) {
  const auto alone = [&](const ChannelRange& range) {
    const double cycles = usual_rate * range.joined * range.reach * range.channels * 0.5 * g.vectors * (g.blocks - 1);
    return layer.projections[size_t(range.projection)].groups > 1 && cycles > step_cycles;
  };
  int64_t rows = 0;
  double cached = 0;
  int last = 0;
  for (int k = 0; k < int(g.ranges.size()); ++k) {
    ChannelRange& range = g.ranges[size_t(k)];
    for (int at = 0; at < range.stacks(); ++at) {
      const double more = range.reach * range.channels * cached_rows(range);
      const bool apart = last != k && (alone(range) || alone(g.ranges[size_t(last)]));
      if (g.panels.empty() || cached + more > rows_in_cache || apart) {
        rows += !g.panels.empty();  // of zeros
        g.panels.emplace_back().first = int(rows), cached = 0;
      }
      Panel& panel = g.panels.back();
      panel.stacks.push_back({k, at});
      panel.capacity += std::min(range.reach, range.columns) * range.width();
      range.first.push_back(int(rows));
      rows += range.rows(), cached += more, last = k;
      panel.rows = int(rows) - panel.first;
      if (panel.rows > max_entries || panel.capacity > max_entries * 2) return false;
      if (int64_t(g.blocks) * g.lanes * (rows + 1) > max_values) return false;
    }
  }
  g.rows = int(rows) + !g.panels.empty();
  return true;
}

// The slots that a layer is going to have: see Layer.
struct Layout {
  int row_length = 1, pitch = 1, padded = 1;
};

// Whether the slots of a source are those that the layer is going to have, neuron by neuron.
bool same_slots(const Layer& source, const Layer& layer, const Layout& layout) {
  if (source.channels != layer.channels || source.positions != layer.positions) return false;
  if (source.padded != layout.padded) return false;
  const bool gapless = source.row_length == source.pitch && layout.row_length == layout.pitch;
  return gapless || (source.row_length == layout.row_length && source.pitch == layout.pitch);
}

// Whether each channel has a filter of its own.
bool has_filters_each(const Projection& p, const Layer& layer) {
  return p.kind == Operator::conv && p.groups == p.channels && p.channels == layer.channels;
}

// Spikes of channels that have a filter each, if the source's slots are as wide as the layer's.
bool add_channelwise(const Layer& source, const Layer& layer, int projection, const OperatorGrid& grid, int padded,
                     Gather& g) {
  const Projection& p = layer.projections[size_t(projection)];
  ChannelwiseProjection made;
  if (!has_filters_each(p, layer) || source.padded != padded || g.fused > 1) return false;
  if (!find_sliding_taps(source, p, grid, made.taps)) return false;
  made.taps.source = p.source, made.taps.projection = projection;
  for (int plane = 0; plane < int(grid.planes.size()); ++plane) {
    made.plane = plane, made.value = grid.planes[size_t(plane)], made.higher = plane >= source.low_planes();
    g.channelwise.push_back(made);
  }
  return true;
}

// The scales of a projection of spikes that had better be multiplied as bytes than listed; else empty. What a listed spike
// costs was measured in whole networks: additions from beyond the first cache, and half as much again for the lists.
std::vector<float> scales_for_bytes(const Layer& source, const Layer& layer, const Projection& p,
                                    const OperatorGrid& grid, int vectors) {
  if (grid.one_to_one || has_filters_each(p, layer) || !fits_bytes(source, grid)) return {};
  const double lists = usual_rows(source, grid, 1) * (2 + vectors);
  if (byte_cycles(layer, grid, 1, vectors * byte_lanes) >= lists) return {};
  return byte_scales(layer, p);
}

void add_bytes(const Layer& source, const Layer& layer, int projection, const OperatorGrid& grid,
               std::vector<float> scales, Gather& g) {
  ByteProjection& made = g.bytes.emplace_back();
  made.scales = std::move(scales);
  ChannelRange& range = made.range;
  range.source = layer.projections[size_t(projection)].source, range.projection = projection;
  range.columns = grid.columns, range.channels = grid.channels, range.tap_rows = grid.tap_rows, range.taps = grid.taps;
  range.reach = grid.reach(g.fused), range.stride = grid.stride * g.fused, range.low = grid.low, range.ring = grid.ring;
  find_extents(source, layer.projections[size_t(projection)], grid, range);
  for (const float value : grid.planes) made.values.push_back(int8_t(value));
  made.record = record_of(grid, g.fused);
}

void add_graded(const Layer& source, const Layer& layer, int projection, const OperatorGrid& grid, int padded,
                Gather& g) {
  const Projection& p = layer.projections[size_t(projection)];
  GradedProjection made;
  made.channelwise = has_filters_each(p, layer), made.channels = grid.channels;
  const int width = made.channelwise ? padded : grid.channels;  // of a point of the grid
  if (!find_sliding_taps(source, p, grid, made.taps) || source.padded < width) {
    copy_to_grid(source, p, grid, width, made.taps);
  }
  made.taps.source = p.source, made.taps.projection = projection;
  g.graded.push_back(std::move(made));
}

}  // namespace

std::shared_ptr<Gather> make_gather(const std::vector<Layer>& layers, Layer& layer, const InnerLoops& loops,
                                    bool int16) {
  const bool fires = layer.kind == Kind::neurons;
  if (!(fires && layer.bits) && layer.kind != Kind::output && layer.kind != Kind::relay) return nullptr;
  const bool graded = std::any_of(layer.projections.begin(), layer.projections.end(), [&](const Projection& p) {
    return layers[size_t(p.source)].planes() == 0 || layers[size_t(p.source)].open_ended;
  });
  int16 = int16 && fires && layer.neurons.firing() == Firing::plain && !graded;
  const int vector_width = int16 ? loops.short_width : loops.width;
  auto made = std::make_shared<Gather>();
  Gather& g = *made;
  Layout layout{layer.positions};
  std::vector<OperatorGrid> grids;
  for (const Projection& p : layer.projections) {
    OperatorGrid grid;
    const Layer& source = layers[size_t(p.source)];
    grid.planes.clear();
    for (int plane = 0; plane < source.planes(); ++plane) grid.planes.push_back(source.value_of(plane));
    if (grid.planes.empty() && !source.sends_graded()) return nullptr;
    if (!find_operator_grid(layer, p, grid)) return nullptr;
    if (!grids.empty() && (g.height != grid.out_rows || layout.row_length != grid.out_columns)) return nullptr;
    g.height = grid.out_rows, layout.row_length = grid.out_columns;
    grids.push_back(std::move(grid));
  }
  const int vectors = (layer.channels + vector_width - 1) / vector_width;
  g.blocks = (vectors + loops.max_vectors - 1) / loops.max_vectors;
  g.vectors = (vectors + g.blocks - 1) / g.blocks;
  bool each = false;  // whether channels have a filter each, and a kernel that fused positions would not share
  for (size_t k = 0; k < grids.size(); ++k) {
    const bool read = !grids[k].one_to_one && !grids[k].planes.empty();
    each = each || (read && has_filters_each(layer.projections[k], layer));
  }
  std::vector<std::vector<float>> scales(grids.size());  // of what is multiplied as bytes
  for (size_t k = 0; k < grids.size(); ++k) {
    const Projection& p = layer.projections[k];
    if (!loops.bytes || int16) continue;
    scales[k] = scales_for_bytes(layers[size_t(p.source)], layer, p, grids[k], vectors);
  }
  if (g.blocks == 1 && !each) {
    g.fused = best_fusion(layers, layer, grids, scales, layout.row_length, g.vectors, loops.max_vectors);
  }
  layout.padded = g.vectors * g.blocks * vector_width;
  g.vectors *= g.fused, g.lanes = g.vectors * vector_width;
  g.width = (layout.row_length + g.fused - 1) / g.fused, layout.pitch = g.width * g.fused;
  if (int64_t(g.height) * layout.pitch * layout.padded > max_values) return nullptr;
  const int rows_in_cache = std::max(1, cached_bytes / (int16 ? 2 : 4) / g.lanes);  // rows of weights
  for (size_t k = 0; k < grids.size(); ++k) {
    const int source = layer.projections[k].source;
    if (grids[k].one_to_one && !grids[k].planes.empty() && same_slots(layers[size_t(source)], layer, layout)) {
      for (int plane = 0; plane < int(grids[k].planes.size()); ++plane) {
        const bool higher = plane >= layers[size_t(source)].low_planes();
        g.one_to_one.push_back({source, int(k), plane, grids[k].planes[size_t(plane)], higher});
      }
    } else if (grids[k].planes.empty()) {
      add_graded(layers[size_t(source)], layer, int(k), grids[k], layout.padded, g);
    } else if (!scales[k].empty()) {
      add_bytes(layers[size_t(source)], layer, int(k), grids[k], std::move(scales[k]), g);
    } else if (!add_channelwise(layers[size_t(source)], layer, int(k), grids[k], layout.padded, g)) {
      const Layer& from = layers[size_t(source)];
      for (const Lines& lines : {lowest_bit_of(from, grids[k]), other_bits_of(from, grids[k])}) {
        if (!add_ranges(from, layer, int(k), grids[k], lines, rows_in_cache, g)) return nullptr;
      }
    }
  }
  if (!make_panels(layer, rows_in_cache, g)) return nullptr;
  layer.row_length = layout.row_length, layer.pitch = layout.pitch, layer.padded = layout.padded;
  pack_weights(layer, grids, loops, int16, g);
  return made;
}

}  // namespace spikewright
