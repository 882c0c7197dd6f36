// Runs plans and chips that Python wrote down, with every instruction set of this build or the named ones, and compares
// all that comes of them with what Python saw, to the last bit. Python has compared that with the reference engine; see
// tests/engines/test_replay.py.
#include <cstdio>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "chip.hpp"
#include "image.hpp"
#include "inner_loops.hpp"
#include "plan.hpp"
#include "replay_file.hpp"
#include "run.hpp"

namespace spikewright {
namespace {

template <class T>
void expect(const std::vector<T>& found, const std::vector<T>& expected, const std::string& what) {
  if (found.size() != expected.size()) {
    throw std::runtime_error(what + ": " + std::to_string(found.size()) + " values, not " +
                             std::to_string(expected.size()));
  }
  for (size_t i = 0; i < found.size(); ++i) {
    if (std::memcmp(&found[i], &expected[i], sizeof(T))) {
      throw std::runtime_error(what + ": " + std::to_string(found[i]) + " at " + std::to_string(i) + ", not " +
                               std::to_string(expected[i]));
    }
  }
}

std::string of_layer(int64_t layer, const std::string& kind) { return kind + " of layer " + std::to_string(layer); }

using Lists = std::vector<std::vector<int64_t>>;

// One plan and its engine.
class ReplayedPlan {
 public:
  explicit ReplayedPlan(const InnerLoops& loops) : loops_(loops) {}

  void add_neurons(ReplayFile& file) {
    const int64_t positions = file.integer(), channels = file.integer();
    Neurons n;
    n.threshold = file.list<float>(), n.v_init = file.list<float>(), n.v_min = file.list<float>();
    n.decay = file.number(), n.subtract = file.integer(), n.v_reset = file.number(), n.cap = int(file.integer());
    n.takes_back = file.integer(), n.no_debt = file.integer();
    n.step_bias = file.list<float>(), n.fired_bias = file.list<float>();
    plan_->add_neurons(positions, channels, std::move(n));
  }

  void add_layer(const std::string& kind, ReplayFile& file) {
    const int64_t positions = file.integer(), channels = file.integer();
    if (kind == "input") {
      plan_->add_input(positions, channels, file.integer());
    } else if (kind == "relay") {
      plan_->add_relay(positions, channels);
    } else {
      plan_->add_output(positions, channels);
    }
  }

  void add_pool(ReplayFile& file) {
    const int64_t source = file.integer(), positions = file.integer(), channels = file.integer();
    const Policy policy = policy_named(file.text());
    const int64_t horizon = file.integer();
    auto start = file.list<int64_t>(), index = file.list<int64_t>();
    plan_->add_pool(source, positions, channels, policy, horizon, std::move(start), std::move(index));
  }

  void add_join(ReplayFile& file) {
    const int64_t positions = file.integer(), channels = file.integer();
    const auto sources = file.list<int64_t>();
    const auto from = some_lists<int32_t>(file), to = some_lists<int32_t>(file);
    plan_->add_join(positions, channels, sources, from, to, some_lists<float>(file));
  }

  void add_conv(ReplayFile& file) {
    const int64_t target = file.integer(), source = file.integer();
    auto remap = file.list<int32_t>();
    const auto lengths = file.list<int64_t>();
    const int64_t channels = file.integer();
    const Lists axes = lists(file, 5);  // kernel, stride, low, dilation, outputs
    const int64_t groups = file.integer();
    plan_->add_conv(target, source, std::move(remap), lengths, channels, axes[0], axes[1], axes[2], axes[3], axes[4],
                    groups, file.list<float>());
  }

  void add_dense(ReplayFile& file) {
    const int64_t target = file.integer(), source = file.integer();
    auto remap = file.list<int32_t>();
    const int64_t inputs = file.integer();
    plan_->add_dense(target, source, std::move(remap), inputs, file.list<float>());
  }

  void add_sparse(ReplayFile& file) {
    const int64_t target = file.integer(), source = file.integer();
    auto start = file.list<int64_t>(), column = file.list<int64_t>();
    plan_->add_sparse(target, source, std::move(start), std::move(column), file.list<float>());
  }

