// Rows times weights: out += a B, where a is a fragment, rows of a tile or rows in memory, and B are packed weights.
//
// Precisions. tf32 and bf16 round both factors. fp32 writes each as a sum of two tf32, x = high + low, and takes
// high high + high low + low high. high is x rounded, so low = x - high is exact and of either sign, and the tensor
// core reads 11 bits of it: what is lost, 2^-22 of x and low low, has no preferred sign. (With high = x cut off, errors
// of all layers point the same way and add up: 3e-6 instead of 4e-7 after 3 steps, in the emulation.) Three tensor-core
// products beat float32 units on sm_80 (156 / 3 against 19.5 TFLOP/s) and sm_90 (about 300 / 3 through mma.sync
// against 67).
#pragma once

#include "cuda/network/tile.cuh"

namespace botan_fast::cuda {

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
  // The sum of these 8 terms in the tensor core, then one addition that rounds.
  __device__ __forceinline__ void add_rounded(float (&c)[4], uint32_t b0, uint32_t b1) const {
    float sum[4] = {};
    add(sum, b0, b1);
#pragma unroll
    for (int r = 0; r < 4; ++r) c[r] += sum[r];
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
  __device__ __forceinline__ void add_rounded(float (&c)[4], uint32_t b0, uint32_t b1) const { add(c, b0, b1); }
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
    for (int j = 0; j < 2; ++j) left.add_rounded(out.c[2 * r + j], b.v[2 * j], b.v[2 * j + 1]);
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

// How far loops over the blocks of 16 terms of a product are unrolled. In fp32 not: sums come from float32 additions,
// which may stand in any register, and few registers are to be had.
template <Precision P, int H>
constexpr int kUnroll = kStaged<H> || P == Precision::fp32 ? 1 : H / 16;

// out += a B, where a is this warp's 16 rows of a tile in shared memory
template <Precision P, int unroll, int H, class T>
__device__ __forceinline__ void multiply_tile(Fragment<H>& out, const T* tile, const Bits4* packed) {
  if constexpr (P == Precision::fp32 || (P == Precision::tf32 && kStaged<H>)) {
    // half of four numbers at a time, though that takes two accesses: both halves would take too many registers
    using Float2 = Vec<float, 2>;
#pragma unroll(unroll)
    for (int s = 0; s < 2 * H / 16; ++s) {
      const Float2 x0 = *reinterpret_cast<const Float2*>(own_place<H>(tile, 0, s / 2) + 2 * (s % 2));
      const Float2 x1 = *reinterpret_cast<const Float2*>(own_place<H>(tile, 1, s / 2) + 2 * (s % 2));
      const float terms[4] = {x0.v[0], x1.v[0], x0.v[1], x1.v[1]};
      multiply_step<P>(out, terms, packed, s / 2, s % 2);
    }
  } else {
#pragma unroll(unroll)
    for (int q = 0; q < H / 16; ++q) {
      if constexpr (sizeof(T) == 2) {  // the bits are those of the left factor
        const Bf16x4 x0 = *reinterpret_cast<const Bf16x4*>(own_place<H>(tile, 0, q));
        const Bf16x4 x1 = *reinterpret_cast<const Bf16x4*>(own_place<H>(tile, 1, q));
        const uint32_t left[4] = {x0.v[0], x1.v[0], x0.v[1], x1.v[1]};
        multiply_bits(out, left, packed, q);
      } else {
        const Float4 x0 = load4<false>(own_place<H>(tile, 0, q)), x1 = load4<false>(own_place<H>(tile, 1, q));
        const float terms[2][4] = {{x0.v[0], x0.v[1], x0.v[2], x0.v[3]}, {x1.v[0], x1.v[1], x1.v[2], x1.v[3]}};
        multiply_block<P>(out, terms, packed, q);
      }
    }
  }
}

// out += a B. With `staged`, `scratch` is a tile of which the warp's own rows are overwritten.
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

}  // namespace botan_fast::cuda
