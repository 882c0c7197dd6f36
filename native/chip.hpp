// A chip of integrate-and-fire cores, event by event: see chips/simulation/reference.py for what it computes.
//
// Samples in parallel, and of each sample all events of one layer before the next layer: nothing takes time, so that
// the events of a layer, in order, are all that the next needs. Potentials and weights are 16-bit integers, channels
// last, padded to whole vectors with weights of zero and a potential of zero, which never fires.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "aligned.hpp"
#include "inner_loops.hpp"

namespace spikewright {

// What happens in one turn (see chips/simulation/timeline.py) at one neuron.
struct ChipSpike {
  uint32_t turn;
  uint32_t neuron;  // of a layer: its slot; of an input: its place, channels last
};

// Where the spikes of a sender arrive in the layer that reads them.
struct ChipDestination {
  static constexpr uint32_t nowhere = UINT32_MAX;
  int sender;                      // inputs first, then layers
  std::vector<uint32_t> position;  // of the layer's input, by neuron of the sender; or nowhere
  std::vector<uint32_t> channel;
};

// The outputs that an event at a position of the input reaches, all of them in a rectangle.
struct ChipReach {
  int rows, columns;
  uint32_t slot;   // of the first
  int64_t weight;  // of the tap between the two, from the first weight of the channel
};

struct ChipLayer {
  int channels, height, width;  // of what it sends
  int lanes;                    // a position's slots: channels, padded
  int kernel, stride_y, stride_x;
  Aligned<int16_t> weights;  // (in, kernel, kernel, lanes)
  Aligned<int16_t> bias;     // (lanes), or none
  Aligned<int16_t> v_init;   // (height, width, lanes)
  std::vector<ChipReach> reach;
  std::vector<ChipDestination> sources;
  int16_t threshold, v_min;
  bool subtract;
  int decimator;

  int64_t slots() const { return int64_t(height) * width * lanes; }
};

// What is not public, and whether simultaneous events are permuted; see chips/simulation/rules.py.
struct ChipRules {
  bool fires_above = false, counts_neurons = false, ticks_add = false, permuted = false;
  uint64_t seed = 0;
};

// Events of all samples end to end. Those of sample s and input i begin at start[s * inputs + i], turns at turn_start[s].
struct ChipEvents {
  const int64_t *start, *turn_start;
  const int32_t *turn, *place;
  const int64_t* time;  // of each turn, in microseconds
  const uint8_t* tick;  // of each turn
};

// What is wanted of a run. Arrays are (samples, layers), windows (samples, layers, windows).
struct ChipRequest {
  int samples = 0, threads = 1;
  int64_t first = 0;  // place of the first sample in its data set
  ChipEvents events{};
  ChipRules rules;
  int64_t *sent = nullptr, *fired = nullptr, *synops = nullptr, *windowed = nullptr;
  int64_t window = 0, windows = 0;           // microseconds of one, and how many; later operations count in the last
  std::vector<std::vector<ChipSpike>*> record;  // by layer, one list a sample, or null
  std::vector<int16_t*> potentials;             // by layer, (samples, height, width, channels), or null
};

class ChipPlan {
 public:
  explicit ChipPlan(const InnerLoops& loops) : loops_(loops) {}

  int add_input(int64_t channels, int64_t height, int64_t width);

  struct Source {
    int64_t sender, pool, shift;
  };
  struct Settings {
    int64_t in_channels, in_height, in_width, channels, kernel, stride_y, stride_x, pad_y, pad_x;
    int64_t threshold, v_min, decimator;
    bool subtract;
  };
  // Weights are (out, in, kernel, kernel), the bias (out) or empty, v_init (height, width, out).
  int add_layer(const Settings& settings, const std::vector<Source>& sources, const std::vector<int16_t>& weights,
                const std::vector<int16_t>& bias, const std::vector<int16_t>& v_init);

  const std::vector<ChipLayer>& layers() const { return layers_; }
  size_t inputs() const { return inputs_.size(); }
  void run(const ChipRequest& request) const;

 private:
  struct Grid {
    int channels, height, width, lanes;
  };
  struct Workspace;
  const Grid& grid(int64_t sender) const;
  void run_sample(const ChipRequest& request, int sample, Workspace& space) const;
  void run_layer(const ChipRequest& request, int sample, size_t number, Workspace& space) const;

  const InnerLoops& loops_;
  std::vector<Grid> inputs_, senders_;
  std::vector<ChipLayer> layers_;
};

}  // namespace spikewright
