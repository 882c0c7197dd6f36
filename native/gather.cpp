#include "gather.hpp"

#include <algorithm>
#include <limits>

#include "kernels.hpp"

namespace spikewright {
namespace {

// A word of spikes can be listed in one go where its channels stay neighbours on the operator's grid.
bool list_tasks(const Layer& source, const Projection& p, GatherSource& to) {
  const uint64_t words = uint64_t(source.positions) * uint64_t(source.words) * uint64_t(most_chunk);
  if (words > UINT32_MAX) return false;  // places in the mask are 32-bit
  const uint32_t cells = uint32_t(to.height) * uint32_t(to.width);
  std::vector<std::vector<Task>> by_cell(cells);
  for (int position = 0; position < source.positions; ++position) {
    for (int word = 0; word * 32 < source.channels; ++word) {
      const int bits = std::min(32, source.channels - word * 32);
      const uint32_t first = uint32_t(position * source.channels + word * 32);
      const int32_t at = p.at(first);
      for (int b = 1; b < bits; ++b) {
        if (p.at(first + uint32_t(b)) != (at < 0 ? -1 : at + b)) return false;
      }
      if (at < 0) continue;
      const uint32_t cell = uint32_t(at) / uint32_t(to.channels), channel = uint32_t(at) % uint32_t(to.channels);
      if (channel + uint32_t(bits) > uint32_t(to.channels)) return false;
      const int row = position / source.row;
      const int in_row = position % source.row * source.words + word;
      by_cell[cell].push_back({uint32_t(row), uint32_t(in_row), uint32_t(bits), channel});
    }
  }
  to.bytes = source.channels <= 8 ? 1 : source.channels <= 16 ? 2 : 4;
  to.task_start.assign(1, 0);
  for (const auto& tasks : by_cell) {
    to.tasks.insert(to.tasks.end(), tasks.begin(), tasks.end());
    to.task_start.push_back(uint32_t(to.tasks.size()));
  }
  uint64_t most = 0;
  for (int y = 0; y < to.height; ++y) {
    uint64_t events = 0;
    for (uint32_t k = to.task_start[size_t(y * to.width)]; k < to.task_start[size_t((y + 1) * to.width)]; ++k) {
      events += to.tasks[k].bits;
    }
    most = std::max(most, events);
  }
  most = most * uint64_t(to.kernel_y);
  to.capacity = uint32_t(most);
  return most < (1u << 22);
}

bool shape_source(const Layer& layer, const Projection& p, GatherSource& to) {
  to.source = p.source;
  if (p.kind == Operator::dense) {
    to.channels = p.grid;
    return layer.positions == 1;
  }
  if (p.kind != Operator::conv || p.axis[0].length != 1 || p.axis[0].kernel != 1 || p.axis[0].outputs != 1 ||
      p.axis[0].low != 0) {
    return false;
  }
  const Axis &y = p.axis[1], &x = p.axis[2];
  if (x.dilation != 1 && x.kernel != 1) return false;
  if (p.groups > 1 && (y.kernel != 1 || x.kernel != 1 || p.filters > 256)) return false;  // mostly zeros as full rows
  to.height = y.length, to.width = x.length, to.channels = p.channels;
  to.kernel_y = y.kernel, to.kernel_x = x.kernel, to.stride_y = y.stride, to.stride_x = x.stride;
  to.low_y = y.low, to.low_x = x.low, to.dilation_y = y.dilation;
  return true;
}

void pack_weights(const Layer& layer, const Projection& p, const Gather& gather, GatherSource& to) {
  const size_t rows = size_t(to.kernel_x) * size_t(to.kernel_y) * size_t(to.channels);
  to.weight.assign(rows * size_t(gather.padded), 0.0f);
  const int groups = p.kind == Operator::conv ? p.groups : 1;
  const int filters = layer.channels / groups, inputs = to.channels / groups;
  for (int channel = 0; channel < to.channels; ++channel) {
    const int group = channel / inputs;
    for (int ky = 0; ky < to.kernel_y; ++ky) {
      for (int kx = 0; kx < to.kernel_x; ++kx) {
        const size_t tap = (size_t(channel) * size_t(to.kernel_y) + size_t(ky)) * size_t(to.kernel_x) + size_t(kx);
        const float* from = p.weight.data() + tap * size_t(filters);
        const size_t row = (size_t(kx) * size_t(to.kernel_y) + size_t(ky)) * size_t(to.channels) + size_t(channel);
        for (int f = 0; f < filters; ++f) {
          const int out = group * filters + f;
          const size_t block = size_t(out / gather.lanes), lane = size_t(out % gather.lanes);
          to.weight[(block * rows + row) * size_t(gather.lanes) + lane] = from[f];
        }
      }
    }
  }
}

// One value a padded channel; what pads never fires.
std::vector<float> spread(const Layer& layer, const Gather& gather, const std::vector<float>& values, float padding) {
  const int positions = gather.per_neuron ? layer.positions : 1;
  std::vector<float> wide(size_t(positions) * size_t(gather.padded), padding);
  for (int position = 0; position < positions; ++position) {
    for (int c = 0; c < layer.channels; ++c) {
      wide[size_t(position) * size_t(gather.padded) + size_t(c)] =
          values.size() == 1 ? values[0] : values[size_t(position) * size_t(layer.channels) + size_t(c)];
    }
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

}  // namespace

std::shared_ptr<Gather> make_gather(const std::vector<Layer>& layers, Layer& layer, const Kernels& kernels) {
  if (!layer.single() || layer.projections.size() > size_t(most_sources)) return nullptr;
  auto made = std::make_shared<Gather>();
  Gather& g = *made;
  g.height = 1, g.width = layer.positions;
  for (const Projection& p : layer.projections) {
    if (!layers[size_t(p.source)].single()) return nullptr;
    GatherSource source;
    if (!shape_source(layer, p, source)) return nullptr;
    if (p.kind == Operator::conv) {
      if (!g.sources.empty() && (g.height != p.axis[1].outputs || g.width != p.axis[2].outputs)) return nullptr;
      g.height = p.axis[1].outputs, g.width = p.axis[2].outputs;
    }
    if (!list_tasks(layers[size_t(p.source)], p, source)) return nullptr;
    g.sources.push_back(std::move(source));
  }
  const int total = (layer.channels + kernels.width - 1) / kernels.width;
  g.blocks = (total + kernels.most_vectors - 1) / kernels.most_vectors;
  g.vectors = (total + g.blocks - 1) / g.blocks;
  g.lanes = g.vectors * kernels.width;
  g.padded = g.lanes * g.blocks;
  uint64_t floats = 0;
  for (const GatherSource& s : g.sources) {
    const uint64_t rows = uint64_t(s.kernel_x) * uint64_t(s.kernel_y) * uint64_t(s.channels);
    floats += rows * uint64_t(g.padded);
    // offsets into one block are 32-bit, and columns count from the left of the grid
    const uint64_t column = uint64_t(s.kernel_y) * uint64_t(s.channels) * uint64_t(g.lanes);
    if (column * uint64_t(s.width) > (1u << 30)) return nullptr;
  }
  if (floats > uint64_t(max_values)) return nullptr;
  for (size_t k = 0; k < g.sources.size(); ++k) pack_weights(layer, layer.projections[k], g, g.sources[k]);
  g.per_neuron = !(by_channel(layer, layer.neurons.threshold) && by_channel(layer, layer.neurons.v_init) &&
                   by_channel(layer, layer.neurons.v_min));
  g.threshold = spread(layer, g, layer.neurons.threshold, std::numeric_limits<float>::infinity());
  g.v_init = spread(layer, g, layer.neurons.v_init, 0);
  if (!layer.neurons.v_min.empty()) g.v_min = spread(layer, g, layer.neurons.v_min, 0);
  g.table.assign(256 * 8, 0);
  for (int byte = 0; byte < 256; ++byte) {
    int n = 0;
    for (int bit = 0; bit < 8; ++bit) {
      if (byte >> bit & 1) g.table[size_t(byte * 8 + n++)] = uint16_t(bit * g.lanes);
    }
  }
  layer.words = (g.padded + 31) / 32;
  layer.row = g.width;
  return made;
}

}  // namespace spikewright
