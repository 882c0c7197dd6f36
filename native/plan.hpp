// What a spiking network is to the engine: layers in topological order and the linear projections between them.
//
// Values of a layer lie channels last, (positions, channels), so that a spike of a convolution adds contiguous rows.
// Everything here is checked when it is added; what runs later trusts it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "inner_loops.hpp"

namespace spikewright {

struct PlanError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

// Indices and sizes are 32-bit; anything larger than this is refused when the plan is built.
constexpr int64_t max_values = int64_t(1) << 30;

enum class Kind { input, relay, output, neurons, pool, join };
enum class Policy { count_max, avg_max, exp_max, fir_max };
Policy policy_named(const std::string& name);  // "count_max", …

enum class Operator { conv, dense, sparse };

// Neurons of one population; arrays hold one value for all, or one a neuron.
struct Neurons {
  std::vector<float> threshold, v_init, v_min;  // v_min may be empty
  float decay = 1, v_reset = 0;
  bool subtract = true;
  int cap = 1;  // spikes a step; 0 for any number
  bool takes_back = false;         // sends −1 where its potential does not bear out what it sent
  bool no_debt = false;            // potentials end at zero from below until the first spike
  std::vector<float> step_bias;    // (steps, channels), added in the first steps; may be empty
  std::vector<float> fired_bias;   // (channels), added in these steps once a neuron has fired; may be empty

  Firing firing() const {
    const bool simple = decay == 1 && subtract && v_min.empty() && !no_debt && step_bias.empty();
    return !simple ? Firing::any : cap != 1 ? Firing::bursts : takes_back ? Firing::both_ways : Firing::plain;
  }
  bool remembers_firing() const { return no_debt || !fired_bias.empty(); }
  NeuronRule rule() const { return {decay, v_reset, subtract, cap, takes_back, no_debt}; }
  // Of some steps from the `first` on, how many have a bias of their own.
  int biased_steps(int channels, int first, int steps) const {
    if (step_bias.empty()) return 0;
    return int(std::clamp<int64_t>(int64_t(step_bias.size()) / channels - first, 0, steps));
  }
};

// Windows of positions, the same for every channel.
struct Pool {
  Policy policy = Policy::count_max;
  int horizon = 1;
  bool of_trains = false;                     // set where trains are pooled as such
  std::vector<uint32_t> start, index;         // inputs of each window, in the order that breaks ties
  std::vector<uint32_t> reach_start, reach;   // windows of each input
};

// How coordinates of one axis meet: for each input coordinate, the (kernel, output) coordinates it reaches.
struct Axis {
  struct Tap {
    int32_t kernel, output;
  };
  int length = 1, kernel = 1, stride = 1, low = 0, dilation = 1, outputs = 1;
  std::vector<uint32_t> start;
  std::vector<Tap> taps;
};

// One linear operator from the events of `source`. An event at neuron i of the source stands at `remap[i]` of the
// operator's own grid (nowhere where that is negative): flattening, cropping, concatenating and pooling in windows
// that do not overlap are all such moves. An empty remap moves nothing.
struct Projection {
  Operator kind = Operator::sparse;
  int source = 0;
  std::vector<int32_t> remap;
  int grid = 0;  // values of the operator's own grid

  // conv: weights (group, channel of the group, kernel volume, filter of the group)
  Axis axis[3];  // depth, height, width
  int channels = 0, filters = 0, groups = 1;

  // conv and dense (grid, outputs)
  std::vector<float> weight;

  // sparse: rows by source neuron
  std::vector<int64_t> start;
  std::vector<uint32_t> column;
  std::vector<float> value;

  int32_t at(uint32_t i) const { return remap.empty() ? int32_t(i) : remap[i]; }

  // Gives back the memory of all that adding single events needs.
  void release() {
    remap = std::vector<int32_t>();  // `= {}` would only make it empty
    weight = std::vector<float>(), value = std::vector<float>();
    start = std::vector<int64_t>(), column = std::vector<uint32_t>();
  }
};

// What a join takes from one source: stretches of its values, each a value after the other, times a factor.
struct Part {
  struct Stretch {
    uint32_t from, to, length;  // once the plan is finished slots, those of the source where it does not send lists
    float factor;
  };
  int source = 0;
  std::vector<Stretch> stretches;
};

struct Gather;
struct Image;

struct Layer {
  Kind kind = Kind::relay;
  int positions = 0, channels = 0;
  Neurons neurons;
  Pool pool;
  int source = -1;  // of a pool
  std::vector<Part> parts;  // of a join: layers side by side or added up, as one that sends what they send
  std::vector<Projection> projections;

