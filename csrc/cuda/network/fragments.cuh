// Matrix products of rows that live in registers.
//
// A warp holds 16 rows of H numbers. Lane (g, t) = (lane / 4, lane % 4) has rows g and g + 8 and, of every 16 columns,
// the four columns 4 t .. 4 t + 3: 16 bytes of a row of float32, so rows go between registers and memory without shared
// memory. That layout is the accumulator's and the left factor's at once: mma numbers the columns of its accumulator
// and the terms of its sum in its own way, and since the order of both is free, weights are packed in the order that
// makes the two meet (pack_kernel). One product's result is thus the next one's factor, in place.
//
// Precisions. tf32 and bf16 round both factors. fp32 writes each as a sum of two tf32, x = high + low, and takes
// high high + high low + low high. high is x rounded, so low = x - high is exact and of either sign, and the tensor
// core reads 11 bits of it: what is lost, 2^-22 of x and low low, has no preferred sign. (With high = x cut off, errors
// of all layers point the same way and add up: 3e-6 instead of 4e-7 after 3 steps, in the emulation.) Three tensor-core
// products beat float32 units on sm_80 (156 / 3 against 19.5 TFLOP/s) and sm_90 (about 300 / 3 through mma.sync
// against 67).
#pragma once

#include "botan_fast.h"
#include "cuda/runtime/warp.cuh"

