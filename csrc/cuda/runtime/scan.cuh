// Exclusive sums of non-negative int32 counts, accumulated in int64, in an order that does not matter: integers.
#pragma once

#include "cuda/runtime/launch.cuh"
#include "cuda/runtime/warp.cuh"

namespace botan_fast::cuda {

constexpr int kScanThreads = 256;
constexpr int kScanItems = 16;  // numbers of one thread
constexpr int64_t kScanTile = kScanThreads * kScanItems;

// The sum of `value` over the threads before this one; `total` is that of all kNumWarps warps. Contains two barriers,
// the first before anything is written: `shared` may be reused.
template <int kNumWarps>
__device__ __forceinline__ int64_t block_scan(int64_t value, int64_t (&shared)[kNumWarps], int64_t& total) {
  const int warp = warp_id();
  const int64_t sum = warp_scan(value);
  __syncthreads();
  if (lane_id() == kWarpSize - 1) shared[warp] = sum;
  __syncthreads();
  int64_t base = 0;
  total = 0;
#pragma unroll
  for (int w = 0; w < kNumWarps; ++w) {
    base += w < warp ? shared[w] : 0;
    total += shared[w];
  }
  return base + sum - value;
}

// True in the block that ends its work last: it sees what all blocks wrote before. `done` starts at 0.
__device__ __forceinline__ bool is_last_block(int32_t* done) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicAdd(done, 1) == static_cast<int32_t>(gridDim.x) - 1;
  __syncthreads();
  __threadfence();
  return last;
}

// The sum of in[0..n), which other blocks wrote in this kernel; and with `out`, out[i] = sum of in[0..i). One block.
template <class In>
__device__ __forceinline__ int64_t scan_in_one_block(const In* in, int64_t n, int64_t* out) {
  __shared__ int64_t warp_sums[kScanThreads / kWarpSize];
  const volatile In* fresh = in;  // not from L1
  int64_t before = 0;
  for (int64_t tile = 0; tile < n; tile += kScanTile) {
    const int64_t begin = tile + threadIdx.x * kScanItems;
    int64_t sum = 0, total;
    In mine[kScanItems];
#pragma unroll
    for (int k = 0; k < kScanItems; ++k) sum += mine[k] = begin + k < n ? fresh[begin + k] : In(0);
    int64_t running = before + block_scan(sum, warp_sums, total);
#pragma unroll
    for (int k = 0; k < kScanItems; ++k) {
      if (out && begin + k < n) out[begin + k] = running;
      running += mine[k];
    }
    before += total;
  }
  return before;
}

// First of two kernels: tile_begin[t] = sum over all tiles before t, and `finish(total)` in thread 0 of the last block.
template <class Finish>
__global__ void __launch_bounds__(kScanThreads) scan_tiles_kernel(const int32_t* in, int64_t n, int64_t* tile_sum,
                                                                  int64_t* tile_begin, int32_t* done, Finish finish) {
  __shared__ int64_t warp_sums[kScanThreads / kWarpSize];
  int64_t sum = 0, total;
  for (int64_t k = threadIdx.x; k < kScanTile; k += kScanThreads) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * kScanTile + k;
    sum += i < n ? in[i] : 0;
  }
  block_scan(sum, warp_sums, total);
  if (threadIdx.x == 0) tile_sum[blockIdx.x] = total;
  if (!is_last_block(done)) return;
  total = scan_in_one_block(tile_sum, gridDim.x, tile_begin);
  if (threadIdx.x == 0) finish(total);
}

// The sums of one tile: out[i] for its elements, and out[n] in the last tile. All 0 where `usable` says no. Returns the
// total of the tile.
template <class Usable>
__device__ __forceinline__ int64_t scan_tile(const int32_t* in, int64_t n, int64_t tile, int64_t before, int32_t* out,
                                             Usable usable) {
  __shared__ int64_t warp_sums[kScanThreads / kWarpSize];
  const volatile int32_t* fresh = in;
  const int64_t begin = tile * kScanTile + threadIdx.x * kScanItems;
  int32_t mine[kScanItems];
  int64_t sum = 0, total;
#pragma unroll
  for (int k = 0; k < kScanItems; ++k) sum += mine[k] = begin + k < n ? fresh[begin + k] : 0;
  int64_t running = before + block_scan(sum, warp_sums, total);
  const bool good = usable();
#pragma unroll
  for (int k = 0; k < kScanItems; ++k) {
    if (begin + k < n) out[begin + k] = good ? static_cast<int32_t>(running) : 0;
    running += mine[k];
    if (begin + k == n - 1) out[n] = good ? static_cast<int32_t>(running) : 0;
  }
  return total;
}

// Second of two kernels.
template <class Usable>
__global__ void __launch_bounds__(kScanThreads)
    scan_apply_kernel(const int32_t* in, int64_t n, const int64_t* tile_begin, int32_t* out, Usable usable) {
  scan_tile(in, n, blockIdx.x, tile_begin[blockIdx.x], out, usable);
}

}  // namespace botan_fast::cuda
