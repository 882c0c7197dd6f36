// What an input that is the same at every step adds to the currents of a layer: a convolution of few taps, computed where
// its result is needed, sample by sample.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "aligned.hpp"
#include "inner_loops.hpp"
#include "plan.hpp"

namespace spikewright {

// Of an image (channels, depth, height, width), as it is given, and a layer that gathers.
struct Image {
  int channels = 0, length[3], low[3], stride[3], outputs[3];
  int room[3];  // of the image with its padding, as far as taps reach
  int64_t size() const { return int64_t(channels) * length[0] * length[1] * length[2]; }
  std::vector<uint32_t> offset;  // of each tap, in the image with its padding
  Aligned<float> weight;         // (tap, padded channels of the layer)
};

// Null where the layer cannot take one: where its slots are not laid out in whole vectors and rows. `weight` is
// (channel, kernel, filter).
std::shared_ptr<const Image> make_image(const Layer& layer, const InnerLoops& loops, int64_t channels,
                                        const std::vector<int64_t>& lengths, const std::vector<int64_t>& kernel,
                                        const std::vector<int64_t>& stride, const std::vector<int64_t>& low,
                                        const std::vector<int64_t>& dilation, const std::vector<int64_t>& outputs,
                                        const std::vector<float>& weight);

// `base`, by slot, is `rest` and what the image adds; `padded` is memory for it with its padding.
void add_image(const Layer& layer, const InnerLoops& loops, const float* image, std::vector<float>& padded,
               const float* rest, float* base);

}  // namespace spikewright
