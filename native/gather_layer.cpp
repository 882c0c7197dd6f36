// Running a gathering layer over one chunk of timesteps, row of outputs by row.
#include <algorithm>

#include "gather.hpp"
#include "kernels.hpp"
#include "run.hpp"

namespace spikewright {
namespace {

// Lists, by timestep and column, the spikes that row `y` of outputs reads from one source.
void list_row(const Gather& g, const GatherSource& s, const Layer& from, const LayerState& spikes, const Kernels& kernels,
              int y, int steps, int chunk, uint32_t* list, uint32_t* start, uint32_t* cursor) {
  std::fill(cursor, cursor + steps, 0u);
  Listing to{spikes.masks.data(), steps, chunk, from.words, g.table.data(), uint32_t(g.lanes), list, s.capacity, cursor};
  for (int x = 0; x < s.width; ++x) {
    std::copy(cursor, cursor + steps, start + size_t(x) * size_t(chunk));
    for (int ky = 0; ky < s.kernel_y; ++ky) {
      const int row = y * s.stride_y - s.low_y + ky * s.dilation_y;
      if (row < 0 || row >= s.height) continue;
      const size_t cell = size_t(row) * size_t(s.width) + size_t(x);
      for (uint32_t k = s.task_start[cell]; k < s.task_start[cell + 1]; ++k) {
        const Task& task = s.tasks[k];
        const uint32_t channel = uint32_t(x * s.kernel_y + ky) * uint32_t(s.channels) + task.channel;
        kernels.list_word(to, task.position, task.word, channel * uint32_t(g.lanes));
      }
    }
  }
  std::copy(cursor, cursor + steps, start + size_t(s.width) * size_t(chunk));
}

}  // namespace

void gather_layer(const Plan& plan, const Layer& layer, Workspace& workspace, LayerState& state, int steps, int chunk,
                  const std::atomic<bool>& stop) {
  const Gather& g = *layer.gather;
  const Kernels& kernels = *plan.kernels;
  size_t list_size = 0, start_size = 0;
  for (const GatherSource& s : g.sources) {
    list_size += size_t(s.capacity) * size_t(chunk);
    start_size += size_t(s.width + 1) * size_t(chunk);
  }
  if (workspace.list.size() < list_size) workspace.list.resize(list_size);
  if (workspace.start.size() < start_size) workspace.start.resize(start_size);
  if (workspace.cursor.size() < size_t(chunk)) workspace.cursor.resize(size_t(chunk));

  Row row{};
  row.steps = steps, row.chunk = chunk, row.positions = g.width, row.padded = g.padded;
  row.decay = layer.neurons.decay, row.v_reset = layer.neurons.v_reset, row.subtract = layer.neurons.subtract;
  row.neuron_stride = g.per_neuron ? g.padded : 0;
  row.mask_step = ptrdiff_t(layer.words) * 4;
  row.mask_position = row.mask_step * chunk;
  row.sources = int(g.sources.size());
  for (int y = 0; y < g.height && !stop.load(std::memory_order_relaxed); ++y) {
    uint32_t* list = workspace.list.data();
    uint32_t* start = workspace.start.data();
    for (size_t k = 0; k < g.sources.size(); ++k) {
      const GatherSource& s = g.sources[k];
      list_row(g, s, plan.layers[size_t(s.source)], workspace.layers[size_t(s.source)], kernels, y, steps, chunk, list,
               start, workspace.cursor.data());
      const ptrdiff_t column = ptrdiff_t(s.kernel_y) * s.channels * g.lanes;
      row.source[k] = {list, start, nullptr, s.capacity, column, s.width, s.kernel_x, s.stride_x, s.low_x};
      list += size_t(s.capacity) * size_t(chunk);
      start += size_t(s.width + 1) * size_t(chunk);
    }
    for (int block = 0; block < g.blocks; ++block) {
      const ptrdiff_t lane = ptrdiff_t(block) * g.lanes;
      const ptrdiff_t at = ptrdiff_t(y) * g.width * g.padded + lane, own = g.per_neuron ? at : lane;
      row.v = state.v.data() + at, row.count = state.count.data() + at, row.base = state.base.data() + at;
      row.threshold = g.threshold.data() + own;
      row.v_min = g.v_min.empty() ? nullptr : g.v_min.data() + own;
      row.masks = reinterpret_cast<uint8_t*>(state.masks.data()) + ptrdiff_t(y) * g.width * row.mask_position + lane / 8;
      for (size_t k = 0; k < g.sources.size(); ++k) {
        row.source[k].weight = g.sources[k].weight.data() + size_t(block) * size_t(row.source[k].column) * size_t(g.sources[k].kernel_x);
      }
      kernels.gather_row(row, g.vectors, layer.neurons.plain());
    }
  }
}

}  // namespace spikewright
