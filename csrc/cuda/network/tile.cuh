// Rows in shared memory: 16 of each warp, H numbers each, without padding.
//
// Shared memory answers 128 bytes at a time, one from each of 32 banks of 4 bytes. Tiles are read by rows (a lane of a
// fragment has 4 of every 16 numbers of its rows) and by columns (sums over rows), and in plain rows one of the two
// would meet the same banks again and again. So the 16 bytes number c of row r lie at c ^ s(r) (an XOR swizzle, as of
// CUTLASS' layouts), with an s for which no access of these kernels meets a bank twice: the compiler checks it below.
// Against rows with 8 numbers of padding these are 22 % fewer passes, and tiles 11 % smaller at H = 64.
#pragma once

#include "cuda/network/fragments.cuh"

namespace botan_fast::cuda {

// Numbers of a tile of so many warps.
template <int H, int warps>
constexpr int kTileNumbers = 16 * warps * H;

template <int H>
constexpr size_t scratch_bytes(int warps) {
  return sizeof(float) * 16 * static_cast<size_t>(warps) * H;
}

// Where the numbers of a tile lie. Lines of 128 bytes or more hold one row, or two of 32 bfloat16.
template <class T, int H>
struct Swizzle {
  static constexpr int kNumbers = 16 / sizeof(T);                                // in 16 bytes
  static constexpr int kRows = H * sizeof(T) < 128 ? 128 / (H * sizeof(T)) : 1;  // in a line
  static constexpr bool kPaired = kRows > 1;

  // What the column is combined with; it depends on the last three bits of the row.
  __host__ __device__ static constexpr int flip(int row) {
    const int line = row / kRows;
    if (sizeof(T) == 4) return kNumbers * (4 * (line & 1) | (line & 2));
    if (kPaired) return kNumbers * (2 * (line & 1) | (line >> 1 & 1));
    return kNumbers * (2 * (line & 3) | (line >> 2 & 1));
  }
  __host__ __device__ static constexpr int place(int row, int column) {
    return row / kRows * (kRows * H) + ((row % kRows * H + column) ^ flip(row));
  }
};

// ---- the lane's rows ----------------------------------------------------------------------------------------

// The four numbers 16 q + 4 t .. of the lane's row h of a tile.
template <int H, class T>
__device__ __forceinline__ T* own_place(T* tile, int h, int q) {
  using S = Swizzle<T, H>;
  const int row = 16 * warp_id() + lane_id() / 4, t = lane_id() % 4;
  // place(row, 16 q + 4 t), whose bits are set apart: only the last part depends on q
  const int flip = S::flip(row) ^ (row % S::kRows * H);
  return tile + row / S::kRows * (S::kRows * H) + ((4 * t) ^ (flip & 15)) + ((16 * q) ^ (flip & ~15)) + 8 * h * H;
}

template <int H, class T>
__device__ __forceinline__ void stage(T* tile, const Fragment<H>& a) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
#pragma unroll
    for (int q = 0; q < H / 16; ++q) {
      store4(own_place<H>(tile, h, q), {{a.at(q, h, 0), a.at(q, h, 1), a.at(q, h, 2), a.at(q, h, 3)}});
    }
  }
}
// f(q, h, four numbers of the lane's rows of a tile)
template <int H, class T, class F>
__device__ __forceinline__ void read_tile(const T* tile, F f) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
#pragma unroll
    for (int q = 0; q < H / 16; ++q) f(q, h, load4<false>(own_place<H>(tile, h, q)));
  }
}
template <int H, class T>
__device__ __forceinline__ void load_tile(Fragment<H>& a, const T* tile) {
  read_tile<H>(tile, [&](int q, int h, const Float4& x) {
#pragma unroll
    for (int m = 0; m < 4; ++m) a.at(q, h, m) = x.v[m];
  });
}
// a = 0 where the tile is not positive: the gradient of a ReLU.
template <int H, class T>
__device__ __forceinline__ void pass_where_positive(Fragment<H>& a, const T* tile) {
  read_tile<H>(tile, [&](int q, int h, const Float4& x) {
#pragma unroll
    for (int m = 0; m < 4; ++m) a.at(q, h, m) = x.v[m] > 0 ? a.at(q, h, m) : 0.0f;
  });
}
// Copies rows first .. first + 15 of `array` to this warp's rows of the tile while the warp goes on; rows from `end` on
// become zeros. The rows are there after cp_async_wait and __syncwarp.
template <int H, class T>
__device__ __forceinline__ void fetch_rows(T* tile, const T* array, int64_t first, int64_t end) {
  constexpr int kNumbers = 16 / sizeof(T), kChunks = H / kNumbers;  // numbers of 16 bytes, 16 bytes of a row
  constexpr int kRows = kWarpSize / kChunks;                        // rows at a time
  const int row = lane_id() / kChunks, column = lane_id() % kChunks * kNumbers;
  const int left = static_cast<int>(min(end - first, int64_t{16})) - row;
  const T* from = array + (first + row) * H + column;
#pragma unroll
  for (int r = 0; r < 16; r += kRows) {
    cp_async_16(tile + Swizzle<T, H>::place(16 * warp_id() + row + r, column), from + r * H, r < left);
  }
}

// ---- no bank is met twice -----------------------------------------------------------------------------------
// The lanes that shared memory answers together: 8 that read 16 bytes each, 16 that read 8.

// Whether the `count` accesses of `bytes` at byte[...] lie in different banks.
template <int count>
constexpr bool in_different_banks(const int (&byte)[count], int bytes) {
  for (int i = 0; i < count; ++i) {
    for (int j = 0; j < i; ++j) {
      if (byte[i] % 128 / bytes == byte[j] % 128 / bytes) return false;
    }
  }
  return true;
}

// By rows, as in own_place: four numbers of each lane.
template <class T, int H>
constexpr bool rows_are_free() {
  constexpr int kLanes = 128 / (4 * sizeof(T));
  for (int first = 0; first < kWarpSize; first += kLanes) {
    for (int q = 0; q < H / 16; ++q) {
      int byte[kLanes] = {};
      for (int i = 0; i < kLanes; ++i) {
        const int lane = first + i;
        byte[i] = static_cast<int>(sizeof(T)) * Swizzle<T, H>::place(lane / 4, 16 * q + 4 * (lane % 4));
      }
      if (!in_different_banks(byte, 4 * sizeof(T))) return false;
    }
  }
  return true;
}

// By columns: float32 as in add_outer, four rows and two times 16 bytes; bfloat16 as ldmatrix, eight rows of 16 bytes.
template <class T, int H>
constexpr bool columns_are_free() {
  constexpr int kRows = sizeof(T) == 4 ? 4 : 8;
  for (int first = 0; first < 16; first += kRows) {
    for (int column = 0; column < H; column += 8) {
      int byte[8] = {};
      for (int i = 0; i < 8; ++i) {
        byte[i] = static_cast<int>(sizeof(T)) * Swizzle<T, H>::place(first + i % kRows, column + i / kRows * 4);
      }
      if (!in_different_banks(byte, 16)) return false;
    }
  }
  return true;
}

template <int H>
constexpr bool tiles_are_free() {
  return rows_are_free<float, H>() && columns_are_free<float, H>() && rows_are_free<uint16_t, H>() &&
         columns_are_free<uint16_t, H>();
}
static_assert(tiles_are_free<32>() && tiles_are_free<64>() && tiles_are_free<128>(), "an access meets a bank twice");

}  // namespace botan_fast::cuda
