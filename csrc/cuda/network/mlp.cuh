// y = relu(W2 relu(W1 x + b1) + b2), with a third layer y = w3 . that + b3, and its gradients; for any K inputs.
// Rows stay in registers from x to y, as in message passing. `wide` is K > H: W1 and its gradient then stay in global
// memory, the gradient by slices of H columns of x (outer_kernel).
#pragma once

#include "cuda/network/dense.cuh"
#include "cuda/network/pack.cuh"
#include "cuda/network/reduce.cuh"
#include "cuda/network/weights.cuh"

namespace botan_fast::cuda {

template <Precision P>
__device__ __forceinline__ float factor(float x) {  // a factor of a product that is not on the tensor cores
  return P == Precision::bf16 ? low_bf16(pack_bf16(x, 0.0f)) : x;
}

struct MlpLayers {
  int64_t num_rows;
  int num_inputs;
  const float* x;               // (M, K)
  const Bits4 *first, *second;  // W1 with its rows padded to a multiple of 16, W2
  const float *b1, *b2, *w3, *b3;
};

__host__ __device__ constexpr int padded(int num_inputs) { return (num_inputs + 15) / 16 * 16; }

// Columns 16 q .. of the lane's rows of x; zeros beyond.
template <int H>
__device__ __forceinline__ void load_inputs(float (&terms)[2][4], const MlpLayers& a, int q, const Rows& rows) {
  const int column = 16 * q + 4 * (lane_id() % 4);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    Float4 x{};
    if (rows.valid[h] && a.num_inputs == H) {
      x = load4<false>(a.x + static_cast<int64_t>(rows.row[h]) * H + column);
    } else if (rows.valid[h]) {
#pragma unroll
      for (int m = 0; m < 4; ++m) {
        if (column + m < a.num_inputs) x.v[m] = a.x[static_cast<int64_t>(rows.row[h]) * a.num_inputs + column + m];
      }
    }
#pragma unroll
    for (int m = 0; m < 4; ++m) terms[h][m] = x.v[m];
  }
}

// hidden = relu(W1 x + b1), out = W2 hidden + b2
template <Precision P, int H, bool staged = kStaged<H>>
__device__ __forceinline__ void two_layers(Fragment<H>& hidden, Fragment<H>& out, const MlpLayers& a,
                                           const Bits4* first, const Bits4* second, const Rows& rows, float* scratch) {
  set_bias(hidden, a.b1);
#pragma unroll 1
  for (int q = 0; q < padded(a.num_inputs) / 16; ++q) {
    float terms[2][4];
    load_inputs<H>(terms, a, q, rows);
    multiply_block<P>(hidden, terms, first, q);
  }
  apply_relu(hidden);
  set_bias(out, a.b2);
  multiply<P, H, staged>(out, hidden, second, scratch);
}

// Two blocks per multiprocessor leave 128 registers, for H = 64 not enough for both factors of float32.
template <Precision P, int H>
constexpr bool kForwardStaged = kStaged<H> || (H == 64 && P == Precision::fp32);

template <Precision P, int H>
size_t mlp_forward_shared_bytes() {
  return (kWeightsShared<H> ? 2 * packed_bytes<P>(H, H) : 0) + (kForwardStaged<P, H> ? scratch_bytes<H>(kWarps) : 0);
}

template <Precision P, int H, bool wide>
__global__ void __launch_bounds__(kThreads, H > 64 || (wide && kForwardStaged<P, H>) ? 1 : 2)
    mlp_forward_kernel(MlpLayers a, float* y) {
  constexpr int kVectors = static_cast<int>(packed_bytes<P>(H, H) / 16);
  float* scratch = reinterpret_cast<float*>(dynamic_shared<Bits4>() + (kWeightsShared<H> ? 2 * kVectors : 0));
  wait_for_earlier_kernels();
  let_later_kernels_begin();
  const Bits4 *first = a.first, *second = a.second;
  if constexpr (kWeightsShared<H>) {
    Bits4* weights = dynamic_shared<Bits4>();
    if constexpr (wide) {
      const Bits4* const packed[1] = {a.second};
      load_weights<P, H>(weights, packed);
      second = weights;
    } else {
      const Bits4* const packed[2] = {a.first, a.second};
      load_weights<P, H>(weights, packed);
      first = weights;
      second = weights + kVectors;
    }
  }
  const int t = lane_id() % 4;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kTile;
  for (int64_t begin = static_cast<int64_t>(blockIdx.x) * kTile + 16 * warp_id(); begin < a.num_rows; begin += step) {
    const Rows rows(begin, a.num_rows);
    if (!wide && a.num_inputs == H) prefetch_rows<H>(a.x, begin + step, a.num_rows);
    Fragment<H> hidden, out;
    two_layers<P, H, kForwardStaged<P, H>>(hidden, out, a, first, second, rows, scratch);
    apply_relu(out);
    if (!a.w3) {
      store_rows(y, out, rows);
      continue;
    }
    float sum[2] = {0, 0};
#pragma unroll
    for (int q = 0; q < H / 16; ++q) {
      const Float4 w = load4<false>(a.w3 + 16 * q + 4 * t);
#pragma unroll
      for (int m = 0; m < 4; ++m) {
        for (int h = 0; h < 2; ++h) sum[h] += factor<P>(out.at(q, h, m)) * factor<P>(w.v[m]);
      }
    }
    for (int h = 0; h < 2; ++h) {
      sum[h] = warp_sum<1, 4>(sum[h]);
      if (t == 0 && rows.valid[h]) y[rows.row[h]] = sum[h] + a.b3[0];
    }
  }
}

