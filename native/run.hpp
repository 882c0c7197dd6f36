// Running a plan: samples in parallel, and of each sample all timesteps of a layer before the next layer.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "aligned.hpp"
#include "inner_loops.hpp"
#include "plan.hpp"

namespace spikewright {

// Timesteps that a layer runs before the next. Long enough that weights and potentials are used many times while they
// are in cache, short enough that the spikes in flight stay there too.
constexpr int default_chunk = max_chunk;

// What one layer sent for one sample over the whole run, in the graph's order: by timestep, in that channels first.
struct EventRecord {
  std::vector<int32_t> timestep, neuron;
  std::vector<float> value;
};

// What is counted of one neuron after the other: (samples, values), or summed over the samples: (values). Both may be
// null.
struct Tally {
  float* each = nullptr;
  double* total = nullptr;

  bool wanted() const { return each || total; }
};

// Where the values of one layer come from and go to; all pointers may be null. Arrays are (sample, ...).
struct Port {
  const float* base = nullptr;  // what arrives at every step, spikes apart: (values)
  int64_t base_stride = 0;      // from sample to sample
  const float* image = nullptr;   // of a layer that takes one: channels first
  const float* frames = nullptr;  // of an input: (steps, values)
  // Of an input, in place of frames: which values are not zero. Those of a sample's step t are from
  // given_start[sample · (steps + 1) + t] up to but not including the next; indices rise within a step.
  const int64_t* given_start = nullptr;
  const int32_t* given_index = nullptr;
  const float* given_value = nullptr;
  float* totals = nullptr;        // of an output: (steps, values), what has arrived so far
  float* spikes = nullptr;        // (steps, values)
  float* potentials = nullptr;    // (steps, values)
  Tally counts;    // spikes, or what a pool sent
  Tally active;    // steps in which the value was not zero
  Tally graded;    // 1 where a value other than -1, 0 and 1 was seen
  Tally negative;  // the size of the sum of what was sent below zero
  EventRecord* events = nullptr;  // one for each sample, empty when the run starts
};

struct Request {
  int samples = 0, steps = 0, threads = 1, chunk = default_chunk;
  const int64_t* lengths = nullptr;  // of each sample, its own steps, at most `steps`; null where all have as many
  std::vector<Port> ports;  // by layer
};

// What one layer sent in a chunk: the events of step t are start[t] to start[t + 1].
struct EventList {
  std::vector<uint32_t> start, index;
  std::vector<float> value;

  void clear() { start.assign(1, 0); }
  uint32_t size() const { return start.back(); }
  // Room for `values` more, wherever the list stands.
  void reserve(uint32_t values) {
    if (index.size() < size_t(size()) + values) {
      const size_t room = size_t(size()) + values + index.size() / 2;
      index.resize(room), value.resize(room);
    }
  }
};

// What a neuron sent at a step, where its trains do not hold it.
struct LargeNumber {
  uint32_t neuron;
  int t;
  float number;
};

// What one layer keeps of one sample.
struct LayerState {
  Aligned<float> v, count, current, base;
  Aligned<float> rest;  // what arrives beside an image
  Aligned<float> fired;  // 1 where a neuron ever sent a spike, where that is remembered
  std::vector<float> active, graded, negative;
  // of all samples of a thread, by slot; see Tally
  std::vector<double> count_sum, active_sum, graded_sum, negative_sum;
  int64_t counted = 0;  // steps since counts began, where they go on from sample to sample
  const float* base_from = nullptr;          // where base is a copy of
  Aligned<int16_t> short_v, short_base;  // instead, where a layer counts in 16-bit integers
  // (2, planes, slots): steps 0 to 31 and 32 to 63 of the chunk, the first in the highest bit. The latter are of no
  // use where a chunk has no such steps.
  Aligned<uint32_t> trains;
  bool several = false;          // whether planes of higher bits than the lowest have any; else all their words are zero
  std::vector<LargeNumber> large;  // what is too large for the planes, by neuron and step
  Aligned<float> values;  // of a relay: (steps, slots)
  EventList events;
  // pools
  std::vector<float> spikes, largest;
  std::vector<uint8_t> touched;
  std::vector<std::vector<std::pair<uint32_t, float>>> past;
};

// Memory whose content does not matter: room for the most there could be, most of which is never touched.
template <class T>
class Scratch {
 public:
  void reserve(size_t size) {
    if (size <= size_) return;
    values_.reset(static_cast<T*>(::operator new(size * sizeof(T), cache_line)));
    size_ = size;
  }
  T* get() const { return values_.get(); }

