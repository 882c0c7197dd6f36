// What Python sees of counting activations: a module of its own, which calibration needs and the engine does not.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <optional>

#include "activations.hpp"
#include "arrays.hpp"

namespace nb = nanobind;
using namespace spikewright;

namespace {

template <class T>
using Counts = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

nb::tuple count(const nb::ndarray<const int32_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>& bits,
                const Read<int32_t>& cutoff, const Counts<int32_t>& largest, const Counts<int64_t>& positives,
                const std::optional<Counts<int64_t>>& histogram) {
  const Activations from{bits.data(), int64_t(bits.shape(0)), int64_t(bits.shape(1)), int64_t(bits.shape(2))};
  if (bits.size() > size_t(INT32_MAX)) throw nb::value_error("2^31 values or more cannot be counted at once");
  for (const size_t size : {cutoff.size(), largest.size(), positives.size()}) {
    if (int64_t(size) != from.channels) throw nb::value_error("cutoff, largest and positives are one for each channel");
  }
  if (histogram && int64_t(histogram->size()) != histogram_bins) throw nb::value_error("the histogram has 2^15 bins");
  if (std::any_of(cutoff.data(), cutoff.data() + cutoff.size(), [](int32_t one) { return one < 1; })) {
    throw nb::value_error("cutoffs are patterns of positive numbers");
  }
  LargeActivations large;
  {
    nb::gil_scoped_release release;
    count_activations(from, cutoff.data(), {largest.data(), positives.data(), histogram ? histogram->data() : nullptr},
                      large);
  }
  return nb::make_tuple(array_of(std::move(large.pattern)), array_of(std::move(large.channel)));
}

}  // namespace

NB_MODULE(_activations, m) {
  m.def("count", &count, nb::arg("bits"), nb::arg("cutoff"), nb::arg("largest"), nb::arg("positives"),
        nb::arg("histogram") = nb::none(),
        "Count a batch (samples, channels, positions); returned are patterns from the cutoffs up, and their channels.");
}
