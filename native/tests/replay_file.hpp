// The file that tests/replays.py writes: numbers, lists and texts one after the other, in the order in which they are
// read. A number is a 64-bit integer or a double; a list, or a text, is its length and its items.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace spikewright {

class ReplayFile {
 public:
  explicit ReplayFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
  }

  bool ended() const { return at_ == bytes_.size(); }
  void rewind() { at_ = 0; }

  int64_t integer() { return one<int64_t>(); }
  float number() { return float(one<double>()); }
  std::string text() {
    const std::vector<char> found = list<char>();
    return {found.begin(), found.end()};
  }

  template <class T>
  std::vector<T> list() {
    const int64_t count = integer();
    if (count < 0 || uint64_t(count) > (bytes_.size() - at_) / sizeof(T)) throw std::runtime_error("a list is cut off");
    std::vector<T> found(static_cast<size_t>(count));
    copy(found.data(), found.size() * sizeof(T));
    return found;
  }

 private:
  template <class T>
  T one() {
    T found;
    copy(&found, sizeof found);
    return found;
  }

  void copy(void* to, size_t size) {
    if (size > bytes_.size() - at_) throw std::runtime_error("the file is cut off");
    if (size) std::memcpy(to, bytes_.data() + at_, size);
    at_ += size;
  }

  std::vector<char> bytes_;
  size_t at_ = 0;
};

}  // namespace spikewright
