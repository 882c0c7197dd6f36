// What Python sees: a Plan that is built layer by layer, and its run.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "arrays.hpp"
#include "chip_bindings.hpp"
#include "gather.hpp"
#include "image.hpp"
#include "inner_loops.hpp"
#include "plan.hpp"
#include "run.hpp"

namespace nb = nanobind;
using namespace spikewright;

namespace {

using Write = nb::ndarray<float, nb::c_contig, nb::device::cpu>;
using Totals = nb::ndarray<double, nb::c_contig, nb::device::cpu>;
// Of an input layer: where each sample's steps begin, (samples, steps + 1), and of every event its index and value.
using GivenEvents = std::tuple<int64_t, Read<int64_t>, Read<int32_t>, Read<float>>;

// One field of the records of all samples, end to end; the records lose it, so that it is in memory once.
template <class T>
nb::object concatenated(std::vector<EventRecord>& records, std::vector<T> EventRecord::* field) {
  size_t size = 0;
  for (const EventRecord& record : records) size += (record.*field).size();
  std::vector<T> all;
  all.reserve(size);
  for (EventRecord& record : records) {
    const std::vector<T> one = std::move(record.*field);
    all.insert(all.end(), one.begin(), one.end());
  }
  return nb::cast(array_of(std::move(all)));
}

class PyPlan {
 public:
  Plan& open() {
    if (engine_) throw PlanError("the plan is finished: nothing can be added");
    return *plan_;
  }

  void finish(const std::string& isa, bool gather, bool int16) {
    open().finish(inner_loops_named(isa), gather, int16);
    engine_ = std::make_unique<Engine>(plan_);
  }

  // Whether a layer can take images: a convolution of them is then computed where it is used.
  bool image(int64_t layer, int64_t channels, const std::vector<int64_t>& lengths, const std::vector<int64_t>& kernel,
             const std::vector<int64_t>& stride, const std::vector<int64_t>& low, const std::vector<int64_t>& dilation,
             const std::vector<int64_t>& outputs, const Read<float>& weight) {
    if (!engine_) throw PlanError("finish the plan before it takes images");
    if (layer < 0 || layer >= int64_t(plan_->layers.size())) throw PlanError("no layer " + std::to_string(layer));
    Layer& of = plan_->layers[size_t(layer)];
    of.image = make_image(of, *plan_->loops, channels, lengths, kernel, stride, low, dilation, outputs,
                          vector_of(weight));
    return of.image != nullptr;
  }

