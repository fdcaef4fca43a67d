// The second stage of sums over rows: partial sums of blocks, in a fixed order.
#pragma once

#include "cuda/network/jobs.cuh"
#include "cuda/network/outer.cuh"

namespace botan_fast::cuda {

// out = sum of the partial sums 0 .. slots - 1 in float64: each eighth of them in order, then the eighths.
struct ReduceJob {
  const float* partial;
  int64_t stride;  // numbers between two partial sums
  int slots;
  bool matrix;  // (H, H) as store_outers leaves it, else a vector of `columns`
  float* out;   // matrix: rows of `pitch`, from column `offset`, `columns` of them
  int pitch, offset, columns;
};

using ReduceJobs = Jobs<ReduceJob, 24>;

constexpr int kReduced = kWarpSize;  // numbers of a block

// A warp reads 32 numbers that lie side by side, and each of the block's warps an eighth of the partial sums: 528 of
// them, one behind the other, would be 528 times the latency of the second cache, divided by the loads in flight.
template <Precision P, int H>
__global__ void __launch_bounds__(kThreads) reduce_kernel(ReduceJobs jobs) {
  __shared__ double sums[kWarps][kReduced];
  const JobBlock place = job_block(jobs);
  const ReduceJob& job = jobs.job[place.job];
  const int index = static_cast<int>(place.block) * kReduced + lane_id(), warp = warp_id();
  int64_t to = index;
  bool wanted = index < job.columns;
  if (job.matrix) {
    const int block = index / 1024, v = index % 1024 / 128, lane = index % 128 / 4, e = index % 4;
    const int row = 32 * (block / OuterShape<H>::kSide) + outer_row<P>(v, e, lane);
    const int column = 32 * (block % OuterShape<H>::kSide) + outer_column<P>(v, e, lane);
    wanted = column < job.columns;
    to = static_cast<int64_t>(row) * job.pitch + job.offset + column;
  }
  const int first = job.slots * warp / kWarps, end = job.slots * (warp + 1) / kWarps;
  wait_for_earlier_kernels();
  let_later_kernels_begin();
  double sum = 0;
  if (wanted) {
#pragma unroll 8
    for (int s = first; s < end; ++s) sum += static_cast<double>(job.partial[s * job.stride + index]);
  }
  sums[warp][lane_id()] = sum;
  __syncthreads();
  if (warp > 0 || !wanted) return;
  for (int w = 1; w < kWarps; ++w) sum += sums[w][lane_id()];
  job.out[to] = static_cast<float>(sum);
}

template <Precision P, int H>
void reduce(Stream stream, const ReduceJobs& jobs) {
  launch_early("reduce", reduce_kernel<P, H>, dim3(jobs.blocks()), dim3(kThreads), 0, stream, jobs);
}

// Jobs that add up what `blocks` blocks left of a matrix, or of a vector.
template <int H>
void add_matrix(ReduceJobs& jobs, const float* partial, unsigned blocks, float* out, int pitch, int offset,
                int columns) {
  ReduceJob job{};
  job.partial = partial;
  job.stride = H * H;
  job.slots = static_cast<int>(blocks) * OuterShape<H>::kParts;
  job.matrix = true;
  job.out = out;
  job.pitch = pitch;
  job.offset = offset;
  job.columns = columns;
  jobs.add(job, H * H / kReduced);
}
inline void add_vector(ReduceJobs& jobs, const float* partial, int64_t stride, unsigned blocks, float* out,
                       int columns) {
  ReduceJob job{};
  job.partial = partial;
  job.stride = stride;
  job.slots = static_cast<int>(blocks);
  job.out = out;
  job.columns = columns;
  jobs.add(job, static_cast<unsigned>(ceil_div(columns, kReduced)));
}

}  // namespace botan_fast::cuda
