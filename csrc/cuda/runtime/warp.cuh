// Lanes of a warp and sums over them. Blocks are one-dimensional.
//
// A few kernels number their lanes by hand: inside a function the same arithmetic made the compiler take up to 10
// registers more there (fragments.cuh: Rows; segment_sum.cu; neighbor_list.cu: for_candidates).
#pragma once

#include "cuda/runtime/intrinsics.cuh"

namespace botan_fast::cuda {

__device__ __forceinline__ int lane_id() { return static_cast<int>(threadIdx.x) % kWarpSize; }
__device__ __forceinline__ int warp_id() { return static_cast<int>(threadIdx.x) / kWarpSize; }

// The sum over the lanes whose numbers differ from this one's in the bits first, 2 first, ... below `end`, or, where
// end is the smaller, first, first / 2, ... above it; each of these lanes gets it. The bits are the order of the sum.
template <int first = 1, int end = kWarpSize, class T>
__device__ __forceinline__ T warp_sum(T value) {
  if constexpr (first < end) {
    for (int bit = first; bit < end; bit *= 2) value += __shfl_xor_sync(kFullMask, value, bit);
  } else {
    for (int bit = first; bit > end; bit /= 2) value += __shfl_xor_sync(kFullMask, value, bit);
  }
  return value;
}

// Likewise of each of N numbers, upwards from a bit that only the launch knows.
template <class T, int N>
__device__ __forceinline__ void warp_sum(T (&values)[N], int first) {
  for (int bit = first; bit < kWarpSize; bit *= 2) {
#pragma unroll
    for (int n = 0; n < N; ++n) values[n] += __shfl_xor_sync(kFullMask, values[n], bit);
  }
}

// The sum over the lanes up to this one, itself included.
template <class T>
__device__ __forceinline__ T warp_scan(T value) {
  for (int offset = 1; offset < kWarpSize; offset *= 2) {
    const T before = __shfl_up_sync(kFullMask, value, offset);
    if (lane_id() >= offset) value += before;
  }
  return value;
}

// The sum over a block of kWarps full warps, on thread 0; shared (kWarps,). The order follows from kWarps alone.
template <int kWarps, class T>
__device__ __forceinline__ T block_sum(T value, T* shared) {
  value = warp_sum<kWarpSize / 2, 0>(value);
  if (lane_id() == 0) shared[warp_id()] = value;
  __syncthreads();
  T sum = shared[0];
  for (int w = 1; w < kWarps; ++w) sum += shared[w];
  __syncthreads();  // before the next call overwrites them
  return sum;
}

}  // namespace botan_fast::cuda
