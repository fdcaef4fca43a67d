// Rows that live in registers: their layout, their way to and from memory and shared memory.
//
// A warp holds 16 rows of H numbers. Lane (g, t) = (lane / 4, lane % 4) has rows g and g + 8 and, of every 16 columns,
// the four columns 4 t .. 4 t + 3: 16 bytes of a row of float32, so rows go between registers and memory without shared
// memory. That layout is the accumulator's and the left factor's at once: mma numbers the columns of its accumulator
// and the terms of its sum in its own way, and since the order of both is free, weights are packed in the order that
// makes the two meet (pack_kernel). One product's result is thus the next one's factor, in place.
#pragma once

#include "botan_fast.h"
#include "cuda/runtime/warp.cuh"

namespace botan_fast::cuda {

using Float4 = Vec<float, 4>;
using Bits4 = Vec<uint32_t, 4>;
using Bf16x4 = Vec<uint32_t, 2>;

constexpr int kWarps = 8;  // warps of a block that shares a tile
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kTile = 16 * kWarps;  // rows

// Kernels that take `warps` have half as many, and tiles of half as many rows, on GPUs with 99 KB of shared memory,
// where they would not fit otherwise.
constexpr int kFewWarps = kWarps / 2;

template <Precision P>
struct StoredAs {
  using type = float;
};
template <>
struct StoredAs<Precision::bf16> {
  using type = uint16_t;  // bits of a bfloat16
};
template <Precision P>
using Stored = typename StoredAs<P>::type;  // edge features and their gradients between steps

// Numbers c[2 q + j][2 h + i]: row g + 8 h, column 16 q + 4 t + 2 j + i.
template <int H>
struct Fragment {
  float c[H / 8][4];
  __device__ __forceinline__ float& at(int q, int h, int m) { return c[2 * q + m / 2][2 * h + m % 2]; }
  __device__ __forceinline__ float at(int q, int h, int m) const { return c[2 * q + m / 2][2 * h + m % 2]; }
};

// The lane's two rows; a row that is not valid reads as zeros and is not written.
struct Rows {
  int row[2];
  bool valid[2];
  __device__ __forceinline__ Rows(int first, int end) {
    const int g = static_cast<int>(threadIdx.x) % kWarpSize / 4;
    for (int h = 0; h < 2; ++h) {
      valid[h] = first + g + 8 * h < end;
      row[h] = first + g + 8 * h;  // sizes are checked to leave room for a tile below 2^31
    }
  }
};

__device__ __forceinline__ float relu(float z) { return max_or_nan(z, 0.0f); }

template <int H, class F>
__device__ __forceinline__ void for_each(F f) {
#pragma unroll
  for (int q = 0; q < H / 16; ++q) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
#pragma unroll
      for (int m = 0; m < 4; ++m) f(q, h, m);
    }
  }
}

template <int H>
__device__ __forceinline__ void set_zero(Fragment<H>& a) {
  for_each<H>([&](int q, int h, int m) { a.at(q, h, m) = 0; });
}

// bias (H,), the same for all rows; null: zeros
template <int H>
__device__ __forceinline__ void set_bias(Fragment<H>& a, const float* bias) {
  const int t = lane_id() % 4;
#pragma unroll
  for (int q = 0; q < H / 16; ++q) {
    Float4 b{};
    if (bias) b = *reinterpret_cast<const Float4*>(bias + 16 * q + 4 * t);
#pragma unroll
    for (int m = 0; m < 4; ++m) a.at(q, 0, m) = a.at(q, 1, m) = b.v[m];
  }
}

// ---- rows in memory -----------------------------------------------------------------------------------------

template <bool once>
__device__ __forceinline__ Float4 load4(const float* address) {
  if constexpr (once) {
    return load_once(reinterpret_cast<const Float4*>(address));
  } else {
    return *reinterpret_cast<const Float4*>(address);
  }
}
template <bool once>
__device__ __forceinline__ Float4 load4(const uint16_t* address) {
  const Bf16x4 b = *reinterpret_cast<const Bf16x4*>(address);
  return {{low_bf16(b.v[0]), high_bf16(b.v[0]), low_bf16(b.v[1]), high_bf16(b.v[1])}};
}
__device__ __forceinline__ void store4(float* address, const Float4& x) { *reinterpret_cast<Float4*>(address) = x; }
__device__ __forceinline__ void store4(uint16_t* address, const Float4& x) {
  *reinterpret_cast<Bf16x4*>(address) = {{pack_bf16(x.v[0], x.v[1]), pack_bf16(x.v[2], x.v[3])}};
}

