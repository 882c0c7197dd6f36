#include "run.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <numeric>
#include <system_error>
#include <thread>

#include "gather.hpp"
#include "image.hpp"
#include "inner_loops.hpp"

namespace spikewright {
namespace {

// Whether a layer's counts need no beginning with each sample: all that is wanted are sums of single spikes.
bool goes_on(const Layer& layer, const Port& port) {
  return layer.counts_steps() && port.counts.total && !port.counts.each && !port.active.each;
}

void add_counts(LayerState& state) {
  for (size_t i = 0; i < state.count_sum.size(); ++i) state.count_sum[i] += double(state.count[i]);
  std::fill(state.count.begin(), state.count.end(), 0.0f);
  state.counted = 0;
}

// One sample on one thread.
class Sample {
 public:
  Sample(const Plan& plan, const Request& request, Workspace& workspace, const std::atomic<bool>& stop, int sample)
      : plan_(plan), request_(request), work_(workspace), stop_(stop), sample_(sample),
        steps_(request.lengths ? int(request.lengths[sample]) : request.steps) {}

  void run() {
    work_.layers.resize(plan_.layers.size());
    for (size_t k = 0; k < plan_.layers.size() && !stopped(); ++k) start(plan_.layers[k], port(k), work_.layers[k]);
    for (int first = 0; first < steps_; first += request_.chunk) {
      const int steps = std::min(request_.chunk, steps_ - first);
      for (size_t k = 0; k < plan_.layers.size(); ++k) {
        if (stopped()) return;
        advance(k, first, steps);
      }
    }
    for (size_t k = 0; k < plan_.layers.size() && !stopped(); ++k) finish(plan_.layers[k], port(k), work_.layers[k]);
  }

 private:
  bool stopped() const { return stop_.load(std::memory_order_relaxed); }
  const Port& port(size_t layer) const { return request_.ports[layer]; }

  template <class T>
  T* of_sample(T* to, const Layer& layer, bool by_step = false) const {
    return to + size_t(sample_) * size_t(layer.size()) * size_t(by_step ? request_.steps : 1);
  }

  void start(const Layer& layer, const Port& port, LayerState& state) const {
    if (port.active.wanted()) state.active.assign(layer.slots(), 0.0f);
    if (port.graded.wanted()) state.graded.assign(layer.slots(), 0.0f);
    if (port.negative.wanted()) state.negative.assign(layer.slots(), 0.0f);
    if (layer.keeps_trains || layer.makes_trains()) state.trains.resize(2 * layer.words());
    if (layer.kind == Kind::input) return;
    if (!goes_on(layer, port)) {
      state.count.assign(layer.slots(), 0.0f);
    } else if (state.count_sum.empty()) {
      state.count.assign(layer.slots(), 0.0f), state.count_sum.assign(layer.slots(), 0.0), state.counted = 0;
    }
    start_base(layer, port, state);
    if (layer.kind == Kind::neurons) start_potentials(layer, state);
    if (layer.kind == Kind::pool) start_pool(layer, plan_.layers[size_t(layer.source)].size(), state);
    if (layer.kind == Kind::output || layer.makes_values()) state.v.assign(layer.slots(), 0.0f);
    if (layer.keeps_values || layer.makes_values()) state.values.resize(size_t(request_.chunk) * layer.slots());
  }

  void start_base(const Layer& layer, const Port& port, LayerState& state) const {
    const float* from = port.base ? port.base + int64_t(sample_) * port.base_stride : nullptr;
    Aligned<float>& fixed = port.image ? state.rest : state.base;
    if (!from || from != state.base_from) {  // else it is of all samples
      state.base_from = from;
      const size_t channels = size_t(layer.channels);
      fixed.assign(layer.slots(), 0.0f);
      for (int p = 0; from && p < layer.positions; ++p) {
        std::copy(from + size_t(p) * channels, from + size_t(p + 1) * channels, fixed.data() + layer.slot(p));
      }
    } else if (!port.image) {
      return;
    }
    if (port.image) {
      state.base.resize(layer.slots());
      const float* image = port.image + int64_t(sample_) * layer.image->size();
      add_image(layer, *plan_.loops, image, work_.padded, state.rest.data(), state.base.data());
    }
    if (!layer.gather || layer.gather->scale.empty()) return;
    const std::vector<float>& scale = layer.gather->scale;
    state.short_base.resize(layer.slots());
    for (size_t i = 0; i < layer.slots(); i += scale.size()) {
      plan_.loops->quantise(state.base.data() + i, scale.data(), int(scale.size()), state.short_base.data() + i);
    }
  }

