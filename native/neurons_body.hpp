// What neurons do in a step, written once over a vector type; see inner_loops.hpp.
#pragma once

#include <math.h>

#include "bursts_body.hpp"
#include "inner_loops.hpp"
#include "neurons_held.hpp"
#include "vectors.hpp"

namespace spikewright {
namespace {

// One step of neurons that neither leak nor have a lowest potential, with reset by subtraction; returns which fire.
template <class V>
auto fire_plain(V& v, V current, V threshold) {
  v = v + current;
  const auto fires = V::at_least(v, threshold);
  v = V::choose(fires, v - threshold, v);
  return fires;
}

// The same of neurons that take spikes back; `sent` is what they have sent, less what they took back.
template <class V>
auto fire_both_ways(V& v, V current, V threshold, V& sent) {
  struct {
    typename V::Mask fires, back;
  } which;
  const V zero = V::all(0), one = V::all(1);
  v = v + current;
  which.fires = V::at_least(v, threshold);
  which.back = V::at_least(V::where(V::at_least(zero, v), sent), one);
  v = v - V::where(which.fires, threshold) + V::where(which.back, threshold);
  sent = sent + V::where(which.fires, one) - V::where(which.back, one);
  return which;
}

// One step of them; currents become what they send. The rule is looked at once for all of them.
template <class V, int vectors>
void step_any(const NeuronRule& rule, bool clamped, bool keeps_fired, V (&current)[vectors], Held<V, vectors>& held) {
  const auto each = [&](const auto& of) {
    for (int j = 0; j < vectors; ++j) of(held.v[j], held.threshold[j], held.sent[j], held.fired[j], current[j]);
  };
  const V zero = V::all(0), one = V::all(1), most = V::all(rule.cap ? float(rule.cap) : INFINITY);
  const V decay = V::all(rule.decay), rest = V::all(rule.v_reset);
  each([&](V& v, V, V, V, V in) { v = decay * v + in; });
  uint32_t several = 0;  // neurons that may send, or take back, more than one
  if (rule.cap != 1) {
    each([&](V v, V threshold, V, V, V) {
      several |= V::bits(V::at_least(v, threshold + threshold));
      if (rule.takes_back) several |= V::bits(V::at_least(zero - v, threshold));
    });
  }
  if (!several) {
    each([&](V v, V threshold, V, V, V& n) { n = V::where(V::at_least(v, threshold), one); });
  } else {
    each([&](V v, V threshold, V, V, V& n) { n = V::smaller(most, V::larger(zero, V::floor(v / threshold))); });
  }
  if (rule.takes_back) {
    each([&](V v, V threshold, V sent, V, V& n) {
      const V too_many = !several ? one : V::smaller(most, V::floor((zero - v) / threshold) + one);
      n = n - V::where(V::at_least(zero, v), V::smaller(too_many, sent));
    });
  }
  each([&](V, V, V& sent, V, V n) { sent = sent + n; });
  if (rule.subtract) {
    each([&](V& v, V threshold, V, V, V n) { v = v - V::where(V::not_zero(n), n * threshold); });
  } else {
    each([&](V& v, V, V, V, V n) { v = V::choose(V::not_zero(n), rest, v); });
  }
  if (clamped) {
    for (int j = 0; j < vectors; ++j) held.v[j] = V::larger(held.v[j], held.lowest[j]);
  }
  if (keeps_fired) each([&](V, V, V, V& fired, V n) { fired = V::choose(V::not_zero(n), one, fired); });
  if (rule.no_debt) each([&](V& v, V, V, V fired, V) { v = V::choose(V::not_zero(fired), v, V::larger(v, zero)); });
}

// As many neurons from the i-th as whole vectors hold; returns which is next.
template <class V>
int step_vectors(const NeuronStep& s, int i) {
  Held<V, 1> held;
  held.threshold[0] = V::all(s.threshold[0]), held.lowest[0] = V::all(s.v_min ? s.v_min[0] : 0);
  held.fired[0] = V::all(0);
  for (; i + V::width <= s.neurons; i += V::width) {
    if (s.wide_threshold) held.threshold[0] = V::load(s.threshold + i);
    if (s.wide_v_min) held.lowest[0] = V::load(s.v_min + i);
    if (s.fired) held.fired[0] = V::load(s.fired + i);
    held.v[0] = V::load(s.v + i), held.sent[0] = V::load(s.count + i);
    V n[1] = {V::load(s.current + i)};
    step_any<V, 1>(s.rule, s.v_min, s.fired, n, held);
    held.v[0].store(s.v + i), n[0].store(s.current + i), held.sent[0].store(s.count + i);
    if (s.fired) held.fired[0].store(s.fired + i);
  }
  return i;
}

template <class V>
void step_neurons(const NeuronStep& s) {
  step_vectors<PlainVector<1>>(s, step_vectors<V>(s, 0));
}

// The neurons at one position: what they hold between steps, in registers, and the spikes of 32 steps by plane.
template <class V, int vectors, Firing firing>
class Position {
 public:
  using T = typename V::Value;
  using History = typename V::History;