template <Precision P>
struct MlpBackwardLayers {
  MlpLayers layers;
  const float* grad_y;                            // (M, H) or (M,)
  const Bits4 *first_backward, *second_backward;  // the first null where grad_x is
  float* grad_x;                                  // (M, K) or null
  int slices;                                     // wide: matrices (H, H) of first_backward, one for H columns of x
  float *partial, *vectors;    // per block: (kParts, H, H) of W2, then as much of W1; b1, b2, w3 (H,) each, b3 (4,)
  Stored<P>*dy, *hidden, *dz;  // without fused weight gradients: (M, H), their factors; wide: dz
};

template <int H>
constexpr int kMlpVectors = 3 * H + 4;

template <Precision P, int H, int warps = kWarps>
size_t mlp_backward_shared_bytes() {
  return (kWeightsShared<H> ? 3 * packed_bytes<P>(H, H) : 0) +
         (kFusedGradients<H> ? 2 * sizeof(Stored<P>) * kTileNumbers<H, warps> : scratch_bytes<H>(warps)) +
         sizeof(float) * warps * kMlpVectors<H>;
}

template <Precision P, int H, int warps, bool wide>
__global__ void __launch_bounds__(warps* kWarpSize, 1) mlp_backward_kernel(MlpBackwardLayers<P> a) {
  using T = Stored<P>;
  constexpr int kTile = 16 * warps, kNumbers = kTileNumbers<H, warps>;
  constexpr bool kFusedFirst = kFusedGradients<H> && !wide;
  constexpr bool kInShared = kStaged<H> || (H == 64 && P != Precision::bf16);  // for want of registers
  constexpr int kVectors = static_cast<int>(packed_bytes<P>(H, H) / 16);
  Bits4* weights = dynamic_shared<Bits4>();
  T* a_tile = reinterpret_cast<T*>(weights + (kWeightsShared<H> ? 3 * kVectors : 0));
  T* b_tile = a_tile + kNumbers;
  float* scratch = reinterpret_cast<float*>(a_tile);
  float* sums = kFusedGradients<H> ? reinterpret_cast<float*>(b_tile + kNumbers) : scratch + kNumbers;
  wait_for_earlier_kernels();
  let_later_kernels_begin();
  const Bits4 *first = a.layers.first, *second = a.layers.second, *second_backward = a.second_backward;
  if constexpr (kWeightsShared<H>) {
    if constexpr (wide) {
      const Bits4* const packed[2] = {second, second_backward};
      load_weights<P, H, warps>(weights, packed);
      second = weights;
      second_backward = weights + kVectors;
    } else {
      const Bits4* const packed[3] = {first, second, second_backward};
      load_weights<P, H, warps>(weights, packed);
      first = weights;
      second = weights + kVectors;
      second_backward = weights + 2 * kVectors;
    }
  }
  float* my_sums = sums + warp_id() * kMlpVectors<H>;
  for (int f = lane_id(); f < kMlpVectors<H>; f += kWarpSize) my_sums[f] = 0;
  __syncwarp();
  constexpr int kOuters = OuterShape<H, warps>::kOuters;
  Outer second_gradient[kOuters];
  [[maybe_unused]] Outer first_gradient[kOuters];
  if constexpr (kFusedGradients<H>) {
#pragma unroll
    for (int o = 0; o < kOuters; ++o) {
      set_zero(second_gradient[o]);
      set_zero(first_gradient[o]);
    }
  }
  const int t = lane_id() % 4, k = a.layers.num_inputs;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kTile;
  for (int64_t begin = static_cast<int64_t>(blockIdx.x) * kTile; begin < a.layers.num_rows; begin += step) {
    const Rows rows(begin + 16 * warp_id(), a.layers.num_rows);
    const int64_t next = begin + step + 16 * warp_id();
    if (!wide && k == H) prefetch_rows<H>(a.layers.x, next, a.layers.num_rows);
    if (!a.layers.w3) prefetch_rows<H>(a.grad_y, next, a.layers.num_rows);
    Fragment<H> dz;
    {
      Fragment<H> hidden, y;  // y: first the result before its ReLU, then the gradient of that
      two_layers<P, H, kInShared>(hidden, y, a.layers, first, second, rows, scratch);
      const Positive<H> hidden_positive(hidden), positive(y);
      if constexpr (kFusedGradients<H>) {
        stage<H>(b_tile, hidden);
      } else {
        store_rows(a.hidden, hidden, rows);
      }
      if (a.layers.w3) {
        float grad[2];
        for (int h = 0; h < 2; ++h) grad[h] = rows.valid[h] ? a.grad_y[rows.row[h]] : 0.0f;
        const float total = warp_sum(t == 0 ? grad[0] + grad[1] : 0.0f);
        if (lane_id() == 0) my_sums[3 * H] += total;
        for_each<H>([&](int q, int h, int m) { y.at(q, h, m) = factor<P>(grad[h]) * factor<P>(relu(y.at(q, h, m))); });
        add_column_sums(my_sums + 2 * H, y);
        set_bias(y, a.layers.w3);
        for_each<H>([&](int q, int h, int m) { y.at(q, h, m) = factor<P>(grad[h]) * factor<P>(y.at(q, h, m)); });
      } else {
        load_rows<H, true>(y, a.grad_y, rows);
      }
      positive.pass(y);
      add_column_sums(my_sums + H, y);
      if constexpr (kFusedGradients<H>) {
        stage<H>(a_tile, y);
      } else {
        store_rows(a.dy, y, rows);
      }
      set_zero(dz);
      multiply<P, H, kInShared>(dz, y, second_backward, scratch);
      hidden_positive.pass(dz);
      add_column_sums(my_sums, dz);
    }
    if constexpr (kFusedGradients<H>) {
      __syncthreads();
      add_outers<P, H, warps, kTile>(second_gradient, a_tile, b_tile);
      __syncthreads();
    }
    if constexpr (kFusedFirst) {
      stage<H>(a_tile, dz);
      Fragment<H> x;
      set_zero(x);
#pragma unroll
      for (int q = 0; q < H / 16; ++q) {
        if (16 * q >= k) continue;
        float terms[2][4];
        load_inputs<H>(terms, a.layers, q, rows);
#pragma unroll
        for (int h = 0; h < 2; ++h) {
#pragma unroll
          for (int m = 0; m < 4; ++m) x.at(q, h, m) = terms[h][m];
        }
      }
      stage<H>(b_tile, x);
      __syncthreads();
      add_outers<P, H, warps, kTile>(first_gradient, a_tile, b_tile);
      __syncthreads();
    } else {
      store_rows(a.dz, dz, rows);
    }
    if constexpr (wide) {
      for (int slice = 0; a.grad_x && slice < a.slices; ++slice) {
        Fragment<H> dx;
        set_zero(dx);
        multiply<P, H, kInShared>(dx, dz, a.first_backward + static_cast<int64_t>(slice) * kVectors, scratch);
        for_each<H>([&](int q, int h, int m) {
          const int column = slice * H + 16 * q + 4 * t + m;
          if (rows.valid[h] && column < k) a.grad_x[static_cast<int64_t>(rows.row[h]) * k + column] = dx.at(q, h, m);
        });
      }
    } else if (a.grad_x) {
      Fragment<H> dx;
      set_zero(dx);
      multiply<P, H, kInShared>(dx, dz, a.first_backward, scratch);
      if (k == H) {
        store_rows(a.grad_x, dx, rows);
      } else {
        for_each<H>([&](int q, int h, int m) {
          const int column = 16 * q + 4 * t + m;
          if (rows.valid[h] && column < k) a.grad_x[static_cast<int64_t>(rows.row[h]) * k + column] = dx.at(q, h, m);
        });
      }
    }
  }
  if constexpr (kFusedGradients<H>) {
    constexpr int64_t kPartial = OuterShape<H>::kParts * H * H;
    store_outers<H, warps>(a.partial + blockIdx.x * kPartial, second_gradient, false);
    if constexpr (kFusedFirst) {
      store_outers<H, warps>(a.partial + (gridDim.x + blockIdx.x) * kPartial, first_gradient, false);
    }
  }
  __syncthreads();
  for (int f = static_cast<int>(threadIdx.x); f < kMlpVectors<H>; f += warps * kWarpSize) {
    float total = 0;
    for (int w = 0; w < warps; ++w) total += sums[w * kMlpVectors<H> + f];
    a.vectors[blockIdx.x * kMlpVectors<H> + f] = total;
  }
}

