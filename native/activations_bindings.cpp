// What Python sees of counting activations: a module of its own, which calibration needs and the engine does not.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <string>

#include "activations.hpp"
#include "arrays.hpp"

namespace nb = nanobind;
using namespace spikewright;

namespace {

template <class T>
using Counts = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// The loops for an instruction set; for the best one where none is named.
CountLoops* loops_named(const std::string& name) {
  static const std::vector<InstructionSet> known = instruction_sets();
  for (const InstructionSet& one : known) {
    if (name == one.name) return one.loops;
  }
  if (!name.empty()) throw nb::value_error(("the instruction set '" + name + "' does not run here").c_str());
  return known.back().loops;
}

template <class Bits, bool rectify>
nb::tuple count(const nb::ndarray<Bits, nb::ndim<3>, nb::c_contig, nb::device::cpu>& bits,
                const Read<int32_t>& cutoff, const Counts<int32_t>& largest, const Counts<int64_t>& positives,
                const std::optional<Counts<int64_t>>& histogram, const std::string& instructions) {
  const Activations from{const_cast<int32_t*>(bits.data()), int64_t(bits.shape(0)), int64_t(bits.shape(1)),
                         int64_t(bits.shape(2)), rectify};
  if (bits.size() > size_t(INT32_MAX)) throw nb::value_error("2^31 values or more cannot be counted at once");
  for (const size_t size : {cutoff.size(), largest.size(), positives.size()}) {
    if (int64_t(size) != from.channels) throw nb::value_error("cutoff, largest and positives are one for each channel");
  }
  if (histogram && int64_t(histogram->size()) != histogram_bins) throw nb::value_error("the histogram has 2^15 bins");
  if (std::any_of(cutoff.data(), cutoff.data() + cutoff.size(), [](int32_t one) { return one < 1; })) {
    throw nb::value_error("cutoffs are patterns of positive numbers");
  }
  CountLoops* const loops = loops_named(instructions);
  LargeActivations large;
  {
    nb::gil_scoped_release release;
    count_activations(from, cutoff.data(), {largest.data(), positives.data(), histogram ? histogram->data() : nullptr},
                      large, loops);
  }
  return nb::make_tuple(array_of(std::move(large.pattern)), array_of(std::move(large.channel)));
}

// The values above their group's `low`, and their groups; `held` (groups) counts them.
template <class Group>
nb::tuple above(const Read<int32_t>& pattern, const Read<int32_t>& channel, const Read<int64_t>& low,
                const Counts<int64_t>& held) {
  const int64_t groups = int64_t(low.size());
  if (channel.size() != pattern.size() || held.size() != low.size()) {
    throw nb::value_error("a channel for each pattern, and one of held for each of low");
  }
  std::vector<int32_t> found(pattern.size());
  std::vector<Group> of(pattern.size());
  size_t count = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const int64_t group = channel.data()[i];
    if (group < 0 || group >= groups) throw nb::value_error("a channel that there is not");
    found[count] = pattern.data()[i];
    of[count] = Group(group);
    const bool good = pattern.data()[i] > low.data()[group];
    held.data()[group] += good;
    count += good;
  }
  found.resize(count), of.resize(count);
  return nb::make_tuple(array_of(std::move(found)), array_of(std::move(of)));
}

// The largest patterns of each group, at most `limit` (groups) of them, group by group. Where some go, `low` is the
// smallest that stays. `held` (groups) says how many there are of each, and then how many stay.
template <class Group>
nb::tuple largest(const Read<int32_t>& pattern, const Read<Group>& group, const Counts<int64_t>& held,
                  const Read<int64_t>& limit, const Counts<int64_t>& low) {
  const size_t groups = held.size();
  if (group.size() != pattern.size() || limit.size() != groups || low.size() != groups) {
    throw nb::value_error("a group for each pattern, and held, limit and low for each group");
  }
  std::vector<size_t> start(groups + 1, 0);
  for (size_t g = 0; g < groups; ++g) {
    if (held.data()[g] < 0 || limit.data()[g] < 1) throw nb::value_error("held and limits are no negative numbers");
    start[g + 1] = start[g] + size_t(held.data()[g]);
  }
  if (start.back() != pattern.size()) throw nb::value_error("held says how many there are of each group");
  std::vector<int32_t> sorted(pattern.size());
  std::vector<size_t> next(start.begin(), start.end() - 1);
  for (size_t i = 0; i < pattern.size(); ++i) {
    const size_t g = group.data()[i];
    if (g >= groups || next[g] == start[g + 1]) throw nb::value_error("held says how many there are of each group");
    sorted[next[g]++] = pattern.data()[i];
  }
  size_t kept = 0;
  std::vector<Group> of;
  of.reserve(pattern.size());
  for (size_t g = 0; g < groups; ++g) {
    int32_t *first = sorted.data() + start[g], *const end = sorted.data() + start[g + 1];
    if (held.data()[g] > limit.data()[g]) {
      int32_t* const stay = end - limit.data()[g];
      std::nth_element(first, stay, end);
      low.data()[g] = *stay;
      first = stay;
    }
    std::move(first, end, sorted.data() + kept);
    kept += size_t(end - first);
    of.insert(of.end(), size_t(end - first), Group(g));
    held.data()[g] = end - first;
  }
  sorted.resize(kept);
  return nb::make_tuple(array_of(std::move(sorted)), array_of(std::move(of)));
}

}  // namespace

NB_MODULE(_activations, m) {
  m.def("instruction_sets", [] {
    std::vector<std::string> names;
    for (const InstructionSet& one : instruction_sets()) names.emplace_back(one.name);
    return names;
  });
  m.def("count", &count<const int32_t, false>, nb::arg("bits"), nb::arg("cutoff"), nb::arg("largest"),
        nb::arg("positives"), nb::arg("histogram") = nb::none(), nb::arg("instructions") = "",
        "Count a batch (samples, channels, positions); returned are patterns from the cutoffs up, and their channels.");
  m.def("rectify", &count<int32_t, true>, nb::arg("bits"), nb::arg("cutoff"), nb::arg("largest"), nb::arg("positives"),
        nb::arg("histogram") = nb::none(), nb::arg("instructions") = "",
        "The same of a batch that is rectified on the way, in its place.");
  const char* const about_above = "Patterns above their channel's low, and their channels; held counts them.";
  m.def("above", &above<uint16_t>, nb::arg("pattern"), nb::arg("channel"), nb::arg("low"), nb::arg("held"), about_above);
  const char* const about_largest = "The largest patterns of each group, and their groups; low and held follow.";
  m.def("largest", &largest<uint16_t>, nb::arg("pattern"), nb::arg("group"), nb::arg("held"), nb::arg("limit"),
        nb::arg("low"), about_largest);
}
