// Running a gathering layer over one chunk of timesteps, row of outputs by row.
#include <algorithm>
#include <type_traits>

#include "gather.hpp"
#include "run.hpp"

namespace spikewright {
namespace {

// The memory of one layer's run, laid out in the workspace.
class Rows {
 public:
  Rows(const Plan& plan, const Layer& layer, Workspace& work, LayerState& state, int steps, float* totals,
       const std::atomic<bool>& stop)
      : plan_(plan), layer_(layer), g_(*layer.gather), work_(work), state_(state), steps_(steps), totals_(totals),
        stop_(stop) {
    size_t list = 0, start = 0, bytes = 0, fires = 0, kept = 0, words = 0, eights = 0;
    for (const Part& part : g_.parts) {
      places_.push_back({list, start, bytes, fires, kept});
      const size_t of_row = size_t(part.columns) * size_t(part.eights()), lists = size_t(part.lists());
      list += lists * list_size(part), start += lists * start_size(part);
      bytes += size_t(part.ring) * of_row * most_chunk, fires += size_t(part.ring) * of_row, kept += size_t(part.ring);
      words = std::max(words, size_t(turning_words(part.width()))), eights = std::max(eights, of_row);
      firsts_.emplace_back(lists * size_t(part.columns + 1));
    }
    work.list.reserve(list), work.start.reserve(start), work.bytes.reserve(bytes), work.fires.reserve(fires);
    work.named.reserve(fires * 8);
    work.words.reserve(words), work.eights.reserve(eights);
    work.turned.assign(kept, -1);
    size_t rows = 0;
    for (const Pass& pass : g_.passes) rows += assembled(pass);
    work.rows.reserve(rows * size_t(g_.at_once()));
    work.groups.reserve(std::max<size_t>(1, g_.passes.size()) * size_t(g_.at_once()) * most_chunk);
    const size_t currents = g_.currents(layer.kind == Kind::output, steps);
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
    size_t list, start, bytes, fires, turned;
  };

  bool stopped() const { return stop_.load(std::memory_order_relaxed); }

  // Entries of a pass at one position, with a group of zeros at most for each step.
  size_t assembled(const Pass& pass) const {
    return size_t(steps_) * size_t(pass.capacity + group_size) + list_slack;
  }

  static size_t list_size(const Part& part) { return size_t(most_chunk) * size_t(part.list_stride()); }
  static size_t start_size(const Part& part) {
    return size_t(most_chunk) * (size_t(part.columns) * size_t(part.eights()) + 1);
  }
  uint16_t* list_of(size_t k, int list) const {
    return work_.list.get() + places_[k].list + size_t(list) * list_size(g_.parts[k]);
  }
  uint32_t* start_of(size_t k, int list) const {
    return work_.start.get() + places_[k].start + size_t(list) * start_size(g_.parts[k]);
  }
  uint32_t* firsts_of(size_t k, int list) {
    return firsts_[k].data() + size_t(list) * size_t(g_.parts[k].columns + 1);
  }

  static int row_of(const Part& part, int y, int tap) {
    return tap < part.taps ? part.tap_rows[size_t(y * part.taps + tap)] : -1;
  }

  // Lists what row `y` of outputs reads of a part, unless it is listed already.
  void list(size_t k, int y) {
    const Part& part = g_.parts[k];
    for (int tap = 0; tap < part.taps; ++tap) {
      const int row = row_of(part, y, tap);
      if (row >= 0 && turn(k, row) && part.joined == 1) list(k, row % part.ring, &row);
    }
    for (int stack = 0; stack < part.stacks() && part.joined > 1; ++stack) {
      int rows[most_joined];
      for (int i = 0; i < part.joined; ++i) rows[i] = row_of(part, y, stack * part.joined + i);
      list(k, stack, rows);
    }
  }

  // Returns whether that was to be done.
  bool turn(size_t k, int row) {
    const Part& part = g_.parts[k];
    const Place& place = places_[k];
    const size_t at = size_t(row % part.ring), of_row = size_t(part.columns) * size_t(part.eights());
    int& turned = work_.turned[place.turned + at];
    if (turned == row) return false;
    turned = row;
    const LayerState& from = work_.layers[size_t(part.source)];
    plan_.kernels->turn_row({from.trains.data(), from.trains.data() + plan_.layers[size_t(part.source)].slots(),
                             part.run_start.data() + size_t(row) * size_t(part.columns + 1), part.runs.data(),
                             part.slots.data(), part.columns, part.digits, part.channels, part.width(),
                             work_.words.get(), work_.bytes.get() + place.bytes + at * of_row * most_chunk,
                             work_.fires.get() + place.fires + at * of_row,
                             part.joined > 1 ? nullptr : work_.named.get() + (place.fires + at * of_row) * 8});
    return true;
  }