namespace botan_fast::cuda {

using Float4 = Vec<float, 4>;
using Bits4 = Vec<uint32_t, 4>;
using Bf16x4 = Vec<uint32_t, 2>;

constexpr int kWarps = 8;  // of a block that shares a tile
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kTile = 16 * kWarps;  // rows

template <int H>
constexpr int kPitch = H + 8;  // columns of a tile in shared memory: no bank conflicts where its columns are read

template <int H>
constexpr size_t scratch_bytes(int warps) {
  return sizeof(float) * 16 * static_cast<size_t>(warps) * kPitch<H>;
}

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
  __device__ __forceinline__ Rows(int64_t first, int64_t end) {
    const int g = static_cast<int>(threadIdx.x) % kWarpSize / 4;
    for (int h = 0; h < 2; ++h) {
      valid[h] = first + g + 8 * h < end;
      row[h] = static_cast<int>(first) + g + 8 * h;  // sizes are checked to leave room for a tile below 2^31
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
// Asks for this warp's next rows, first .. min(first + 15, end - 1) of width H, to be in the second cache: most of the
// way from memory, without registers.
template <int H, class T>
__device__ __forceinline__ void prefetch_rows(const T* array, int64_t first, int64_t end) {
  constexpr int kNumbers = 128 / sizeof(T);  // of a cache line
  const int64_t left = (end - first) * H;
#pragma unroll
  for (int at = 0; at < 16 * H; at += kNumbers * kWarpSize) {
    const int mine = at + lane_id() * kNumbers;
    if (mine < 16 * H && mine < left) prefetch_second_cache(array + first * H + mine);
  }
}

// ---- tiles in shared memory -----------------------------------------------------------------------------------
// kTile rows of kPitch numbers, 16 rows of each warp.

// The lane's first row of a tile, from its first column; the second lies 8 rows below.
template <int H, class T>
__device__ __forceinline__ T* own_row(T* tile) {
  return tile + (16 * warp_id() + lane_id() / 4) * kPitch<H> + 4 * (lane_id() % 4);
}
template <int H, class T>
__device__ __forceinline__ void stage(T* tile, const Fragment<H>& a) {
  T* row = own_row<H>(tile);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
#pragma unroll
    for (int q = 0; q < H / 16; ++q) {
      store4(row + 8 * h * kPitch<H> + 16 * q, {{a.at(q, h, 0), a.at(q, h, 1), a.at(q, h, 2), a.at(q, h, 3)}});
    }
  }
}
// f(q, h, four numbers of the lane's rows of a tile)
template <int H, class T, class F>
__device__ __forceinline__ void read_tile(const T* tile, F f) {
  const T* row = own_row<H>(tile);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
#pragma unroll
    for (int q = 0; q < H / 16; ++q) f(q, h, load4<false>(row + 8 * h * kPitch<H> + 16 * q));
  }
}
template <int H, class T>
__device__ __forceinline__ void load_tile(Fragment<H>& a, const T* tile) {
  read_tile<H>(tile, [&](int q, int h, const Float4& x) {
#pragma unroll
    for (int m = 0; m < 4; ++m) a.at(q, h, m) = x.v[m];
  });
}
// a = 0 where the tile, or the other fragment, is not positive: the gradient of a ReLU.
template <int H, class T>
__device__ __forceinline__ void pass_where_positive(Fragment<H>& a, const T* tile) {
  read_tile<H>(tile, [&](int q, int h, const Float4& x) {
#pragma unroll
    for (int m = 0; m < 4; ++m) a.at(q, h, m) = x.v[m] > 0 ? a.at(q, h, m) : 0.0f;
  });
}
template <int H>
__device__ __forceinline__ void pass_where_positive(Fragment<H>& a, const Fragment<H>& y) {
  for_each<H>([&](int q, int h, int m) { a.at(q, h, m) = y.at(q, h, m) > 0 ? a.at(q, h, m) : 0.0f; });
}
// Copies rows first .. first + 15 of `array` to this warp's rows of the tile while the warp goes on; rows from `end` on
// become zeros. The rows are there after cp_async_wait and __syncwarp.
template <int H, class T>
__device__ __forceinline__ void fetch_rows(T* tile, const T* array, int64_t first, int64_t end) {
  constexpr int kNumbers = 16 / sizeof(T), kChunks = H / kNumbers;  // of 16 bytes, in a row
  constexpr int kRows = kWarpSize / kChunks;                        // at a time
  const int row = lane_id() / kChunks, column = lane_id() % kChunks * kNumbers;
  const int left = static_cast<int>(min(end - first, int64_t{16})) - row;
  T* to = tile + (16 * warp_id() + row) * kPitch<H> + column;
  const T* from = array + (first + row) * H + column;
#pragma unroll
  for (int r = 0; r < 16; r += kRows) cp_async_16(to + r * kPitch<H>, from + r * H, r < left);
}

// ---- rows times weights -------------------------------------------------------------------------------------

// Packed weights B (K, H), K and H multiples of 16: 16 bytes per lane for every 16 x 16 block (q, r) and step i.
//   fp32, tf32: step i of 2 has, for the 8 columns j = 0, 1, B[16 q + 4 t + 2 i][n] and the row below
//   bf16: one step has, for j = 0, 1, the pairs B[16 q + 4 t ..][n] and B[16 q + 4 t + 2 ..][n]
// with n = 16 r + 4 (g / 2) + 2 j + g % 2.
template <Precision P>
constexpr int kSteps = P == Precision::bf16 ? 1 : 2;
template <Precision P>
__host__ __device__ constexpr int64_t packed_bytes(int64_t k, int64_t h) {
  return k * h * (P == Precision::bf16 ? 2 : 4);
}
__device__ __forceinline__ int packed_column(int r, int j, int lane) {
  return 16 * r + 4 * (lane / 4 / 2) + 2 * j + lane / 4 % 2;
}

// Where x is nan, low is, whatever high has become.
__device__ __forceinline__ void split(float x, uint32_t& high, uint32_t& low) {
  high = to_tf32_of_number(x);
  low = __float_as_uint(x - __uint_as_float(high));
}

// x rounded to 11 bits as (8193 x) - (8193 x - x), after Veltkamp: three instructions of the float32 units, of which
// there are twice as many as of those that cvt and comparisons take. nan stays; beyond 4e34 it becomes nan.
__device__ __forceinline__ uint32_t quick_tf32(float x) {
  const float larger = __fmul_rn(x, 8193.0f);
  return __float_as_uint(__fsub_rn(larger, __fsub_rn(larger, x)));
}

// c += a b for one step; a holds float32, b the packed register.
template <Precision P>
struct Product;
template <>
struct Product<Precision::fp32> {
  uint32_t high[4], low[4];
  __device__ __forceinline__ explicit Product(const float (&a)[4]) {
#pragma unroll
    for (int r = 0; r < 4; ++r) split(a[r], high[r], low[r]);
  }
  __device__ __forceinline__ void add(float (&c)[4], uint32_t b0, uint32_t b1) const {
    uint32_t b_high[2], b_low[2];
    split(__uint_as_float(b0), b_high[0], b_low[0]);
    split(__uint_as_float(b1), b_high[1], b_low[1]);
    mma_tf32(c, low, b_high);
    mma_tf32(c, high, b_low);
    mma_tf32(c, high, b_high);
  }
};
template <>
struct Product<Precision::tf32> {
  uint32_t rounded[4];
  __device__ __forceinline__ explicit Product(const float (&a)[4]) {
#pragma unroll
    for (int r = 0; r < 4; ++r) rounded[r] = quick_tf32(a[r]);
  }
  __device__ __forceinline__ void add(float (&c)[4], uint32_t b0, uint32_t b1) const {
    const uint32_t b[2] = {b0, b1};
    mma_tf32(c, rounded, b);
  }
};

// out += a B for the 16 columns q of a, as bfloat16 in the order of mma
template <int H>
__device__ __forceinline__ void multiply_bits(Fragment<H>& out, const uint32_t (&left)[4], const Bits4* packed, int q) {
  const Bits4* block = packed + static_cast<int64_t>(q) * (H / 16) * kWarpSize + lane_id();
#pragma unroll
  for (int r = 0; r < H / 16; ++r) {
    const Bits4 b = block[r * kWarpSize];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const uint32_t right[2] = {b.v[2 * j], b.v[2 * j + 1]};
      mma_bf16(out.c[2 * r + j], left, right);
    }
  }
}