// ---- launches -----------------------------------------------------------------------------------------------

inline unsigned mlp_blocks(Stream stream, int64_t num_rows, int per_processor) {
  const int64_t most = static_cast<int64_t>(per_processor) * num_multiprocessors(stream);
  return static_cast<unsigned>(std::max<int64_t>(1, std::min(most, ceil_div<int64_t>(num_rows, kTile))));
}

constexpr int kMaxSlices = 16;  // of x whose weight gradients are taken by one launch

template <Precision P, int H>
struct MlpPlan {
  PackedMlp<P, H> packed;
  int num_inputs, slices;  // of H inputs
  bool wide;
  float *partial[2] = {}, *vectors = nullptr;
  unsigned slice_blocks = 0;  // wide: blocks, and partial sums, of each slice
  Stored<P>*dy = nullptr, *hidden = nullptr, *dz = nullptr;
  // `given`: packed weights, or null; then there is room for them here
  MlpPlan(Arena& arena, Stream stream, int64_t num_rows, int64_t inputs, bool backward, const void* given)
      : packed(packed_weights<PackedMlp<P, H>>(arena, given, inputs, backward)),
        num_inputs(packed.num_inputs),
        slices(packed.slices),
        wide(num_inputs > H) {
    if (!backward) return;
    const int64_t blocks = mlp_blocks(stream, num_rows, 1), numbers = OuterShape<H>::kParts * H * H;
    const int64_t together = std::min(slices, kMaxSlices);
    slice_blocks = static_cast<unsigned>(std::max<int64_t>(1, blocks / together));
    partial[0] = arena.take<float>((blocks + (wide ? together * slice_blocks : blocks)) * numbers);
    partial[1] = partial[0] ? partial[0] + blocks * numbers : nullptr;
    vectors = arena.take<float>(blocks * kMlpVectors<H>);
    if (!kFusedGradients<H>) {
      for (Stored<P>** array : {&dy, &hidden}) *array = arena.take<Stored<P>>(num_rows * H);
    }
    if (!kFusedGradients<H> || wide) dz = arena.take<Stored<P>>(num_rows * H);
  }
  void pack_if_not(const void* given, Stream stream, const MlpWeights& w) const {
    if (given) return;
    PackJobs jobs;
    packed.add_jobs(jobs, w.w1, w.w2);
    pack<P, H>(stream, jobs);
  }
  // wide: gradient (H, K) = dz^T x, slice by slice; the last sums are left to the caller's reduce
  void first_gradient(Stream stream, int64_t num_rows, const float* x, float* gradient, ReduceJobs& sums) const {
    OuterJobs outers;
    for (int slice = 0; slice < slices; ++slice) {
      OuterJob job{};
      job.a = dz;
      job.a_stored = true;
      job.b = x + slice * H;
      job.b_columns = std::min(H, num_inputs - slice * H);
      job.b_pitch = num_inputs;
      job.rows = num_rows;
      job.partial = partial[1] + static_cast<int64_t>(outers.count) * slice_blocks * OuterShape<H>::kParts * H * H;
      outers.add(job, slice_blocks);
      add_matrix<H>(sums, job.partial, slice_blocks, gradient, num_inputs, slice * H, job.b_columns);
      if (outers.count < kMaxSlices && slice + 1 < slices) continue;
      outer<P, H>(stream, outers);
      if (slice + 1 == slices) return;
      reduce<P, H>(stream, sums);  // their place is taken by the next ones
      outers.count = sums.count = 0;
    }
  }
  MlpLayers layers(int64_t num_rows, const float* x, const MlpWeights& w) const {
    MlpLayers layers{};
    layers.num_rows = num_rows;
    layers.num_inputs = num_inputs;
    layers.x = x;
    layers.first = packed.first;
    layers.second = packed.second;
    layers.b1 = w.b1;
    layers.b2 = w.b2;
    layers.w3 = w.w3;
    layers.b3 = w.b3;
    return layers;
  }
};

