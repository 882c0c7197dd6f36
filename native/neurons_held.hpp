// What neurons of any kind hold between steps.
#pragma once

namespace spikewright {
namespace {

// What neurons of any kind hold: a few vectors of them.
template <class V, int vectors>
struct Held {
  V v[vectors], threshold[vectors], lowest[vectors];
  V sent[vectors], fired[vectors];  // all that they sent, what they took back subtracted; 1 where they ever sent
};

}  // namespace
}  // namespace spikewright