  void finish(ReplayFile& file) {
    const bool gather = file.integer(), int16 = file.integer();
    plan_->finish(loops_, gather, int16);
    engine_ = std::make_unique<Engine>(plan_);
  }

  void take_images(ReplayFile& file) {
    Layer& layer = plan_->layers.at(size_t(file.integer()));
    const int64_t channels = file.integer();
    const Lists axes = lists(file, 6);  // lengths, kernel, stride, low, dilation, outputs
    const auto weight = file.list<float>();
    layer.image = make_image(layer, loops_, channels, axes[0], axes[1], axes[2], axes[3], axes[4], axes[5], weight);
    if ((layer.image != nullptr) != bool(file.integer())) throw std::runtime_error("a layer takes images, or does not");
  }

  // What is given, and all that came of it.
  void run(ReplayFile& file) {
    Request request;
    request.samples = int(file.integer()), request.steps = int(file.integer());
    request.threads = int(file.integer()), request.chunk = int(file.integer());
    request.ports.resize(plan_->layers.size());
    const auto lengths = file.list<int64_t>();
    if (!lengths.empty()) request.lengths = lengths.data();
    std::vector<std::vector<float>> inputs;
    std::vector<std::tuple<std::vector<int64_t>, std::vector<int32_t>, std::vector<float>>> given;
    for (int64_t count = file.integer(); count; --count) {
      const int64_t layer = file.integer();
      const std::string kind = file.text();
      give(request, layer, kind, inputs.emplace_back(file.list<float>()));
    }
    for (int64_t count = file.integer(); count; --count) {
      Port& port = request.ports.at(size_t(file.integer()));
      auto start = file.list<int64_t>();
      auto index = file.list<int32_t>();
      const auto& [starts, indices, values] = given.emplace_back(std::move(start), std::move(index), file.list<float>());
      port.given_start = starts.data(), port.given_index = indices.data(), port.given_value = values.data();
    }
    std::vector<Wanted<float>> outputs = wanted<float>(file);
    for (Wanted<float>& one : outputs) *place(request.ports.at(size_t(one.layer)), one.kind) = one.found.data();
    std::vector<Wanted<double>> totals = wanted<double>(file);
    for (Wanted<double>& one : totals) tally(request.ports.at(size_t(one.layer)), one.kind).total = one.found.data();
    struct Events {
      int64_t layer;
      std::vector<int64_t> counts;
      EventRecord expected;
      std::vector<EventRecord> found;
    };
    std::vector<Events> events(static_cast<size_t>(file.integer()));
    for (Events& one : events) {
      one.layer = file.integer(), one.counts = file.list<int64_t>(), one.expected.timestep = file.list<int32_t>();
      one.expected.neuron = file.list<int32_t>(), one.expected.value = file.list<float>();
      one.found.resize(size_t(request.samples));
      request.ports.at(size_t(one.layer)).events = one.found.data();
    }
    engine_->run(request, [] { return false; });
    for (const Wanted<float>& one : outputs) expect(one.found, one.expected, of_layer(one.layer, one.kind));
    for (const Wanted<double>& one : totals) expect(one.found, one.expected, "sums of " + of_layer(one.layer, one.kind));
    for (const Events& one : events) {
      EventRecord all;
      std::vector<int64_t> counts;
      for (const EventRecord& record : one.found) {
        counts.push_back(int64_t(record.neuron.size()));
        all.timestep.insert(all.timestep.end(), record.timestep.begin(), record.timestep.end());
        all.neuron.insert(all.neuron.end(), record.neuron.begin(), record.neuron.end());
        all.value.insert(all.value.end(), record.value.begin(), record.value.end());
      }
      expect(counts, one.counts, of_layer(one.layer, "numbers of events"));
      expect(all.timestep, one.expected.timestep, of_layer(one.layer, "timesteps"));
      expect(all.neuron, one.expected.neuron, of_layer(one.layer, "neurons"));
      expect(all.value, one.expected.value, of_layer(one.layer, "values"));
    }
  }

 private:
  template <class T>
  struct Wanted {
    int64_t layer;
    std::string kind;
    std::vector<T> expected, found;
  };