template <Precision P, int H>
size_t mlp_bytes(Stream stream, int64_t num_rows, int64_t num_inputs, bool backward) {
  Arena arena(nullptr);
  const MlpPlan<P, H> plan(arena, stream, num_rows, num_inputs, backward, nullptr);
  return arena.used();
}

template <Precision P, int H>
void mlp_forward_with(Stream stream, const MlpForward& mlp, const void* packed, void* workspace) {
  Arena arena(workspace);
  const MlpPlan<P, H> plan(arena, stream, mlp.num_rows, mlp.num_inputs, false, packed);
  plan.pack_if_not(packed, stream, mlp.weights);
  const auto kernel = plan.wide ? mlp_forward_kernel<P, H, true> : mlp_forward_kernel<P, H, false>;
  launch_early("mlp_forward", kernel, dim3(mlp_blocks(stream, mlp.num_rows, 2)), dim3(kThreads),
               mlp_forward_shared_bytes<P, H>(), stream, plan.layers(mlp.num_rows, mlp.x, mlp.weights), mlp.y);
}

template <Precision P, int H>
void run_mlp_backward(Stream stream, bool wide, unsigned blocks, const MlpBackwardLayers<P>& layers) {
  const auto run = [&](auto kernel, int warps, size_t shared_bytes) {
    launch_early("mlp_backward", kernel, dim3(blocks), dim3(warps * kWarpSize), shared_bytes, stream, layers);
  };
  if constexpr (kHalfBlocks<P, H>) {
    if (mlp_backward_shared_bytes<P, H>() > max_shared_bytes(stream)) {
      constexpr int kFew = kFewWarps;
      const auto kernel = wide ? mlp_backward_kernel<P, H, kFew, true> : mlp_backward_kernel<P, H, kFew, false>;
      return run(kernel, kFew, mlp_backward_shared_bytes<P, H, kFew>());
    }
  }
  const auto kernel = wide ? mlp_backward_kernel<P, H, kWarps, true> : mlp_backward_kernel<P, H, kWarps, false>;
  run(kernel, kWarps, mlp_backward_shared_bytes<P, H>());
}