  // Potentials, counts and trains of a gathering layer have gaps, so that vectors are whole; see slot().
  int row_length = 1, pitch = 1, padded = 1;  // positions of a row; positions between rows, slots between positions
  int bits = 0;             // of the largest number that it sends; 0 where that may be any number, of fractions too
  bool takes_back = false;  // whether it sends as much below zero
  bool open_ended = false;  // whether it may send larger whole numbers than its bits hold
  bool keeps_trains = false;  // the spikes of each neuron as the bits of words: a gathering layer reads them
  bool keeps_lists = false;   // event lists: a scattering layer, a pool or a record reads them
  bool keeps_values = false;  // of a relay: all values of a chunk, which gathering layers and joins read
  std::shared_ptr<Gather> gather;  // set where currents are summed output by output
  std::shared_ptr<const Image> image;  // set where the layer receives a convolution of what is given at every step

  // Whether it makes trains: what gathers, pools that compare counts of single spikes, and joins of trains.
  bool makes_trains() const {
    return (gather && kind == Kind::neurons) || pool.of_trains || (kind == Kind::join && bits);
  }
  // Whether all its values of a chunk lie there whoever reads them.
  bool makes_values() const { return (gather && kind == Kind::relay) || (kind == Kind::join && !bits); }
  bool sends_graded() const { return kind == Kind::relay || (kind == Kind::join && !bits); }
  // Whether what it counts are the steps in which it sends something.
  bool counts_steps() const { return bits == 1 && !takes_back && (kind == Kind::neurons || kind == Kind::pool); }
  size_t slot(int position) const {
    return (size_t(position / row_length) * size_t(pitch) + size_t(position % row_length)) * size_t(padded);
  }
  size_t slots() const { return size_t(positions / row_length) * size_t(pitch) * size_t(padded); }
  int size() const { return positions * channels; }

  // What it sends in a step is a sum of bits, each of which stands for a value: 1, 2, 4, … or, where it takes spikes back,
  // 1, −1, 2, −2, 4, −4, … The trains of all neurons in one of them are a plane.
  int planes() const { return takes_back ? 2 * bits : bits; }
  int low_planes() const { return takes_back ? 2 : 1; }  // of the lowest bit
  float value_of(int plane) const {
    return float(!takes_back ? 1 << plane : plane % 2 ? -(1 << plane / 2) : 1 << plane / 2);
  }
  size_t words() const { return size_t(planes()) * slots(); }  // of 32 steps of its trains
};

class Plan {
 public:
  std::vector<Layer> layers;
  const InnerLoops* loops = nullptr;

  // `planes` promises that what is given is 0 or 1, or −1, 0 or 1; see Layer.
  int add_input(int64_t positions, int64_t channels, int64_t planes);
  int add_relay(int64_t positions, int64_t channels) { return add(Kind::relay, positions, channels); }
  int add_output(int64_t positions, int64_t channels) { return add(Kind::output, positions, channels); }
  int add_neurons(int64_t positions, int64_t channels, Neurons neurons);
  // `index`: of each window the positions of the source, which has as many channels as the pool.
  int add_pool(int64_t source, int64_t positions, int64_t channels, Policy policy, int64_t horizon,
               std::vector<int64_t> start, std::vector<int64_t> index);
  // `from` and `to` by source: which of its values stand where. No place is taken twice unless there are factors, whose
  // products with the values are added up.
  int add_join(int64_t positions, int64_t channels, const std::vector<int64_t>& sources,
               const std::vector<std::vector<int32_t>>& from, const std::vector<std::vector<int32_t>>& to,
               const std::vector<std::vector<float>>& factors);
  void add_conv(int64_t target, int64_t source, std::vector<int32_t> remap, const std::vector<int64_t>& lengths,
                int64_t channels, const std::vector<int64_t>& kernel, const std::vector<int64_t>& stride,
                const std::vector<int64_t>& low, const std::vector<int64_t>& dilation,
                const std::vector<int64_t>& outputs, int64_t groups, std::vector<float> weight);
  void add_dense(int64_t target, int64_t source, std::vector<int32_t> remap, int64_t inputs,
                 std::vector<float> weight);
  void add_sparse(int64_t target, int64_t source, std::vector<int64_t> start, std::vector<int64_t> column,
                  std::vector<float> value);

  // Chooses how each layer runs. `gather` false keeps every layer on the scattering path; `int16` lets gathering
  // layers count in 16-bit integers, where their neurons allow it.
  void finish(const InnerLoops& loops, bool gather, bool int16);
  bool finished() const { return loops != nullptr; }

 private:
  int add(Kind kind, int64_t positions, int64_t channels);
  void finish_join(Layer& layer, int width);
  Layer& target_of(int64_t target, int64_t source, const char* what);
};

}  // namespace spikewright