  template <class T>
  static std::vector<Wanted<T>> wanted(ReplayFile& file) {
    std::vector<Wanted<T>> all(static_cast<size_t>(file.integer()));
    for (Wanted<T>& one : all) {
      one.layer = file.integer(), one.kind = file.text(), one.expected = file.template list<T>();
      one.found.assign(one.expected.size(), T(0));
    }
    return all;
  }

  template <class T>
  static std::vector<std::vector<T>> some_lists(ReplayFile& file) {
    std::vector<std::vector<T>> found(static_cast<size_t>(file.integer()));
    for (std::vector<T>& one : found) one = file.list<T>();
    return found;
  }

  static Lists lists(ReplayFile& file, int count) {
    Lists found;
    while (count--) found.push_back(file.list<int64_t>());
    return found;
  }

  void give(Request& request, int64_t layer, const std::string& kind, const std::vector<float>& values) const {
    Port& port = request.ports.at(size_t(layer));
    if (kind == "frames") {
      port.frames = values.data();
    } else if (kind == "image") {
      port.image = values.data();
    } else {
      const int64_t size = plan_->layers[size_t(layer)].size();
      port.base = values.data(), port.base_stride = int64_t(values.size()) == size ? 0 : size;
    }
  }

  static Tally& tally(Port& port, const std::string& kind) {
    return kind == "counts" ? port.counts : kind == "active" ? port.active : kind == "graded" ? port.graded
                                                                                               : port.negative;
  }

  static float** place(Port& port, const std::string& kind) {
    if (kind == "totals") return &port.totals;
    if (kind == "spikes") return &port.spikes;
    return kind == "potentials" ? &port.potentials : &tally(port, kind).each;
  }

  const InnerLoops& loops_;
  std::shared_ptr<Plan> plan_ = std::make_shared<Plan>();
  std::unique_ptr<Engine> engine_;
};

// A chip, event by event.
class ReplayedChip {
 public:
  explicit ReplayedChip(const InnerLoops& loops) : plan_(loops) {}

  void add_input(ReplayFile& file) {
    const int64_t channels = file.integer(), height = file.integer();
    plan_.add_input(channels, height, file.integer());
  }

  void add_layer(ReplayFile& file) {
    std::vector<ChipPlan::Source> sources;
    for (int64_t count = file.integer(); count; --count) {
      const int64_t sender = file.integer(), pool = file.integer();
      sources.push_back({sender, pool, file.integer()});
    }
    ChipPlan::Settings s{};
    for (int64_t* to : {&s.in_channels, &s.in_height, &s.in_width, &s.channels, &s.kernel, &s.stride_y, &s.stride_x,
                        &s.pad_y, &s.pad_x, &s.threshold, &s.v_min, &s.decimator}) {
      *to = file.integer();
    }
    s.subtract = file.integer();
    const auto weights = file.list<int16_t>(), bias = file.list<int16_t>(), v_init = file.list<int16_t>();
    plan_.add_layer(s, sources, weights, bias, v_init);
  }

