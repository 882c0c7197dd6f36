// With AMX: tiles of 16 rows of 64 bytes, whose products one instruction adds up.
#include <immintrin.h>

#if defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "byte_loops.hpp"

namespace spikewright {
namespace {

// Spikes of as many steps as one half of the trains tells, 16 neurons at a time; adds to what is there, or writes.
template <bool adds>
void spread_half(const ByteColumn& c, const uint32_t* words, int count, int8_t value, int first, int entry) {
  const int steps = c.steps - first < 32 ? c.steps - first : 32;
  const __m128i bytes = _mm_set1_epi8(value);
  for (int i = 0; i < count; i += 16) {
    const __mmask16 there = __mmask16(count - i < 16 ? (1 << (count - i)) - 1 : 0xffff);
    __m512i train = _mm512_maskz_loadu_epi32(there, words + i);
    int8_t* to = c.to + first * c.record + entry + i;
    for (int t = 0; t < steps; ++t, to += c.record) {
      const __mmask16 spikes = _mm512_movepi32_mask(train);
      train = _mm512_add_epi32(train, train);
      __m128i sent = _mm_maskz_mov_epi8(spikes, bytes);
      if (adds) sent = _mm_add_epi8(sent, _mm_loadu_si128(reinterpret_cast<const __m128i*>(to)));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), sent);
    }
  }
}

// The same of 64 neurons, each of which has the word of one member and plane.
void spread_wide(const ByteColumn& c, const uint32_t* words, int8_t value, int first, int entry) {
  const int steps = c.steps - first < 32 ? c.steps - first : 32;
  const __m512i bytes = _mm512_set1_epi8(value);
  __m512i train[4];
  for (int k = 0; k < 4; ++k) train[k] = _mm512_loadu_si512(words + 16 * k);
  int8_t* to = c.to + first * c.record + entry;
  for (int t = 0; t < steps; ++t, to += c.record) {
    __mmask64 spikes = 0;
    for (int k = 0; k < 4; ++k) {
      spikes |= __mmask64(_mm512_movepi32_mask(train[k])) << (16 * k);
      train[k] = _mm512_add_epi32(train[k], train[k]);
    }
    _mm512_storeu_si512(to, _mm512_maskz_mov_epi8(spikes, bytes));
  }
}

// Bytes of one record, and up to 15 behind them.
inline void copy(const int8_t* from, int8_t* to, int bytes) {
  int i = 0;
  for (; i + 64 <= bytes; i += 64) _mm512_storeu_si512(to + i, _mm512_loadu_si512(from + i));
  for (; i < bytes; i += 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
  }
}

void spread(const ByteColumn& c) {
  const Extent* const only = c.extents;
  const bool whole = c.extents_end - only == 1 && only->members == 1 && only->count == c.channels && c.planes == 1;
  if (!whole) {
    for (int t = 0; t < c.steps; ++t) {
      for (int i = 0; i < c.channels; i += 16) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(c.to + t * c.record + i), _mm_setzero_si128());
      }
    }
  }
  for (int first = 0; first < c.steps; first += 32) {
    const uint32_t* const half = first ? c.late : c.early;
    for (int plane = 0; plane < c.planes; ++plane) {
      for (const Extent* e = c.extents; e != c.extents_end; ++e) {
        for (int m = 0; m < e->members; ++m) {
          const uint32_t* words = half + plane * c.plane + ptrdiff_t(c.slots[e->first + uint32_t(m)]);
          int i = 0;
          for (; whole && i + 64 <= e->count; i += 64) spread_wide(c, words + i, c.values[plane], first, e->entry + i);
          if (i == e->count) continue;
          const int8_t value = c.values[plane];
          whole ? spread_half<false>(c, words + i, e->count - i, value, first, e->entry + i)
                : spread_half<true>(c, words, e->count, value, first, e->entry);
        }
      }
    }
  }
  for (int k = 1; k < c.copies; ++k) {
    for (int t = 0; t < c.steps; ++t) copy(c.to + t * c.record, c.to + k * c.next + t * c.record, c.channels);
  }
}

struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {};
};

// Tiles 0 to 3 are sums; of these 0 and 1, and spikes in 4, have `first` rows, 2 and 3, and 5, `second`. 6 and 7 are
// weights. A thread keeps its shapes, since it takes a hundred nanoseconds to set them.
void shape_tiles(int first, int second) {
  thread_local int shaped[2] = {0, 0};
  if (shaped[0] == first && shaped[1] == second) return;
  shaped[0] = first, shaped[1] = second;
  volatile TileShapes shapes;
  const TileShapes fresh;
  for (size_t i = 0; i < sizeof fresh; ++i) {
    reinterpret_cast<volatile uint8_t*>(&shapes)[i] = reinterpret_cast<const uint8_t*>(&fresh)[i];
  }
  shapes.rows[0] = shapes.rows[1] = shapes.rows[4] = uint8_t(first);
  shapes.rows[2] = shapes.rows[3] = shapes.rows[5] = uint8_t(second);
  shapes.rows[6] = shapes.rows[7] = byte_tile / byte_group;
  __asm__ volatile("" ::: "memory");  // the intrinsic names eight bytes of what it reads
  _tile_loadconfig(const_cast<const TileShapes*>(&shapes));
}

