// Memory that begins where a line of the cache does, so that no vector lies across two of them.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace spikewright {

constexpr std::align_val_t cache_line{64};

template <class T>
struct AlignedAllocator {
  using value_type = T;

  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) {}

  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), cache_line)); }
  void deallocate(T* at, std::size_t) { ::operator delete(at, cache_line); }

  friend bool operator==(const AlignedAllocator&, const AlignedAllocator&) { return true; }
  friend bool operator!=(const AlignedAllocator&, const AlignedAllocator&) { return false; }
};

template <class T>
using Aligned = std::vector<T, AlignedAllocator<T>>;

}  // namespace spikewright
