// Where the weights and their gradients lie while a kernel walks over its rows.
#pragma once

#include "cuda/network/products.cuh"

namespace botan_fast::cuda {

template <int H>
constexpr bool kWeightsShared = H <= 64;  // else read from global memory: 128 x 128 matrices do not fit beside a tile

// Copies `count` packed (H, H) matrices to shared memory, one behind the other; all threads, ends with a barrier.
template <Precision P, int H, int warps = kWarps, int count>
__device__ __forceinline__ void load_weights(Bits4* shared, const Bits4* const (&packed)[count]) {
  constexpr int kVectors = static_cast<int>(packed_bytes<P>(H, H) / 16);
#pragma unroll
  for (int w = 0; w < count; ++w) {
    for (int v = static_cast<int>(threadIdx.x); v < kVectors; v += warps * kWarpSize) {
      cp_async_16(shared + w * kVectors + v, packed[w] + v);
    }
  }
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();
}

// Whether the kernels with weights and two tiles exist with half the warps, for GPUs with 99 KB of shared memory.
template <Precision P, int H>
constexpr bool kHalfBlocks = H == 64 && P != Precision::bf16;

// In registers the gradients of both matrices fit for H <= 64 only; else they are left to outer_kernel.
template <int H>
constexpr bool kFusedGradients = H <= 64;

}  // namespace botan_fast::cuda
