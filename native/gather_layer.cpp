// Running a gathering layer over one chunk of timesteps, row of outputs by row.
#include <algorithm>
#include <type_traits>

#include "bytes.hpp"
#include "gather.hpp"
#include "run.hpp"
#include "unlisted.hpp"

namespace spikewright {
namespace {

// A gathering layer over one chunk, and the memory that it uses of the workspace.
class Gathering {
 public:
  Gathering(const Plan& plan, const Layer& layer, Workspace& work, LayerState& state, int first, int steps,
            float* to, const std::atomic<bool>& stop)
      : plan_(plan), layer_(layer), g_(*layer.gather), work_(work), state_(state), first_(first), steps_(steps),
        span_(span_of(steps)), kept_(to), stop_(stop), unlisted_(plan, layer, work, steps),
        bytes_(plan, layer, work, steps) {
    size_t list = 0, start = 0, bytes = 0, fires = 0, kept = 0, words = 0;
    for (const ChannelRange& range : g_.ranges) {
      offsets_.push_back({list, start, bytes, fires, kept});
      const size_t of_row = size_t(range.columns) * size_t(range.octets()), lists = size_t(range.lists());
      list += lists * list_size(range), start += lists * start_size(range);
      const size_t ring = size_t(range.ring);
      bytes += ring * of_row * size_t(span_), fires += ring * of_row, kept += ring;
      words = std::max(words, size_t(transposition_words(range.width())));
      firsts_.emplace_back(lists * size_t(range.columns + 1));
    }
    work.list.reserve(list), work.start.reserve(start), work.bytes.reserve(bytes), work.fires.reserve(fires);
    work.entry_of.reserve(fires * 8);
    work.words.reserve(words);
    work.transposed.assign(kept, -1);
    size_t rows = 0;
    for (const Panel& panel : g_.panels) rows += assembled(panel);
    work.rows.reserve(rows * size_t(g_.at_once()));
    work.rounds.reserve(std::max<size_t>(1, g_.panels.size()) * size_t(g_.at_once()) * max_chunk);
    const size_t currents = g_.currents(layer.kind != Kind::neurons || unlisted_.any() || kept_, steps);
    g_.scale.empty() ? work.current.reserve(currents) : work.short_current.reserve(currents);
  }

  void run() {
    if (layer_.kind == Kind::neurons) start_sending();
    for (int y = 0; y < g_.height; ++y) {
      for (size_t k = 0; k < g_.ranges.size() && !stopped(); ++k) list(k, y);
      bytes_.spread(y);
      for (int x = 0; x < g_.width && !stopped(); x += tile) {
        const int positions = std::min(tile, g_.width - x);
        assemble(y, x, positions);
        unlisted_.find(y, x, positions);
        for (int block = 0; block < g_.blocks && !stopped(); ++block) sum(y, x, positions, block);
      }
    }
  }

 private:
  struct LargeNumbers {
    const Layer& layer;
    LayerState& state;
    ptrdiff_t first;  // slot
  };
  struct Offsets {
    size_t list, start, bytes, fires, transposed;
  };

  bool stopped() const { return stop_.load(std::memory_order_relaxed); }

  // Nothing is sent so far; planes of higher bits are only written where they have any.
  void start_sending() const {
    const ptrdiff_t low = ptrdiff_t(size_t(layer_.low_planes()) * layer_.slots()), words = ptrdiff_t(layer_.words());
    uint32_t* const first = state_.trains.data();
    for (uint32_t* half : {first, first + words}) {
      if (state_.several) std::fill(half + low, half + words, 0u);
    }
    state_.several = false, state_.large.clear();
  }

  bool silent(const ChannelRange& range) const { return range.higher && !work_.layers[size_t(range.source)].several; }

  // A number that trains do not hold; `slot` may be one of those that pad.
  static void keep_large(void* to, ptrdiff_t slot, int t, float number) {
    const LargeNumbers& of = *static_cast<const LargeNumbers*>(to);
    const Layer& layer = of.layer;
    const size_t at = size_t(of.first + slot), row = size_t(layer.pitch) * size_t(layer.padded);
    const size_t column = at % row / size_t(layer.padded), channel = at % size_t(layer.padded);
    if (column >= size_t(layer.row_length) || channel >= size_t(layer.channels)) return;
    const size_t position = at / row * size_t(layer.row_length) + column;
    if (layer.neurons.firing() == Firing::bursts && !layer.takes_back) of.state.count[at] += number;
    of.state.large.push_back({uint32_t(position * size_t(layer.channels) + channel), t, number});
  }

