// Sums over rows: A^T B of two tiles, which is a weight's gradient, and the columns of fragments, which is a bias's.
#pragma once

#include "cuda/network/products.cuh"

namespace botan_fast::cuda {

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
  a += Swizzle<float, H>::place(t, a_column + 4 * g);  // rows four further have the same order
  b += Swizzle<float, H>::place(t, b_column + 4 * g);
  for (int k = first; k < first + count; k += 8) {
    const Float4 a0 = load4<false>(a + k * H), a1 = load4<false>(a + (k + 4) * H);
    const Float4 b0 = load4<false>(b + k * H), b1 = load4<false>(b + (k + 4) * H);
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
  using S = Swizzle<uint16_t, H>;  // rows eight further have the same order
  const int r = lane_id() % 8, matrix = lane_id() / 8;
  // matrices of a: columns +0, +8 of rows +0, then of rows +8; of b: rows +0, +8 of columns +0, then of columns +8
  const int a_row = r + 8 * (matrix / 2), b_row = r + 8 * (matrix % 2);
  a_column += 8 * (matrix % 2);
  b_column += 8 * (matrix / 2);
  const int a_place[2] = {S::place(a_row, a_column), S::place(a_row, a_column + 16)};
  const int b_place[2] = {S::place(b_row, b_column), S::place(b_row, b_column + 16)};
  for (int k = first; k < first + count; k += 16) {
    uint32_t left[2][4], right[2][4];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      ldmatrix_x4_transposed(left[i], a + k * H + a_place[i]);
      ldmatrix_x4_transposed(right[i], b + k * H + b_place[i]);
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
template <int H, int warps = kWarps>
struct OuterShape {
  static constexpr int kSide = H / 32, kBlocks = kSide * kSide;
  static constexpr int kParts = kBlocks < warps ? warps / kBlocks : 1;
  static constexpr int kOuters = kBlocks < warps ? 1 : kBlocks / warps;
};
// Adds A^T B of two tiles of `rows` rows. Tensor cores cut off their sums, so that the error of a long one grows with
// its length: theirs are of one tile, float32 additions make the rest.
template <Precision P, int H, int warps, int rows, class T>
__device__ __forceinline__ void add_outers(Outer (&out)[OuterShape<H, warps>::kOuters], const T* a, const T* b) {
  using Shape = OuterShape<H, warps>;
#pragma unroll
  for (int o = 0; o < Shape::kOuters; ++o) {
    const int block = (warp_id() + o * warps) % Shape::kBlocks, part = warp_id() / Shape::kBlocks % Shape::kParts;
    Outer tile;
    set_zero(tile);
    add_outer<P, H>(tile, a, 32 * (block / Shape::kSide), b, 32 * (block % Shape::kSide), part * (rows / Shape::kParts),
                    rows / Shape::kParts);
#pragma unroll
    for (int v = 0; v < 8; ++v) {
#pragma unroll
      for (int e = 0; e < 4; ++e) out[o].c[v][e] += tile.c[v][e];
    }
  }
}
// Adds to, or sets, the block's partial result: kParts x (H, H) numbers in the order of the registers, as many whatever
// the number of warps; parts that no warp has are zero.
template <int H, int warps>
__device__ __forceinline__ void store_outers(float* partial, const Outer (&out)[OuterShape<H, warps>::kOuters],
                                             bool add) {
  using Shape = OuterShape<H, warps>;
#pragma unroll
  for (int o = 0; o < Shape::kOuters; ++o) {
    const int block = (warp_id() + o * warps) % Shape::kBlocks, part = warp_id() / Shape::kBlocks % Shape::kParts;
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
  if (add) return;
  constexpr int kOwn = Shape::kParts * H * H, kAll = OuterShape<H>::kParts * H * H;
  for (int k = kOwn + 4 * static_cast<int>(threadIdx.x); k < kAll; k += 4 * warps * kWarpSize) store4(partial + k, {});
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
