// What both bindings hand over to Python and take from it: arrays, and the instruction set by its name.
#pragma once

#include <nanobind/ndarray.h>

#include <string>
#include <utility>
#include <vector>

#include "inner_loops.hpp"
#include "plan.hpp"

namespace spikewright {

template <class T>
using Read = nanobind::ndarray<const T, nanobind::c_contig, nanobind::device::cpu>;

template <class T>
std::vector<T> vector_of(const Read<T>& array) {
  return {array.data(), array.data() + array.size()};
}

template <class T>
std::vector<std::vector<T>> vectors_of(const std::vector<Read<T>>& arrays) {
  std::vector<std::vector<T>> made;
  for (const Read<T>& array : arrays) made.push_back(vector_of(array));
  return made;
}

template <class T>
nanobind::ndarray<nanobind::numpy, T, nanobind::ndim<1>> array_of(std::vector<T> values) {
  auto* kept = new std::vector<T>(std::move(values));
  const nanobind::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return {kept->data(), {kept->size()}, owner};
}

inline const InnerLoops& inner_loops_named(const std::string& name) {
  const InnerLoops* found = find_inner_loops(name.c_str());
  if (!found) throw PlanError("the instruction set '" + name + "' does not exist or does not run here");
  return *found;
}

}  // namespace spikewright