  // Lists rows, -1 where there is none. Eights in which no neuron fires are left out.
  void list(size_t k, int list, const int* rows) {
    static const uint8_t silence[most_chunk] = {};
    const Part& part = g_.parts[k];
    const size_t eights = size_t(part.eights()), of_row = size_t(part.columns) * eights;
    Eight* const first = work_.eights.get();
    Eight* to = first;
    uint32_t* starts = firsts_of(k, list);
    for (int x = 0; x < part.columns; ++x) {
      *starts++ = uint32_t(to - first);
      for (size_t e = 0; e < eights; ++e) {
        bool any = false;
        size_t named = 0;
        for (int i = 0; i < part.joined; ++i) {
          const size_t at = size_t(std::max(rows[i], 0) % part.ring) * of_row + size_t(x) * eights + e;
          const bool fires = rows[i] >= 0 && work_.fires.get()[places_[k].fires + at];
          to->bytes[i] = fires ? work_.bytes.get() + places_[k].bytes + at * most_chunk : silence;
          any = any || fires, named = (places_[k].fires + at) * 8;
        }
        if (!any) continue;
        to->entry = uint16_t(x * part.column() + (part.joined > 1 ? 8 * int(e) * part.ways() : 0));
        to++->named = part.joined > 1 ? nullptr : work_.named.get() + named;
      }
    }
    *starts = uint32_t(to - first);
    plan_.kernels->list_rows({first, int(to - first), part.joined, steps_, part.list_stride(), list_of(k, list),
                              start_of(k, list)});
  }

  void assemble(int y, int x, int positions) {
    windows_.clear();
    uint16_t* rows = work_.rows.get();
    uint16_t* groups = work_.groups.get();
    for (const Pass& pass : g_.passes) {
      slices_.clear();
      size_t ends[tile];
      for (int k = 0; k < positions; ++k) {
        for (const Stack& stack : pass.stacks) add_slice(pass, stack, y, x + k);
        ends[k] = slices_.size();
      }
      Assembly to[tile];
      for (int k = 0; k < positions; ++k, rows += assembled(pass), groups += most_chunk) {
        to[k] = {slices_.data() + (k ? ends[k - 1] : 0), slices_.data() + ends[k], rows, groups};
        windows_.push_back({rows, groups});
      }
      plan_.kernels->assemble(to, positions, steps_, uint16_t(pass.rows));
    }
    if (g_.passes.empty()) {
      std::fill(groups, groups + most_chunk, uint16_t(0));
      windows_.assign(size_t(positions), {rows, groups});
    }
  }

  void add_slice(const Pass& pass, const Stack& stack, int y, int x) {
    const size_t k = size_t(stack.part);
    const Part& part = g_.parts[k];
    const int left = x * part.stride - part.low;
    const int from = std::max(left, 0), to = std::min(left + part.reach, part.columns);
    const int row = part.joined > 1 ? 0 : row_of(part, y, stack.at);
    if (row < 0 || from >= to) return;
    const int list = part.joined > 1 ? stack.at : row % part.ring;
    const uint32_t *first = firsts_of(k, list), *start = start_of(k, list);
    const int shift = part.first[size_t(stack.at)] - pass.first - left * part.column();
    slices_.push_back({list_of(k, list), start + size_t(first[from]) * most_chunk, start + size_t(first[to]) * most_chunk,
                       uint16_t(shift)});
  }

  void sum(int y, int x, int positions, int block) const {
    if (g_.scale.empty()) {
      const bool plain = layer_.neurons.plain();
      sum(y, x, positions, block, g_.floats, state_.v.data(), state_.base.data(), work_.current.get(),
          [&](const Direct<float>& direct) { plan_.kernels->add_direct(direct, g_.vectors); },
          [&](const Sums<float>& sums) { plan_.kernels->sum(sums, g_.vectors, plain); });
    } else {
      sum(y, x, positions, block, g_.shorts, state_.short_v.data(), state_.short_base.data(), work_.short_current.get(),
          [&](const Direct<int16_t>& direct) { plan_.kernels->add_direct_shorts(direct, g_.vectors); },
          [&](const Sums<int16_t>& sums) { plan_.kernels->sum_shorts(sums, g_.vectors); });
    }
  }

