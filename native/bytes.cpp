#include "bytes.hpp"

#include <algorithm>
#include <cmath>

namespace spikewright {
namespace {

constexpr int most = 127;  // of a byte, either way

bool is_scale(float scale, const float* weight, size_t count, ptrdiff_t stride) {
  for (size_t i = 0; i < count; ++i, weight += stride) {
    const float whole = std::nearbyint(*weight / scale);
    if (!(std::abs(whole) <= most) || whole * scale != *weight) return false;
  }
  return true;
}

// For each m of four bits the smallest m · 2 ** e that could be is enough: multiples of a larger one are its multiples
// as well.
float scale_of(float largest, const float* weight, size_t count, ptrdiff_t stride) {
  for (int m = 8; m < 16; ++m) {
    int exponent = 0;
    if (std::frexp(largest / most / float(m), &exponent) == 0.5f) --exponent;
    const float scale = std::ldexp(float(m), exponent);
    if (std::isnormal(scale) && is_scale(scale, weight, count, stride)) return scale;
  }
  return 0;
}

}  // namespace

std::vector<float> byte_scales(const Layer& layer, const Projection& p) {
  const size_t filters = size_t(layer.channels / p.groups), group = p.weight.size() / size_t(p.groups);
  std::vector<float> scales;
  for (size_t out = 0; out < size_t(layer.channels); ++out) {
    const float* const weight = p.weight.data() + out / filters * group + out % filters;
    const size_t count = group / filters;
    float largest = 0;
    for (size_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(weight[i * filters]));
    const float scale = largest == 0 ? 1 : scale_of(largest, weight, count, ptrdiff_t(filters));
    if (scale == 0) return {};
    scales.push_back(scale);
  }
  return scales;
}

bool fits_bytes(const Layer& source, const OperatorGrid& grid) {
  double sent = 0;
  for (int plane = 0; plane < source.planes(); plane += source.low_planes()) sent += std::abs(source.value_of(plane));
  sent *= (1 << grid.digits) - 1;
  const double inputs = double(grid.taps) * grid.kernel * grid.channels;
  return sent > 0 && sent <= most && grid.channels <= UINT16_MAX && sent * most * inputs <= INT32_MAX;
}

void pack_bytes(const Layer& layer, const OperatorGrid& grid, Gather& g, ByteProjection& to) {
  const Projection& p = layer.projections[size_t(to.range.projection)];
  const size_t lanes = size_t(g.lanes), tiles = size_t(to.record / byte_tile), tile = byte_tile * byte_lanes;
  const size_t across = lanes / byte_lanes, part = tiles * across * tile, block = size_t(to.range.taps) * part;
  to.weight.assign(size_t(g.blocks) * block, 0), to.scale.assign(size_t(g.blocks) * lanes, 0.0f);
  for (int out = 0; out < layer.channels; ++out) {
    for (int member = 0; member < g.fused; ++member) {
      const size_t place = size_t(member * layer.padded + out), lane = place % lanes;
      to.scale[place] = to.scales[size_t(out)];
      for (int channel = 0; channel < grid.channels; ++channel) {
        ptrdiff_t stride = 0;
        const float* from = weight_of(p, layer, channel, out, stride);
        for (int row = 0; from && row < to.range.taps; ++row) {
          for (int k = 0; k < grid.kernel; ++k, from += stride) {
            const size_t at = size_t((member * grid.stride + k * grid.dilation) * grid.channels + channel);
            int8_t* in = to.weight.data() + place / lanes * block + size_t(row) * part;
            in += (at / byte_tile * across + lane / byte_lanes) * tile + at % byte_tile / byte_group * byte_tile;
            in[lane % byte_lanes * byte_group + at % byte_group] = int8_t(std::nearbyint(*from / to.scales[size_t(out)]));
          }
        }
      }
    }
  }
}

ByteSums::ByteSums(const Plan& plan, const Layer& layer, Workspace& work, int steps)
    : plan_(plan), layer_(layer), g_(*layer.gather), work_(work), steps_(steps) {
  size_t bytes = 0, rows = 0;
  for (const ByteProjection& one : g_.bytes) {
    first_.push_back(bytes), kept_.push_back(rows);
    bytes += one.row_bytes(g_.width, steps) * size_t(one.range.ring), rows += size_t(one.range.ring);
  }
  if (!bytes) return;
  bytes += byte_slack;  // the last neurons of the last record are added with what lies behind them
  work.spread.reserve(bytes);
  std::fill(work.spread.get(), work.spread.get() + bytes, int8_t(0));  // columns that do not exist stay silent
  work.spread_rows.assign(rows, -1);
}

int8_t* ByteSums::record_of(const ByteProjection& one, size_t k, int row, int x) const {
  const size_t of_row = one.row_bytes(g_.width, steps_);
  const size_t first = first_[k] + size_t(row % one.range.ring) * of_row;
  return work_.spread.get() + first + size_t(x * steps_) * size_t(one.record);
}

void ByteSums::spread(int y) {
  for (size_t k = 0; k < g_.bytes.size(); ++k) {
    const ByteProjection& one = g_.bytes[k];
    for (int tap = 0; tap < one.range.taps; ++tap) {
      const int row = one.range.tap_rows[size_t(y * one.range.taps + tap)];
      if (row < 0) continue;
      int& spread = work_.spread_rows[kept_[k] + size_t(row % one.range.ring)];
      if (spread != row) spread_row(one, k, row);
      spread = row;
    }
  }
}

// Column after column, since the bytes of one may be followed by zeros where those of the next belong.
void ByteSums::spread_row(const ByteProjection& one, size_t k, int row) {
  const ChannelRange& range = one.range;
  const Layer& source = plan_.layers[size_t(range.source)];
  const LayerState& from = work_.layers[size_t(range.source)];
  const int planes = from.several ? source.planes() : source.low_planes();
  ByteColumn to{steps_, range.channels, from.trains.data(), from.trains.data() + source.words(),
                ptrdiff_t(source.slots()), one.values.data(), planes, nullptr, nullptr, range.slots.data(), nullptr, 0,
                0, one.record};
  to.next = ptrdiff_t(steps_) * one.record - ptrdiff_t(range.stride) * range.channels;
  const uint32_t* extents = range.extent_start.data() + size_t(row) * size_t(range.columns + 1);
  for (int column = 0; column < range.columns; ++column) {
    const int at = column + range.low;  // in record 0
    const int first = at < range.reach ? 0 : (at - range.reach) / range.stride + 1;
    const int last = std::min(g_.width - 1, at / range.stride);
    if (at < 0 || last < first) continue;
    to.extents = range.extents.data() + extents[column], to.extents_end = range.extents.data() + extents[column + 1];
    to.to = record_of(one, k, row, first) + ptrdiff_t(at - first * range.stride) * range.channels;
    to.copies = last - first + 1;
    plan_.loops->bytes->spread(to);
  }
}

void ByteSums::add(int y, int x, int positions, int block, const float* base, ptrdiff_t stride, float* current) const {
  for (size_t k = 0; k < g_.bytes.size(); ++k, base = nullptr) {
    const ByteProjection& one = g_.bytes[k];
    from_.clear();
    for (int tap = 0; tap < one.range.taps; ++tap) {
      const int row = one.range.tap_rows[size_t(y * one.range.taps + tap)];
      from_.push_back(row < 0 ? nullptr : record_of(one, k, row, x));
    }
    const size_t weights = one.weight.size() / size_t(g_.blocks);
    plan_.loops->bytes->multiply({positions, steps_, one.range.taps, from_.data(), one.record,
                                  one.weight.data() + size_t(block) * weights, g_.lanes,
                                  one.scale.data() + size_t(block) * size_t(g_.lanes), base, stride, current});
  }
}

}  // namespace spikewright
