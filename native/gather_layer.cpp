// Running a gathering layer over one chunk of timesteps, row of outputs by row.
#include <algorithm>

#include "gather.hpp"
#include "kernels.hpp"
#include "run.hpp"

namespace spikewright {
namespace {

// Lists, by timestep and column, the spikes that row `y` of outputs reads from one source.
void list_row(const Gather& g, const GatherSource& s, const Layer& from, const LayerState& spikes,
              const Kernels& kernels, int y, int steps, int chunk, Workspace& work, uint32_t* list, uint32_t* start) {
  work.words.clear();
  work.word_start.clear();
  for (int x = 0; x < s.width; ++x) {
    work.word_start.push_back(uint32_t(work.words.size()));
    for (int ky = 0; ky < s.kernel_y; ++ky) {
      const int row = y * s.stride_y - s.low_y + ky * s.dilation_y;
      if (row < 0 || row >= s.height) continue;
      const size_t cell = size_t(row) * size_t(s.width) + size_t(x);
      for (uint32_t k = s.task_start[cell]; k < s.task_start[cell + 1]; ++k) {
        const Task& task = s.tasks[k];
        const uint32_t channel = uint32_t(x * s.kernel_y + ky) * uint32_t(s.channels) + task.channel;
        const uint32_t mask = task.row * uint32_t(chunk) * uint32_t(from.row * from.words) + task.word;
        work.words.push_back({mask, channel * uint32_t(g.lanes)});
      }
    }
  }
  work.word_start.push_back(uint32_t(work.words.size()));
  const ptrdiff_t mask_step = ptrdiff_t(from.row) * from.words;
  kernels.list_row({spikes.masks.data(), mask_step, steps, chunk, s.width, work.word_start.data(), work.words.data(),
                    g.table.data(), uint32_t(g.lanes), list, start},
                   s.bytes);
}

void reserve(Workspace& work, const Gather& g, int chunk) {
  size_t lists = 0, starts = 0;
  for (const GatherSource& s : g.sources) {
    lists += size_t(s.capacity) * size_t(chunk) + 8;  // listing writes eight at a time
    starts += size_t(s.width + 1) * size_t(chunk);
  }
  if (work.list_size < lists) work.list.reset(new uint32_t[lists]), work.list_size = lists;
  if (work.start.size() < starts) work.start.resize(starts);
}

}  // namespace

void gather_layer(const Plan& plan, const Layer& layer, Workspace& work, LayerState& state, int steps, int chunk,
                  const std::atomic<bool>& stop) {
  const Gather& g = *layer.gather;
  reserve(work, g, chunk);
  Row row{};
  row.steps = steps, row.chunk = chunk, row.positions = g.width, row.padded = g.padded;
  row.decay = layer.neurons.decay, row.v_reset = layer.neurons.v_reset, row.subtract = layer.neurons.subtract;
  row.neuron_stride = g.per_neuron ? g.padded : 0;
  row.mask_position = ptrdiff_t(layer.words) * 4;
  row.mask_step = row.mask_position * g.width;
  row.sources = int(g.sources.size());
  for (int y = 0; y < g.height && !stop.load(std::memory_order_relaxed); ++y) {
    uint32_t* list = work.list.get();
    uint32_t* start = work.start.data();
    for (size_t k = 0; k < g.sources.size(); ++k) {
      const GatherSource& s = g.sources[k];
      list_row(g, s, plan.layers[size_t(s.source)], work.layers[size_t(s.source)], *plan.kernels, y, steps, chunk, work,
               list, start);
      const ptrdiff_t column = ptrdiff_t(s.kernel_y) * s.channels * g.lanes;
      row.source[k] = {list, start, nullptr, column, s.width, s.kernel_x, s.stride_x, s.low_x};
      list += size_t(s.capacity) * size_t(chunk) + 8;
      start += size_t(s.width + 1) * size_t(chunk);
    }
    for (int block = 0; block < g.blocks; ++block) {
      const ptrdiff_t lane = ptrdiff_t(block) * g.lanes;
      const ptrdiff_t at = ptrdiff_t(y) * g.width * g.padded + lane, own = g.per_neuron ? at : lane;
      row.v = state.v.data() + at, row.count = state.count.data() + at, row.base = state.base.data() + at;
      row.threshold = g.threshold.data() + own;
      row.v_min = g.v_min.empty() ? nullptr : g.v_min.data() + own;
      row.masks = reinterpret_cast<uint8_t*>(state.masks.data()) + ptrdiff_t(y) * chunk * row.mask_step + lane / 8;
      for (size_t k = 0; k < g.sources.size(); ++k) {
        const GatherSource& s = g.sources[k];
        row.source[k].weight = s.weight.data() + size_t(block) * size_t(row.source[k].column) * size_t(s.kernel_x);
      }
      plan.kernels->gather_row(row, g.vectors, layer.neurons.plain());
    }
  }
}

}  // namespace spikewright