  // Entries of a panel at one position, with the zeros that fill up the last round of each step.
  size_t assembled(const Panel& panel) const {
    return size_t(steps_) * size_t(panel.capacity + rows_per_round) + list_slack;
  }

  size_t list_size(const ChannelRange& range) const { return size_t(span_) * size_t(range.list_stride()); }
  size_t start_size(const ChannelRange& range) const {
    return size_t(span_) * (size_t(range.columns) * size_t(range.octets()) + 1);
  }
  uint16_t* list_of(size_t k, int list) const {
    return work_.list.get() + offsets_[k].list + size_t(list) * list_size(g_.ranges[k]);
  }
  uint32_t* start_of(size_t k, int list) const {
    return work_.start.get() + offsets_[k].start + size_t(list) * start_size(g_.ranges[k]);
  }
  uint32_t* firsts_of(size_t k, int list) {
    return firsts_[k].data() + size_t(list) * size_t(g_.ranges[k].columns + 1);
  }

  static int row_of(const ChannelRange& range, int y, int tap) {
    return tap < range.taps ? range.tap_rows[size_t(y * range.taps + tap)] : -1;
  }

  // Lists what row `y` of outputs reads of a range, unless it is listed already.
  void list(size_t k, int y) {
    const ChannelRange& range = g_.ranges[k];
    if (silent(range)) return;
    for (int tap = 0; tap < range.taps; ++tap) {
      const int row = row_of(range, y, tap);
      if (row >= 0 && transpose(k, row) && range.joined == 1) list(k, row % range.ring, &row);
    }
    for (int stack = 0; stack < range.stacks() && range.joined > 1; ++stack) {
      int rows[max_joined];
      for (int i = 0; i < range.joined; ++i) rows[i] = row_of(range, y, stack * range.joined + i);
      list(k, stack, rows);
    }
  }

  // Transposes the trains of a row of the source, unless that is done; returns whether it was to be done.
  bool transpose(size_t k, int row) {
    const ChannelRange& range = g_.ranges[k];
    const Offsets& offset = offsets_[k];
    const size_t at = size_t(row % range.ring), of_row = size_t(range.columns) * size_t(range.octets());
    int& transposed = work_.transposed[offset.transposed + at];
    if (transposed == row) return false;
    transposed = row;
    const LayerState& from = work_.layers[size_t(range.source)];
    plan_.loops->transpose_row({span_, from.trains.data(), from.trains.data() + plan_.layers[size_t(range.source)].words(),
                             range.extent_start.data() + size_t(row) * size_t(range.columns + 1), range.extents.data(),
                             range.slots.data(), range.columns, range.digits, range.channels, range.width(),
                             work_.words.get(), work_.bytes.get() + offset.bytes + at * of_row * size_t(span_),
                             work_.fires.get() + offset.fires + at * of_row,
                             range.joined > 1 ? nullptr : work_.entry_of.get() + (offset.fires + at * of_row) * 8});
    return true;
  }

  // Lists rows, -1 where there is none.
  void list(size_t k, int list, const int* rows) {
    const ChannelRange& range = g_.ranges[k];
    const Offsets& offset = offsets_[k];
    const size_t of_row = size_t(range.columns) * size_t(range.octets());
    Listing to{range.joined, span_, steps_, range.columns, range.octets(), range.column(), {}, {}, nullptr,
               range.list_stride(), list_of(k, list), start_of(k, list), firsts_of(k, list)};
    for (int i = 0; i < range.joined; ++i) {
      if (rows[i] < 0) continue;
      const size_t at = size_t(rows[i] % range.ring) * of_row;
      to.bytes[i] = work_.bytes.get() + offset.bytes + at * size_t(span_);
      to.fires[i] = work_.fires.get() + offset.fires + at;
      if (range.joined == 1) to.entry_of = work_.entry_of.get() + (offset.fires + at) * 8;
    }
    plan_.loops->list_rows(to);
  }

  void assemble(int y, int x, int positions) {
    row_lists_.clear();
    uint16_t* rows = work_.rows.get();
    uint16_t* rounds = work_.rounds.get();
    for (const Panel& panel : g_.panels) {
      slices_.clear();
      size_t ends[tile];
      for (int k = 0; k < positions; ++k) {
        for (const Stack& stack : panel.stacks) add_slice(panel, stack, y, x + k);
        ends[k] = slices_.size();
      }
      Assembly to[tile];
      for (int k = 0; k < positions; ++k, rows += assembled(panel), rounds += max_chunk) {
        to[k] = {slices_.data() + (k ? ends[k - 1] : 0), slices_.data() + ends[k], rows, rounds};
        row_lists_.push_back({rows, rounds});
      }
      plan_.loops->assemble(to, positions, steps_, span_, uint16_t(panel.rows));
    }
    if (g_.panels.empty()) {
      std::fill(rounds, rounds + max_chunk, uint16_t(0));
      row_lists_.assign(size_t(positions), {rows, rounds});
    }
  }

