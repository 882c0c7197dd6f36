#include "chip_bindings.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>

#include "arrays.hpp"
#include "chip.hpp"
#include "plan.hpp"

namespace nb = nanobind;

namespace spikewright {
namespace {

template <class T>
using Write = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

void check(bool holds, const char* what) {
  if (!holds) throw PlanError(what);
}

// Whether a start array is one: (count + 1), from zero to the end without falling.
void check_starts(const Read<int64_t>& start, int64_t count, int64_t end, const char* what) {
  check(int64_t(start.size()) == count + 1 && start.data()[0] == 0 && start.data()[count] == end, what);
  check(std::is_sorted(start.data(), start.data() + count + 1), what);
}

class PyChip {
 public:
  explicit PyChip(const std::string& isa) : plan_(inner_loops_named(isa)) {}

  int add_input(int64_t channels, int64_t height, int64_t width) {
    inputs_.push_back(channels * height * width);
    return plan_.add_input(channels, height, width);
  }

  int add_layer(const std::vector<std::tuple<int64_t, int64_t, int64_t>>& sources,
                const std::tuple<int64_t, int64_t, int64_t>& shape, const Read<int16_t>& weights,
                const std::optional<Read<int16_t>>& bias, const Read<int16_t>& v_init, int64_t threshold, int64_t v_min,
                bool subtract, const std::tuple<int64_t, int64_t>& stride,
                const std::tuple<int64_t, int64_t>& padding, int64_t decimator) {
    check(weights.ndim() == 4, "weights are (out, in, kernel, kernel)");
    check(weights.shape(2) == weights.shape(3) && int64_t(weights.shape(1)) == std::get<0>(shape),
          "weights do not fit the input");
    ChipPlan::Settings s{};
    std::tie(s.in_channels, s.in_height, s.in_width) = shape;
    s.channels = int64_t(weights.shape(0)), s.kernel = int64_t(weights.shape(2));
    std::tie(s.stride_y, s.stride_x) = stride;
    std::tie(s.pad_y, s.pad_x) = padding;
    s.threshold = threshold, s.v_min = v_min, s.decimator = decimator, s.subtract = subtract;
    std::vector<ChipPlan::Source> from;
    for (const auto& [sender, pool, shift] : sources) from.push_back({sender, pool, shift});
    return plan_.add_layer(s, from, vector_of(weights), bias ? vector_of(*bias) : std::vector<int16_t>{},
                           vector_of(v_init));
  }

