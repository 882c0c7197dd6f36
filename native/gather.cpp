#include "gather.hpp"

#include <algorithm>
#include <limits>

namespace spikewright {
namespace {

constexpr int cached_bytes = 112 << 10;  // of weights that a pass may use; those in use most should be in the first cache
constexpr int most_entries = 65535;      // entries and rows of weights are 16-bit

// What times are estimated from: how many neurons fire at a step, and what each position and step costs, apart from a
// half cycle for each vector that is added. Where several neurons stand at one place, digits are fewer than spikes.
constexpr double usual_rate = 0.07, digits_per_spike = 0.65, pass_cycles = 30;

// Wide groups waste additions on zeros and save the work that each position and step costs.
int best_group(const std::vector<Shape>& shapes, int width, int vectors, int most_vectors) {
  int best = 1;
  double least = std::numeric_limits<double>::infinity();
  for (int group = 1; group * vectors <= most_vectors && group <= width; ++group) {
    double cycles = pass_cycles;
    for (const Shape& s : shapes) {
      if (s.diagonal) continue;
      const double entries = usual_rate * s.crowding * (s.digits > 1 ? digits_per_spike : 1);
      const double rows = entries * s.taps * s.reach(group) * s.channels;
      cycles += rows * std::max(1.0, 0.5 * group * vectors);
    }
    cycles *= double((width + group - 1) / group);
    if (cycles < least) least = cycles, best = group;
  }
  return best;
}

// Adds the runs of one cell, whose neurons, an entry and a slot each, are in order.
void add_runs(const std::vector<std::pair<uint16_t, uint32_t>>& neurons, Part& part) {
  const size_t first = part.runs.size();
  for (size_t i = 0, end; i < neurons.size(); i = end) {
    const uint16_t entry = neurons[i].first;
    for (end = i + 1; end < neurons.size() && neurons[end].first == entry;) ++end;
    const size_t members = end - i;
    if (part.runs.size() > first) {
      Run& last = part.runs.back();
      bool next = last.members == members && last.entry + last.count == entry;
      for (size_t m = 0; next && m < members; ++m) {
        next = part.slots[last.first + m] + last.count == neurons[i + m].second;
      }
      if (next) {
        ++last.count;
        continue;
      }
    }
    part.runs.push_back({uint32_t(part.slots.size()), entry, 1, uint16_t(members)});
    for (size_t m = i; m < end; ++m) part.slots.push_back(neurons[m].second);
  }
}

// Where the neurons of a source stand on the grid, as far as their channels belong to the part.
void find_runs(const Layer& source, const Projection& p, const Shape& shape, Part& part) {
  std::vector<std::vector<std::pair<uint16_t, uint32_t>>> cells(size_t(shape.rows) * size_t(shape.columns));
  for (int position = 0; position < source.positions; ++position) {
    for (int c = 0; c < source.channels; ++c) {
      const int32_t at = p.at(uint32_t(position * source.channels + c));
      if (at < 0) continue;
      const int channel = at % shape.channels - part.first_channel;
      if (channel < 0 || channel >= part.channels) continue;
      cells[size_t(at / shape.channels)].emplace_back(uint16_t(channel), uint32_t(source.slot(position)) + uint32_t(c));
    }
  }
  for (size_t row = 0, cell = 0; row < size_t(shape.rows); ++row) {
    for (int x = 0; x < shape.columns; ++x, ++cell) {
      part.run_start.push_back(uint32_t(part.runs.size()));
      std::sort(cells[cell].begin(), cells[cell].end());
      add_runs(cells[cell], part);
    }
    part.run_start.push_back(uint32_t(part.runs.size()));
  }
}

// Rows of weights of a channel and column that are in use often enough to be worth their place in the cache: second
// digits are rarer than first ones.
int cached_rows(const Part& part) { return part.digits > 1 ? (part.ways() * 3 + 1) / 2 : part.ways(); }

// Parts of one projection: all channels, or so few that the weights of one stack fit the cache. Where channels are
// grouped, parts are narrow, so that most meet few blocks. False where entries would not be 16-bit.
bool add_parts(const Layer& source, const Layer& layer, int projection, const Shape& shape, int fitting, Gather& g) {
  const Projection& p = layer.projections[size_t(projection)];
  Part part;
  part.source = p.source, part.projection = projection;
  part.columns = shape.columns, part.digits = shape.digits;
  part.tap_rows = shape.tap_rows, part.taps = shape.taps, part.ring = shape.ring;
  part.reach = shape.reach(g.group), part.stride = shape.stride * g.group, part.low = shape.low;
  const int columns = std::max(part.columns, part.reach);
  const auto fits = [&](int channels, int joined) {
    return int64_t(columns) * channels * shape.digits * ((1 << joined) - 1) <= most_entries;
  };
  int most = shape.groups > 1 ? std::min(shape.channels, g.lanes) : shape.channels;
  const int joined = std::min(shape.taps, most_joined);
  if (shape.digits == 1 && fits(most, joined) && part.reach * most * ((1 << joined) - 1) <= fitting) part.joined = joined;
  most = std::min(most, std::max(1, fitting / part.reach / cached_rows(part)));
  while (most > 1 && !fits(most, part.joined)) most = (most + 1) / 2;
  if (!fits(most, part.joined)) return false;
  const int count = (shape.channels + most - 1) / most;
  most = (shape.channels + count - 1) / count;
  for (int first = 0; first < shape.channels; first += most) {
    Part& one = g.parts.emplace_back(part);
    one.first_channel = first, one.channels = std::min(most, shape.channels - first);
    find_runs(source, p, shape, one);
  }
  return true;
}

// Stacks in order, as many in a pass as fit. Those of grouped parts, which few blocks need, stay apart where adding zeros
// in the other blocks would take longer than another pass does. False where more rows of weights could meet at a
// position and step than 16 bits of groups count, or rows would not be 16-bit.
bool make_passes(const Layer& layer, int fitting, Gather& g) {
  const auto alone = [&](const Part& part) {
    const double rows = usual_rate * part.joined * part.reach * part.channels;
    return layer.projections[size_t(part.projection)].groups > 1 && rows * 0.5 * g.vectors * (g.blocks - 1) > pass_cycles;
  };
  int64_t rows = 0;
  int cached = 0, last = 0;
  for (int k = 0; k < int(g.parts.size()); ++k) {
    Part& part = g.parts[size_t(k)];
    for (int at = 0; at < part.stacks(); ++at) {
      const int more = part.reach * part.channels * cached_rows(part);
      const bool apart = last != k && (alone(part) || alone(g.parts[size_t(last)]));
      if (g.passes.empty() || cached + more > fitting || apart) {
        rows += !g.passes.empty();  // of zeros
        g.passes.emplace_back().first = int(rows), cached = 0;
      }
      Pass& pass = g.passes.back();
      pass.stacks.push_back({k, at});
      pass.capacity += std::min(part.reach, part.columns) * part.width();
      part.first.push_back(int(rows));
      rows += part.rows(), cached += more, last = k;
      pass.rows = int(rows) - pass.first;
      if (pass.rows > most_entries || pass.capacity > most_entries * 2) return false;
      if (int64_t(g.blocks) * g.lanes * (rows + 1) > max_values) return false;
    }
  }
  g.rows = int(rows) + !g.passes.empty();
  return true;
}

// Where the slots of a layer are going to be: see Layer.
struct Layout {
  int row = 1, pitch = 1, padded = 1;
};

// Whether the slots of a source are those that the layer is going to have, neuron by neuron.
bool same_slots(const Layer& source, const Layer& layer, const Layout& layout) {
  if (source.channels != layer.channels || source.positions != layer.positions) return false;
  if (source.padded != layout.padded) return false;
  const bool gapless = source.row == source.pitch && layout.row == layout.pitch;
  return gapless || (source.row == layout.row && source.pitch == layout.pitch);
}

}  // namespace

std::shared_ptr<Gather> make_gather(const std::vector<Layer>& layers, Layer& layer, const Kernels& kernels, bool narrow) {
  if (!layer.single() && layer.kind != Kind::output) return nullptr;
  narrow = narrow && layer.kind == Kind::neurons && layer.neurons.plain();
  const int vector_width = narrow ? kernels.short_width : kernels.width;
  auto made = std::make_shared<Gather>();
  Gather& g = *made;
  Layout layout{layer.positions};
  std::vector<Shape> shapes;
  for (const Projection& p : layer.projections) {
    if (!layers[size_t(p.source)].unit) return nullptr;
    Shape shape;
    if (!find_shape(layer, p, shape)) return nullptr;
    if (!shapes.empty() && (g.height != shape.out_rows || layout.row != shape.out_columns)) return nullptr;
    g.height = shape.out_rows, layout.row = shape.out_columns;
    shapes.push_back(std::move(shape));
  }
  const int vectors = (layer.channels + vector_width - 1) / vector_width;
  g.blocks = (vectors + kernels.most_vectors - 1) / kernels.most_vectors;
  g.vectors = (vectors + g.blocks - 1) / g.blocks;
  if (g.blocks == 1) g.group = best_group(shapes, layout.row, g.vectors, kernels.most_vectors);
  layout.padded = g.vectors * g.blocks * vector_width;
  g.vectors *= g.group, g.lanes = g.vectors * vector_width;
  g.width = (layout.row + g.group - 1) / g.group, layout.pitch = g.width * g.group;
  if (int64_t(g.height) * layout.pitch * layout.padded > max_values) return nullptr;
  const int fitting = std::max(1, cached_bytes / (narrow ? 2 : 4) / g.lanes);  // rows of weights
  for (size_t k = 0; k < shapes.size(); ++k) {
    const int source = layer.projections[k].source;
    if (shapes[k].diagonal && same_slots(layers[size_t(source)], layer, layout)) {
      g.shortcuts.push_back({source, int(k)});
    } else if (!add_parts(layers[size_t(source)], layer, int(k), shapes[k], fitting, g)) {
      return nullptr;
    }
  }
  if (!make_passes(layer, fitting, g)) return nullptr;
  layer.row = layout.row, layer.pitch = layout.pitch, layer.padded = layout.padded;
  pack_weights(layer, shapes, kernels, narrow, g);
  return made;
}

}  // namespace spikewright
