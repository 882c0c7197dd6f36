// What Python sees of chips.
#pragma once

#include <nanobind/nanobind.h>

namespace spikewright {

void bind_chip(nanobind::module_& m);

}  // namespace spikewright
