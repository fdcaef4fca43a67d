// Packed weights of a perceptron: what each direction needs of W1 (H, K) and W2 (H, H), and the launch that makes it.
#pragma once

#include "cuda/network/jobs.cuh"
#include "cuda/network/products.cuh"
#include "cuda/runtime/arena.cuh"

namespace botan_fast::cuda {

// Slices (H, H) of B, one for H columns of a weight W (H, inputs):
//   rows times W^T:                   B[s H + k][n] = W[n][s H + k]
//   gradients times W (`backward`):   B[s H + k][n] = W[k][s H + n]
// and 0 beyond the inputs.
struct PackJob {
  const float* weight;
  int inputs, slices;
  bool backward;
  Bits4* out;
};
using PackJobs = Jobs<PackJob, 96>;

template <Precision P, int H>
__global__ void __launch_bounds__(kThreads) pack_kernel(PackJobs jobs) {
  const JobBlock place = job_block(jobs);
  const PackJob& job = jobs.job[place.job];
  const int index = static_cast<int>(place.block * kThreads + threadIdx.x), lane = index % kWarpSize;
  const int i = index / kWarpSize % kSteps<P>, r = index / kWarpSize / kSteps<P> % (H / 16);
  const int q = index / kWarpSize / kSteps<P> / (H / 16), t = lane % 4;
  let_later_kernels_begin();
  if (16 * q >= job.slices * H) return;
  const auto weight = [&](int k, int n) {
    const int row = job.backward ? k % H : n, column = job.backward ? k / H * H + n : k;
    return column < job.inputs ? job.weight[static_cast<int64_t>(row) * job.inputs + column] : 0.0f;
  };
  Bits4 packed;
  for (int j = 0; j < 2; ++j) {
    const int n = packed_column(r, j, lane);
    for (int s = 0; s < 2; ++s) {
      uint32_t& bits = packed.v[2 * j + s];
      if constexpr (P == Precision::bf16) {
        const int k = 16 * q + 4 * t + 2 * s;
        bits = pack_bf16(weight(k, n), weight(k + 1, n));
      } else {
        const float x = weight(16 * q + 4 * t + 2 * i + s, n);
        bits = P == Precision::tf32 ? to_tf32(x) : __float_as_uint(x);
      }
    }
  }
  job.out[index] = packed;
}

// Launched in full order: what it reads, the optimizer may have written just before.
template <Precision P, int H>
void pack(Stream stream, const PackJobs& jobs) {
  launch("pack", pack_kernel<P, H>, dim3(jobs.blocks()), dim3(kThreads), 0, stream, jobs);
}

// Where the packed weights of a perceptron lie. Those of the forward pass come first: a buffer that was made for both
// directions serves either.
template <Precision P, int H>
struct PackedMlp {
  static constexpr int64_t kMatrix = packed_bytes<P>(H, H) / 16;  // Bits4 of a slice
  int num_inputs, slices;                                         // of H inputs
  Bits4 *first, *second, *first_backward = nullptr, *second_backward = nullptr;

  PackedMlp(Arena& arena, int64_t inputs, bool backward)
      : num_inputs(static_cast<int>(inputs)), slices(ceil_div(num_inputs, H)) {
    first = arena.take<Bits4>(slices * kMatrix);
    second = arena.take<Bits4>(kMatrix);
    if (backward) add_backward(arena);
  }
  void add_backward(Arena& arena) {
    first_backward = arena.take<Bits4>(slices * kMatrix);
    second_backward = arena.take<Bits4>(kMatrix);
  }

  // columns H slice .. of W1
  const Bits4* first_slice(int slice) const { return first + slice * kMatrix; }
  const Bits4* backward_slice(int slice) const { return first_backward + slice * kMatrix; }

  static constexpr int kJobs = 4;
  void add_jobs(PackJobs& jobs, const float* w1, const float* w2) const {
    const auto add = [&](const float* weight, int inputs, bool backward, Bits4* out) {
      const int count = ceil_div(inputs, H), threads = count * (H / 16) * (H / 16) * kSteps<P> * kWarpSize;
      if (out) jobs.add({weight, inputs, count, backward, out}, static_cast<unsigned>(ceil_div(threads, kThreads)));
    };
    add(w1, num_inputs, false, first);
    add(w2, H, false, second);
    add(w1, num_inputs, true, first_backward);
    add(w2, H, true, second_backward);
  }
};

// That of the processor: MLP_e reads x_sender, x_receiver, e, e0 (x0_sender, x0_receiver), MLP_n x, x0 and the sum.
template <Precision P, int H>
struct PackedPair {
  PackedMlp<P, H> edge, node;
  PackedPair(Arena& arena, bool edge_node_skip, bool backward)
      : edge(arena, (edge_node_skip ? 6 : 4) * H, false), node(arena, 3 * H, false) {
    if (!backward) return;
    edge.add_backward(arena);
    node.add_backward(arena);
  }
  static constexpr int kJobs = 2 * PackedMlp<P, H>::kJobs;
  void add_jobs(PackJobs& jobs, const ProcessorWeights& w) const {
    edge.add_jobs(jobs, w.edge_w1, w.edge_w2);
    node.add_jobs(jobs, w.node_w1, w.node_w2);
  }
};

// The Packed (PackedMlp or PackedPair) that was given, or room for one in the arena.
template <class Packed, class Size>
Packed packed_weights(Arena& arena, const void* given, Size size, bool backward) {
  Arena other(const_cast<void*>(given));  // read only: who is given packed weights packs none
  return Packed(given ? other : arena, size, backward);
}

template <Precision P, int H>
size_t packed_part_bytes(int64_t num_inputs, bool processor, bool backward) {
  Arena arena(nullptr);
  if (processor) {
    PackedPair<P, H>(arena, num_inputs == 6 * H, backward);
  } else {
    PackedMlp<P, H>(arena, num_inputs, backward);
  }
  return arena.used();
}

// All parts of a network in one launch, or as many as there are jobs for.
template <Precision P, int H>
void pack_parts(Stream stream, const PackPart* parts, int64_t num_parts, bool backward) {
  PackJobs jobs;
  for (int64_t p = 0; p < num_parts; ++p) {
    const PackPart& part = parts[p];
    Arena arena(part.packed);
    if (part.processor) {
      PackedPair<P, H>(arena, part.num_inputs == 6 * H, backward).add_jobs(jobs, part.processor_weights);
    } else {
      PackedMlp<P, H>(arena, part.num_inputs, backward).add_jobs(jobs, part.mlp_weights.w1, part.mlp_weights.w2);
    }
    if (p + 1 < num_parts && jobs.count + PackedPair<P, H>::kJobs <= PackJobs::kMost) continue;
    pack<P, H>(stream, jobs);
    jobs = {};
  }
}

}  // namespace botan_fast::cuda