// out += a B for the step i of the 16 columns q of a: fp32, tf32
template <Precision P, int H>
__device__ __forceinline__ void multiply_step(Fragment<H>& out, const float (&terms)[4], const Bits4* packed, int q,
                                              int i) {
  const Bits4* block = packed + (static_cast<int64_t>(q) * (H / 16) * 2 + i) * kWarpSize + lane_id();
  const Product<P> left(terms);
#pragma unroll
  for (int r = 0; r < H / 16; ++r) {
    const Bits4 b = block[2 * r * kWarpSize];
#pragma unroll
    for (int j = 0; j < 2; ++j) left.add(out.c[2 * r + j], b.v[2 * j], b.v[2 * j + 1]);
  }
}

// The 16 columns q of a, times block row q of the packed weights: out += a B, 16 of the K terms.
template <Precision P, int H>
__device__ __forceinline__ void multiply_block(Fragment<H>& out, const float (&a)[2][4], const Bits4* packed, int q) {
  if constexpr (P == Precision::bf16) {
    const uint32_t left[4] = {pack_bf16(a[0][0], a[0][1]), pack_bf16(a[1][0], a[1][1]), pack_bf16(a[0][2], a[0][3]),
                              pack_bf16(a[1][2], a[1][3])};
    multiply_bits(out, left, packed, q);
  } else {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float terms[4] = {a[0][2 * i], a[1][2 * i], a[0][2 * i + 1], a[1][2 * i + 1]};
      multiply_step<P>(out, terms, packed, q, i);
    }
  }
}

// Fragments of 128 columns take 64 registers. There the left factor goes through shared memory, a loop over its columns
// is not unrolled, and the compiler has no way to load the weights of several products ahead.
template <int H>
constexpr bool kStaged = H > 64;