  void run(ReplayFile& file) const {
    ChipRequest request;
    request.samples = int(file.integer()), request.first = file.integer(), request.threads = 2;
    const auto start = file.list<int64_t>(), turn_start = file.list<int64_t>();
    const auto turn = file.list<int32_t>(), place = file.list<int32_t>();
    const auto time = file.list<int64_t>();
    const auto tick = file.list<uint8_t>();
    request.events = {start.data(), turn_start.data(), turn.data(), place.data(), time.data(), tick.data()};
    request.rules.fires_above = file.integer(), request.rules.counts_neurons = file.integer();
    request.rules.ticks_add = file.integer(), request.rules.permuted = file.integer();
    request.rules.seed = uint64_t(file.integer());
    const size_t samples = size_t(request.samples), layers = plan_.layers().size();
    const auto expected = file.list<int64_t>();  // sent, fired, synops
    std::vector<int64_t> totals(3 * samples * layers);
    request.sent = totals.data(), request.fired = request.sent + samples * layers;
    request.synops = request.fired + samples * layers;
    request.window = file.integer();
    const auto windows = file.list<int64_t>();
    std::vector<int64_t> windowed(windows.size());
    request.windows = int64_t(windows.size() / (samples * layers));
    if (!windows.empty()) request.windowed = windowed.data();
    std::vector<std::vector<std::vector<ChipSpike>>> records(layers, std::vector<std::vector<ChipSpike>>(samples));
    std::vector<std::vector<int16_t>> states;
    for (size_t k = 0; k < layers; ++k) {
      const ChipLayer& layer = plan_.layers()[k];
      states.emplace_back(samples * size_t(layer.height) * size_t(layer.width) * size_t(layer.channels));
      request.record.push_back(records[k].data()), request.potentials.push_back(states[k].data());
    }
    plan_.run(request);
    expect(totals, expected, "what a chip counts");
    expect(windowed, windows, "operations in windows");
    for (size_t k = 0; k < layers; ++k) {
      const int lanes = plan_.layers()[k].lanes, channels = plan_.layers()[k].channels;
      std::vector<int64_t> counts;
      std::vector<int32_t> turns, neurons;
      for (const std::vector<ChipSpike>& spikes : records[k]) {
        counts.push_back(int64_t(spikes.size()));
        for (const ChipSpike& spike : spikes) {
          const int slot = int(spike.neuron);
          turns.push_back(int32_t(spike.turn)), neurons.push_back(slot / lanes * channels + slot % lanes);
        }
      }
      expect(counts, file.list<int64_t>(), of_layer(int64_t(k), "numbers of a chip's spikes"));
      expect(turns, file.list<int32_t>(), of_layer(int64_t(k), "turns"));
      expect(neurons, file.list<int32_t>(), of_layer(int64_t(k), "neurons of a chip"));
      expect(states[k], file.list<int16_t>(), of_layer(int64_t(k), "potentials of a chip"));
    }
  }

 private:
  ChipPlan plan_;
};

// Everything in the file, with one instruction set; returns how many runs agreed.
int replay(ReplayFile& file, const InnerLoops& loops, std::string& at) {
  std::unique_ptr<ReplayedPlan> plan;
  std::unique_ptr<ReplayedChip> chip;
  const std::map<std::string, void (ReplayedPlan::*)(ReplayFile&)> parts{
      {"neurons", &ReplayedPlan::add_neurons}, {"pool", &ReplayedPlan::add_pool}, {"join", &ReplayedPlan::add_join},
      {"conv", &ReplayedPlan::add_conv},
      {"dense", &ReplayedPlan::add_dense},     {"sparse", &ReplayedPlan::add_sparse}, {"finish", &ReplayedPlan::finish},
      {"image", &ReplayedPlan::take_images},   {"run", &ReplayedPlan::run}};
  int runs = 0;
  for (file.rewind(); !file.ended();) {
    const std::string what = file.text();
    if (what == "case") {
      at = file.text();
    } else if (what == "plan") {
      plan = std::make_unique<ReplayedPlan>(loops);
    } else if (what == "chip") {
      chip = std::make_unique<ReplayedChip>(loops);
    } else if (what == "chip input") {
      chip->add_input(file);
    } else if (what == "chip layer") {
      chip->add_layer(file);
    } else if (what == "chip run") {
      chip->run(file), ++runs;
    } else if (what == "input" || what == "relay" || what == "output") {
      plan->add_layer(what, file);
    } else {
      (plan.get()->*parts.at(what))(file);
      runs += what == "run";
    }
  }
  return runs;
}

}  // namespace
}  // namespace spikewright

int main(int count, char** arguments) {
  using namespace spikewright;
  if (count < 2) {
    std::fprintf(stderr, "usage: replay FILE [INSTRUCTION_SET ...]\n");
    return 2;
  }
  std::string at;
  try {
    ReplayFile file(arguments[1]);
    std::vector<const InnerLoops*> sets;
    for (int k = 2; k < count; ++k) sets.push_back(find_inner_loops(arguments[k]));
    for (int k = 0; count == 2 && inner_loops_at(k); ++k) sets.push_back(inner_loops_at(k));
    for (const InnerLoops* loops : sets) {
      if (!loops) throw std::runtime_error("no such instruction set");
      at = loops->name;
      const int runs = replay(file, *loops, at);
      std::printf("%s: %d runs agree\n", loops->name, runs);
      std::fflush(stdout);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", at.c_str(), error.what());
    return 1;
  }
  return 0;
}