template <Precision P, int H>
void mlp_backward_with(Stream stream, const MlpBackward& mlp, const void* packed, void* workspace) {
  Arena arena(workspace);
  const MlpPlan<P, H> plan(arena, stream, mlp.num_rows, mlp.num_inputs, true, packed);
  plan.pack_if_not(packed, stream, mlp.weights);
  const unsigned blocks = mlp_blocks(stream, mlp.num_rows, 1);
  MlpBackwardLayers<P> layers{};
  layers.layers = plan.layers(mlp.num_rows, mlp.x, mlp.weights);
  layers.grad_y = mlp.grad_y;
  layers.first_backward = plan.packed.first_backward;
  layers.second_backward = plan.packed.second_backward;
  layers.grad_x = mlp.grad_x;
  layers.slices = plan.slices;
  layers.partial = plan.partial[0];
  layers.vectors = plan.vectors;
  layers.dy = plan.dy;
  layers.hidden = plan.hidden;
  layers.dz = plan.dz;
  run_mlp_backward<P, H>(stream, plan.wide, blocks, layers);
  if (!kFusedGradients<H>) {
    OuterJob second{}, first{};
    second.a = plan.dy;
    second.b = plan.hidden;
    second.b_stored = true;
    second.b_columns = H;
    second.partial = plan.partial[0];
    first.a = plan.dz;
    first.b = mlp.x;
    first.b_columns = plan.num_inputs;
    first.partial = plan.partial[1];
    OuterJobs jobs;
    for (OuterJob* job : {&second, &first}) {
      job->a_stored = true;
      job->rows = mlp.num_rows;
      if (job == &second || !plan.wide) jobs.add(*job, blocks);
    }
    outer<P, H>(stream, jobs);
  }
  const MlpGradients& gradients = mlp.gradients;
  ReduceJobs sums;
  if (plan.wide) {
    plan.first_gradient(stream, mlp.num_rows, mlp.x, gradients.w1, sums);
  } else {
    add_matrix<H>(sums, plan.partial[1], blocks, gradients.w1, plan.num_inputs, 0, plan.num_inputs);
  }
  add_matrix<H>(sums, plan.partial[0], blocks, gradients.w2, H, 0, H);
  add_vector(sums, plan.vectors, kMlpVectors<H>, blocks, gradients.b1, H);
  add_vector(sums, plan.vectors + H, kMlpVectors<H>, blocks, gradients.b2, H);
  if (mlp.weights.w3) {
    add_vector(sums, plan.vectors + 2 * H, kMlpVectors<H>, blocks, gradients.w3, H);
    add_vector(sums, plan.vectors + 3 * H, kMlpVectors<H>, blocks, gradients.b3, 1);
  }
  reduce<P, H>(stream, sums);
}

}  // namespace botan_fast::cuda