// How far loops over the steps of a product are unrolled. Where they are not, the accumulators are copied in each turn.
template <Precision P, int H>
constexpr int kUnroll = kStaged<H>             ? 1
                        : P == Precision::fp32 ? 4
                                               : kSteps<P> * H / 16;

// out += a B, where a is this warp's 16 rows of a tile in shared memory
template <Precision P, int unroll, int H, class T>
__device__ __forceinline__ void multiply_tile(Fragment<H>& out, const T* tile, const Bits4* packed) {
  const T* row = own_row<H>(tile);
#pragma unroll(unroll)
  for (int s = 0; s < kSteps<P> * H / 16; ++s) {
    if constexpr (sizeof(T) == 2) {  // the bits are those of the left factor
      const Bf16x4 x0 = *reinterpret_cast<const Bf16x4*>(row + 16 * s);
      const Bf16x4 x1 = *reinterpret_cast<const Bf16x4*>(row + 8 * kPitch<H> + 16 * s);
      const uint32_t left[4] = {x0.v[0], x1.v[0], x0.v[1], x1.v[1]};
      multiply_bits(out, left, packed, s);
    } else if constexpr (P == Precision::bf16) {
      const Float4 x0 = load4<false>(row + 16 * s), x1 = load4<false>(row + 8 * kPitch<H> + 16 * s);
      const float terms[2][4] = {{x0.v[0], x0.v[1], x0.v[2], x0.v[3]}, {x1.v[0], x1.v[1], x1.v[2], x1.v[3]}};
      multiply_block<P>(out, terms, packed, s);
    } else {
      using Float2 = Vec<float, 2>;
      const float* pair = row + 16 * (s / 2) + 2 * (s % 2);
      const Float2 x0 = *reinterpret_cast<const Float2*>(pair);
      const Float2 x1 = *reinterpret_cast<const Float2*>(pair + 8 * kPitch<H>);
      const float terms[4] = {x0.v[0], x1.v[0], x0.v[1], x1.v[1]};
      multiply_step<P>(out, terms, packed, s / 2, s % 2);
    }
  }
}

// out += a B. With `staged`, `scratch` is a tile (kPitch) of which the warp's own rows are overwritten.
template <Precision P, int H, bool staged = kStaged<H>, int unroll = kUnroll<P, H>>
__device__ __forceinline__ void multiply(Fragment<H>& out, const Fragment<H>& a, const Bits4* packed,
                                         [[maybe_unused]] float* scratch) {
  if constexpr (staged) {
    __syncwarp();
    stage<H>(scratch, a);
    __syncwarp();
    multiply_tile<P, unroll>(out, scratch, packed);
    __syncwarp();
  } else {
#pragma unroll
    for (int q = 0; q < H / 16; ++q) {
      const float terms[2][4] = {{a.at(q, 0, 0), a.at(q, 0, 1), a.at(q, 0, 2), a.at(q, 0, 3)},
                                 {a.at(q, 1, 0), a.at(q, 1, 1), a.at(q, 1, 2), a.at(q, 1, 3)}};
      multiply_block<P>(out, terms, packed, q);
    }
  }
}

// out += a B, where a (rows, H) is read from memory, of type Stored<P> or float
template <Precision P, int H, bool staged = kStaged<H>, int unroll = kUnroll<P, H>, class T>
__device__ __forceinline__ void multiply_rows(Fragment<H>& out, const T* array, const Rows& rows, const Bits4* packed,
                                              float* scratch) {
  if constexpr (sizeof(T) == 2 && !staged) {  // the bits are those of the left factor
    const int t = lane_id() % 4;
#pragma unroll
    for (int q = 0; q < H / 16; ++q) {
      Bf16x4 a[2] = {};
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        if (!rows.valid[h]) continue;
        a[h] = *reinterpret_cast<const Bf16x4*>(array + static_cast<int64_t>(rows.row[h]) * H + 16 * q + 4 * t);
      }
      const uint32_t left[4] = {a[0].v[0], a[1].v[0], a[0].v[1], a[1].v[1]};
      multiply_bits(out, left, packed, q);
    }
  } else {
    Fragment<H> a;
    load_rows(a, array, rows);
    multiply<P, H, staged, unroll>(out, a, packed, scratch);
  }
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