  void start_potentials(const Layer& layer, LayerState& state) const {
    if (layer.neurons.remembers_firing()) state.fired.assign(layer.slots(), 0.0f);
    if (!layer.gather) return repeat(layer.neurons.v_init, layer.slots(), state.v);
    const Gather& g = *layer.gather;
    if (g.scale.empty()) return repeat(g.floats.v_init, layer.slots(), state.v);
    repeat(g.shorts.v_init, layer.slots(), state.short_v);
  }

  template <class Parameters, class T>
  static void repeat(const Parameters& values, size_t slots, Aligned<T>& to) {
    to.resize(slots);
    for (size_t i = 0; i < slots; i += values.size()) {
      std::copy(values.begin(), values.end(), to.begin() + ptrdiff_t(i));
    }
  }

  void advance(size_t k, int first, int steps) const {
    const Layer& layer = plan_.layers[k];
    LayerState& state = work_.layers[k];
    float* kept = layer.kind == Kind::output ? port(k).totals : port(k).potentials;
    if (kept) kept = of_sample(kept, layer, true) + size_t(first) * size_t(layer.size());
    if (layer.kind == Kind::output && layer.gather) {
      return gather_layer(plan_, layer, work_, state, first, steps, kept, stop_);
    }
    if (layer.makes_trains()) {
      if (layer.gather) {
        gather_layer(plan_, layer, work_, state, first, steps, kept, stop_);
      } else if (layer.kind == Kind::join) {
        join_layers(plan_, layer, work_, steps, state);
      } else {
        const size_t source = size_t(layer.source);
        pool_trains(layer, plan_.layers[source], work_.layers[source], *plan_.loops, steps, work_.pool, state, stop_);
      }
      if (stopped()) return;
      if (notes(port(k))) note_trains(layer, port(k), steps, state);
      if (needs_lists(layer, port(k))) list_trains(layer, steps, state, stop_);
    } else if (layer.makes_values()) {
      if (layer.gather) {
        gather_layer(plan_, layer, work_, state, first, steps, nullptr, stop_);
      } else {
        join_layers(plan_, layer, work_, steps, state);
      }
      if (stopped()) return;
      if (needs_lists(layer, port(k)) || notes(port(k))) list_values(layer, *plan_.loops, steps, state);
    } else {
      state.events.clear();
      for (int t = 0; t < steps && !stopped(); ++t) step(k, first, t, state);
      if (stopped()) return;
      if (layer.keeps_trains) train_lists(layer, steps, state, stop_);
      if (layer.keeps_values) value_lists(layer, steps, state);
    }
    record(layer, port(k), first, steps, state);
  }

  static bool needs_lists(const Layer& layer, const Port& port) {
    return layer.keeps_lists || port.spikes || port.events;
  }

  void step(size_t k, int first, int t, LayerState& state) const {
    const Layer& layer = plan_.layers[k];
    const int n = layer.size();
    if (layer.kind == Kind::pool) {
      return step_pool(layer, work_.layers[size_t(layer.source)].events, t, first, state, stop_);
    }
    if (layer.kind == Kind::input) {
      if (port(k).given_start) return give(port(k), first + t, state.events);
      const float* frames = port(k).frames;
      if (!frames) return state.events.start.push_back(state.events.size());
      return emit(of_sample(frames, layer, true) + size_t(first + t) * size_t(n), n, state.events);
    }
    state.current = state.base;
    for (const Projection& p : layer.projections) {
      const EventList& from = work_.layers[size_t(p.source)].events;
      const uint32_t begin = from.start[size_t(t)], end = from.start[size_t(t) + 1];
      scatter(p, layer, *plan_.loops, from.index.data() + begin, from.value.data() + begin, end - begin,
              state.current.data(), stop_);
    }
    if (layer.kind == Kind::output) {
      for (int i = 0; i < n; ++i) state.v[size_t(i)] += state.current[size_t(i)];
      return keep(state.v, port(k).totals, layer, first + t);
    }
    if (layer.kind == Kind::neurons) fire(layer, first + t, state);
    emit(state.current.data(), n, state.events);
    keep(state.v, port(k).potentials, layer, first + t);
  }

  void keep(const Aligned<float>& values, float* to, const Layer& layer, int step) const {
    if (to) std::copy(values.begin(), values.end(), of_sample(to, layer, true) + size_t(step) * values.size());
  }