  // Arrays by layer and kind; see Port for their shapes. Of each layer of `events` a tuple is returned: events of every
  // sample (samples), and of all samples end to end their timesteps, neurons and values.
  nb::list run(int64_t samples, int64_t steps, int64_t threads, int64_t chunk,
               const std::vector<std::tuple<int64_t, std::string, Read<float>>>& inputs,
               const std::vector<std::tuple<int64_t, std::string, Write>>& outputs,
               const std::vector<int64_t>& events, const std::vector<GivenEvents>& given,
               const std::optional<Read<int64_t>>& lengths,
               const std::vector<std::tuple<int64_t, std::string, Totals>>& totals) {
    if (!engine_) throw PlanError("finish the plan before running it");
    constexpr int64_t most = 1 << 30;
    for (int64_t n : {samples, steps, threads, chunk}) {
      if (n < 1 || n > most) throw PlanError("samples, steps, threads and chunk must be 1 or more");
    }
    Request request;
    request.samples = int(samples), request.steps = int(steps);
    request.threads = int(std::min<int64_t>(threads, 1024));
    request.chunk = int(std::min({chunk, steps, int64_t(max_chunk)}));
    for (const Layer& layer : plan_->layers) {  // events of a chunk are numbered by 32 bits
      request.chunk = int(std::min<int64_t>(request.chunk, int64_t(UINT32_MAX) / layer.size()));
    }
    request.ports.resize(plan_->layers.size());
    for (const auto& [layer, kind, array] : inputs) {
      Port& port = port_of(request, layer);
      const int64_t n = plan_->layers[size_t(layer)].size(), size = int64_t(array.size());
      if (kind == "base" && (size == n || size == samples * n)) {
        port.base = array.data(), port.base_stride = size == n ? 0 : n;
      } else if (kind == "image" && plan_->layers[size_t(layer)].image &&
                 size == samples * plan_->layers[size_t(layer)].image->size()) {
        port.image = array.data();
      } else if (kind == "frames" && size == samples * steps * n) {
        port.frames = array.data();
      } else {
        throw PlanError("layer " + std::to_string(layer) + ": cannot take an array '" + kind + "' of that size");
      }
    }
    for (const auto& [layer, kind, array] : outputs) {
      set_output(port_of(request, layer), layer, kind, array, samples, steps);
    }
    for (const auto& [layer, kind, array] : totals) {
      Tally* tally = tally_of(port_of(request, layer), layer, kind);
      if (!tally || int64_t(array.size()) != plan_->layers[size_t(layer)].size()) throw no_output(layer, kind);
      tally->total = array.data();
    }
    for (const GivenEvents& one : given) set_given(port_of(request, std::get<0>(one)), one, samples, steps);
    if (lengths) {
      const auto fits = [&](int64_t n) { return n >= 1 && n <= steps; };
      if (int64_t(lengths->size()) != samples || !std::all_of(lengths->data(), lengths->data() + samples, fits)) {
        throw PlanError("lengths must be one for each sample, from 1 to steps");
      }
      request.lengths = lengths->data();
    }
    std::vector<std::vector<EventRecord>> records;
    records.reserve(events.size());
    for (int64_t layer : events) {
      Port& port = port_of(request, layer);
      const Kind kind = plan_->layers[size_t(layer)].kind;
      if (port.events || (kind != Kind::neurons && kind != Kind::pool)) {
        throw PlanError("layer " + std::to_string(layer) + ": has no events to give, or gives them already");
      }
      port.events = records.emplace_back(size_t(samples)).data();
    }
    bool whole = false;
    {
      nb::gil_scoped_release release;
      whole = engine_->run(request, [] {
        nb::gil_scoped_acquire acquire;
        return PyErr_CheckSignals() != 0;
      });
    }
    if (!whole) throw nb::python_error();
    nb::list found;
    for (std::vector<EventRecord>& of_layer : records) {
      std::vector<int64_t> counts;
      for (const EventRecord& record : of_layer) counts.push_back(int64_t(record.neuron.size()));
      found.append(nb::make_tuple(array_of(std::move(counts)), concatenated(of_layer, &EventRecord::timestep),
                                  concatenated(of_layer, &EventRecord::neuron),
                                  concatenated(of_layer, &EventRecord::value)));
    }
    return found;
  }

  std::vector<bool> gathering() const {
    std::vector<bool> found;
    for (const Layer& layer : plan_->layers) found.push_back(layer.gather != nullptr);
    return found;
  }

  std::vector<int> byte_projections() const {
    std::vector<int> found;
    for (const Layer& layer : plan_->layers) found.push_back(layer.gather ? int(layer.gather->bytes.size()) : 0);
    return found;
  }

  int64_t bytes_per_thread(int64_t chunk) const {
    if (!engine_) throw PlanError("finish the plan before asking for its size");
    return engine_->bytes_per_thread(int(std::clamp<int64_t>(chunk, 1, max_chunk)));
  }

  const char* isa() const { return plan_->loops ? plan_->loops->name : ""; }

 private:
  Port& port_of(Request& request, int64_t layer) const {
    if (layer < 0 || layer >= int64_t(request.ports.size())) throw PlanError("no layer " + std::to_string(layer));
    return request.ports[size_t(layer)];
  }

