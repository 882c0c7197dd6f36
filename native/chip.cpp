#include "chip.hpp"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <system_error>
#include <thread>
#include <utility>

#include "plan.hpp"

namespace spikewright {
namespace {

int whole(int64_t value, int64_t low, int64_t high, const char* what) {
  if (value < low || value > high) {
    throw PlanError(std::string(what) + " must be " + std::to_string(low) + " to " + std::to_string(high) + ", not " +
                    std::to_string(value));
  }
  return int(value);
}

// Along one axis, the outputs that an input position reaches: the first, how many, and the tap of the first. Where the
// output moves on by one, the tap goes back by a stride.
struct Span {
  int first, count, tap;
};

Span span_of(int position, int kernel, int stride, int padding, int outputs) {
  const int from = position + padding, beyond = from - kernel + 1;  // the first output begins at the latter or behind
  const int first = beyond > 0 ? (beyond + stride - 1) / stride : 0, last = std::min(outputs - 1, from / stride);
  return {first, std::max(0, last - first + 1), from - first * stride};
}

// splitmix64
uint64_t mixed(uint64_t value) {
  value += 0x9E3779B97F4A7C15u;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
  return value ^ (value >> 31);
}

uint64_t stirred(uint64_t state, uint64_t part) { return mixed(mixed(state) ^ part); }

struct Arrival {
  uint32_t turn, position, channel;
};

}  // namespace

struct ChipPlan::Workspace {
  std::vector<std::vector<ChipSpike>> sent;  // by sender
  std::vector<Arrival> queue, permuted;
  std::vector<std::pair<uint64_t, uint32_t>> keys;
  std::vector<uint32_t> fired, passed;
  std::vector<size_t> heads;
  Aligned<int16_t> v;
};

int ChipPlan::add_input(int64_t channels, int64_t height, int64_t width) {
  if (!layers_.empty()) throw PlanError("inputs come before layers");
  const Grid grid{whole(channels, 1, 1 << 20, "channels"), whole(height, 1, 1 << 15, "height"),
                  whole(width, 1, 1 << 15, "width"), int(channels)};
  if (channels * height * width > max_values) throw PlanError("an input is too large");
  inputs_.push_back(grid), senders_.push_back(grid);
  return int(senders_.size()) - 1;
}

const ChipPlan::Grid& ChipPlan::grid(int64_t sender) const {
  if (sender < 0 || sender >= int64_t(senders_.size())) throw PlanError("no sender " + std::to_string(sender));
  return senders_[size_t(sender)];
}

int ChipPlan::add_layer(const Settings& s, const std::vector<Source>& sources, const std::vector<int16_t>& weights,
                        const std::vector<int16_t>& bias, const std::vector<int16_t>& v_init) {
  ChipLayer layer;
  const int in_channels = whole(s.in_channels, 1, 1 << 20, "input channels");
  const int in_height = whole(s.in_height, 1, 1 << 15, "input height");
  const int in_width = whole(s.in_width, 1, 1 << 15, "input width");
  layer.channels = whole(s.channels, 1, 1 << 20, "channels"), layer.kernel = whole(s.kernel, 1, 1 << 10, "kernel");
  layer.stride_y = whole(s.stride_y, 1, 1 << 10, "stride"), layer.stride_x = whole(s.stride_x, 1, 1 << 10, "stride");
  const int pad_y = whole(s.pad_y, 0, 1 << 10, "padding"), pad_x = whole(s.pad_x, 0, 1 << 10, "padding");
  layer.threshold = int16_t(whole(s.threshold, 1, INT16_MAX, "threshold"));
  layer.v_min = int16_t(whole(s.v_min, INT16_MIN, 0, "lowest potential"));
  layer.decimator = whole(s.decimator, 1, INT32_MAX, "decimator"), layer.subtract = s.subtract;
  const int high = in_height + 2 * pad_y - layer.kernel, wide = in_width + 2 * pad_x - layer.kernel;
  if (high < 0 || wide < 0) throw PlanError("the kernel does not fit in the padded input");
  layer.height = high / layer.stride_y + 1, layer.width = wide / layer.stride_x + 1;
  const int vector = loops_.short_width;
  layer.lanes = (layer.channels + vector - 1) / vector * vector;
  const int64_t taps = int64_t(layer.kernel) * layer.kernel, places = int64_t(layer.height) * layer.width;
  if (layer.slots() > max_values || int64_t(in_channels) * taps * layer.lanes > max_values) {
    throw PlanError("a layer is too large");
  }
  if (int64_t(weights.size()) != taps * in_channels * layer.channels ||
      (!bias.empty() && int64_t(bias.size()) != layer.channels) || int64_t(v_init.size()) != places * layer.channels) {
    throw PlanError("weights, bias or potentials have another size than the layer");
  }
  layer.weights.resize(size_t(in_channels * taps * layer.lanes));
  for (int64_t out = 0; out < layer.channels; ++out) {
    for (int64_t k = 0; k < in_channels * taps; ++k) {
      layer.weights[size_t(k * layer.lanes + out)] = weights[size_t(out * in_channels * taps + k)];
    }
  }
  if (!bias.empty()) {
    layer.bias.assign(size_t(layer.lanes), 0);
    std::copy(bias.begin(), bias.end(), layer.bias.begin());
  }
  layer.v_init.resize(size_t(layer.slots()));
  for (int64_t p = 0; p < places; ++p) {
    const auto from = v_init.begin() + p * layer.channels;
    std::copy(from, from + layer.channels, layer.v_init.begin() + p * layer.lanes);
  }
  for (int y = 0; y < in_height; ++y) {
    const Span rows = span_of(y, layer.kernel, layer.stride_y, pad_y, layer.height);
    for (int x = 0; x < in_width; ++x) {
      const Span columns = span_of(x, layer.kernel, layer.stride_x, pad_x, layer.width);
      const bool any = rows.count > 0 && columns.count > 0;
      layer.reach.push_back({any ? rows.count : 0, any ? columns.count : 0,
                             uint32_t((int64_t(rows.first) * layer.width + columns.first) * layer.lanes),
                             (int64_t(rows.tap) * layer.kernel + columns.tap) * layer.lanes});
    }
  }
  for (const Source& source : sources) {
    const Grid from = grid(source.sender);
    const int pool = whole(source.pool, 1, 1 << 10, "pool"), shift = whole(source.shift, 0, 1 << 20, "channel shift");
    if (from.channels + shift > in_channels) throw PlanError("a source has more channels than the layer takes");
    ChipDestination to{int(source.sender), {}, {}};
    const size_t neurons = size_t(from.height) * size_t(from.width) * size_t(from.lanes);
    to.position.reserve(neurons), to.channel.reserve(neurons);
    for (int y = 0; y < from.height; ++y) {
      for (int x = 0; x < from.width; ++x) {
        const bool inside = y / pool < in_height && x / pool < in_width;
        const uint32_t position = uint32_t((y / pool) * in_width + x / pool);
        to.position.insert(to.position.end(), size_t(from.lanes), inside ? position : ChipDestination::nowhere);
        for (int c = 0; c < from.lanes; ++c) to.channel.push_back(uint32_t(c + shift));
      }
    }
    layer.sources.push_back(std::move(to));
  }
  senders_.push_back({layer.channels, layer.height, layer.width, layer.lanes});
  layers_.push_back(std::move(layer));
  return int(senders_.size()) - 1;
}

void ChipPlan::run_layer(const ChipRequest& request, int sample, size_t number, Workspace& space) const {
  const ChipLayer& layer = layers_[number];
  const ChipRules& rules = request.rules;
  std::vector<ChipSpike>& sent = space.sent[inputs_.size() + number];
  sent.clear();
  space.v = layer.v_init;
  space.fired.resize(size_t(layer.slots()));
  if (layer.decimator > 1 && rules.counts_neurons) space.passed.assign(size_t(layer.slots()), 0);

  // What arrives: turn by turn, of each turn by source, in the order in which that sent it.
  std::vector<Arrival>& queue = space.queue;
  queue.clear();
  space.heads.assign(layer.sources.size(), 0);
  for (;;) {
    uint32_t turn = UINT32_MAX;
    for (size_t k = 0; k < layer.sources.size(); ++k) {
      const std::vector<ChipSpike>& from = space.sent[size_t(layer.sources[k].sender)];
      if (space.heads[k] < from.size()) turn = std::min(turn, from[space.heads[k]].turn);
    }
    if (turn == UINT32_MAX) break;
    for (size_t k = 0; k < layer.sources.size(); ++k) {
      const ChipDestination& to = layer.sources[k];
      const std::vector<ChipSpike>& from = space.sent[size_t(to.sender)];
      size_t& head = space.heads[k];
      for (; head < from.size() && from[head].turn == turn; ++head) {
        const uint32_t position = to.position[from[head].neuron];
        if (position != ChipDestination::nowhere) queue.push_back({turn, position, to.channel[from[head].neuron]});
      }
    }
  }

  const int64_t first_turn = request.events.turn_start[sample];
  const int64_t turns = request.events.turn_start[sample + 1] - first_turn;
  const int64_t* time = request.events.time + first_turn;
  const uint8_t* tick = request.events.tick + first_turn;
  if (rules.permuted) {
    const uint64_t core = stirred(stirred(rules.seed, uint64_t(request.first + sample)), number);
    for (size_t begin = 0, end = 0; begin < queue.size(); begin = end) {
      while (end < queue.size() && queue[end].turn == queue[begin].turn) ++end;
      const uint64_t state = stirred(core, uint64_t(time[queue[begin].turn]));
      space.keys.clear();
      for (size_t k = 0; k < end - begin; ++k) space.keys.emplace_back(mixed(state ^ k), uint32_t(k));
      std::sort(space.keys.begin(), space.keys.end());
      space.permuted.assign(queue.begin() + ptrdiff_t(begin), queue.begin() + ptrdiff_t(end));
      for (size_t k = 0; k < end - begin; ++k) queue[begin + k] = space.permuted[space.keys[k].second];
    }
  }

  const int64_t fire_at = int64_t(layer.threshold) + rules.fires_above;
  ChipEvent event{};
  event.v_min = layer.v_min, event.threshold = layer.threshold, event.subtract = layer.subtract;
  event.fire_at = int16_t(std::min<int64_t>(fire_at, INT16_MAX));
  const bool can_fire = fire_at <= INT16_MAX;
  event.lanes = layer.lanes, event.v = space.v.data(), event.fired = space.fired.data();
  event.row_slots = uint32_t(layer.width * layer.lanes);
  int64_t fired = 0, synops = 0;
  const auto work_off = [&](uint32_t turn) {
    const uint32_t count = loops_.chip_event(event);
    for (uint32_t k = 0; k < count; ++k) {
      ++fired;
      if (layer.decimator > 1) {
        const uint32_t slot = space.fired[k];
        const int64_t so_far = rules.counts_neurons ? int64_t(++space.passed[slot]) : fired;
        if (so_far % layer.decimator) continue;
      }
      sent.push_back({turn, space.fired[k]});
    }
  };
  const auto beat = [&](uint32_t turn) {
    event.rows = layer.height, event.columns = layer.width, event.slot = 0, event.weight = layer.bias.data();
    event.weight_row = event.weight_column = 0, event.fires = can_fire && !rules.ticks_add;
    work_off(turn);
    event.weight_row = -ptrdiff_t(layer.stride_y) * layer.kernel * layer.lanes;
    event.weight_column = -ptrdiff_t(layer.stride_x) * layer.lanes, event.fires = can_fire;
  };
  event.weight_row = -ptrdiff_t(layer.stride_y) * layer.kernel * layer.lanes;
  event.weight_column = -ptrdiff_t(layer.stride_x) * layer.lanes, event.fires = can_fire;
  const int64_t of_channel = int64_t(layer.kernel) * layer.kernel * layer.lanes;
  int64_t* const windowed = request.windowed
      ? request.windowed + (int64_t(sample) * int64_t(layers_.size()) + int64_t(number)) * request.windows
      : nullptr;
  int64_t next_tick = layer.bias.empty() ? turns : 0;
  const auto tick_until = [&](int64_t turn) {  // that turn's own tick too
    for (; next_tick < turns && next_tick <= turn; ++next_tick) {
      if (tick[next_tick]) beat(uint32_t(next_tick));
    }
  };
  for (const Arrival& arrival : queue) {
    tick_until(arrival.turn);
    const ChipReach& reach = layer.reach[arrival.position];
    event.rows = reach.rows, event.columns = reach.columns, event.slot = reach.slot;
    event.weight = layer.weights.data() + int64_t(arrival.channel) * of_channel + reach.weight;
    work_off(arrival.turn);
    const int64_t operations = int64_t(reach.rows) * reach.columns * layer.channels;
    synops += operations;
    if (windowed) windowed[std::min(time[arrival.turn] / request.window, request.windows - 1)] += operations;
  }
  tick_until(turns - 1);

  const size_t at = size_t(sample) * layers_.size() + number;
  request.sent[at] = int64_t(sent.size()), request.fired[at] = fired, request.synops[at] = synops;
  if (request.record[number]) request.record[number][sample] = sent;
  if (int16_t* to = request.potentials[number]) {
    const int64_t places = int64_t(layer.height) * layer.width;
    to += sample * places * layer.channels;
    for (int64_t p = 0; p < places; ++p) {
      const auto from = space.v.begin() + p * layer.lanes;
      std::copy(from, from + layer.channels, to + p * layer.channels);
    }
  }
}

void ChipPlan::run_sample(const ChipRequest& request, int sample, Workspace& space) const {
  space.sent.resize(senders_.size());
  for (size_t k = 0; k < inputs_.size(); ++k) {
    const int64_t* start = request.events.start + size_t(sample) * inputs_.size() + k;
    space.sent[k].clear();
    for (int64_t e = start[0]; e < start[1]; ++e) {
      space.sent[k].push_back({uint32_t(request.events.turn[e]), uint32_t(request.events.place[e])});
    }
  }
  for (size_t number = 0; number < layers_.size(); ++number) run_layer(request, sample, number, space);
}

void ChipPlan::run(const ChipRequest& request) const {
  std::atomic<int> next{0};
  const auto work = [&] {
    Workspace space;
    for (int sample = next++; sample < request.samples; sample = next++) run_sample(request, sample, space);
  };
  std::vector<std::thread> helpers;
  for (int k = 1; k < std::min(request.threads, request.samples); ++k) {
    try {
      helpers.emplace_back(work);
    } catch (const std::system_error&) {  // the system gives no more threads: those there are do the work
      break;
    }
  }
  work();
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace spikewright
