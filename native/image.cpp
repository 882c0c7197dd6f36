#include "image.hpp"

#include <algorithm>

namespace spikewright {

std::shared_ptr<const Image> make_image(const Layer& layer, const InnerLoops& loops, int64_t channels,
                                        const std::vector<int64_t>& lengths, const std::vector<int64_t>& kernel,
                                        const std::vector<int64_t>& stride, const std::vector<int64_t>& low,
                                        const std::vector<int64_t>& dilation, const std::vector<int64_t>& outputs,
                                        const std::vector<float>& weight) {
  for (const auto* list : {&lengths, &kernel, &stride, &low, &dilation, &outputs}) {
    if (list->size() != 3) throw PlanError("image: every setting needs three axes");
    for (int64_t n : *list) {
      if (n < (list == &low ? 0 : 1) || n > max_values) throw PlanError("image: a setting is out of range");
    }
  }
  if (channels < 1 || channels > max_values) throw PlanError("image: channels are out of range");
  if (layer.kind != Kind::neurons || !layer.gather || layer.padded % loops.width) return nullptr;
  auto made = std::make_shared<Image>();
  int64_t positions = 1, size = channels, room = channels, taps = channels;
  made->channels = int(channels);
  for (size_t a = 0; a < 3; ++a) {
    made->length[a] = int(lengths[a]), made->low[a] = int(low[a]), made->stride[a] = int(stride[a]);
    made->outputs[a] = int(outputs[a]);
    const int64_t reach = stride[a] * (outputs[a] - 1) + dilation[a] * (kernel[a] - 1) + 1;
    if (reach > max_values) throw PlanError("image: it is too large");
    made->room[a] = int(reach);
    positions *= outputs[a], size *= lengths[a], room *= reach, taps *= kernel[a];
    if (std::max({positions, size, room, taps}) > max_values) throw PlanError("image: it is too large");
  }
  if (positions != layer.positions) throw PlanError("image: its outputs do not fit the layer");
  if (int64_t(weight.size()) != taps * layer.channels) throw PlanError("image: weights do not fit");
  if (layer.row_length % made->outputs[2]) return nullptr;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t z = 0; z < kernel[0]; ++z) {
      for (int64_t y = 0; y < kernel[1]; ++y) {
        for (int64_t x = 0; x < kernel[2]; ++x) {
          const int64_t row = (c * made->room[0] + z * dilation[0]) * made->room[1] + y * dilation[1];
          made->offset.push_back(uint32_t(row * made->room[2] + x * dilation[2]));
        }
      }
    }
  }
  made->weight.assign(size_t(taps) * size_t(layer.padded), 0.0f);
  for (size_t k = 0; k < size_t(taps); ++k) {
    std::copy_n(weight.begin() + ptrdiff_t(k) * layer.channels, layer.channels,
                made->weight.begin() + ptrdiff_t(k) * layer.padded);
  }
  return made;
}

void add_image(const Layer& layer, const InnerLoops& loops, const float* image, std::vector<float>& padded,
               const float* rest, float* base) {
  const Image& g = *layer.image;
  padded.assign(size_t(g.channels) * size_t(g.room[0]) * size_t(g.room[1]) * size_t(g.room[2]), 0.0f);
  const int columns = std::min(g.length[2], g.room[2] - g.low[2]);
  for (int c = 0; c < g.channels; ++c) {
    for (int z = 0; z < g.length[0] && z + g.low[0] < g.room[0]; ++z) {
      for (int y = 0; y < g.length[1] && y + g.low[1] < g.room[1]; ++y) {
        const float* from = image + ((size_t(c) * size_t(g.length[0]) + size_t(z)) * size_t(g.length[1]) + size_t(y)) *
                                        size_t(g.length[2]);
        const size_t row = (size_t(c) * size_t(g.room[0]) + size_t(z + g.low[0])) * size_t(g.room[1]);
        float* to = padded.data() + (row + size_t(y + g.low[1])) * size_t(g.room[2]) + g.low[2];
        if (columns > 0) std::copy_n(from, columns, to);
      }
    }
  }
  const int vectors = layer.padded / loops.width;
  for (int z = 0, position = 0; z < g.outputs[0]; ++z) {
    for (int y = 0; y < g.outputs[1]; ++y, position += g.outputs[2]) {
      const size_t row = size_t(z * g.stride[0]) * size_t(g.room[1]) + size_t(y * g.stride[1]);
      for (int first = 0; first < vectors; first += loops.max_vectors) {
        const ptrdiff_t lane = ptrdiff_t(first) * loops.width, slot = ptrdiff_t(layer.slot(position)) + lane;
        loops.add_taps({g.outputs[2], g.stride[2], padded.data() + row * size_t(g.room[2]), g.offset.data(),
                        int(g.offset.size()), g.weight.data() + lane, layer.padded, rest + slot, base + slot},
                       std::min(vectors - first, loops.max_vectors));
      }
    }
  }
}

}  // namespace spikewright