  // Everything is checked: the run trusts it.
  void set_given(Port& port, const GivenEvents& given, int64_t samples, int64_t steps) const {
    const auto& [layer, start, index, value] = given;
    const Layer& of = plan_->layers[size_t(layer)];
    const int64_t count = int64_t(index.size());
    const auto wrong = [layer = layer](const char* what) {
      return PlanError("layer " + std::to_string(layer) + ": " + what);
    };
    if (of.kind != Kind::input || port.frames) throw wrong("takes no events, or frames already");
    if (int64_t(start.size()) != samples * (steps + 1) || int64_t(value.size()) != count) {
      throw wrong("events need where each step begins, an index and a value");
    }
    const int64_t *from = start.data(), *to = from + start.size();
    if (*from < 0 || to[-1] > count || !std::is_sorted(from, to)) throw wrong("events of a step lie where none are");
    for (const int64_t* step = from; step + 1 < to; ++step) {
      for (int64_t e = step[0]; e < step[1]; ++e) {
        const int64_t before = e > step[0] ? index.data()[e - 1] : -1;
        if (index.data()[e] <= before || index.data()[e] >= of.size()) throw wrong("indices of a step do not rise");
      }
    }
    port.given_start = from, port.given_index = index.data(), port.given_value = value.data();
  }

  void set_output(Port& port, int64_t layer, const std::string& kind, const Write& array, int64_t samples,
                  int64_t steps) const {
    const Layer& of = plan_->layers[size_t(layer)];
    const int64_t once = samples * of.size(), always = once * steps, size = int64_t(array.size());
    if (Tally* tally = tally_of(port, layer, kind); tally && size == once) {
      tally->each = array.data();
    } else if (kind == "totals" && size == always && of.kind == Kind::output) {
      port.totals = array.data();
    } else if (kind == "spikes" && size == always && of.kind != Kind::output) {
      port.spikes = array.data();
    } else if (kind == "potentials" && size == always && of.kind == Kind::neurons && !in_int16(of)) {
      port.potentials = array.data();
    } else {
      throw no_output(layer, kind);
    }
  }

  static PlanError no_output(int64_t layer, const std::string& kind) {
    return PlanError("layer " + std::to_string(layer) + ": cannot give an array '" + kind + "' of that size");
  }

  static bool in_int16(const Layer& layer) { return layer.gather && !layer.gather->scale.empty(); }

  // Null where a layer has no such.
  Tally* tally_of(Port& port, int64_t layer, const std::string& kind) const {
    const Kind of = plan_->layers[size_t(layer)].kind;
    if (kind == "counts") return of == Kind::input ? nullptr : &port.counts;
    if (of == Kind::output) return nullptr;
    if (kind == "active") return &port.active;
    if (kind == "graded") return &port.graded;
    return kind == "negative" ? &port.negative : nullptr;
  }

  std::shared_ptr<Plan> plan_ = std::make_shared<Plan>();
  std::unique_ptr<Engine> engine_;
};

}  // namespace