  void fire(const Layer& layer, int step, LayerState& state) const {
    const Neurons& neurons = layer.neurons;
    if (neurons.biased_steps(layer.channels, step, 1)) add_biases(layer, step, state);
    const float* v_min = neurons.v_min.empty() ? nullptr : neurons.v_min.data();
    float* fired = neurons.remembers_firing() ? state.fired.data() : nullptr;
    plan_.loops->step_neurons({layer.size(), state.v.data(), state.count.data(), fired, state.current.data(),
                               neurons.threshold.data(), v_min, neurons.threshold.size() > 1, neurons.v_min.size() > 1,
                               neurons.rule()});
  }

  static void add_biases(const Layer& layer, int step, LayerState& state) {
    const size_t channels = size_t(layer.channels);
    const float* of_step = layer.neurons.step_bias.data() + size_t(step) * channels;
    const std::vector<float>& of_fired = layer.neurons.fired_bias;
    for (size_t i = 0; i < size_t(layer.size()); ++i) {
      state.current[i] += of_step[i % channels];
      if (!of_fired.empty() && state.fired[i] != 0) state.current[i] += of_fired[i % channels];
    }
  }

  void give(const Port& port, int step, EventList& events) const {
    const int64_t* start = port.given_start + int64_t(sample_) * (request_.steps + 1) + step;
    const uint32_t at = events.size(), count = uint32_t(start[1] - start[0]);
    events.reserve(count);
    std::copy_n(port.given_index + start[0], count, events.index.begin() + at);
    std::copy_n(port.given_value + start[0], count, events.value.begin() + at);
    events.start.push_back(at + count);
  }

  void emit(const float* values, int n, EventList& events) const {
    events.reserve(uint32_t(n));
    const uint32_t at = events.size();
    events.start.push_back(at + plan_.loops->compress(values, n, events.index.data() + at, events.value.data() + at));
  }

  static bool notes(const Port& port) {
    return port.active.wanted() || port.graded.wanted() || port.negative.wanted();
  }

  void record(const Layer& layer, const Port& port, int first, int steps, LayerState& state) const {
    if (port.events) record_events(layer, state.events, first, steps, port.events[sample_]);
    const bool noted = notes(port) && !layer.makes_trains();
    if (layer.kind == Kind::output || !(port.spikes || noted)) return;
    const EventList& events = state.events;
    const size_t n = size_t(layer.size());
    for (int t = 0; t < steps && !stopped(); ++t) {
      float* spikes = port.spikes ? of_sample(port.spikes, layer, true) + size_t(first + t) * n : nullptr;
      for (uint32_t e = events.start[size_t(t)]; e < events.start[size_t(t) + 1]; ++e) {
        if (spikes) spikes[events.index[e]] = events.value[e];
        if (!noted) continue;
        const uint32_t channels = uint32_t(layer.channels);
        const size_t slot = layer.slot(int(events.index[e] / channels)) + events.index[e] % channels;
        if (port.active.wanted()) state.active[slot] += 1.0f;
        if (port.negative.wanted()) state.negative[slot] -= std::min(events.value[e], 0.0f);
        if (port.graded.wanted() && std::abs(events.value[e]) != 1.0f) state.graded[slot] = 1.0f;
      }
    }
  }

  // Events come by position: sorted by channel, stably, they are in the graph's order.
  void record_events(const Layer& layer, const EventList& events, int first, int steps, EventRecord& to) const {
    const uint32_t channels = uint32_t(layer.channels), positions = uint32_t(layer.positions);
    std::vector<std::pair<uint32_t, float>> sent;
    std::vector<size_t> cursor(channels + 1);
    for (int t = 0; t < steps; ++t) {
      sent.clear();
      for (uint32_t e = events.start[size_t(t)]; e < events.start[size_t(t) + 1]; ++e) {
        sent.emplace_back(events.index[e], events.value[e]);
      }
      if (layer.kind == Kind::pool) std::sort(sent.begin(), sent.end());  // a pool sends as its windows are reached
      std::fill(cursor.begin(), cursor.end(), 0);
      for (const auto& [i, value] : sent) ++cursor[i % channels + 1];
      cursor[0] = to.neuron.size();
      std::partial_sum(cursor.begin(), cursor.end(), cursor.begin());
      const size_t size = to.neuron.size() + sent.size();
      to.timestep.resize(size, first + t), to.neuron.resize(size), to.value.resize(size);
      for (const auto& [i, value] : sent) {
        const size_t at = cursor[i % channels]++;
        to.neuron[at] = int32_t(i % channels * positions + i / channels);
        to.value[at] = value;
      }
    }
  }

