// Small kernels that show what the host emulation does, some of them deliberately broken.
#include "test_kernels.h"

#include <pybind11/stl.h>

#include <cstdint>
#include <vector>

#include "cuda/runtime/launch.cuh"

namespace py = pybind11;
using namespace botan_fast::cuda;

namespace {

const Stream kStream{0, nullptr};

// out[t] = in[n - 1 - t] through shared memory; without the barrier a thread may read what is not written yet.
template <bool barrier>
__global__ void reverse_kernel(const float* in, float* out) {
  __shared__ float row[256];
  const int t = static_cast<int>(threadIdx.x), n = static_cast<int>(blockDim.x);
  row[t] = in[blockIdx.x * blockDim.x + threadIdx.x];
  if (barrier) __syncthreads();
  out[blockIdx.x * blockDim.x + threadIdx.x] = row[n - 1 - t];
}

// The same within a warp, through dynamic shared memory.
template <bool barrier>
__global__ void warp_reverse_kernel(const float* in, float* out) {
  float* row = dynamic_shared<float>();
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize, first = static_cast<int>(threadIdx.x) - lane;
  row[threadIdx.x] = in[threadIdx.x];
  if (barrier) __syncwarp();
  out[threadIdx.x] = row[first + kWarpSize - 1 - lane];
}

// A copy through shared memory in two stages; `wait` and `barrier` may be left out.
template <bool wait, bool barrier>
__global__ void copy_kernel(const float* in, float* out) {
  float* tile = dynamic_shared<float>();
  const unsigned t = threadIdx.x, n = blockDim.x;
  cp_async_16(tile + 4 * t, in + 4 * t);
  cp_async_commit();
  cp_async_16(tile + 4 * (n + t), in + 4 * (n + t), t % 2 == 0);  // odd threads write zeros
  cp_async_commit();
  if (wait) cp_async_wait<1>();
  if (barrier) __syncthreads();
  const unsigned other = n - 1 - t;
  for (unsigned i = 0; i < 4; ++i) out[4 * t + i] = tile[4 * other + i];
  if (wait) cp_async_wait<0>();
  if (barrier) __syncthreads();
  for (unsigned i = 0; i < 4; ++i) out[4 * (n + t) + i] = tile[4 * (n + other) + i];
}

__global__ void divergent_barrier_kernel() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

__global__ void lonely_warp_operation_kernel(int* out) {
  if (threadIdx.x % 2 == 0) out[threadIdx.x] = __shfl_sync(kFullMask, 1, 0);
  __syncthreads();
}

__global__ void foreign_lane_kernel(int* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0xffffu, 1, 20);
}

__global__ void unnamed_lane_kernel() { __syncwarp(0xffffu); }

__global__ void check_kernel() { BOTAN_DEVICE_CHECK(threadIdx.x != 3, "thread 3 may not be here"); }