// ---- sums over rows: A^T B ----------------------------------------------------------------------------------

// A block of 32 x 32 of A^T B, summed over rows of two tiles in shared memory. c[4 i + j] is an accumulator; the place
// of its number e in the block is outer_row, outer_column.
struct Outer {
  float c[8][4];
};
template <Precision P>
__host__ __device__ __forceinline__ int outer_row(int v, int e, int lane) {
  const int i = v / 4, g = lane / 4;
  return P == Precision::bf16 ? 16 * i + g + 8 * (e / 2) : 4 * g + 2 * i + e / 2;
}
template <Precision P>
__host__ __device__ __forceinline__ int outer_column(int v, int e, int lane) {
  const int j = v % 4, n = 2 * (lane % 4) + e % 2;
  return P == Precision::bf16 ? 8 * j + n : 4 * n + j;
}

__device__ __forceinline__ void set_zero(Outer& out) {
#pragma unroll
  for (int v = 0; v < 8; ++v) {
#pragma unroll
    for (int e = 0; e < 4; ++e) out.c[v][e] = 0;
  }
}

// Rows first .. first + count - 1 (a multiple of 16), columns a_column.. of A and b_column.. of B.
template <Precision P, int H>
__device__ __forceinline__ void add_outer(Outer& out, const float* a, int a_column, const float* b, int b_column,
                                          int first, int count) {
  const int t = lane_id() % 4, g = lane_id() / 4;
  for (int k = first; k < first + count; k += 8) {
    const float* row = a + (k + t) * kPitch<H> + a_column + 4 * g;
    const Float4 a0 = load4<false>(row), a1 = load4<false>(row + 4 * kPitch<H>);
    row = b + (k + t) * kPitch<H> + b_column + 4 * g;
    const Float4 b0 = load4<false>(row), b1 = load4<false>(row + 4 * kPitch<H>);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float terms[4] = {a0.v[2 * i], a0.v[2 * i + 1], a1.v[2 * i], a1.v[2 * i + 1]};
      const Product<P> left(terms);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        if constexpr (P == Precision::tf32) {
          left.add(out.c[4 * i + j], quick_tf32(b0.v[j]), quick_tf32(b1.v[j]));
        } else {
          left.add(out.c[4 * i + j], __float_as_uint(b0.v[j]), __float_as_uint(b1.v[j]));
        }
      }
    }
  }
}
template <Precision P, int H>
__device__ __forceinline__ void add_outer(Outer& out, const uint16_t* a, int a_column, const uint16_t* b, int b_column,
                                          int first, int count) {
  const int r = lane_id() % 8, matrix = lane_id() / 8;
  for (int k = first; k < first + count; k += 16) {
    // matrices of a: columns +0, +8 of rows +0, then of rows +8; of b: rows +0, +8 of columns +0, then of columns +8
    const uint16_t* a_row = a + (k + r + 8 * (matrix / 2)) * kPitch<H> + a_column + 8 * (matrix % 2);
    const uint16_t* b_row = b + (k + r + 8 * (matrix % 2)) * kPitch<H> + b_column + 8 * (matrix / 2);
    uint32_t left[2][4], right[2][4];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      ldmatrix_x4_transposed(left[i], a_row + 16 * i);
      ldmatrix_x4_transposed(right[i], b_row + 16 * i);
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const uint32_t pair[2] = {right[j / 2][2 * (j % 2)], right[j / 2][2 * (j % 2) + 1]};
        mma_bf16(out.c[4 * i + j], left[i], pair);
      }
    }
  }
}

