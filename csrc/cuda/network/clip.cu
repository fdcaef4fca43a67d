// The norm of all gradients: a block leaves the sum of squares of kChunk numbers of one gradient in float64, a second
// kernel of one block adds these up in a fixed order. A network has some 70,000 numbers in 28 arrays: 45 blocks, 0.3
// MB.
#include "cuda/network/jobs.cuh"
#include "cuda/runtime/warp.cuh"

namespace botan_fast::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int64_t kChunk = 16 * kThreads;

using ClipJobs = Jobs<ClipGradient, 160>;

__global__ void __launch_bounds__(kThreads) squares_kernel(ClipJobs jobs, double* partial) {
  __shared__ double shared[kWarps];
  const JobBlock place = job_block(jobs);
  const ClipGradient gradient = jobs.job[place.job];
  const int64_t first = static_cast<int64_t>(place.block) * kChunk, end = min(first + kChunk, gradient.count);
  wait_for_earlier_kernels();
  let_later_kernels_begin();
  double squares = 0;
#pragma unroll 4
  for (int64_t k = first + threadIdx.x; k < end; k += kThreads) {
    const double value = static_cast<double>(gradient.values[k]);
    squares += value * value;
  }
  const double sum = block_sum<kWarps>(squares, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kThreads)
    clip_scale_kernel(const double* partial, int64_t num_chunks, double max_norm, float* norm, float* scale,
                      float* found_inf) {
  __shared__ double shared[kWarps];
  wait_for_earlier_kernels();
  let_later_kernels_begin();
  double sum = 0;
  for (int64_t c = threadIdx.x; c < num_chunks; c += kThreads) sum += partial[c];
  sum = block_sum<kWarps>(sum, shared);
  if (threadIdx.x > 0) return;
  const double root = __dsqrt_rn(sum), larger = (root + 1e-6) / max_norm;
  const float rounded = static_cast<float>(root);
  *norm = rounded;
  *scale = static_cast<float>(larger > 1 || larger != larger ? larger : 1.0);
  *found_inf = rounded - rounded == 0 ? 0.0f : 1.0f;  // inf - inf and nan - nan are nan
}

int64_t chunks_of(const ClipGradient& gradient) { return ceil_div(gradient.count, kChunk); }

}  // namespace

size_t clip_scale_workspace_bytes(const ClipGradient* gradients, int64_t num_gradients) {
  int64_t chunks = 0;
  for (int64_t g = 0; g < num_gradients; ++g) chunks += chunks_of(gradients[g]);
  return sizeof(double) * static_cast<size_t>(chunks);
}

void clip_scale(Stream stream, const ClipGradient* gradients, int64_t num_gradients, double max_norm, float* norm,
                float* scale, float* found_inf, Workspace workspace) {
  if (!(max_norm > 0)) {
    throw std::invalid_argument("clip_scale: max_norm = " + std::to_string(max_norm) + "; it must be positive");
  }
  for (int64_t g = 0; g < num_gradients; ++g) {
    if (gradients[g].count >= 0 && gradients[g].count <= kChunk * 2147483647) continue;
    throw std::invalid_argument("clip_scale: gradient " + std::to_string(g) + " has " +
                                std::to_string(gradients[g].count) + " numbers; it must have 0 to 2^43");
  }
  check_workspace("clip_scale", clip_scale_workspace_bytes(gradients, num_gradients), workspace);
  const DeviceGuard guard(stream);
  double* partial = static_cast<double*>(workspace.data);
  int64_t before = 0;  // chunks of the launches so far
  ClipJobs jobs;
  const auto run = [&] {
    if (jobs.count == 0) return;
    launch_early("squares", squares_kernel, dim3(jobs.blocks()), dim3(kThreads), 0, stream, jobs, partial + before);
    before += jobs.blocks();
    jobs.count = 0;
  };
  for (int64_t g = 0; g < num_gradients; ++g) {
    const int64_t chunks = chunks_of(gradients[g]);
    if (chunks == 0) continue;
    if (jobs.count == ClipJobs::kMost || jobs.blocks() + chunks > 2147483647) run();
    jobs.add(gradients[g], static_cast<unsigned>(chunks));
  }
  run();
  launch_early("clip_scale", clip_scale_kernel, dim3(1), dim3(kThreads), 0, stream, static_cast<const double*>(partial),
               before, max_norm, norm, scale, found_inf);
}

}  // namespace botan_fast::cuda