__global__ void beyond_shared_kernel(float* out) {
  float* row = dynamic_shared<float>();
  row[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = row[threadIdx.x + 1];
}

// out (18, blockDim): what each operation gives, one row per operation
__global__ void warp_operations_kernel(int* out) {
  const int t = static_cast<int>(threadIdx.x), n = static_cast<int>(blockDim.x), lane = t % kWarpSize;
  int row = 0;
  const auto put = [&](int value) { out[n * row++ + t] = value; };
  put(__shfl_sync(kFullMask, t, 5));
  put(__shfl_sync(kFullMask, t, lane + 1));
  put(__shfl_sync(kFullMask, t, 9, 8));
  put(__shfl_up_sync(kFullMask, t, 3));
  put(__shfl_up_sync(kFullMask, t, 3, 8));
  put(__shfl_down_sync(kFullMask, t, 3));
  put(__shfl_down_sync(kFullMask, t, 3, 8));
  put(__shfl_xor_sync(kFullMask, t, 6));
  put(static_cast<int>(__ballot_sync(kFullMask, lane % 3 == 0)));
  put(__all_sync(kFullMask, t < 40));
  put(__any_sync(kFullMask, t == 40));
  put(static_cast<int>(__match_any_sync(kFullMask, lane / 10)));
  put(__reduce_add_sync(kFullMask, t));
  put(__reduce_min_sync(kFullMask, t));
  put(__reduce_max_sync(kFullMask, t));
  put(__syncthreads_count(t % 5 == 0));
  put(__syncthreads_or(t == 7));
  put(__syncthreads_and(t != 7));
}

// Half a warp each: masks of parts of a warp, in different order. Threads that end early are not waited for.
__global__ void partial_masks_kernel(int* out) {
  const int t = static_cast<int>(threadIdx.x);
  if (t >= 48) return;
  const unsigned half = t % 32 < 16 ? 0x0000ffffu : 0xffff0000u;
  out[t] = __shfl_xor_sync(half, t, 1);
  __syncthreads();
  out[t] += 100 * __reduce_add_sync(half, 1);
}

__global__ void atomics_kernel(int* count, float* sum, int* least, unsigned long long* slots) {
  atomicAdd(count, 1);
  atomicAdd(sum, 0.5f);
  atomicMin(least, static_cast<int>(threadIdx.x) - 10);
  slots[atomicAdd(count + 1, 1)] = threadIdx.x + blockIdx.x * blockDim.x;
  atomicCAS(count + 2, 0, 7);
}

// Producer warp 0, consumer warp 1, through a barrier that the other warps do not know.
__global__ void named_barrier_kernel(int* out) {
  __shared__ int box[kWarpSize];
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = static_cast<int>(threadIdx.x) % kWarpSize;
  if (warp == 0) box[lane] = 3 * lane;
  if (warp < 2) named_barrier(1, 2 * kWarpSize);
  if (warp == 1) out[lane] = box[kWarpSize - 1 - lane];
}

// c (16, 8) += a (16, K) b (K, 8) in row-major arrays by one warp
__global__ void mma_tf32_kernel(const float* a, const float* b, float* c) {
  const unsigned g = threadIdx.x / 4, t = threadIdx.x % 4;
  const uint32_t fa[4] = {to_tf32(a[8 * g + t]), to_tf32(a[8 * (g + 8) + t]), to_tf32(a[8 * g + t + 4]),
                          to_tf32(a[8 * (g + 8) + t + 4])};
  const uint32_t fb[2] = {to_tf32(b[8 * t + g]), to_tf32(b[8 * (t + 4) + g])};
  float fc[4] = {c[8 * g + 2 * t], c[8 * g + 2 * t + 1], c[8 * (g + 8) + 2 * t], c[8 * (g + 8) + 2 * t + 1]};
  mma_tf32(fc, fa, fb);
  for (unsigned r = 0; r < 4; ++r) c[8 * (g + 8 * (r / 2)) + 2 * t + r % 2] = fc[r];
}

__global__ void mma_bf16_kernel(const float* a, const float* b, float* c) {
  // a through shared memory and ldmatrix, b packed by hand, so that each checks the other's layout
  __shared__ __align__(16) uint32_t tile[16 * 8];
  const unsigned g = threadIdx.x / 4, t = threadIdx.x % 4;
  for (unsigned i = threadIdx.x; i < 16 * 8; i += kWarpSize) tile[i] = pack_bf16(a[2 * i], a[2 * i + 1]);
  __syncwarp();
  const unsigned matrix = threadIdx.x / 8, row = threadIdx.x % 8 + 8 * (matrix % 2), column = 4 * (matrix / 2);
  uint32_t fa[4];
  ldmatrix_x4(fa, tile + 8 * row + column);
  const auto pair = [&](unsigned k) { return pack_bf16(b[8 * k + g], b[8 * (k + 1) + g]); };
  const uint32_t fb[2] = {pair(2 * t), pair(2 * t + 8)};
  float fc[4] = {c[8 * g + 2 * t], c[8 * g + 2 * t + 1], c[8 * (g + 8) + 2 * t], c[8 * (g + 8) + 2 * t + 1]};
  mma_bf16(fc, fa, fb);
  for (unsigned r = 0; r < 4; ++r) c[8 * (g + 8 * (r / 2)) + 2 * t + r % 2] = fc[r];
}

// out (4, 8, 8) = the transposes of in (4, 8, 8), bfloat16
__global__ void transpose_kernel(const uint32_t* in, uint32_t* out) {
  __shared__ __align__(16) uint32_t tile[4 * 8 * 4];
  for (unsigned i = threadIdx.x; i < 4 * 8 * 4; i += kWarpSize) tile[i] = in[i];
  __syncwarp();
  uint32_t fragment[4];
  ldmatrix_x4_transposed(fragment, tile + 4 * threadIdx.x);
  for (unsigned m = 0; m < 4; ++m) out[32 * m + 4 * (threadIdx.x / 4) + threadIdx.x % 4] = fragment[m];
}

__global__ void rounding_kernel(const float* in, uint32_t* tf32, uint32_t* bf16, int n) {
  const int i = static_cast<int>(threadIdx.x);
  if (i >= n) return;
  tf32[i] = to_tf32(in[i]);
  bf16[i] = pack_bf16(in[i], 0);
}

__global__ void many_barriers_kernel(int rounds, int* out) {
  for (int i = 0; i < rounds; ++i) __syncthreads();
  out[threadIdx.x] = rounds;
}

// out[t] = 2 in[t]; threads that have nothing to do may leave before the wait, or let others begin before it.
template <bool leaves, bool lets_begin>
__global__ void early_kernel(const float* in, float* out, unsigned n) {
  if (lets_begin) let_later_kernels_begin();
  if (leaves && threadIdx.x >= n) return;
  wait_for_earlier_kernels();
  if (!lets_begin) let_later_kernels_begin();
  if (threadIdx.x < n) out[threadIdx.x] = 2 * in[threadIdx.x];
}

template <class T>
T* at(std::uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

}  // namespace

void bind_test_kernels(py::module_& m) {
  using A = std::uintptr_t;
  m.def("reverse", [](A in, A out, unsigned blocks, unsigned threads, bool barrier) {
    launch("reverse", barrier ? reverse_kernel<true> : reverse_kernel<false>, dim3(blocks), dim3(threads), 0, kStream,
           at<const float>(in), at<float>(out));
  });
  m.def("warp_reverse", [](A in, A out, unsigned threads, bool barrier) {
    launch("warp_reverse", barrier ? warp_reverse_kernel<true> : warp_reverse_kernel<false>, dim3(1), dim3(threads),
           4 * threads, kStream, at<const float>(in), at<float>(out));
  });
  m.def("copy", [](A in, A out, unsigned threads, bool wait, bool barrier) {
    const auto kernel = wait ? (barrier ? copy_kernel<true, true> : copy_kernel<true, false>)
                             : (barrier ? copy_kernel<false, true> : copy_kernel<false, false>);
    launch("copy", kernel, dim3(1), dim3(threads), 32 * threads, kStream, at<const float>(in), at<float>(out));
  });
  m.def("divergent_barrier",
        [] { launch("divergent_barrier", divergent_barrier_kernel, dim3(1), dim3(64), 0, kStream); });
  m.def("lonely_warp_operation", [] {
    int out[32];
    launch("lonely_warp_operation", lonely_warp_operation_kernel, dim3(1), dim3(32), 0, kStream, out);
  });
  m.def("foreign_lane", [] {
    int out[32];
    launch("foreign_lane", foreign_lane_kernel, dim3(1), dim3(32), 0, kStream, out);
  });
  m.def("unnamed_lane", [] { launch("unnamed_lane", unnamed_lane_kernel, dim3(1), dim3(32), 0, kStream); });
  m.def("device_check", [] { launch("device_check", check_kernel, dim3(2), dim3(32), 0, kStream); });
  m.def("beyond_shared", [] {
    float out[32];
    launch("beyond_shared", beyond_shared_kernel, dim3(1), dim3(32), 32 * sizeof(float), kStream, out);
  });
  m.def("launch_shape", [](unsigned grid_x, unsigned grid_y, unsigned threads, std::size_t shared_bytes) {
    launch("launch_shape", unnamed_lane_kernel, dim3(grid_x, grid_y), dim3(threads), shared_bytes, kStream);
  });
  m.def("warp_operations", [](A out, unsigned threads) {
    launch("warp_operations", warp_operations_kernel, dim3(1), dim3(threads), 0, kStream, at<int>(out));
  });
  m.def("partial_masks",
        [](A out) { launch("partial_masks", partial_masks_kernel, dim3(1), dim3(64), 0, kStream, at<int>(out)); });
  m.def("atomics", [](A count, A sum, A least, A slots, unsigned blocks, unsigned threads) {
    launch("atomics", atomics_kernel, dim3(blocks), dim3(threads), 0, kStream, at<int>(count), at<float>(sum),
           at<int>(least), at<unsigned long long>(slots));
  });
  m.def("named_barrier",
        [](A out) { launch("named_barrier", named_barrier_kernel, dim3(1), dim3(128), 0, kStream, at<int>(out)); });
  m.def("mma_tf32", [](A a, A b, A c) {
    launch("mma_tf32", mma_tf32_kernel, dim3(1), dim3(32), 0, kStream, at<const float>(a), at<const float>(b),
           at<float>(c));
  });
  m.def("mma_bf16", [](A a, A b, A c) {
    launch("mma_bf16", mma_bf16_kernel, dim3(1), dim3(32), 0, kStream, at<const float>(a), at<const float>(b),
           at<float>(c));
  });
  m.def("transpose", [](A in, A out) {
    launch("transpose", transpose_kernel, dim3(1), dim3(32), 0, kStream, at<const uint32_t>(in), at<uint32_t>(out));
  });
  m.def("rounding", [](A in, A tf32, A bf16, int n) {
    launch("rounding", rounding_kernel, dim3(1), dim3(1024), 0, kStream, at<const float>(in), at<uint32_t>(tf32),
           at<uint32_t>(bf16), n);
  });
  m.def("early", [](A in, A out, unsigned n, bool leaves, bool lets_begin) {
    const auto kernel = leaves       ? early_kernel<true, false>
                        : lets_begin ? early_kernel<false, true>
                                     : early_kernel<false, false>;
    launch_early("early", kernel, dim3(1), dim3(64), 0, kStream, at<const float>(in), at<float>(out), n);
  });
  m.def("many_barriers", [](int rounds, A out) {
    launch("many_barriers", many_barriers_kernel, dim3(1), dim3(256), 0, kStream, rounds, at<int>(out));
  });
}