  template <class T, class Add, class Kernel>
  void sum(int y, int x, int positions, int block, const Values<T>& values, T* v, const T* base, T* current,
           const Add& add_direct, const Kernel& kernel) const {
    Sums<T> s{};
    const ptrdiff_t lane = ptrdiff_t(block) * g_.lanes, stride = ptrdiff_t(g_.group) * layer_.padded;
    const ptrdiff_t at = ptrdiff_t(layer_.slot(y * layer_.row)) + x * stride + lane, own = g_.per_neuron ? at : lane;
    s.steps = steps_, s.positions = positions, s.stride = stride;
    s.base = base + at, s.v = v + at, s.count = state_.count.data() + at;
    s.decay = T(layer_.neurons.decay), s.v_reset = T(layer_.neurons.v_reset), s.subtract = layer_.neurons.subtract;
    const bool fires = layer_.kind == Kind::neurons;
    if (fires) {
      s.threshold = values.threshold.data() + own, s.neuron_stride = g_.per_neuron ? stride : 0;
      s.v_min = values.v_min.empty() ? nullptr : values.v_min.data() + own;
      s.early = state_.trains.data() + at, s.late = s.early + layer_.slots();
    } else {
      s.threshold = s.v, s.neuron_stride = stride;  // an output compares nothing
    }
    size_t last = g_.passes.empty() ? 0 : g_.passes.size() - 1;
    while (last && !g_.passes[last].in_block[size_t(block)]) --last;
    s.first = g_.shortcuts.empty(), s.current = current;
    for (size_t k = 0; k < g_.shortcuts.size(); ++k) {
      const size_t source = size_t(g_.shortcuts[k].source);
      const uint32_t* early = work_.layers[source].trains.data() + at;
      const T* weight = values.direct.data() + (k * size_t(g_.blocks) + size_t(block)) * size_t(g_.lanes);
      add_direct({steps_, positions, early, early + plan_.layers[source].slots(), weight, k ? nullptr : base + at,
                  current, stride});
    }
    for (size_t pass = 0; pass <= last; ++pass) {
      if (pass != last && !g_.passes[pass].in_block[size_t(block)]) continue;
      s.last = pass == last && fires;
      const bool rests = s.last && s.first && g_.passes.empty() && layer_.neurons.plain();
      const size_t row = g_.passes.empty() ? 0 : size_t(g_.passes[pass].first);
      s.weight = values.weight.data() + (size_t(block) * size_t(g_.rows) + row) * size_t(g_.lanes);
      s.windows = rests ? nullptr : windows_.data() + pass * size_t(positions);
      kernel(s);
      s.first = false;
    }
    if constexpr (std::is_same_v<T, float>) {
      if (!fires) total(y * layer_.row + x * g_.group, positions, block);
    }
  }

  // What has arrived at an output so far.
  void total(int first, int positions, int block) const {
    const int members = std::min(positions * g_.group, layer_.row - first % layer_.row);
    const int lane = g_.blocks > 1 ? block * g_.lanes : 0, lanes = std::min(layer_.channels - lane, g_.lanes);
    for (int k = 0; k < members; ++k) {
      float* v = state_.v.data() + layer_.slot(first + k) + lane;
      const float* current = work_.current.get() + ptrdiff_t(k / g_.group) * steps_ * g_.lanes;
      if (g_.blocks == 1) current += k % g_.group * layer_.padded;
      float* to = totals_ ? totals_ + ptrdiff_t(first + k) * layer_.channels + lane : nullptr;
      for (int t = 0; t < steps_; ++t, current += g_.lanes) {
        for (int c = 0; c < lanes; ++c) v[c] += current[c];
        if (to) std::copy(v, v + lanes, to + ptrdiff_t(t) * layer_.size());
      }
    }
  }

  const Plan& plan_;
  const Layer& layer_;
  const Gather& g_;
  Workspace& work_;
  LayerState& state_;
  const int steps_;
  float* const totals_;  // of an output: (steps, values)
  const std::atomic<bool>& stop_;
  std::vector<Place> places_;
  std::vector<std::vector<uint32_t>> firsts_;  // of each part, (list, column + 1): eights before a column
  std::vector<Window> windows_;  // (pass, position)
  std::vector<Slice> slices_;
};

}  // namespace

void gather_layer(const Plan& plan, const Layer& layer, Workspace& work, LayerState& state, int steps, float* totals,
                  const std::atomic<bool>& stop) {
  Rows(plan, layer, work, state, steps, totals, stop).run();
}

}  // namespace spikewright
