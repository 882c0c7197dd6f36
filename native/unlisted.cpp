#include "unlisted.hpp"

#include <algorithm>

#include "operator_grid.hpp"

namespace spikewright {
namespace {

SlidingTaps sliding(const OperatorGrid& grid) {
  SlidingTaps taps;
  taps.columns = grid.columns, taps.row_taps = grid.taps, taps.kernel = grid.kernel;
  taps.stride = grid.stride, taps.low = grid.low, taps.dilation = grid.dilation;
  taps.tap_rows = grid.tap_rows;
  return taps;
}

}  // namespace

bool find_sliding_taps(const Layer& source, const Projection& p, const OperatorGrid& grid, SlidingTaps& to) {
  const bool gapless = source.row_length == source.pitch, rows = source.row_length == grid.columns;
  if (p.kind != Operator::conv || !p.remap.empty() || source.channels != grid.channels || !(gapless || rows)) return false;
  to = sliding(grid);
  to.column = source.padded, to.row = ptrdiff_t(gapless ? grid.columns : source.pitch) * source.padded;
  return true;
}

void copy_to_grid(const Layer& source, const Projection& p, const OperatorGrid& grid, int padded, SlidingTaps& to) {
  to = sliding(grid);
  to.column = padded, to.row = ptrdiff_t(grid.columns) * padded;
  to.copied = size_t(grid.rows) * size_t(to.row);
  for (int position = 0, i = 0; position < source.positions; ++position) {
    for (int c = 0; c < source.channels; ++c, ++i) {
      const int32_t at = p.at(uint32_t(i));
      if (at < 0) continue;
      to.from.push_back(uint32_t(source.slot(position)) + uint32_t(c));
      to.to.push_back(uint32_t(at / grid.channels * padded + at % grid.channels));
    }
  }
}

Unlisted::Unlisted(const Plan& plan, const Layer& layer, Workspace& work, int steps)
    : plan_(plan), layer_(layer), g_(*layer.gather), work_(work), steps_(steps) {
  words_.resize(g_.channelwise.size()), values_.resize(g_.graded.size() * size_t(g_.fused));
  for (const Projection& p : layer.projections) large_ = large_ || !work.layers[size_t(p.source)].large.empty();
  if (large_) scatter_large();
  size_t copied = 0;
  int channels = 0;
  for (const GradedProjection& graded : g_.graded) {
    grids_.push_back(copied);
    copied += graded.taps.copied * size_t(steps), channels = std::max(channels, graded.channels);
  }
  zeros_.assign(size_t(channels), 0.0f);
  work.grid.reserve(copied);
  std::fill(work.grid.get(), work.grid.get() + copied, 0.0f);
  for (size_t k = 0; k < g_.graded.size(); ++k) {
    const SlidingTaps& taps = g_.graded[k].taps;
    const size_t slots = plan.layers[size_t(taps.source)].slots();
    const float* from = work.layers[size_t(taps.source)].values.data();
    float* to = work.grid.get() + grids_[k];
    for (int t = 0; taps.copied && t < steps; ++t, from += slots, to += taps.copied) {
      for (size_t i = 0; i < taps.to.size(); ++i) to[taps.to[i]] += from[taps.from[i]];
    }
  }
}

// They are few, so that each is added where it arrives before anything else is.
void Unlisted::scatter_large() {
  const size_t values = size_t(layer_.size());
  work_.large.assign(size_t(steps_) * values, 0.0f);
  const std::atomic<bool> stop{false};
  for (const Projection& p : layer_.projections) {
    for (const LargeNumber& one : work_.layers[size_t(p.source)].large) {
      scatter(p, layer_, *plan_.loops, &one.neuron, &one.number, 1, work_.large.data() + size_t(one.t) * values, stop);
    }
  }
}

void Unlisted::add_large(int block, float* current) const {
  const int members = std::min(positions_ * g_.fused, layer_.row_length - column_);
  const int lane = g_.blocks > 1 ? block * g_.lanes : 0, lanes = std::min(layer_.channels - lane, g_.lanes);
  for (int k = 0; k < members; ++k) {
    float* to = current + ptrdiff_t(k / g_.fused) * steps_ * g_.lanes + (g_.blocks > 1 ? 0 : k % g_.fused * layer_.padded);
    const float* from = work_.large.data() + ptrdiff_t(first_ + k) * layer_.channels + lane;
    for (int t = 0; t < steps_; ++t, to += g_.lanes, from += layer_.size()) {
      for (int c = 0; c < lanes; ++c) to[c] += from[c];
    }
  }
}

const float* Unlisted::values_of(const GradedProjection& graded) const {
  const size_t k = size_t(&graded - g_.graded.data());
  if (graded.taps.copied) return work_.grid.get() + grids_[k];
  return work_.layers[size_t(graded.taps.source)].values.data();
}

ptrdiff_t Unlisted::step_of(const GradedProjection& graded) const {
  return ptrdiff_t(graded.taps.copied ? graded.taps.copied : plan_.layers[size_t(graded.taps.source)].slots());
}

template <class T>
void Unlisted::find_taps(const SlidingTaps& taps, const T* values, int y, int x, int positions, bool by_position,
                         std::vector<const T*>& to) const {
  to.assign(size_t(positions) * size_t(taps.taps()), nullptr);
  for (int i = 0; i < taps.row_taps; ++i) {
    const int row = taps.tap_rows[size_t(y * taps.row_taps + i)];
    if (row < 0) continue;
    for (int k = 0; k < taps.kernel; ++k) {
      const int tap = i * taps.kernel + k;
      for (int position = 0; position < positions; ++position) {
        const int column = (x + position * g_.fused) * taps.stride - taps.low + k * taps.dilation;
        if (column < 0 || column >= taps.columns) continue;
        const size_t at = by_position ? size_t(position * taps.taps() + tap) : size_t(tap * positions + position);
        to[at] = values + row * taps.row + column * taps.column;
      }
    }
  }
}

void Unlisted::find(int y, int x, int positions) {
  positions_ = positions, column_ = x * g_.fused, first_ = y * layer_.row_length + column_;
  for (size_t k = 0; k < g_.channelwise.size(); ++k) {
    const ChannelwiseProjection& c = g_.channelwise[k];
    const size_t plane = size_t(c.plane) * plan_.layers[size_t(c.taps.source)].slots();
    find_taps(c.taps, work_.layers[size_t(c.taps.source)].trains.data() + plane, y, x, positions, true, words_[k]);
  }
  for (size_t k = 0; k < g_.graded.size(); ++k) {
    for (int member = 0; member < g_.fused; ++member) {
      find_taps(g_.graded[k].taps, values_of(g_.graded[k]), y, x * g_.fused + member, positions, false,
                values_[k * size_t(g_.fused) + size_t(member)]);
    }
  }
}

template <class T, class Add>
void Unlisted::add_spikes(int block, const Aligned<T>& weight, T* current, const Add& add) const {
  for (size_t k = 0; k < g_.channelwise.size(); ++k) {
    const ChannelwiseProjection& c = g_.channelwise[k];
    if (c.higher && !work_.layers[size_t(c.taps.source)].several) continue;
    const size_t own = c.first + size_t(block) * size_t(c.taps.taps()) * size_t(g_.lanes);
    const ptrdiff_t late = ptrdiff_t(plan_.layers[size_t(c.taps.source)].words());
    add(ChannelwiseSums<T>{steps_, positions_, c.taps.taps(), words_[k].data(), late, weight.data() + own, current},
        ptrdiff_t(block) * g_.lanes);
  }
}

void Unlisted::add(int block, const Parameters<int16_t>& values, int16_t* current) const {
  add_spikes(block, values.channelwise, current, [&](const ChannelwiseSums<int16_t>& sums, ptrdiff_t lane) {
    plan_.loops->add_channelwise_shorts(sums, g_.vectors, lane);
  });
}

void Unlisted::add(int block, const Parameters<float>& values, float* current) const {
  add_spikes(block, values.channelwise, current, [&](const ChannelwiseSums<float>& sums, ptrdiff_t lane) {
    plan_.loops->add_channelwise(sums, g_.vectors, lane);
  });
  if (large_) add_large(block, current);
  for (size_t k = 0; k < g_.graded.size(); ++k) {
    for (int member = 0; member < g_.fused; ++member) multiply(g_.graded[k], k, member, block, values.graded, current);
  }
}

void Unlisted::multiply(const GradedProjection& graded, size_t k, int member, int block, const Aligned<float>& weight,
                        float* current) const {
  const size_t lanes = size_t(g_.own_lanes()), taps = size_t(graded.taps.taps());
  const int vectors = g_.vectors / g_.fused;
  const float* const* from = values_[k * size_t(g_.fused) + size_t(member)].data();
  current += ptrdiff_t(member) * ptrdiff_t(lanes);
  if (graded.channelwise) {
    const float* own = weight.data() + graded.first + size_t(block) * taps * lanes;
    plan_.loops->multiply_channelwise({steps_, positions_, int(taps), from, step_of(graded), own, current, g_.lanes},
                                      vectors, ptrdiff_t(block) * ptrdiff_t(lanes));
    return;
  }
  const int first = graded.begin[size_t(block)], count = graded.end[size_t(block)] - first;
  if (count <= 0) return;
  const size_t tap = size_t(graded.channels) * lanes;
  const float* own = weight.data() + graded.first + size_t(block) * taps * tap + size_t(first) * lanes;
  plan_.loops->multiply({steps_, positions_, int(taps), count, from, step_of(graded), first, zeros_.data(), own,
                         ptrdiff_t(tap), current, g_.lanes}, vectors);
}

}  // namespace spikewright
