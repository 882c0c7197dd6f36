// Running a gathering layer over one chunk of timesteps, row of outputs by row.
#include <algorithm>

#include "gather.hpp"
#include "run.hpp"

namespace spikewright {
namespace {

// The memory of one layer's run, laid out in the workspace.
class Rows {
 public:
  Rows(const Plan& plan, const Layer& layer, Workspace& work, LayerState& state, int steps,
       const std::atomic<bool>& stop)
      : plan_(plan), layer_(layer), g_(*layer.gather), work_(work), state_(state), steps_(steps), stop_(stop) {
    size_t list = 0, start = 0, rings = 0;
    for (const Part& part : g_.parts) {
      lists_.push_back({list, start, rings});
      list += size_t(part.ring) * size_t(most_chunk) * part.list_stride();
      start += size_t(part.ring) * size_t(part.columns + 1) * size_t(most_chunk);
      rings += size_t(part.ring);
    }
    work.list.reserve(list), work.start.reserve(start);
    work.listed.assign(rings, -1);
    size_t rows = 0;
    for (const Pass& pass : g_.passes) rows += assembled(pass);
    work.rows.reserve(rows * tile);
    work.groups.reserve(std::max<size_t>(1, g_.passes.size()) * tile * most_chunk);
    const size_t currents = g_.passes.size() > 1 ? size_t(tile) * size_t(steps) * size_t(g_.lanes) : 0;
    g_.scale.empty() ? work.current.reserve(currents) : work.short_current.reserve(currents);
  }

  void run() {
    for (int y = 0; y < g_.height; ++y) {
      for (size_t k = 0; k < g_.parts.size() && !stopped(); ++k) list(k, y);
      for (int x = 0; x < g_.width && !stopped(); x += tile) {
        const int positions = std::min(tile, g_.width - x);
        assemble(y, x, positions);
        for (int block = 0; block < g_.blocks && !stopped(); ++block) sum(y, x, positions, block);
      }
    }
  }

 private:
  struct Place {
    size_t list, start, ring;
  };

  bool stopped() const { return stop_.load(std::memory_order_relaxed); }

  // Entries of a pass at one position, with a group of zeros at most for each step.
  size_t assembled(const Pass& pass) const {
    return size_t(steps_) * size_t(pass.capacity + group_size) + list_slack;
  }

  uint16_t* list_of(size_t part, int row) const {
    const Part& p = g_.parts[part];
    return work_.list.get() + lists_[part].list + size_t(row % p.ring) * size_t(most_chunk) * p.list_stride();
  }

  uint32_t* start_of(size_t part, int row) const {
    const Part& p = g_.parts[part];
    return work_.start.get() + lists_[part].start + size_t(row % p.ring) * size_t(p.columns + 1) * size_t(most_chunk);
  }

  // Lists the rows that row `y` of outputs reads, unless they are listed already.
  void list(size_t k, int y) const {
    const Part& part = g_.parts[k];
    const LayerState& from = work_.layers[size_t(part.source)];
    const size_t slots = plan_.layers[size_t(part.source)].slots();
    for (int tap = 0; tap < part.taps; ++tap) {
      const int row = part.tap_rows[size_t(y * part.taps + tap)];
      if (row < 0) continue;
      int& listed = work_.listed[lists_[k].ring + size_t(row % part.ring)];
      if (listed == row) continue;
      listed = row;
      const uint32_t* runs = part.run_start.data() + size_t(row) * size_t(part.columns + 1);
      plan_.kernels->list_row({from.trains.data(), from.trains.data() + slots, runs, part.runs.data(), part.columns,
                               steps_, part.list_stride(), list_of(k, row), start_of(k, row)});
    }
  }