  void add_slice(const Panel& panel, const Stack& stack, int y, int x) {
    const size_t k = size_t(stack.range);
    const ChannelRange& range = g_.ranges[k];
    if (silent(range)) return;
    const int left = x * range.stride - range.low;
    const int from = std::max(left, 0), to = std::min(left + range.reach, range.columns);
    const int row = range.joined > 1 ? 0 : row_of(range, y, stack.at);
    if (row < 0 || from >= to) return;
    const int list = range.joined > 1 ? stack.at : row % range.ring;
    const uint32_t *first = firsts_of(k, list), *start = start_of(k, list);
    if (first[from] == first[to]) return;
    const int shift = range.first[size_t(stack.at)] - panel.first - left * range.column();
    slices_.push_back({list_of(k, list), start + size_t(first[from]) * size_t(span_),
                       start + size_t(first[to]) * size_t(span_), uint16_t(shift), range.higher});
  }

  void sum(int y, int x, int positions, int block) const {
    if (g_.scale.empty()) {
      const Firing firing = layer_.neurons.firing();
      sum(y, x, positions, block, g_.floats, state_.v.data(), state_.base.data(), work_.current.get(),
          [&](const OneToOneSums<float>& sums) { plan_.loops->add_one_to_one(sums, g_.vectors); },
          [&](const Sums<float>& sums) { plan_.loops->sum(sums, g_.vectors, firing); });
    } else {
      sum(y, x, positions, block, g_.shorts, state_.short_v.data(), state_.short_base.data(), work_.short_current.get(),
          [&](const OneToOneSums<int16_t>& sums) { plan_.loops->add_one_to_one_shorts(sums, g_.vectors); },
          [&](const Sums<int16_t>& sums) { plan_.loops->sum_shorts(sums, g_.vectors); });
    }
  }

  template <class T, class Add, class Kernel>
  void sum(int y, int x, int positions, int block, const Parameters<T>& values, T* v, const T* base, T* current,
           const Add& add_one_to_one, const Kernel& kernel) const {
    Sums<T> s{};
    LargeNumbers large{layer_, state_, 0};
    const ptrdiff_t lane = ptrdiff_t(block) * g_.lanes, stride = ptrdiff_t(g_.fused) * layer_.padded;
    const ptrdiff_t at = ptrdiff_t(layer_.slot(y * layer_.row_length)) + x * stride + lane;
    const ptrdiff_t own = g_.per_neuron ? at : lane;
    s.steps = steps_, s.positions = positions, s.stride = stride;
    s.base = base + at, s.v = v + at, s.count = state_.count.data() + at;
    s.rule = layer_.neurons.rule();
    const bool fires = layer_.kind == Kind::neurons, shows = fires && kept_;
    large.first = at;
    if (layer_.open_ended) s.overflow = {keep_large, &large};
    if (fires) {
      s.threshold = values.threshold.data() + own, s.neuron_stride = g_.per_neuron ? stride : 0;
      s.v_min = values.v_min.empty() ? nullptr : values.v_min.data() + own;
      s.fired = state_.fired.empty() ? nullptr : state_.fired.data() + at;
      s.biased = layer_.neurons.biased_steps(layer_.channels, first_, steps_), s.bias_stride = stride;
      if (s.biased) s.step_bias = values.step_bias.data() + first_ * s.bias_stride + lane;
      s.fired_bias = values.fired_bias.empty() ? nullptr : values.fired_bias.data() + lane;
      s.early = state_.trains.data() + at, s.late = s.early + layer_.words(), 
      s.planes = layer_.planes(), s.plane = ptrdiff_t(layer_.slots()), s.several = &state_.several;
    } else {
      s.threshold = s.v, s.neuron_stride = stride;  // an output compares nothing
    }
    size_t last = g_.panels.empty() ? 0 : g_.panels.size() - 1;
    while (last && !g_.panels[last].in_block[size_t(block)]) --last;
    s.first = !unlisted_.any() && !bytes_.any(), s.current = current;
    if (unlisted_.any() && g_.one_to_one.empty()) {
      for (int k = 0; k < positions * steps_; ++k) {
        std::copy_n(base + at + k / steps_ * stride, g_.lanes, current + ptrdiff_t(k) * g_.lanes);
      }
    }
    for (size_t k = 0; k < g_.one_to_one.size(); ++k) {
      if (k && g_.one_to_one[k].higher && !work_.layers[size_t(g_.one_to_one[k].source)].several) continue;
      const Layer& source = plan_.layers[size_t(g_.one_to_one[k].source)];
      const uint32_t* early = work_.layers[size_t(g_.one_to_one[k].source)].trains.data() + at;
      early += size_t(g_.one_to_one[k].plane) * source.slots();
      const T* weight = values.one_to_one.data() + (k * size_t(g_.blocks) + size_t(block)) * size_t(g_.lanes);
      add_one_to_one({steps_, positions, early, early + source.words(), weight, k ? nullptr : base + at, current,
                      stride});
    }
    if (unlisted_.any()) unlisted_.add(block, values, current);
    if constexpr (std::is_same_v<T, float>) {
      if (bytes_.any()) bytes_.add(y, x, positions, block, unlisted_.any() ? nullptr : base + at, stride, current);
    }
    for (size_t panel = 0; panel <= last; ++panel) {
      if (panel != last && !g_.panels[panel].in_block[size_t(block)]) continue;
      s.last = panel == last && fires && !shows;
      const bool rests = s.last && s.first && g_.panels.empty();
      const size_t row = g_.panels.empty() ? 0 : size_t(g_.panels[panel].first);
      s.weight = values.weight.data() + (size_t(block) * size_t(g_.rows) + row) * size_t(g_.lanes);
      s.row_lists = rests ? nullptr : row_lists_.data() + panel * size_t(positions);
      kernel(s);
      s.first = false;
    }
    if (shows) {
      s.last = true, s.row_lists = nullptr;
      kernel(s);
    }
    if constexpr (std::is_same_v<T, float>) {
      const int first = y * layer_.row_length + x * g_.fused;
      if (layer_.kind == Kind::output || shows) keep(first, positions, block);
      if (layer_.kind == Kind::relay) pass_on(at, stride, positions);
    }
  }