NB_MODULE(_native, m) {
  nb::exception<PlanError>(m, "PlanError", PyExc_ValueError);
  m.def("instruction_sets", [] {
    std::vector<std::string> names;
    for (int place = 0; const InnerLoops* loops = inner_loops_at(place); ++place) names.emplace_back(loops->name);
    return names;
  }, "Those that run on this machine, the fastest first; 'wide' is plain code that works like avx512.");
  using Floats = Read<float>;
  using Longs = Read<int64_t>;
  using Ints = Read<int32_t>;
  using Sizes = std::vector<int64_t>;
  using Size = int64_t;
  nb::class_<PyPlan>(m, "Plan")
      .def(nb::init<>())
      .def("input",
           [](PyPlan& p, Size positions, Size channels, Size planes) {
             return p.open().add_input(positions, channels, planes);
           },
           nb::arg("positions"), nb::arg("channels"), nb::arg("planes") = 0)
      .def("relay", [](PyPlan& p, Size positions, Size channels) { return p.open().add_relay(positions, channels); })
      .def("output", [](PyPlan& p, Size positions, Size channels) { return p.open().add_output(positions, channels); })
      .def("neurons",
           [](PyPlan& p, Size positions, Size channels, const Floats& threshold, const Floats& v_init,
              const Floats& v_min, float decay, bool subtract, float v_reset, int cap, bool takes_back, bool no_debt,
              const std::optional<Floats>& step_bias, const std::optional<Floats>& fired_bias) {
             Neurons n{vector_of(threshold), vector_of(v_init), vector_of(v_min), decay, v_reset, subtract, cap,
                       takes_back, no_debt, {}, {}};
             if (step_bias) n.step_bias = vector_of(*step_bias);
             if (fired_bias) n.fired_bias = vector_of(*fired_bias);
             return p.open().add_neurons(positions, channels, std::move(n));
           },
           nb::arg("positions"), nb::arg("channels"), nb::arg("threshold"), nb::arg("v_init"), nb::arg("v_min"),
           nb::arg("decay"), nb::arg("subtract"), nb::arg("v_reset"), nb::arg("cap"), nb::arg("takes_back") = false,
           nb::arg("no_debt") = false, nb::arg("step_bias") = nb::none(), nb::arg("fired_bias") = nb::none())
      .def("pool",
           [](PyPlan& p, Size source, Size positions, Size channels, const std::string& policy, Size horizon,
              const Longs& start, const Longs& index) {
             return p.open().add_pool(source, positions, channels, policy_named(policy), horizon, vector_of(start),
                                      vector_of(index));
           })
      .def("join",
           [](PyPlan& p, Size positions, Size channels, const Sizes& sources, const std::vector<Ints>& from,
              const std::vector<Ints>& to, const std::vector<Floats>& factors) {
             return p.open().add_join(positions, channels, sources, vectors_of(from), vectors_of(to),
                                      vectors_of(factors));
           },
           nb::arg("positions"), nb::arg("channels"), nb::arg("sources"), nb::arg("from_"), nb::arg("to"),
           nb::arg("factors") = std::vector<Floats>{})
      .def("conv",
           [](PyPlan& p, int64_t target, int64_t source, const Ints& remap, const Sizes& lengths, int64_t channels,
              const Sizes& kernel, const Sizes& stride, const Sizes& low, const Sizes& dilation, const Sizes& outputs,
              int64_t groups, const Floats& weight) {
             p.open().add_conv(target, source, vector_of(remap), lengths, channels, kernel, stride, low, dilation,
                               outputs, groups, vector_of(weight));
           })
      .def("dense",
           [](PyPlan& p, int64_t target, int64_t source, const Ints& remap, int64_t inputs, const Floats& weight) {
             p.open().add_dense(target, source, vector_of(remap), inputs, vector_of(weight));
           })
      .def("sparse",
           [](PyPlan& p, int64_t target, int64_t source, const Longs& start, const Longs& column, const Floats& value) {
             p.open().add_sparse(target, source, vector_of(start), vector_of(column), vector_of(value));
           })
      .def("finish", &PyPlan::finish, nb::arg("isa"), nb::arg("gather"), nb::arg("int16") = false)
      .def("image", &PyPlan::image)
      .def("run", &PyPlan::run, nb::arg("samples"), nb::arg("steps"), nb::arg("threads"), nb::arg("chunk"),
           nb::arg("inputs"), nb::arg("outputs"), nb::arg("events") = Sizes{},
           nb::arg("given") = std::vector<GivenEvents>{}, nb::arg("lengths") = nb::none(),
           nb::arg("totals") = std::vector<std::tuple<int64_t, std::string, Totals>>{})
      .def("gathering", &PyPlan::gathering, "Of each layer, whether its currents are summed output by output.")
      .def("byte_projections", &PyPlan::byte_projections,
           "Of each layer, how many operators have weights of 8 bits that are multiplied as bytes.")
      .def("bytes_per_thread", &PyPlan::bytes_per_thread)
      .def_prop_ro("isa", &PyPlan::isa);
  bind_chip(m);
}
