// What a gathering layer adds up and compares: weights by row, and what its neurons hold by slot.
#include <algorithm>
#include <cmath>
#include <limits>

#include "bytes.hpp"

namespace spikewright {

const float* weight_of(const Projection& p, const Layer& layer, int channel, int out, ptrdiff_t& stride) {
  const int filters = layer.channels / p.groups, inputs = (p.kind == Operator::dense ? p.grid : p.channels) / p.groups;
  if (channel / inputs != out / filters) return nullptr;
  const int volume = p.kind == Operator::dense ? 1 : p.axis[0].kernel * p.axis[1].kernel * p.axis[2].kernel;
  stride = filters;
  return p.weight.data() + size_t(channel) * size_t(volume) * size_t(filters) + out % filters;
}

namespace {

// A row of weights stands for one way in which taps of its stack fire together, and is the sum of theirs.
void pack_range(const Layer& layer, const OperatorGrid& grid, const ChannelRange& range, Gather& g) {
  const Projection& p = layer.projections[size_t(range.projection)];
  const size_t lanes = size_t(g.lanes), digit = size_t(range.channels * range.ways()) * lanes;
  for (int channel = 0; channel < range.channels; ++channel) {
    const int line = range.first_channel + channel;
    for (int out = 0; out < layer.channels; ++out) {
      ptrdiff_t stride = 0;
      const float* from = weight_of(p, layer, line % grid.channels, out, stride);
      if (!from) continue;
      for (int tap = 0; tap < range.taps; ++tap) {
        const int first = range.first[size_t(tap / range.joined)] + channel * range.ways();
        for (int k = 0; k < grid.kernel; ++k, from += stride) {
          for (int member = 0; member < g.fused; ++member) {
            const int row = first + (member * grid.stride + k * grid.dilation) * range.column();
            const size_t lane = size_t(member * layer.padded + out), block = lane / lanes;
            float* to = g.floats.weight.data() + (block * size_t(g.rows) + size_t(row)) * lanes + lane % lanes;
            float weight = *from;  // in 16 bits rounded before it is added to others
            if (!g.scale.empty()) weight = std::nearbyint(weight * g.scale[lane]) / g.scale[lane];
            weight *= grid.planes[size_t(line / grid.channels)];
            for (int d = 0; d < range.digits; ++d, to += digit, weight *= 2) {
              for (int way = 0; way < range.ways(); ++way) {
                if ((way + 1) >> tap % range.joined & 1) to[size_t(way) * lanes] += weight;
              }
            }
          }
        }
      }
    }
  }
}

// Of each block and tap one weight a channel.
void append_channelwise(const Projection& p, const Layer& layer, const Gather& g, int taps, float value,
                        Aligned<float>& to) {
  const size_t lanes = size_t(g.own_lanes()), first = to.size();
  to.resize(first + size_t(g.blocks) * size_t(taps) * lanes, 0.0f);
  for (int channel = 0; channel < layer.channels; ++channel) {
    ptrdiff_t stride = 0;
    const float* from = weight_of(p, layer, channel, channel, stride);
    for (int tap = 0; tap < taps; ++tap, from += stride) {
      const size_t row = size_t(channel) / lanes * size_t(taps) + size_t(tap);
      float weight = *from;  // in 16 bits rounded before it is multiplied
      if (!g.scale.empty()) weight = std::nearbyint(weight * g.scale[size_t(channel)]) / g.scale[size_t(channel)];
      to[first + row * lanes + size_t(channel) % lanes] = weight * value;
    }
  }
}

// Of all one-to-one projections: one weight a channel.
void pack_one_to_one(const Layer& layer, Gather& g) {
  const size_t columns = size_t(g.blocks) * size_t(g.lanes);
  for (const OneToOneProjection& shortcut : g.one_to_one) {
    const std::vector<float>& weight = layer.projections[size_t(shortcut.projection)].weight;
    Aligned<float>& all = g.floats.one_to_one;
    const size_t first = all.size();
    all.resize(first + columns, 0.0f);
    for (size_t member = 0; member < size_t(g.fused); ++member) {
      float* to = all.data() + first + member * size_t(layer.padded);
      for (const float w : weight) *to++ = w * shortcut.value;
    }
  }
}

void pack_channelwise(const Layer& layer, Gather& g) {
  for (ChannelwiseProjection& c : g.channelwise) {
    const Projection& p = layer.projections[size_t(c.taps.projection)];
    c.first = g.floats.channelwise.size();
    append_channelwise(p, layer, g, c.taps.taps(), c.value, g.floats.channelwise);
  }
}

// Of all channels of a graded source, those that reach a block apart from each other.
void pack_graded(const Layer& layer, Gather& g) {
  for (GradedProjection& graded : g.graded) {
    const Projection& p = layer.projections[size_t(graded.taps.projection)];
    Aligned<float>& all = g.floats.graded;
    graded.first = all.size();
    const int taps = graded.taps.taps();
    if (graded.channelwise) {
      append_channelwise(p, layer, g, taps, 1, all);
      continue;
    }
    const size_t lanes = size_t(g.own_lanes()), channels = size_t(graded.channels);
    all.resize(graded.first + size_t(g.blocks) * size_t(taps) * channels * lanes, 0.0f);
    graded.begin.assign(size_t(g.blocks), graded.channels), graded.end.assign(size_t(g.blocks), 0);
    for (int channel = 0; channel < graded.channels; ++channel) {
      for (int out = 0; out < layer.channels; ++out) {
        ptrdiff_t stride = 0;
        const float* from = weight_of(p, layer, channel, out, stride);
        if (!from) continue;
        const size_t block = size_t(out) / lanes;
        graded.begin[block] = std::min(graded.begin[block], channel);
        graded.end[block] = std::max(graded.end[block], channel + 1);
        for (int tap = 0; tap < taps; ++tap, from += stride) {
          const size_t row = (block * size_t(taps) + size_t(tap)) * channels + size_t(channel);
          all[graded.first + row * lanes + size_t(out) % lanes] = *from;
        }
      }
    }
  }
}

void find_blocks(Gather& g) {
  for (Panel& panel : g.panels) {
    for (int block = 0; block < g.blocks; ++block) {
      bool any = false;
      for (const Stack& stack : panel.stacks) {
        const ChannelRange& range = g.ranges[size_t(stack.range)];
        const size_t row = size_t(range.first[size_t(stack.at)]), size = size_t(range.rows()) * size_t(g.lanes);
        const float* from = g.floats.weight.data() + (size_t(block) * size_t(g.rows) + row) * size_t(g.lanes);
        any = any || std::any_of(from, from + size, [](float w) { return w != 0; });
      }
      panel.in_block.push_back(any);
    }
  }
}

// One value a channel, for all positions that are summed as one.
void spread_channels(const Layer& layer, const Gather& g, const float* values, Aligned<float>& to) {
  const size_t padded = size_t(layer.padded), first = to.size();
  to.resize(first + padded * size_t(g.fused), 0.0f);
  for (size_t member = 0; member < size_t(g.fused); ++member) {
    std::copy(values, values + layer.channels, to.begin() + ptrdiff_t(first + member * padded));
  }
}

// One value a slot; what pads never fires.
Aligned<float> spread(const Layer& layer, const Gather& g, const std::vector<float>& values, float padding) {
  const size_t padded = size_t(layer.padded);
  Aligned<float> wide(g.per_neuron ? layer.slots() : padded * size_t(g.fused), padding);
  const int positions = g.per_neuron ? layer.positions : g.fused;
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

void spread_neurons(const Layer& layer, Gather& g) {
  const Neurons& neurons = layer.neurons;
  g.per_neuron = !(by_channel(layer, neurons.threshold) && by_channel(layer, neurons.v_init) &&
                   by_channel(layer, neurons.v_min));
  g.floats.threshold = spread(layer, g, neurons.threshold, std::numeric_limits<float>::infinity());
  g.floats.v_init = spread(layer, g, neurons.v_init, 0);
  if (!neurons.v_min.empty()) g.floats.v_min = spread(layer, g, neurons.v_min, 0);
  for (size_t i = 0; i < neurons.step_bias.size(); i += size_t(layer.channels)) {
    spread_channels(layer, g, neurons.step_bias.data() + i, g.floats.step_bias);
  }
  if (!neurons.fired_bias.empty()) spread_channels(layer, g, neurons.fired_bias.data(), g.floats.fired_bias);
}

// A threshold is 2048 to 4096 units, or less where weights are larger than two of it or, behind pools that add up
// spikes, than a smaller fraction of it: rows are sums and multiples of weights. Scales are powers of two, so that what
// fits 16 bits is exact, and do not depend on how the layer is cut up.
std::vector<float> find_scales(const Layer& layer, const std::vector<OperatorGrid>& grids, const Gather& g) {
  const size_t channels = size_t(layer.channels), padded = size_t(layer.padded);
  std::vector<float> largest(channels, 0.0f), scale(size_t(g.blocks) * size_t(g.lanes), 0.0f);
  for (size_t k = 0; k < grids.size(); ++k) {
    const Projection& p = layer.projections[k];
    const size_t filters = size_t(layer.channels / p.groups), group = p.weight.size() / size_t(p.groups);
    const float room = float(std::max(4, 1 << grids[k].digits));
    for (size_t i = 0; i < p.weight.size(); ++i) {
      float& most = largest[i / group * filters + i % filters];
      most = std::max(most, std::abs(p.weight[i]) * room);
    }
  }
  for (size_t i = 0; i < g.floats.threshold.size(); ++i) {
    const float threshold = g.floats.threshold[i];
    if (std::isfinite(threshold)) largest[i % padded] = std::max(largest[i % padded], threshold * 8);
  }
  for (size_t lane = 0; lane < scale.size(); ++lane) {
    const size_t channel = lane % padded;
    if (channel < channels) scale[lane] = std::exp2(std::floor(std::log2(float(INT16_MAX + 1) / largest[channel])));
  }
  return scale;
}

// Of each block so many lanes a tap.
Aligned<int16_t> quantise_channelwise(const InnerLoops& loops, const Gather& g) {
  Aligned<int16_t> to(g.floats.channelwise.size());
  for (const ChannelwiseProjection& p : g.channelwise) {
    size_t at = p.first;
    for (int row = 0; row < g.blocks * p.taps.taps(); ++row, at += size_t(g.lanes)) {
      const float* scale = g.scale.data() + size_t(row / p.taps.taps()) * size_t(g.lanes);
      loops.quantise(g.floats.channelwise.data() + at, scale, g.lanes, to.data() + at);
    }
  }
  return to;
}

void quantise_all(const InnerLoops& loops, Gather& g) {
  const size_t lanes = size_t(g.lanes), columns = g.scale.size();
  const auto quantised = [&](const Aligned<float>& from, size_t width, const auto& scale_of) {
    Aligned<int16_t> to(from.size());
    for (size_t i = 0; i < from.size(); i += width) {
      loops.quantise(from.data() + i, scale_of(i), int(width), to.data() + i);
    }
    return to;
  };
  const auto whole = [&](size_t) { return g.scale.data(); };
  const auto of_block = [&](size_t i) { return g.scale.data() + i / (size_t(g.rows) * lanes) * lanes; };
  g.shorts.weight = quantised(g.floats.weight, lanes, of_block);
  g.shorts.one_to_one = quantised(g.floats.one_to_one, columns, whole);
  g.shorts.channelwise = quantise_channelwise(loops, g);
  g.shorts.v_init = quantised(g.floats.v_init, columns, whole);
  g.shorts.threshold.resize(g.floats.threshold.size());
  for (size_t i = 0; i < g.floats.threshold.size(); ++i) {  // infinite where there is no neuron
    const float scaled = std::isfinite(g.floats.threshold[i]) ? g.floats.threshold[i] * g.scale[i % columns] : 32767.0f;
    g.shorts.threshold[i] = int16_t(std::clamp(std::nearbyint(scaled), 1.0f, 32767.0f));
  }
  g.floats = {};
}

}  // namespace

void pack_weights(const Layer& layer, const std::vector<OperatorGrid>& grids, const InnerLoops& loops, bool int16,
                  Gather& g) {
  if (layer.kind == Kind::neurons) spread_neurons(layer, g);
  if (int16) g.scale = find_scales(layer, grids, g);
  g.floats.weight.assign(size_t(g.blocks) * size_t(g.rows) * size_t(g.lanes), 0.0f);
  for (const ChannelRange& range : g.ranges) pack_range(layer, grids[size_t(range.projection)], range, g);
  pack_one_to_one(layer, g);
  pack_channelwise(layer, g);
  pack_graded(layer, g);
  for (ByteProjection& one : g.bytes) pack_bytes(layer, grids[size_t(one.range.projection)], g, one);
  find_blocks(g);
  if (int16) quantise_all(loops, g);
}

}  // namespace spikewright