 private:
  struct Free {
    void operator()(T* at) const { ::operator delete(at, cache_line); }
  };
  std::unique_ptr<T, Free> values_;
  size_t size_ = 0;
};

// What a pool of trains reads and writes of as many channels as there are lanes; see PoolWindows.
struct PoolBlock {
  Aligned<uint32_t> spikes, back, sent;
  Aligned<int32_t> counts, largest;
};

// One thread's memory, used for sample after sample. What comes after the layers is for one gathering layer at a time.
struct Workspace {
  std::vector<LayerState> layers;
  std::vector<float> padded;  // of one image
  Scratch<uint32_t> words;  // of one column of a source
  Scratch<uint8_t> bytes, fires;  // of rows of sources, transposed
  Scratch<uint16_t> entry_of;  // see RowTransposition
  std::vector<int> transposed;  // which row that is
  Scratch<uint16_t> list;  // entries of stacks of rows
  Scratch<uint32_t> start;
  Scratch<uint16_t> rows, rounds;  // of weights, for a tile of positions
  Scratch<float> current;
  Scratch<float> grid;  // copies of graded values
  Scratch<int8_t> spread;  // what sources send, as bytes
  std::vector<int> spread_rows;  // which row of a source that is
  std::vector<float> large;  // what large numbers make arrive: (steps, values of the layer)
  Scratch<int16_t> short_current;
  PoolBlock pool;
};

// Memory of threads that is kept from run to run, in all.
constexpr int64_t most_kept_bytes = int64_t(256) << 20;

class Engine {
 public:
  explicit Engine(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {}

  // Runs every sample. `interrupted` is asked several times a second, from the calling thread; when it says yes the
  // run stops within a block of one row of a layer, or an event where that is not gathered, and false is returned.
  bool run(const Request& request, const std::function<bool()>& interrupted);

  // Bytes that one thread keeps, what was active or graded apart; event lists as if a quarter of the neurons fired.
  int64_t bytes_per_thread(int chunk) const;

 private:
  std::shared_ptr<const Plan> plan_;
  std::vector<std::unique_ptr<Workspace>> idle_;
  std::timed_mutex running_;
};

// The steps of a run, each in its file. What they leave when `stop` is set is of no use.
void scatter(const Projection& projection, const Layer& target, const InnerLoops& loops, const uint32_t* index,
             const float* value, uint32_t events, float* current, const std::atomic<bool>& stop);
void gather_layer(const Plan& plan, const Layer& layer, Workspace& workspace, LayerState& state, int first, int steps,
                  float* kept, const std::atomic<bool>& stop);
void pool_trains(const Layer& layer, const Layer& source, const LayerState& from, const InnerLoops& loops, int steps,
                 PoolBlock& block, LayerState& state, const std::atomic<bool>& stop);
void list_trains(const Layer& layer, int steps, LayerState& state, const std::atomic<bool>& stop);
void train_lists(const Layer& layer, int steps, LayerState& state, const std::atomic<bool>& stop);
void join_layers(const Plan& plan, const Layer& layer, Workspace& workspace, int steps, LayerState& state);
void sort_large(LayerState& state);
void list_values(const Layer& layer, const InnerLoops& loops, int steps, LayerState& state);
void value_lists(const Layer& layer, int steps, LayerState& state);
void note_trains(const Layer& layer, const Port& port, int steps, LayerState& state);
void start_pool(const Layer& layer, int inputs, LayerState& state);
void step_pool(const Layer& layer, const EventList& from, int t, int first, LayerState& state,
               const std::atomic<bool>& stop);

}  // namespace spikewright
