// Neurons that may send several spikes a step, otherwise plain ones that may take spikes back; see inner_loops.hpp. Most
// send one or none at most steps, which costs what single spikes cost: the rest is only looked at where one sends more.
#pragma once

#include "inner_loops.hpp"
#include "neurons_held.hpp"
#include "vectors.hpp"

namespace spikewright {
namespace {

// Adds what arrives; whether any neuron sends, or takes back, more than one spike. (It takes back floor(−v/θ) + 1.)
template <class V, int vectors>
bool sends_several(const NeuronRule& rule, const V (&current)[vectors], Held<V, vectors>& held) {
  const V zero = V::all(0);
  uint32_t any = 0;
  for (int j = 0; j < vectors; ++j) {
    held.v[j] = held.v[j] + current[j];
    any |= V::bits(V::at_least(held.v[j], held.threshold[j] + held.threshold[j]));
    if (rule.takes_back) any |= V::bits(V::at_least(zero - held.v[j], held.threshold[j]));
  }
  return any;
}

// What all send, where any sends several.
template <class V, int vectors>
void send_several(const NeuronRule& rule, V (&n)[vectors], Held<V, vectors>& held) {
  const V zero = V::all(0), one = V::all(1), most = V::all(rule.cap ? float(rule.cap) : INFINITY);
  for (int j = 0; j < vectors; ++j) {
    V& v = held.v[j];
    n[j] = V::smaller(most, V::larger(zero, V::floor(v / held.threshold[j])));
    if (rule.takes_back) {
      const V too_many = V::smaller(most, V::floor((zero - v) / held.threshold[j]) + one);
      n[j] = n[j] - V::where(V::at_least(zero, v), V::smaller(too_many, held.sent[j]));
    }
    if (rule.takes_back) held.sent[j] = held.sent[j] + n[j];
    v = v - V::where(V::not_zero(n[j]), n[j] * held.threshold[j]);
  }
}

// Hands over numbers that are too large for the planes, which then get none of them.
template <class V, int vectors>
void hand_over_large(const Overflow& overflow, int bits, bool both_ways, ptrdiff_t at, int t, V (&n)[vectors]) {
  const V limit = V::all(float(1 << bits)), zero = V::all(0);
  for (int j = 0; j < vectors; ++j) {
    uint32_t large = V::bits(V::at_least(n[j], limit));
    if (both_ways) large |= V::bits(V::at_least(zero - n[j], limit));
    if (!large) continue;
    float all[V::width];
    n[j].store(all);
    for (; large; large &= large - 1) {
      const int lane = lowest_bit(large);
      overflow.add(overflow.to, at + j * V::width + lane, t, all[lane]);
      all[lane] = 0;
    }
    n[j] = V::load(all);
  }
}

}  // namespace
}  // namespace spikewright