  Position(const Sums<T>& s, int position) : s_(s), at_(position * s.stride) {
    const ptrdiff_t own = position * s.neuron_stride;
    for (int j = 0; j < vectors; ++j) {
      const ptrdiff_t lane = j * V::width;
      held_.v[j] = V::load(s.v + at_ + lane), held_.threshold[j] = V::load(s.threshold + own + lane);
      if constexpr (firing != Firing::plain) {
        if (keeps_sent()) held_.sent[j] = V::load(s.count + at_ + lane);
      }
      if constexpr (firing == Firing::any) {
        held_.fired[j] = s.fired ? V::load(s.fired + at_ + lane) : V::all(0);
        held_.lowest[j] = s.v_min ? V::load(s.v_min + own + lane) : V::all(0);
      }
    }
  }

  // All steps of the chunk; `step(t)` calls `fire` where these are the last sums. What is sent is kept then.
  template <class Step>
  void run(const Step& step) {
    for (int word = 0; word < s_.steps; word += 32) {
      for (int part = 0; part < parts; ++part) {
        const int begin = word + part * span;
        const int end = s_.steps < begin ? begin : s_.steps < begin + span ? s_.steps : begin + span;
        start_planes(0, low_planes());
        several_ = false, behind_ = 0;
        for (int t = begin; t < end; ++t) step(t);
        end_planes(0, low_planes(), part, begin + span - end);
        if (several_) end_planes(low_planes(), planes(), part, begin + span - end + behind_);
      }
      if (s_.last) keep(word);
    }
    if (s_.last) store();
  }

  // The potentials, after the last step that was taken.
  void show(T* to) const {
    for (int j = 0; j < vectors; ++j) held_.v[j].store(to + j * V::width);
  }

  void fire(int t, V (&current)[vectors]) {
    if constexpr (firing == Firing::plain) {
      for (int j = 0; j < vectors; ++j) now_[0][j].push(fire_plain(held_.v[j], current[j], held_.threshold[j]));
    } else if constexpr (firing == Firing::both_ways) {
      for (int j = 0; j < vectors; ++j) {
        const auto which = fire_both_ways(held_.v[j], current[j], held_.threshold[j], held_.sent[j]);
        now_[0][j].push(which.fires), now_[1][j].push(which.back);
      }
    } else if constexpr (firing == Firing::bursts) {
      fire_bursts(t, current);
    } else {
      if (t < s_.biased) add_biases(t, current);
      step_any<V, vectors>(s_.rule, s_.v_min, s_.fired, current, held_);
      push(t, current);
    }
  }

 private:
  static constexpr int span = History::span, parts = 32 / span;
  static constexpr int most_planes = firing == Firing::plain ? 1 : firing == Firing::both_ways ? 2 : 2 * max_bits;

  static constexpr bool may_burst = firing == Firing::any || firing == Firing::bursts;

  int planes() const { return may_burst ? s_.planes : most_planes; }
  // What a neuron has sent is kept as a number where its rule asks for it; else it is counted from the words.
  bool keeps_sent() const {
    return firing == Firing::any || firing == Firing::both_ways || (firing == Firing::bursts && s_.rule.takes_back);
  }
  int low_planes() const { return !may_burst ? most_planes : s_.rule.takes_back ? 2 : 1; }

  void add_biases(int t, V (&current)[vectors]) const {
    for (int j = 0; j < vectors; ++j) {
      current[j] = current[j] + V::load(s_.step_bias + t * s_.bias_stride + j * V::width);
    }
    for (int j = 0; s_.fired_bias && j < vectors; ++j) {
      const V bias = V::load(s_.fired_bias + j * V::width);
      current[j] = current[j] + V::where(V::not_zero(held_.fired[j]), bias);
    }
  }