  // Of each layer of `record` a tuple is returned: how many spikes each sample has, and of all samples end to end their
  // turns (of the sample) and neurons (channels last).
  nb::list run(int64_t samples, int64_t first, int64_t threads, const Read<int64_t>& start, const Read<int32_t>& turn,
               const Read<int32_t>& place, const Read<int64_t>& turn_start, const Read<int64_t>& time,
               const Read<uint8_t>& tick, bool fires_above, bool counts_neurons, bool ticks_add,
               const std::optional<uint64_t>& permute, const Write<int64_t>& totals, int64_t window,
               const std::optional<Write<int64_t>>& windowed, const std::vector<int64_t>& record,
               const std::vector<std::tuple<int64_t, Write<int16_t>>>& potentials) const {
    check(samples >= 1 && samples <= 1 << 30 && first >= 0 && threads >= 1, "samples and threads must be 1 or more");
    const int64_t inputs = int64_t(inputs_.size()), layers = int64_t(plan_.layers().size());
    check_starts(start, samples * inputs, int64_t(turn.size()), "the starts of events are no starts");
    check_starts(turn_start, samples, int64_t(time.size()), "the starts of turns are no starts");
    check(place.size() == turn.size() && tick.size() == time.size(), "events or turns lack something");
    for (int64_t s = 0; s < samples; ++s) {
      const int64_t turns = turn_start.data()[s + 1] - turn_start.data()[s];
      check(turns < INT32_MAX, "a sample has too many turns");
      const int64_t* times = time.data() + turn_start.data()[s];
      check(!turns || (times[0] >= 0 && std::is_sorted(times, times + turns)), "turns must be in order of time");
      for (int64_t i = 0; i < inputs; ++i) {
        int64_t before = 0;
        for (int64_t e = start.data()[s * inputs + i]; e < start.data()[s * inputs + i + 1]; ++e) {
          check(turn.data()[e] >= before && turn.data()[e] < turns, "events must be in order of turns that there are");
          check(place.data()[e] >= 0 && place.data()[e] < inputs_[size_t(i)], "an event lies outside its input");
          before = turn.data()[e];
        }
      }
    }
    ChipRequest request;
    request.samples = int(samples), request.first = first, request.threads = int(std::min<int64_t>(threads, 1024));
    request.events = {start.data(), turn_start.data(), turn.data(), place.data(), time.data(), tick.data()};
    request.rules = {fires_above, counts_neurons, ticks_add, permute.has_value(), permute.value_or(0)};
    const int64_t each = samples * layers;
    check(int64_t(totals.size()) == 3 * each, "totals must be (3, samples, layers)");
    request.sent = totals.data(), request.fired = request.sent + each, request.synops = request.fired + each;
    if (windowed) {
      check(window >= 1 && each > 0 && int64_t(windowed->size()) % each == 0 && windowed->size() > 0, "no such windows");
      request.window = window, request.windows = int64_t(windowed->size()) / each;
      request.windowed = windowed->data();
    }
    request.record.resize(size_t(layers)), request.potentials.resize(size_t(layers));
    std::vector<std::vector<std::vector<ChipSpike>>> records(record.size(), std::vector<std::vector<ChipSpike>>(size_t(samples)));
    for (size_t k = 0; k < record.size(); ++k) request.record[number(record[k])] = records[k].data();
    for (const auto& [at, array] : potentials) {
      const ChipLayer& layer = plan_.layers()[number(at)];
      check(int64_t(array.size()) == samples * layer.height * layer.width * layer.channels, "no such potentials");
      request.potentials[number(at)] = array.data();
    }
    {
      nb::gil_scoped_release release;
      plan_.run(request);
    }
    nb::list found;
    for (size_t k = 0; k < record.size(); ++k) {
      const ChipLayer& layer = plan_.layers()[number(record[k])];
      std::vector<int64_t> counts;
      std::vector<int32_t> turns, neurons;
      for (std::vector<ChipSpike>& spikes : records[k]) {
        counts.push_back(int64_t(spikes.size()));
        for (const ChipSpike& spike : spikes) {
          turns.push_back(int32_t(spike.turn));
          const int slot = int(spike.neuron);
          neurons.push_back(slot / layer.lanes * layer.channels + slot % layer.lanes);
        }
        spikes = std::vector<ChipSpike>();  // gives its memory back
      }
      found.append(nb::make_tuple(array_of(std::move(counts)), array_of(std::move(turns)), array_of(std::move(neurons))));
    }
    return found;
  }

 private:
  size_t number(int64_t layer) const {
    if (layer < 0 || layer >= int64_t(plan_.layers().size())) throw PlanError("no layer " + std::to_string(layer));
    return size_t(layer);
  }

  ChipPlan plan_;
  std::vector<int64_t> inputs_;
};

}  // namespace

void bind_chip(nb::module_& m) {
  nb::class_<PyChip>(m, "Chip")
      .def(nb::init<const std::string&>(), nb::arg("isa") = "")
      .def("input", &PyChip::add_input, nb::arg("channels"), nb::arg("height"), nb::arg("width"))
      .def("layer", &PyChip::add_layer, nb::arg("sources"), nb::arg("shape"), nb::arg("weights"),
           nb::arg("bias").none(), nb::arg("v_init"), nb::arg("threshold"), nb::arg("v_min"), nb::arg("subtract"),
           nb::arg("stride"), nb::arg("padding"), nb::arg("decimator"))
      .def("run", &PyChip::run, nb::arg("samples"), nb::arg("first"), nb::arg("threads"), nb::arg("start"),
           nb::arg("turn"), nb::arg("place"), nb::arg("turn_start"), nb::arg("time"), nb::arg("tick"),
           nb::arg("fires_above"), nb::arg("counts_neurons"), nb::arg("ticks_add"), nb::arg("permute").none(),
           nb::arg("totals"), nb::arg("window"), nb::arg("windowed").none(), nb::arg("record"),
           nb::arg("potentials"));
}

}  // namespace spikewright
