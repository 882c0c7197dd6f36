#include "operator_grid.hpp"

#include <algorithm>

#include "bits.hpp"
#include "inner_loops.hpp"

namespace spikewright {
namespace {

int row_read(const Axis& axis, int output, int kernel) {
  const int at = output * axis.stride - axis.low + kernel * axis.dilation;
  return at >= 0 && at < axis.length ? at : -1;
}

// False where more neurons share a grid point than there are digits for.
bool find_crowding(const Projection& p, OperatorGrid& to) {
  std::vector<uint32_t> crowd(size_t(p.grid), 0);
  int64_t placed = 0;
  uint32_t most = 1;
  for (const int32_t at : p.remap) {
    if (at >= 0) ++placed, most = std::max(most, ++crowd[size_t(at)]);
  }
  to.crowding = double(placed) / p.grid;
  to.digits = highest_bit(most) + 1;
  return to.digits <= max_digits;
}

bool is_one_to_one(const Layer& layer, const Projection& p) {
  bool alone = p.kind == Operator::conv && p.remap.empty() && p.groups == p.channels && p.channels == layer.channels;
  for (const Axis& a : p.axis) alone = alone && a.kernel == 1 && a.stride == 1 && a.low == 0 && a.outputs == a.length;
  return alone;
}

}  // namespace

bool find_operator_grid(const Layer& layer, const Projection& p, OperatorGrid& to) {
  if (!p.remap.empty() && !find_crowding(p, to)) return false;
  if (p.kind == Operator::dense) {
    to.channels = p.grid, to.tap_rows = {0};
    return layer.positions == 1;
  }
  if (p.kind != Operator::conv) return false;
  to.one_to_one = is_one_to_one(layer, p);
  const Axis &z = p.axis[0], &y = p.axis[1], &x = p.axis[2];
  to.rows = z.length * y.length, to.columns = x.length, to.channels = p.channels, to.groups = p.groups;
  to.out_rows = z.outputs * y.outputs, to.out_columns = x.outputs;
  to.kernel = x.kernel, to.stride = x.stride, to.low = x.low, to.dilation = x.dilation;
  to.taps = z.kernel * y.kernel;
  const int64_t ring = int64_t(z.kernel - 1) * z.dilation * y.length + int64_t(y.kernel - 1) * y.dilation + 1;
  to.ring = int(std::min<int64_t>(ring, to.rows));
  if (int64_t(to.out_rows) * to.taps > max_values) return false;
  for (int row = 0; row < to.out_rows; ++row) {
    for (int tap = 0; tap < to.taps; ++tap) {
      const int at_z = row_read(z, row / y.outputs, tap / y.kernel);
      const int at_y = row_read(y, row % y.outputs, tap % y.kernel);
      to.tap_rows.push_back(at_z < 0 || at_y < 0 ? -1 : at_z * y.length + at_y);
    }
  }
  return true;
}

}  // namespace spikewright