constexpr ptrdiff_t sum_bytes = byte_lanes * sizeof(int32_t);

// One or two tiles of rows times one or two of lanes.
template <bool two_of_rows, bool two_of_lanes>
void multiply_tiles(const ByteProduct& p, ptrdiff_t row, ptrdiff_t lane, int32_t* sums) {
  const ptrdiff_t tile = byte_tile * byte_lanes, tiles = p.record / byte_tile, more = p.lanes / byte_lanes * tile;
  const ptrdiff_t second = byte_tile_rows * p.record;
  const int8_t* weight = p.weight + lane / byte_lanes * tile;
  _tile_zero(0);
  if (two_of_lanes) _tile_zero(1);
  if (two_of_rows) _tile_zero(2);
  if (two_of_rows && two_of_lanes) _tile_zero(3);
  for (int part = 0; part < p.parts; ++part) {
    if (!p.from[part]) {
      weight += tiles * more;
      continue;
    }
    const int8_t* from = p.from[part] + row * p.record;
    for (ptrdiff_t k = 0; k < tiles; ++k, from += byte_tile, weight += more) {
      _tile_loadd(4, from, p.record);
      _tile_loadd(6, weight, byte_tile);
      _tile_dpbssd(0, 4, 6);
      if (two_of_lanes) {
        _tile_loadd(7, weight + tile, byte_tile);
        _tile_dpbssd(1, 4, 7);
      }
      if (two_of_rows) {
        _tile_loadd(5, from + second, p.record);
        _tile_dpbssd(2, 5, 6);
        if (two_of_lanes) _tile_dpbssd(3, 5, 7);
      }
    }
  }
  constexpr ptrdiff_t row_bytes = 2 * sum_bytes;
  int32_t* const below = sums + byte_tile_rows * 2 * byte_lanes;
  _tile_stored(0, sums, row_bytes);
  if (two_of_lanes) _tile_stored(1, sums + byte_lanes, row_bytes);
  if (two_of_rows) _tile_stored(2, below, row_bytes);
  if (two_of_rows && two_of_lanes) _tile_stored(3, below + byte_lanes, row_bytes);
}

// Whole numbers times their scales, added to what there is; multiplied and added apart, as everywhere.
void add_sums(const ByteProduct& p, int first, int rows, int lane, int lanes, const int32_t* sums) {
  const __m512 scale[2] = {_mm512_loadu_ps(p.scale + lane), _mm512_loadu_ps(p.scale + lane + lanes - byte_lanes)};
  int position = first / p.steps, t = first % p.steps;
  for (int row = 0; row < rows; ++row, sums += 2 * byte_lanes) {
    float* to = p.current + ptrdiff_t(first + row) * p.lanes + lane;
    const float* from = p.base ? p.base + position * p.stride + lane : to;
    for (int k = 0; k * byte_lanes < lanes; ++k) {
      const __m512 sum = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_load_si512(sums + k * byte_lanes)), scale[k]);
      _mm512_storeu_ps(to + k * byte_lanes, _mm512_add_ps(_mm512_loadu_ps(from + k * byte_lanes), sum));
    }
    if (++t == p.steps) t = 0, ++position;
  }
}

void multiply(const ByteProduct& p) {
  alignas(64) int32_t sums[2 * byte_tile_rows * 2 * byte_lanes];
  const int all = p.positions * p.steps;
  for (int row = 0; row < all; row += 2 * byte_tile_rows) {
    const int left = all - row, first = left < byte_tile_rows ? left : byte_tile_rows;
    const int second = left - first < byte_tile_rows ? left - first : byte_tile_rows;
    shape_tiles(first, second ? second : byte_tile_rows);
    for (int lane = 0; lane < p.lanes; lane += 2 * byte_lanes) {
      const bool two = lane + 2 * byte_lanes <= p.lanes;
      if (second) {
        two ? multiply_tiles<true, true>(p, row, lane, sums) : multiply_tiles<true, false>(p, row, lane, sums);
      } else {
        two ? multiply_tiles<false, true>(p, row, lane, sums) : multiply_tiles<false, false>(p, row, lane, sums);
      }
      add_sums(p, row, first + second, lane, two ? 2 * byte_lanes : byte_lanes, sums);
    }
  }
}

// Linux lets a process use tiles that asks for it; elsewhere nobody asks.
bool allowed() {
#if defined(__linux__)
  constexpr int request_permission = 0x1023, tile_data = 18;
  constexpr unsigned tiles_and_bytes = 3u << 24;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & tiles_and_bytes) != tiles_and_bytes) return false;
  const bool vectors = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return vectors && syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}

constexpr ByteLoops loops{spread, multiply};

}  // namespace

const ByteLoops* find_byte_loops_amx() {
  static const bool there = allowed();
  return there ? &loops : nullptr;
}

}  // namespace spikewright
