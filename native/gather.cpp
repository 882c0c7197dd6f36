#include "gather.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace spikewright {
namespace {

constexpr int cached_bytes = 48 << 10;  // of weights that a pass may use: most of it is in the first cache
constexpr int most_entries = 65535;     // entries and rows of weights are 16-bit

// An operator as rows of a grid whose columns a kernel slides over.
struct Shape {
  int rows = 1, columns = 1, channels = 1, groups = 1;
  int out_rows = 1, out_columns = 1;
  int kernel = 1, stride = 1, low = 0, dilation = 1;  // along columns
  int taps = 1, ring = 1;
  double crowding = 1;  // neurons that stand at one place of the grid
  std::vector<int> tap_rows;
};

int row_read(const Axis& axis, int output, int kernel) {
  const int at = output * axis.stride - axis.low + kernel * axis.dilation;
  return at >= 0 && at < axis.length ? at : -1;
}

bool find_shape(const Layer& layer, const Projection& p, Shape& to) {
  const auto placed = std::count_if(p.remap.begin(), p.remap.end(), [](int32_t at) { return at >= 0; });
  to.crowding = p.remap.empty() ? 1 : double(placed) / p.grid;
  if (p.kind == Operator::dense) {
    to.channels = p.grid, to.tap_rows = {0};
    return layer.positions == 1;
  }
  if (p.kind != Operator::conv) return false;
  const Axis &z = p.axis[0], &y = p.axis[1], &x = p.axis[2];
  to.rows = z.length * y.length, to.columns = x.length, to.channels = p.channels, to.groups = p.groups;
  to.out_rows = z.outputs * y.outputs, to.out_columns = x.outputs;
  to.kernel = x.kernel, to.stride = x.stride, to.low = x.low, to.dilation = x.dilation;
  to.taps = z.kernel * y.kernel;
  to.ring = (z.kernel - 1) * z.dilation * y.length + (y.kernel - 1) * y.dilation + 1;
  for (int row = 0; row < to.out_rows; ++row) {
    for (int tap = 0; tap < to.taps; ++tap) {
      const int at_z = row_read(z, row / y.outputs, tap / y.kernel), at_y = row_read(y, row % y.outputs, tap % y.kernel);
      to.tap_rows.push_back(at_z < 0 || at_y < 0 ? -1 : at_z * y.length + at_y);
    }
  }
  return true;
}

int reach_of(const Shape& s, int group) { return (s.kernel - 1) * s.dilation + 1 + (group - 1) * s.stride; }

// Wide groups waste additions on zeros and save the work that each position and step costs. Which is best is
// estimated for seven in a hundred neurons firing: a row of weights costs half a cycle a vector, and a step about thirty.
int best_group(const std::vector<Shape>& shapes, int width, int vectors, int most_vectors) {
  int best = 1;
  double least = std::numeric_limits<double>::infinity();
  for (int group = 1; group * vectors <= most_vectors && group <= width; ++group) {
    double cycles = 30;
    for (const Shape& s : shapes) {
      const double rows = 0.07 * s.crowding * s.taps * reach_of(s, group) * s.channels;
      cycles += rows * std::max(1.0, 0.5 * group * vectors);
    }
    cycles *= double((width + group - 1) / group);
    if (cycles < least) least = cycles, best = group;
  }
  return best;
}

// Where the neurons of a source stand on the grid, as far as their channels belong to the part.
bool find_runs(const Layer& source, const Projection& p, const Shape& shape, Part& part) {
  std::vector<std::vector<Run>> cells(size_t(shape.rows) * size_t(shape.columns));
  for (int position = 0; position < source.positions; ++position) {
    for (int c = 0; c < source.channels; ++c) {
      const int32_t at = p.at(uint32_t(position * source.channels + c));
      if (at < 0) continue;
      const int cell = at / shape.channels, channel = at % shape.channels - part.first_channel;
      if (channel < 0 || channel >= part.channels) continue;
      const uint32_t slot = uint32_t(source.slot(position)) + uint32_t(c);
      const int entry = cell % shape.columns * part.channels + channel;
      std::vector<Run>& runs = cells[size_t(cell)];
      if (!runs.empty() && runs.back().slot + runs.back().count == slot &&
          runs.back().entry + runs.back().count == entry && runs.back().count < most_entries) {
        ++runs.back().count;
      } else {
        runs.push_back({slot, uint16_t(entry), 1});
      }
    }
  }
  for (int row = 0; row < shape.rows; ++row) {
    int64_t entries = 0;
    for (int x = 0; x < shape.columns; ++x) {
      part.run_start.push_back(uint32_t(part.runs.size()));
      for (const Run& run : cells[size_t(row * shape.columns + x)]) part.runs.push_back(run), entries += run.count;
    }
    part.run_start.push_back(uint32_t(part.runs.size()));
    if (entries > most_entries) return false;
    part.entries = std::max(part.entries, int(entries));
  }
  return int64_t(shape.columns) * part.channels <= most_entries;
}

// Parts of one projection: all channels, or so few that the weights of one tap fit the first cache. Where channels are
// grouped, parts are narrow, so that most meet few blocks.
bool add_parts(const Layer& source, const Layer& layer, int projection, const Shape& shape, int fitting, Gather& g) {
  const Projection& p = layer.projections[size_t(projection)];
  const int reach = reach_of(shape, g.group);
  const int64_t fit = std::max(1, fitting / reach);
  int64_t most = shape.groups > 1 ? std::min<int64_t>(fit, g.lanes) : fit;
  const int count = int((shape.channels + most - 1) / most);
  most = (shape.channels + count - 1) / count;
  for (int first = 0; first < shape.channels; first += int(most)) {
    Part part;
    part.source = p.source, part.projection = projection;
    part.columns = shape.columns, part.first_channel = first;
    part.channels = int(std::min<int64_t>(most, shape.channels - first));
    part.tap_rows = shape.tap_rows, part.taps = shape.taps, part.ring = std::min(shape.ring, shape.rows);
    part.reach = reach, part.stride = shape.stride * g.group, part.low = shape.low;
    part.first = g.rows;
    if (!find_runs(source, p, shape, part)) return false;
    const int64_t rows = g.rows + int64_t(part.taps) * reach * part.channels;
    if (rows > most_entries) return false;
    g.rows = int(rows);
    g.parts.push_back(std::move(part));
  }
  return true;
}

// Weights of output channel `out` of the operator from channel `channel` of its grid, by tap and place in the kernel.
const float* weight_of(const Projection& p, const Layer& layer, int channel, int out, ptrdiff_t& stride) {
  const int filters = layer.channels / p.groups, inputs = (p.kind == Operator::dense ? p.grid : p.channels) / p.groups;
  if (channel / inputs != out / filters) return nullptr;
  const int volume = p.kind == Operator::dense ? 1 : p.axis[0].kernel * p.axis[1].kernel * p.axis[2].kernel;
  stride = filters;
  return p.weight.data() + size_t(channel) * size_t(volume) * size_t(filters) + out % filters;
}

void pack_weights(const Layer& layer, const Shape& shape, const Part& part, Gather& g) {
  const Projection& p = layer.projections[size_t(part.projection)];
  for (int channel = 0; channel < part.channels; ++channel) {
    for (int out = 0; out < layer.channels; ++out) {
      ptrdiff_t stride = 0;
      const float* from = weight_of(p, layer, part.first_channel + channel, out, stride);
      if (!from) continue;
      for (int tap = 0; tap < part.taps; ++tap) {
        for (int k = 0; k < shape.kernel; ++k, from += stride) {
          for (int member = 0; member < g.group; ++member) {
            const int column = member * shape.stride + k * shape.dilation;
            const size_t row = size_t(part.first + (tap * part.reach + column) * part.channels + channel);
            const int lane = member * layer.padded + out;
            const size_t block = size_t(lane / g.lanes);
            g.floats.weight[(block * size_t(g.rows + 1) + row) * size_t(g.lanes) + size_t(lane % g.lanes)] = *from;
          }
        }
      }
    }
  }
}

// Taps in order, as many in a pass as fit; those of grouped parts, which few blocks need, stay apart. False where more
// rows of weights could meet at a position and step than 16 bits of groups count.
bool make_passes(const Layer& layer, int fitting, Gather& g) {
  const auto grouped = [&](int k) { return layer.projections[size_t(g.parts[size_t(k)].projection)].groups > 1; };
  int rows = 0, last = -1;
  for (int k = 0; k < int(g.parts.size()); ++k) {
    const Part& part = g.parts[size_t(k)];
    for (int tap = 0; tap < part.taps; ++tap) {
      const int more = part.reach * part.channels;
      const bool apart = last >= 0 && last != k && (grouped(k) || grouped(last));
      if (g.passes.empty() || rows + more > fitting || apart) g.passes.emplace_back(), rows = 0;
      g.passes.back().taps.push_back({k, tap});
      g.passes.back().capacity += part.entries;
      rows += more, last = k;
    }
  }
  return std::all_of(g.passes.begin(), g.passes.end(), [](const Pass& p) { return p.capacity <= most_entries * 2; });
}

void find_blocks(Gather& g) {
  for (Pass& pass : g.passes) {
    for (int block = 0; block < g.blocks; ++block) {
      bool any = false;
      for (const Tap& tap : pass.taps) {
        const Part& part = g.parts[size_t(tap.part)];
        const size_t size = size_t(part.reach) * size_t(part.channels) * size_t(g.lanes);
        const size_t at = (size_t(block) * size_t(g.rows + 1) + size_t(part.first)) * size_t(g.lanes);
        const float* from = g.floats.weight.data() + at + size_t(tap.tap) * size;
        any = any || std::any_of(from, from + size, [](float w) { return w != 0; });
      }
      pass.in_block.push_back(any);
    }
  }
}

// One value a slot; what pads never fires.
std::vector<float> spread(const Layer& layer, const Gather& g, const std::vector<float>& values, float padding) {
  const size_t padded = size_t(layer.padded);
  std::vector<float> wide(g.per_neuron ? layer.slots() : padded * size_t(g.group), padding);
  const int positions = g.per_neuron ? layer.positions : g.group;
  for (int position = 0; position < positions; ++position) {
    const size_t to = g.per_neuron ? layer.slot(position) : size_t(position) * padded;
    const size_t from = g.per_neuron ? size_t(position) * size_t(layer.channels) : 0;
    for (size_t c = 0; c < size_t(layer.channels); ++c) wide[to + c] = values[values.size() == 1 ? 0 : from + c];
  }
  return wide;
}

bool by_channel(const Layer& layer, const std::vector<float>& values) {
  if (values.size() <= 1) return true;
  for (size_t i = size_t(layer.channels); i < values.size(); ++i) {
    if (values[i] != values[i - size_t(layer.channels)]) return false;
  }
  return true;
}

// A threshold is 2048 to 4096 units, or less where weights are much larger than it. Scales are powers of two, so that
// what fits 16 bits is exact.
std::vector<float> find_scales(const Layer& layer, const Gather& g) {
  const size_t lanes = size_t(g.lanes), columns = size_t(g.blocks) * lanes;  // of a group, or of a position
  std::vector<float> largest(columns, 0.0f), scale(columns, 0.0f);
  const std::vector<float>& threshold = g.floats.threshold;
  for (size_t i = 0; i < threshold.size(); ++i) {
    if (std::isfinite(threshold[i])) largest[i % columns] = std::max(largest[i % columns], threshold[i] * 8);
  }
  for (size_t i = 0; i < g.floats.weight.size(); ++i) {
    const size_t column = i / (size_t(g.rows + 1) * lanes) * lanes + i % lanes;
    largest[column] = std::max(largest[column], std::abs(g.floats.weight[i]) * 2);
  }
  for (int member = 0; member < g.group; ++member) {
    for (int c = 0; c < layer.channels; ++c) {
      const size_t column = size_t(member * layer.padded + c);
      scale[column] = std::exp2(std::floor(std::log2(float(INT16_MAX + 1) / largest[column])));
    }
  }
  return scale;
}

void narrow_all(const Layer& layer, const Kernels& kernels, Gather& g) {
  g.scale = find_scales(layer, g);
  const size_t lanes = size_t(g.lanes), columns = g.scale.size();
  const auto narrowed = [&](const std::vector<float>& from, size_t width, const auto& scale_of) {
    std::vector<int16_t> to(from.size());
    for (size_t i = 0; i < from.size(); i += width) {
      kernels.narrow(from.data() + i, scale_of(i), int(width), to.data() + i);
    }
    return to;
  };
  const auto whole = [&](size_t) { return g.scale.data(); };
  const auto of_block = [&](size_t i) { return g.scale.data() + i / (size_t(g.rows + 1) * lanes) * lanes; };
  g.shorts.weight = narrowed(g.floats.weight, lanes, of_block);
  g.shorts.v_init = narrowed(g.floats.v_init, columns, whole);
  g.shorts.threshold.resize(g.floats.threshold.size());
  for (size_t i = 0; i < g.floats.threshold.size(); ++i) {  // infinite where there is no neuron
    const float scaled = std::isfinite(g.floats.threshold[i]) ? g.floats.threshold[i] * g.scale[i % columns] : 32767.0f;
    g.shorts.threshold[i] = int16_t(std::clamp(std::nearbyint(scaled), 1.0f, 32767.0f));
  }
  g.floats = {};
}

}  // namespace