// The H x H numbers of A^T B over the warps of a block: kBlocks blocks of 32 x 32; where these are fewer than warps,
// kParts warps share the rows of one. A warp has kOuters of them.
template <int H>
struct OuterShape {
  static constexpr int kSide = H / 32, kBlocks = kSide * kSide;
  static constexpr int kParts = kBlocks < kWarps ? kWarps / kBlocks : 1;
  static constexpr int kOuters = kBlocks < kWarps ? 1 : kBlocks / kWarps;
};
template <Precision P, int H, class T>
__device__ __forceinline__ void add_outers(Outer (&out)[OuterShape<H>::kOuters], const T* a, const T* b) {
  using Shape = OuterShape<H>;
#pragma unroll
  for (int o = 0; o < Shape::kOuters; ++o) {
    const int block = (warp_id() + o * kWarps) % Shape::kBlocks, part = warp_id() / Shape::kBlocks % Shape::kParts;
    add_outer<P, H>(out[o], a, 32 * (block / Shape::kSide), b, 32 * (block % Shape::kSide),
                    part * (kTile / Shape::kParts), kTile / Shape::kParts);
  }
}
// Adds to, or sets, the block's partial result: kParts x (H, H) numbers in the order of the registers.
template <int H>
__device__ __forceinline__ void store_outers(float* partial, const Outer (&out)[OuterShape<H>::kOuters], bool add) {
  using Shape = OuterShape<H>;
#pragma unroll
  for (int o = 0; o < Shape::kOuters; ++o) {
    const int block = (warp_id() + o * kWarps) % Shape::kBlocks, part = warp_id() / Shape::kBlocks % Shape::kParts;
    float* to = partial + (part * Shape::kBlocks + block) * 1024 + 4 * lane_id();
#pragma unroll
    for (int v = 0; v < 8; ++v) {
      Float4 x = {{out[o].c[v][0], out[o].c[v][1], out[o].c[v][2], out[o].c[v][3]}};
      if (add) {
        const Float4 before = load4<false>(to + v * 128);
#pragma unroll
        for (int e = 0; e < 4; ++e) x.v[e] += before.v[e];
      }
      store4(to + v * 128, x);
    }
  }
}

// ---- sums over the rows of a fragment -----------------------------------------------------------------------

// Sums over rows of the columns of fragments, of the lane's two rows each: totals come at the end.
template <int H>
struct ColumnSums {
  float c[H / 4] = {};
  __device__ __forceinline__ void add(const Fragment<H>& a) {
#pragma unroll
    for (int q = 0; q < H / 16; ++q) {
#pragma unroll
      for (int m = 0; m < 4; ++m) c[4 * q + m] += a.at(q, 0, m) + a.at(q, 1, m);
    }
  }
  // sums (H,) = totals of this warp, in shared memory of its own
  __device__ __forceinline__ void store(float* sums) const {
    const int t = lane_id() % 4, g = lane_id() / 4;
#pragma unroll
    for (int q = 0; q < H / 16; ++q) {
#pragma unroll
      for (int m = 0; m < 4; ++m) {
        const float sum = warp_sum<4>(c[4 * q + m]);
        if (g == 0) sums[16 * q + 4 * t + m] = sum;
      }
    }
  }
};

// sums[16 q + 4 t + m] of this warp += the column's sum over its 16 rows; shared memory that only this warp uses
template <int H>
__device__ __forceinline__ void add_column_sums(float* sums, const Fragment<H>& a) {
  const int t = lane_id() % 4, g = lane_id() / 4;
#pragma unroll
  for (int q = 0; q < H / 16; ++q) {
#pragma unroll
    for (int m = 0; m < 4; ++m) {
      const float sum = warp_sum<4>(a.at(q, 0, m) + a.at(q, 1, m));
      if (g == 0) sums[16 * q + 4 * t + m] += sum;
    }
  }
}

}  // namespace botan_fast::cuda