  // What a relay sends at each step.
  void pass_on(ptrdiff_t at, ptrdiff_t stride, int positions) const {
    const float* current = work_.current.get();
    for (int k = 0; k < positions; ++k) {
      float* to = state_.values.data() + at + k * stride;
      for (int t = 0; t < steps_; ++t, current += g_.lanes, to += layer_.slots()) std::copy_n(current, g_.lanes, to);
    }
  }

  // What has arrived at an output so far; of neurons the potentials, which stand where their currents did.
  void keep(int first, int positions, int block) const {
    const bool adds = layer_.kind == Kind::output;
    const int members = std::min(positions * g_.fused, layer_.row_length - first % layer_.row_length);
    const int lane = g_.blocks > 1 ? block * g_.lanes : 0, lanes = std::min(layer_.channels - lane, g_.lanes);
    for (int k = 0; k < members; ++k) {
      float* v = state_.v.data() + layer_.slot(first + k) + lane;
      const float* current = work_.current.get() + ptrdiff_t(k / g_.fused) * steps_ * g_.lanes;
      if (g_.blocks == 1) current += k % g_.fused * layer_.padded;
      float* to = kept_ ? kept_ + ptrdiff_t(first + k) * layer_.channels + lane : nullptr;
      for (int t = 0; t < steps_; ++t, current += g_.lanes) {
        for (int c = 0; adds && c < lanes; ++c) v[c] += current[c];
        if (to) std::copy_n(adds ? v : current, lanes, to + ptrdiff_t(t) * layer_.size());
      }
    }
  }

  const Plan& plan_;
  const Layer& layer_;
  const Gather& g_;
  Workspace& work_;
  LayerState& state_;
  const int first_, steps_, span_;
  float* const kept_;  // (steps, values): of an output what has arrived, of neurons potentials; may be null
  const std::atomic<bool>& stop_;
  Unlisted unlisted_;
  ByteSums bytes_;
  std::vector<Offsets> offsets_;
  std::vector<std::vector<uint32_t>> firsts_;  // of each range, (list, column + 1): octets before a column
  std::vector<RowList> row_lists_;  // (panel, position)
  std::vector<Slice> slices_;
};

}  // namespace

void gather_layer(const Plan& plan, const Layer& layer, Workspace& work, LayerState& state, int first, int steps,
                  float* kept, const std::atomic<bool>& stop) {
  Gathering(plan, layer, work, state, first, steps, kept, stop).run();
  sort_large(state);
}

}  // namespace spikewright