  void fire_bursts(int t, V (&current)[vectors]) {
    if (sends_several(s_.rule, current, held_)) {
      send_several(s_.rule, current, held_);
      return push(t, current);
    }
    const V zero = V::all(0), one = V::all(1);
    for (int j = 0; j < vectors; ++j) {
      const auto fires = V::at_least(held_.v[j], held_.threshold[j]);
      now_[0][j].push(fires);
      V v = held_.v[j] - V::where(fires, held_.threshold[j]);
      if (s_.rule.takes_back) {
        const auto back = V::at_least(V::where(V::at_least(zero, held_.v[j]), held_.sent[j]), one);
        now_[1][j].push(back);
        v = v + V::where(back, held_.threshold[j]), held_.sent[j] = held_.sent[j] - V::where(back, one);
      }
      if (s_.rule.takes_back) held_.sent[j] = held_.sent[j] + V::where(fires, one);
      held_.v[j] = v;
    }
    ++behind_;
  }

  // The bits of numbers, those above zero and those below. Only the planes of the lowest bit always keep up.
  void push(int t, V (&n)[vectors]) {
    const bool both_ways = s_.rule.takes_back;
    const int bits = planes() / low_planes();
    bool several = false;
    if (bits > 1) {
      uint32_t any = 0;
      for (int j = 0; j < vectors; ++j) {
        any |= V::bits(V::at_least(n[j], V::all(2)));
        if (both_ways) any |= V::bits(V::at_least(V::all(-2), n[j]));
      }
      several = any;
    }
    if (several && s_.overflow.add) hand_over_large(s_.overflow, bits, both_ways, at_, t, n);
    if (several) catch_up();
    V below[vectors];
    for (int j = 0; j < vectors; ++j) below[j] = V::all(0) - n[j];
    push_bits(now_, several ? bits : 1, n);
    if (both_ways) push_bits(now_ + 1, several ? bits : 1, below);
    if (!several) ++behind_;
  }

  void push_bits(History (*to)[vectors], int bits, V (&left)[vectors]) const {
    for (int bit = bits - 1; bit >= 0; --bit) {
      const V unit = V::all(float(1 << bit));
      for (int j = 0; j < vectors; ++j) {
        const auto has = V::at_least(left[j], unit);
        to[bit * low_planes()][j].push(has);
        if (bit) left[j] = left[j] - V::where(has, unit);
      }
    }
  }

  // Brings the planes of higher bits to this step: nothing was sent in them since they were pushed last.
  void catch_up() {
    if (!several_) {
      start_planes(low_planes(), planes());
      several_ = several_in_word_ = true;
    } else {
      for (int p = low_planes(); p < planes(); ++p) {
        for (int j = 0; j < vectors; ++j) now_[p][j].end(behind_);
      }
    }
    behind_ = 0;
  }

  void start_planes(int from, int to) {
    for (int p = from; p < to; ++p) {
      for (int j = 0; j < vectors; ++j) now_[p][j] = History();
    }
  }

  void end_planes(int from, int to, int part, int missing) {
    for (int p = from; p < to; ++p) {
      for (int j = 0; j < vectors; ++j) now_[p][j].end(missing), history_[p][j][part] = now_[p][j];
    }
  }

  void keep(int word) {
    uint32_t* words = (word ? s_.late : s_.early) + at_;
    const int planes = several_in_word_ ? this->planes() : low_planes();
    if (several_in_word_) *s_.several = true;
    several_in_word_ = false;
    for (int p = 0; p < planes; ++p, words += s_.plane) {
      for (int j = 0; j < vectors; ++j) History::store(history_[p][j], words + j * V::width);
      if (!keeps_sent()) add_ones(words, vectors * V::width, s_.count + at_, float(1 << p));
    }
  }

  void store() const {
    for (int j = 0; j < vectors; ++j) {
      const ptrdiff_t lane = at_ + j * V::width;
      held_.v[j].store(s_.v + lane);
      if constexpr (firing != Firing::plain) {
        if (keeps_sent()) held_.sent[j].store(s_.count + lane);
      }
      if constexpr (firing == Firing::any) {
        if (s_.fired) held_.fired[j].store(s_.fired + lane);
      }
    }
  }

  const Sums<T>& s_;
  const ptrdiff_t at_;
  Held<V, vectors> held_;
  bool several_ = false, several_in_word_ = false;  // whether numbers of several bits were sent in this part, this word
  int behind_ = 0;  // steps since the planes of higher bits were pushed last
  History now_[most_planes][vectors], history_[most_planes][vectors][parts];
};

}  // namespace
}  // namespace spikewright