std::shared_ptr<Gather> make_gather(const std::vector<Layer>& layers, Layer& layer, const Kernels& kernels, bool narrow) {
  if (!layer.single()) return nullptr;
  narrow = narrow && layer.neurons.plain();
  const int vector_width = narrow ? kernels.short_width : kernels.width;
  auto made = std::make_shared<Gather>();
  Gather& g = *made;
  int width = layer.positions;
  std::vector<Shape> shapes;
  for (const Projection& p : layer.projections) {
    if (!layers[size_t(p.source)].unit) return nullptr;
    Shape shape;
    if (!find_shape(layer, p, shape)) return nullptr;
    if (!shapes.empty() && (g.height != shape.out_rows || width != shape.out_columns)) return nullptr;
    g.height = shape.out_rows, width = shape.out_columns;
    shapes.push_back(std::move(shape));
  }
  const int vectors = (layer.channels + vector_width - 1) / vector_width;
  g.blocks = (vectors + kernels.most_vectors - 1) / kernels.most_vectors;
  g.vectors = (vectors + g.blocks - 1) / g.blocks;
  if (g.blocks == 1) g.group = best_group(shapes, width, g.vectors, kernels.most_vectors);
  const int padded = g.vectors * g.blocks * vector_width;
  g.vectors *= g.group, g.lanes = g.vectors * vector_width;
  g.width = (width + g.group - 1) / g.group;
  if (int64_t(g.height) * g.width * g.group * padded > max_values) return nullptr;
  const int fitting = std::max(1, cached_bytes / (narrow ? 2 : 4) / g.lanes);  // rows of weights
  for (size_t k = 0; k < shapes.size(); ++k) {
    const Layer& source = layers[size_t(layer.projections[k].source)];
    if (!add_parts(source, layer, int(k), shapes[k], fitting, g)) return nullptr;
  }
  if (!make_passes(layer, fitting, g)) return nullptr;
  if (int64_t(g.blocks) * (g.rows + 1) * g.lanes > max_values) return nullptr;
  layer.row = width, layer.pitch = g.width * g.group, layer.padded = padded;
  g.floats.weight.assign(size_t(g.blocks) * size_t(g.rows + 1) * size_t(g.lanes), 0.0f);
  for (const Part& part : g.parts) pack_weights(layer, shapes[size_t(part.projection)], part, g);
  find_blocks(g);
  g.per_neuron = !(by_channel(layer, layer.neurons.threshold) && by_channel(layer, layer.neurons.v_init) &&
                   by_channel(layer, layer.neurons.v_min));
  g.floats.threshold = spread(layer, g, layer.neurons.threshold, std::numeric_limits<float>::infinity());
  g.floats.v_init = spread(layer, g, layer.neurons.v_init, 0);
  if (!layer.neurons.v_min.empty()) g.floats.v_min = spread(layer, g, layer.neurons.v_min, 0);
  if (narrow) narrow_all(layer, kernels, g);
  return made;
}

}  // namespace spikewright