// f(q, h, four numbers of the row index[h] of `array`), zeros where the lane's row is not valid
template <int H, bool once, class T, class F>
__device__ __forceinline__ void read_rows(const T* array, const int (&index)[2], const bool (&valid)[2], F f) {
  const int t = lane_id() % 4;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const T* row = array + static_cast<int64_t>(index[h]) * H + 4 * t;
#pragma unroll
    for (int q = 0; q < H / 16; ++q) {
      Float4 x{};
      if (valid[h]) x = load4<once>(row + 16 * q);
      f(q, h, x);
    }
  }
}
// `once`: the array is not written by this kernel and not read again soon
template <int H, bool once = false, class T>
__device__ __forceinline__ void load_rows(Fragment<H>& a, const T* array, const int (&index)[2],
                                          const bool (&valid)[2]) {
  read_rows<H, once>(array, index, valid, [&](int q, int h, const Float4& x) {
#pragma unroll
    for (int m = 0; m < 4; ++m) a.at(q, h, m) = x.v[m];
  });
}
template <int H, bool once = false, class T>
__device__ __forceinline__ void load_rows(Fragment<H>& a, const T* array, const Rows& rows) {
  load_rows<H, once>(a, array, rows.row, rows.valid);
}
template <int H, bool once = false, class T>
__device__ __forceinline__ void add_rows(Fragment<H>& a, const T* array, const int (&index)[2],
                                         const bool (&valid)[2]) {
  read_rows<H, once>(array, index, valid, [&](int q, int h, const Float4& x) {
#pragma unroll
    for (int m = 0; m < 4; ++m) a.at(q, h, m) += x.v[m];
  });
}
template <int H, class T>
__device__ __forceinline__ void store_rows(T* array, const Fragment<H>& a, const Rows& rows) {
  const int t = lane_id() % 4;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    if (!rows.valid[h]) continue;
    T* row = array + static_cast<int64_t>(rows.row[h]) * H + 4 * t;
#pragma unroll
    for (int q = 0; q < H / 16; ++q) {
      store4(row + 16 * q, {{a.at(q, h, 0), a.at(q, h, 1), a.at(q, h, 2), a.at(q, h, 3)}});
    }
  }
}
// Asks for this warp's next rows, first .. min(first + 15, end - 1) of width H, to be in L2: most of the way from
// memory, without registers.
template <int H, class T>
__device__ __forceinline__ void prefetch_rows(const T* array, int64_t first, int64_t end) {
  constexpr int kNumbers = 128 / sizeof(T);  // numbers of a cache line
  const int64_t left = (end - first) * H;
#pragma unroll
  for (int at = 0; at < 16 * H; at += kNumbers * kWarpSize) {
    const int mine = at + lane_id() * kNumbers;
    if (mine < 16 * H && mine < left) prefetch_l2(array + first * H + mine);
  }
}

// ---- masks of a ReLU ----------------------------------------------------------------------------------------

// a = 0 where y is not positive: the gradient of a ReLU.
template <int H>
__device__ __forceinline__ void pass_where_positive(Fragment<H>& a, const Fragment<H>& y) {
  for_each<H>([&](int q, int h, int m) { a.at(q, h, m) = y.at(q, h, m) > 0 ? a.at(q, h, m) : 0.0f; });
}
// Which numbers of a fragment are positive, a bit for each.
template <int H>
class Positive {
 public:
  __device__ __forceinline__ explicit Positive(const Fragment<H>& a) {
    for_each<H>([&](int q, int h, int m) {
      if (a.at(q, h, m) > 0) bits_[bit(q, h, m) / 32] |= 1u << bit(q, h, m) % 32;
    });
  }
  // Zeros where it was not: the gradient of a ReLU.
  __device__ __forceinline__ void pass(Fragment<H>& a) const {
    for_each<H>([&](int q, int h, int m) {
      if (!(bits_[bit(q, h, m) / 32] >> bit(q, h, m) % 32 & 1u)) a.at(q, h, m) = 0;
    });
  }

 private:
  __device__ static constexpr int bit(int q, int h, int m) { return 8 * q + 4 * h + m; }
  uint32_t bits_[H / 64 + 1] = {};
};

template <int H>
__device__ __forceinline__ void apply_relu(Fragment<H>& a) {
  for_each<H>([&](int q, int h, int m) { a.at(q, h, m) = relu(a.at(q, h, m)); });
}

}  // namespace botan_fast::cuda