  void finish(const Layer& layer, const Port& port, LayerState& state) const {
    if (goes_on(layer, port)) {
      state.counted += steps_;
      if (state.counted > (1 << 24) - request_.steps) add_counts(state);  // beyond that floats would round
    } else {
      const float* active = layer.counts_steps() ? state.count.data() : state.active.data();
      tally(layer, port.counts, state.count.data(), state.count_sum);
      tally(layer, port.active, active, state.active_sum);
    }
    tally(layer, port.graded, state.graded.data(), state.graded_sum);
    tally(layer, port.negative, state.negative.data(), state.negative_sum);
  }

  void tally(const Layer& layer, const Tally& to, const float* counted, std::vector<double>& sum) const {
    if (to.each) copy_slots(layer, counted, of_sample(to.each, layer));
    if (!to.total) return;
    if (sum.empty()) sum.resize(layer.slots());
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += double(counted[i]);
  }

  static void copy_slots(const Layer& layer, const float* from, float* to) {
    for (int p = 0; p < layer.positions; ++p, to += layer.channels) {
      std::copy(from + layer.slot(p), from + layer.slot(p) + layer.channels, to);
    }
  }

  const Plan& plan_;
  const Request& request_;
  Workspace& work_;
  const std::atomic<bool>& stop_;
  const int sample_;
  const int steps_;  // its own
};

// What one thread counted, added to that of the others.
void add_up(const Layer& layer, const std::vector<double>& sum, double* to) {
  for (int p = 0; to && !sum.empty() && p < layer.positions; ++p) {
    for (size_t slot = layer.slot(p), end = slot + size_t(layer.channels); slot < end; ++slot) *to++ += sum[slot];
  }
}

}  // namespace

bool Engine::run(const Request& request, const std::function<bool()>& interrupted) {
  constexpr auto patience = std::chrono::milliseconds(100);
  std::unique_lock<std::timed_mutex> one_run_at_a_time(running_, std::defer_lock);
  while (!one_run_at_a_time.try_lock_for(patience)) {
    if (interrupted()) return false;
  }
  const int threads = std::max(1, std::min(request.threads, request.samples));
  std::atomic<bool> stop{false};
  std::atomic<int> next{0};
  std::mutex mutex;
  std::condition_variable changed;
  std::exception_ptr failure;
  int working = threads;
  while (int(idle_.size()) < threads) idle_.push_back(std::make_unique<Workspace>());
  for (const auto& workspace : idle_) {
    for (LayerState& state : workspace->layers) {
      state.base_from = nullptr;  // another run may reuse its memory
      for (auto* sum : {&state.count_sum, &state.active_sum, &state.graded_sum, &state.negative_sum}) sum->clear();
    }
  }
  const auto work = [&](Workspace& workspace) {
    try {
      for (int sample; !stop && (sample = next.fetch_add(1)) < request.samples;) {
        Sample(*plan_, request, workspace, stop, sample).run();
      }
    } catch (...) {
      stop = true;
      const std::lock_guard<std::mutex> lock(mutex);
      failure = std::current_exception();
    }
    const std::lock_guard<std::mutex> lock(mutex);
    --working;
    changed.notify_one();
  };
  std::vector<std::thread> pool;
  for (int k = 0; k < threads; ++k) {
    try {
      pool.emplace_back(work, std::ref(*idle_[size_t(k)]));
    } catch (const std::system_error&) {  // the system gives no more threads: those there are do the work
      const std::lock_guard<std::mutex> lock(mutex);
      if (pool.empty()) throw;
      --working;
    }
  }
  bool whole = true;
  {
    std::unique_lock<std::mutex> lock(mutex);
    while (!changed.wait_for(lock, patience, [&] { return working == 0; })) {
      lock.unlock();
      if (whole && interrupted()) whole = false, stop = true;
      lock.lock();
    }
  }
  for (std::thread& thread : pool) thread.join();
  if (failure) std::rethrow_exception(failure);
  for (const auto& workspace : idle_) {
    for (size_t k = 0; k < workspace->layers.size(); ++k) {
      LayerState& state = workspace->layers[k];
      const Port& port = request.ports[k];
      const bool steps = goes_on(plan_->layers[k], port);
      if (steps) add_counts(state);
      add_up(plan_->layers[k], state.count_sum, port.counts.total);
      add_up(plan_->layers[k], steps ? state.count_sum : state.active_sum, port.active.total);
      add_up(plan_->layers[k], state.graded_sum, port.graded.total);
      add_up(plan_->layers[k], state.negative_sum, port.negative.total);
    }
  }
  if (threads * bytes_per_thread(request.chunk) > most_kept_bytes) idle_.clear();
  return whole;
}

}  // namespace spikewright
