// What neurons do in a step, written once over a vector type; see inner_loops.hpp.
#pragma once

#include <math.h>

#include "inner_loops.hpp"
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

// One step of neurons of any kind; returns what they send. `lowest` may be null. Whether they ever fired is kept where
// there is a use for it.
template <class V>
V step_any(const NeuronRule& rule, V current, V threshold, const V* lowest, bool keeps_fired, V& v, V& sent, V& fired) {
  const V zero = V::all(0), one = V::all(1), most = V::all(rule.cap ? float(rule.cap) : INFINITY);
  v = V::all(rule.decay) * v + current;
  V n = rule.cap == 1 ? V::where(V::at_least(v, threshold), one)
                      : V::smaller(most, V::larger(zero, V::floor(v / threshold)));
  if (rule.takes_back) {
    const V too_many = rule.cap == 1 ? one : V::smaller(most, V::floor((zero - v) / threshold) + one);
    n = n - V::where(V::at_least(zero, v), V::smaller(too_many, sent));
  }
  sent = sent + n;
  const auto sends = V::not_zero(n);
  v = rule.subtract ? v - V::where(sends, n * threshold) : V::choose(sends, V::all(rule.v_reset), v);
  if (lowest) v = V::larger(v, *lowest);
  if (keeps_fired) {
    fired = V::choose(sends, one, fired);
    if (rule.no_debt) v = V::choose(V::not_zero(fired), v, V::larger(v, zero));
  }
  return n;
}

// As many neurons from the i-th as whole vectors hold; returns which is next.
template <class V>
int step_vectors(const NeuronStep& s, int i) {
  V threshold = V::all(s.threshold[0]), lowest = V::all(s.v_min ? s.v_min[0] : 0), fired = V::all(0);
  for (; i + V::width <= s.neurons; i += V::width) {
    if (s.wide_threshold) threshold = V::load(s.threshold + i);
    if (s.wide_v_min) lowest = V::load(s.v_min + i);
    if (s.fired) fired = V::load(s.fired + i);
    V v = V::load(s.v + i), sent = V::load(s.count + i);
    const V n = step_any(s.rule, V::load(s.current + i), threshold, s.v_min ? &lowest : nullptr, s.fired, v, sent, fired);
    v.store(s.v + i), n.store(s.current + i), sent.store(s.count + i);
    if (s.fired) fired.store(s.fired + i);
  }
  return i;
}

template <class V>
void step_neurons(const NeuronStep& s) {
  step_vectors<PlainVector<1>>(s, step_vectors<V>(s, 0));
}

// The neurons at one position: what they hold between steps, in registers, and the spikes of 32 steps.
template <class V, int vectors, Firing firing>
class Position {
 public:
  using T = typename V::Value;
  using History = typename V::History;

  Position(const Sums<T>& s, int position) : s_(s), at_(position * s.stride) {
    const ptrdiff_t own = position * s.neuron_stride;
    for (int j = 0; j < vectors; ++j) {
      const ptrdiff_t lane = j * V::width;
      v_[j] = V::load(s.v + at_ + lane), threshold_[j] = V::load(s.threshold + own + lane);
      if constexpr (firing != Firing::plain) sent_[j] = V::load(s.count + at_ + lane);
      if constexpr (firing == Firing::any) {
        fired_[j] = s.fired ? V::load(s.fired + at_ + lane) : V::all(0);
        lowest_[j] = s.v_min ? V::load(s.v_min + own + lane) : V::all(0);
      }
    }
  }

  // All steps of the chunk, the spikes of each kept where neurons fire at all: `step(t)` calls `fire` then.
  template <class Step>
  void run(const Step& step) {
    for (int word = 0; word < max_chunk; word += 32) {
      for (int part = 0; part < parts; ++part) {
        const int begin = word + part * span;
        const int end = s_.steps < begin ? begin : s_.steps < begin + span ? s_.steps : begin + span;
        for (int j = 0; j < vectors; ++j) now_[j] = now_back_[j] = History();
        for (int t = begin; t < end; ++t) step(t);
        for (int j = 0; j < vectors; ++j) {
          now_[j].end(begin + span - end), history_[j][part] = now_[j];
          if constexpr (firing != Firing::plain) now_back_[j].end(begin + span - end), history_back_[j][part] = now_back_[j];
        }
      }
      if (s_.last) keep(word);
    }
    if (s_.last) store();
  }

  void fire(int t, int j, V current) {
    if constexpr (firing == Firing::plain) {
      now_[j].push(fire_plain(v_[j], current, threshold_[j]));
    } else if constexpr (firing == Firing::both_ways) {
      const auto which = fire_both_ways(v_[j], current, threshold_[j], sent_[j]);
      now_[j].push(which.fires), now_back_[j].push(which.back);
    } else {
      if (t < s_.biased) {
        current = current + V::load(s_.step_bias + t * s_.bias_stride + j * V::width);
        if (s_.fired_bias) {
          current = current + V::where(V::not_zero(fired_[j]), V::load(s_.fired_bias + j * V::width));
        }
      }
      const V* lowest = s_.v_min ? &lowest_[j] : nullptr;
      const V n = step_any(s_.rule, current, threshold_[j], lowest, s_.fired, v_[j], sent_[j], fired_[j]);
      now_[j].push(V::at_least(n, V::all(1)));
      if (s_.rule.takes_back) now_back_[j].push(V::at_least(V::all(-1), n));
    }
  }

 private:
  static constexpr int span = History::span, parts = 32 / span;

  void keep(int word) {
    uint32_t* const words = (word ? s_.late : s_.early) + at_;
    for (int j = 0; j < vectors; ++j) History::store(history_[j], words + j * V::width);
    if constexpr (firing == Firing::plain) {
      add_ones(words, vectors * V::width, s_.count + at_);
    } else if (s_.rule.takes_back) {
      for (int j = 0; j < vectors; ++j) History::store(history_back_[j], words + s_.back + j * V::width);
    }
  }

  void store() const {
    for (int j = 0; j < vectors; ++j) {
      const ptrdiff_t lane = at_ + j * V::width;
      v_[j].store(s_.v + lane);
      if constexpr (firing != Firing::plain) sent_[j].store(s_.count + lane);
      if constexpr (firing == Firing::any) {
        if (s_.fired) fired_[j].store(s_.fired + lane);
      }
    }
  }

  const Sums<T>& s_;
  const ptrdiff_t at_;
  V v_[vectors], threshold_[vectors], sent_[vectors], fired_[vectors], lowest_[vectors];
  History now_[vectors], now_back_[vectors], history_[vectors][parts], history_back_[vectors][parts];
};

}  // namespace
}  // namespace spikewright
