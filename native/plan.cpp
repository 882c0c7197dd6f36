#include "plan.hpp"

#include <algorithm>
#include <cmath>

#include "bits.hpp"
#include "gather.hpp"
#include "inner_loops.hpp"

namespace spikewright {
namespace {

void require(bool holds, const char* message) {
  if (!holds) throw PlanError(message);
}

void require(bool holds, const std::string& message) { require(holds, message.c_str()); }

void require_finite(const std::vector<float>& values, const char* what) {
  const bool finite = std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
  require(finite, std::string(what) + " holds a value that is not finite");
}

// Becomes empty where it moves nothing.
void check_remap(std::vector<int32_t>& remap, int64_t values, int64_t grid, const char* what) {
  const std::string where(what);
  if (remap.empty()) {
    require(values == grid, where + ": takes " + std::to_string(grid) + " values, its source has " +
                                std::to_string(values));
    return;
  }
  require(int64_t(remap.size()) == values, where + ": remap must have an entry for each source neuron");
  const bool inside = std::all_of(remap.begin(), remap.end(), [&](int32_t to) { return to >= -1 && to < grid; });
  require(inside, where + ": remap points outside the grid");
  bool moves = values != grid;
  for (size_t i = 0; i < remap.size() && !moves; ++i) moves = remap[i] != int32_t(i);
  if (!moves) remap = std::vector<int32_t>();
}

Axis make_axis(int64_t length, int64_t kernel, int64_t stride, int64_t low, int64_t dilation, int64_t outputs) {
  require(length > 0 && kernel > 0 && stride > 0 && dilation > 0 && outputs > 0,
          "conv: lengths, kernel, stride and dilation must be positive");
  require(std::max({length, kernel, stride, std::abs(low), dilation, outputs}) < (1 << 24), "conv: an axis too long");
  // whatever is read, for four positions at once too, has an index that 32 bits hold
  require(kernel * dilation + std::abs(low) + 4 * outputs * stride < max_values, "conv: an axis reaches too far");
  Axis axis;
  axis.length = int(length), axis.kernel = int(kernel), axis.stride = int(stride);
  axis.low = int(low), axis.dilation = int(dilation), axis.outputs = int(outputs);
  axis.start.push_back(0);
  for (int64_t at = 0; at < length; ++at) {
    for (int64_t k = 0; k < kernel; ++k) {
      const int64_t from = at + low - k * dilation;
      if (from >= 0 && from % stride == 0 && from / stride < outputs) {
        axis.taps.push_back({int32_t(k), int32_t(from / stride)});
      }
    }
    axis.start.push_back(uint32_t(axis.taps.size()));
  }
  return axis;
}

}  // namespace

Policy policy_named(const std::string& name) {
  if (name == "count_max") return Policy::count_max;
  if (name == "avg_max") return Policy::avg_max;
  if (name == "exp_max") return Policy::exp_max;
  require(name == "fir_max", "unknown pooling policy '" + name + "'");
  return Policy::fir_max;
}

int Plan::add(Kind kind, int64_t positions, int64_t channels) {
  require(!finished(), "the plan is finished: nothing can be added");
  require(positions > 0 && channels > 0, "a layer needs at least one position and one channel");
  require(positions <= max_values && channels <= max_values && positions * channels <= max_values,
          "a layer has more than 2^30 values");
  Layer layer;
  layer.kind = kind, layer.positions = int(positions), layer.channels = int(channels);
  layers.push_back(std::move(layer));
  return int(layers.size()) - 1;
}

int Plan::add_input(int64_t positions, int64_t channels, int64_t planes) {
  require(planes >= 0 && planes <= 2, "an input has no, one or two planes");
  const int id = add(Kind::input, positions, channels);
  layers[size_t(id)].bits = planes > 0, layers[size_t(id)].takes_back = planes > 1;
  return id;
}

int Plan::add_neurons(int64_t positions, int64_t channels, Neurons neurons) {
  const int id = add(Kind::neurons, positions, channels);
  Layer& layer = layers[size_t(id)];
  const auto fits = [&](const std::vector<float>& values) {
    return values.size() == 1 || values.size() == size_t(layer.size());
  };
  try {
    require(fits(neurons.threshold), "neurons: threshold must have one value, or one for each neuron");
    require(fits(neurons.v_init), "neurons: v_init must have one value, or one for each neuron");
    require(neurons.v_min.empty() || fits(neurons.v_min), "neurons: v_min must have one value, or one for each neuron");
    require_finite(neurons.v_init, "neurons: v_init");
    require_finite(neurons.v_min, "neurons: v_min");
    for (float t : neurons.threshold) require(t > 0 && std::isfinite(t), "neurons: a threshold is not positive");
    const bool finite = std::isfinite(neurons.decay) && std::isfinite(neurons.v_reset);
    require(finite, "neurons: decay and v_reset must be finite");
    require(neurons.cap >= 0, "neurons: the cap is negative");
    require(!neurons.takes_back || (neurons.subtract && neurons.decay == 1),
            "neurons: those that take spikes back lose nothing of what they sent: no decay, reset by subtraction");
    const size_t width = size_t(layer.channels);
    require(neurons.step_bias.size() % width == 0, "neurons: step_bias must have one value a channel for each step");
    require(neurons.fired_bias.empty() || (neurons.fired_bias.size() == width && !neurons.step_bias.empty()),
            "neurons: fired_bias must have one value a channel, beside a step_bias");
    require_finite(neurons.step_bias, "neurons: step_bias");
    require_finite(neurons.fired_bias, "neurons: fired_bias");
  } catch (...) {
    layers.pop_back();
    throw;
  }
  layer.neurons = std::move(neurons);
  const int bits = layer.neurons.cap ? highest_bit(uint64_t(layer.neurons.cap)) + 1 : max_bits + 1;
  layer.bits = std::min(bits, max_bits), layer.open_ended = bits > max_bits;
  layer.takes_back = layer.neurons.takes_back;
  return id;
}

int Plan::add_pool(int64_t source, int64_t positions, int64_t channels, Policy policy, int64_t horizon,
                   std::vector<int64_t> start, std::vector<int64_t> index) {
  require(source >= 0 && source < int64_t(layers.size()), "pool: no such source layer");
  require(layers[size_t(source)].kind != Kind::output, "pool: an output sends nothing");
  require(horizon >= 1 && horizon <= (1 << 24), "pool: horizon must be 1 or more");
  require(positions > 0 && channels > 0 && positions <= max_values && channels <= max_values,
          "a layer needs at least one position and one channel");
  require(int64_t(start.size()) == positions + 1 && start[0] == 0 && start.back() == int64_t(index.size()),
          "pool: window starts do not fit the windows");
  require(int64_t(index.size()) <= max_values, "pool: too many connections");
  require(layers[size_t(source)].channels == channels, "pool: its source has other channels");
  const int inputs = layers[size_t(source)].positions;
  for (size_t w = 0; w + 1 < start.size(); ++w) require(start[w] < start[w + 1], "pool: a window is empty");
  for (int64_t i : index) require(i >= 0 && i < inputs, "pool: a window reaches outside its source");
  const int id = add(Kind::pool, positions, channels);
  Layer& layer = layers[size_t(id)];
  layer.source = int(source);
  // what one input sends goes on, or the largest count moves by no more than that
  layer.bits = layers[size_t(source)].bits, layer.takes_back = layers[size_t(source)].takes_back;
  layer.open_ended = layers[size_t(source)].open_ended;
  Pool& pool = layer.pool;
  pool.policy = policy, pool.horizon = int(horizon);
  pool.start.assign(start.begin(), start.end());
  pool.index.assign(index.begin(), index.end());
  pool.reach_start.assign(size_t(inputs) + 1, 0);
  for (uint32_t i : pool.index) ++pool.reach_start[i + 1];
  for (int i = 0; i < inputs; ++i) pool.reach_start[size_t(i) + 1] += pool.reach_start[size_t(i)];
  pool.reach.resize(pool.index.size());
  std::vector<uint32_t> cursor(pool.reach_start.begin(), pool.reach_start.end() - 1);
  for (uint32_t w = 0; w + 1 < pool.start.size(); ++w) {
    for (uint32_t k = pool.start[w]; k < pool.start[w + 1]; ++k) pool.reach[cursor[pool.index[k]]++] = w;
  }
  return id;
}

int Plan::add_join(int64_t positions, int64_t channels, const std::vector<int64_t>& sources,
                   const std::vector<std::vector<int32_t>>& from, const std::vector<std::vector<int32_t>>& to,
                   const std::vector<std::vector<float>>& factors) {
  const bool sums = !factors.empty();
  require(!sources.empty() && from.size() == sources.size() && to.size() == sources.size() &&
              (!sums || factors.size() == sources.size()), "join: sources do not fit their values");
  const int before = int(layers.size()), id = add(Kind::join, positions, channels);
  Layer& layer = layers[size_t(id)];
  try {
    std::vector<uint8_t> taken(size_t(layer.size()), 0);
    bool trains = !sums;
    for (size_t k = 0; k < sources.size(); ++k) {
      require(sources[k] >= 0 && sources[k] < before, "join: no such source layer");
      const Layer& source = layers[size_t(sources[k])];
      require(source.kind != Kind::output, "join: an output sends nothing");
      require(from[k].size() == to[k].size() && (!sums || from[k].size() == factors[k].size()),
              "join: each value has one place, and one factor if any");
      if (sums) require_finite(factors[k], "join: factor");
      Part& part = layer.parts.emplace_back();
      part.source = int(sources[k]);
      for (size_t i = 0; i < from[k].size(); ++i) {
        const int32_t at = from[k][i], place = to[k][i];
        require(at >= 0 && at < source.size(), "join: a value lies outside its source");
        require(place >= 0 && place < layer.size() && (sums || !taken[size_t(place)]),
                "join: a place is not there, or taken");
        taken[size_t(place)] = 1;
        part.stretches.push_back({uint32_t(at), uint32_t(place), 1, sums ? factors[k][i] : 1.0f});
      }
      trains = trains && source.bits && !source.open_ended;
      layer.bits = std::max(layer.bits, source.bits), layer.takes_back = layer.takes_back || source.takes_back;
    }
    if (!trains) layer.bits = 0, layer.takes_back = false;
  } catch (...) {
    layers.pop_back();
    throw;
  }
  return id;
}

Layer& Plan::target_of(int64_t target, int64_t source, const char* what) {
  const std::string where(what);
  require(!finished(), "the plan is finished: nothing can be added");
  require(target >= 0 && target < int64_t(layers.size()), where + ": no such target layer");
  require(source >= 0 && source < target, where + ": its source must come before its target");
  require(layers[size_t(source)].kind != Kind::output, where + ": an output sends nothing");
  Layer& layer = layers[size_t(target)];
  const bool takes = layer.kind != Kind::input && layer.kind != Kind::pool && layer.kind != Kind::join;
  require(takes, where + ": inputs, pools and joins take no projections");
  return layer;
}

void Plan::add_conv(int64_t target, int64_t source, std::vector<int32_t> remap, const std::vector<int64_t>& lengths,
                    int64_t channels, const std::vector<int64_t>& kernel, const std::vector<int64_t>& stride,
                    const std::vector<int64_t>& low, const std::vector<int64_t>& dilation,
                    const std::vector<int64_t>& outputs, int64_t groups, std::vector<float> weight) {
  Layer& layer = target_of(target, source, "conv");
  for (const auto* list : {&lengths, &kernel, &stride, &low, &dilation, &outputs}) {
    require(list->size() == 3, "conv: every setting needs three axes");
  }
  require(channels > 0 && groups > 0 && channels <= max_values && channels % groups == 0 &&
              layer.channels % groups == 0, "conv: channels do not divide into the groups");
  Projection p;
  p.kind = Operator::conv, p.source = int(source);
  int64_t grid = channels, positions = 1, volume = 1;
  for (size_t a = 0; a < 3; ++a) {
    p.axis[a] = make_axis(lengths[a], kernel[a], stride[a], low[a], dilation[a], outputs[a]);
    grid *= lengths[a], positions *= outputs[a], volume *= kernel[a];
    require(grid <= max_values && positions <= max_values && volume <= max_values, "conv: the grid is too large");
  }
  require(positions == layer.positions, "conv: its output does not fit the target layer");
  require(int64_t(weight.size()) == channels * volume * (layer.channels / groups), "conv: weights do not fit");
  require_finite(weight, "conv: weight");
  check_remap(remap, layers[size_t(source)].size(), grid, "conv");
  p.channels = int(channels), p.filters = layer.channels, p.groups = int(groups), p.grid = int(grid);
  p.remap = std::move(remap), p.weight = std::move(weight);
  layer.projections.push_back(std::move(p));
}

void Plan::add_dense(int64_t target, int64_t source, std::vector<int32_t> remap, int64_t inputs,
                     std::vector<float> weight) {
  Layer& layer = target_of(target, source, "dense");
  require(inputs > 0 && inputs <= max_values && int64_t(weight.size()) == inputs * layer.size(),
          "dense: weights do not fit");
  require_finite(weight, "dense: weight");
  check_remap(remap, layers[size_t(source)].size(), inputs, "dense");
  Projection p;
  p.kind = Operator::dense, p.source = int(source), p.grid = int(inputs);
  p.remap = std::move(remap), p.weight = std::move(weight);
  layer.projections.push_back(std::move(p));
}

void Plan::add_sparse(int64_t target, int64_t source, std::vector<int64_t> start, std::vector<int64_t> column,
                      std::vector<float> value) {
  Layer& layer = target_of(target, source, "sparse");
  require(start.size() == size_t(layers[size_t(source)].size()) + 1 && start[0] == 0 &&
              start.back() == int64_t(column.size()) && column.size() == value.size(),
          "sparse: row starts do not fit");
  for (size_t i = 0; i + 1 < start.size(); ++i) require(start[i] <= start[i + 1], "sparse: row starts go backwards");
  for (int64_t c : column) require(c >= 0 && c < layer.size(), "sparse: a column lies outside the target");
  require_finite(value, "sparse: value");
  Projection p;
  p.kind = Operator::sparse, p.source = int(source), p.grid = layers[size_t(source)].size();
  p.start = std::move(start), p.column.assign(column.begin(), column.end()), p.value = std::move(value);
  layer.projections.push_back(std::move(p));
}

// Slots in place of values, and neighbours in one stretch. Its own slots are as wide as those of a layer that gathers.
void Plan::finish_join(Layer& layer, int width) {
  layer.padded = (layer.channels + width - 1) / width * width;
  const auto slot_of = [](const Layer& of, uint32_t i) {
    return uint32_t(of.slot(int(i) / of.channels)) + i % uint32_t(of.channels);
  };
  for (Part& part : layer.parts) {
    Layer& source = layers[size_t(part.source)];
    const bool lists = !layer.bits && !source.sends_graded();
    (lists ? source.keeps_lists : layer.bits ? source.keeps_trains : source.keeps_values) = true;
    std::vector<Part::Stretch> merged;
    for (const Part::Stretch& one : part.stretches) {
      const uint32_t from = lists ? one.from : slot_of(source, one.from), to = slot_of(layer, one.to);
      Part::Stretch* last = merged.empty() ? nullptr : &merged.back();
      if (last && last->from + last->length == from && last->to + last->length == to && last->factor == one.factor) {
        ++last->length;
      } else {
        merged.push_back({from, to, 1, one.factor});
      }
    }
    part.stretches = std::move(merged);
  }
}

void Plan::finish(const InnerLoops& chosen, bool gather, bool int16) {
  require(!finished(), "the plan is finished already");
  for (Layer& layer : layers) layer.row_length = layer.pitch = layer.positions, layer.padded = layer.channels;
  for (Layer& layer : layers) {
    if (gather) layer.gather = make_gather(layers, layer, chosen, int16);
    for (const Projection& p : layer.projections) {
      Layer& source = layers[size_t(p.source)];
      (!layer.gather ? source.keeps_lists : source.bits ? source.keeps_trains : source.keeps_values) = true;
    }
    if (layer.kind == Kind::join) finish_join(layer, chosen.width);
    if (layer.kind != Kind::pool) continue;
    Layer& source = layers[size_t(layer.source)];
    Pool& pool = layer.pool;
    const bool counts = pool.policy == Policy::count_max || pool.policy == Policy::avg_max;
    pool.of_trains = gather && layer.bits == 1 && counts;
    (pool.of_trains ? source.keeps_trains : source.keeps_lists) = true;
  }
  for (Layer& layer : layers) {  // what gathers has its weights packed; numbers too large for trains are added one by one
    for (Projection& p : layer.projections) {
      if (layer.gather && !layers[size_t(p.source)].open_ended) p.release();
    }
  }
  loops = &chosen;
}

}  // namespace spikewright