  void assemble(int y, int x, int positions) {
    windows_.clear();
    uint16_t* rows = work_.rows.get();
    uint16_t* groups = work_.groups.get();
    for (const Pass& pass : g_.passes) {
      slices_.clear();
      size_t ends[tile];
      for (int k = 0; k < positions; ++k) {
        for (const Tap& tap : pass.taps) add_slice(tap, y, x + k);
        ends[k] = slices_.size();
      }
      Assembly to[tile];
      for (int k = 0; k < positions; ++k, rows += assembled(pass), groups += most_chunk) {
        to[k] = {slices_.data() + (k ? ends[k - 1] : 0), slices_.data() + ends[k], rows, groups};
        windows_.push_back({rows, groups});
      }
      plan_.kernels->assemble(to, positions, steps_, uint16_t(g_.rows));
    }
    if (g_.passes.empty()) {
      std::fill(groups, groups + most_chunk, uint16_t(0));
      windows_.assign(size_t(positions), {rows, groups});
    }
  }

  void add_slice(const Tap& tap, int y, int x) {
    const Part& part = g_.parts[size_t(tap.part)];
    const int row = part.tap_rows[size_t(y * part.taps + tap.tap)];
    const int left = x * part.stride - part.low;
    const int from = std::max(left, 0), to = std::min(left + part.reach, part.columns);
    if (row < 0 || from >= to) return;
    const uint32_t* start = start_of(size_t(tap.part), row);
    const int shift = part.first + (tap.tap * part.reach - left) * part.channels;
    slices_.push_back({list_of(size_t(tap.part), row), start + ptrdiff_t(from) * most_chunk,
                       start + ptrdiff_t(to) * most_chunk, uint16_t(shift)});
  }

  void sum(int y, int x, int positions, int block) const {
    if (g_.scale.empty()) {
      const bool plain = layer_.neurons.plain();
      sum(y, x, positions, block, g_.floats, state_.v.data(), state_.base.data(), work_.current.get(),
          [&](const Sums<float>& sums) { plan_.kernels->sum(sums, g_.vectors, plain); });
    } else {
      sum(y, x, positions, block, g_.shorts, state_.short_v.data(), state_.short_base.data(), work_.short_current.get(),
          [&](const Sums<int16_t>& sums) { plan_.kernels->sum_shorts(sums, g_.vectors); });
    }
  }

  template <class T, class Kernel>
  void sum(int y, int x, int positions, int block, const Values<T>& values, T* v, const T* base, T* current,
           const Kernel& kernel) const {
    Sums<T> s{};
    const ptrdiff_t lane = ptrdiff_t(block) * g_.lanes, stride = ptrdiff_t(g_.group) * layer_.padded;
    const ptrdiff_t at = ptrdiff_t(layer_.slot(y * layer_.row)) + x * stride + lane, own = g_.per_neuron ? at : lane;
    s.steps = steps_, s.positions = positions, s.stride = stride;
    s.weight = values.weight.data() + size_t(block) * size_t(g_.rows + 1) * size_t(g_.lanes);
    s.base = base + at, s.v = v + at, s.count = state_.count.data() + at;
    s.threshold = values.threshold.data() + own;
    s.v_min = values.v_min.empty() ? nullptr : values.v_min.data() + own;
    s.neuron_stride = g_.per_neuron ? stride : 0;
    s.decay = T(layer_.neurons.decay), s.v_reset = T(layer_.neurons.v_reset), s.subtract = layer_.neurons.subtract;
    s.early = state_.trains.data() + at, s.late = s.early + layer_.slots();
    size_t last = g_.passes.empty() ? 0 : g_.passes.size() - 1;
    while (last && !g_.passes[last].in_block[size_t(block)]) --last;
    s.first = true, s.current = current;
    for (size_t pass = 0; pass <= last; ++pass) {
      if (pass != last && !g_.passes[pass].in_block[size_t(block)]) continue;
      s.last = pass == last;
      s.windows = windows_.data() + pass * size_t(positions);
      kernel(s);
      s.first = false;
    }
  }

  const Plan& plan_;
  const Layer& layer_;
  const Gather& g_;
  Workspace& work_;
  LayerState& state_;
  const int steps_;
  const std::atomic<bool>& stop_;
  std::vector<Place> lists_;
  std::vector<Window> windows_;  // (pass, position)
  std::vector<Slice> slices_;
};

}  // namespace

void gather_layer(const Plan& plan, const Layer& layer, Workspace& work, LayerState& state, int steps,
                  const std::atomic<bool>& stop) {
  Rows(plan, layer, work, state, steps, stop).run();
}

}  // namespace spikewright
