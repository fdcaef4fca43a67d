// The loss of botan_fast_cuda.h and its gradient with respect to the predictions, in one pass over them.
//
// A block takes kChunk consecutive numbers of one part, whatever there is room for beyond them, and leaves their sum of
// squares in float64; a second kernel of one block adds these sums in a fixed order. Numbers beyond the last edge are
// not read and add nothing, so the bits do not depend on the room for edges either. Differences, squares and means are
// taken in float64 and rounded once: 0.7 MB are moved at N = 4096, and the launches take longer than the arithmetic.
#include "cuda/runtime/launch.cuh"
#include "cuda/runtime/warp.cuh"

namespace botan_fast::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kPerThread = 4;  // numbers: 16 bytes
constexpr int64_t kChunk = kThreads * kPerThread;

// ---- kernels ------------------------------------------------------------------------------------------------

using Numbers = Vec<float, kPerThread>;

// What both kernels know of a part, besides its numbers.
struct Part {
  int64_t capacity, num_chunks;
  double weight;
  bool given;
};

Part part_of(const LossPart& part) { return {part.capacity, ceil_div(part.capacity, kChunk), part.weight, part.given}; }

__device__ __forceinline__ int64_t count_of(int64_t capacity, const int32_t* count) {
  if (!count) return capacity;
  BOTAN_DEVICE_CHECK(*count >= 0 && *count <= capacity, "the number of edges is not larger than the room for them");
  return *count;
}

// Block b < node.num_chunks: chunk b of the nodes; the blocks after them: the edges.
__global__ void __launch_bounds__(kThreads)
    loss_kernel(LossPart node, LossPart edge, int64_t num_node_chunks, const int32_t* num_edges, double* partial) {
  __shared__ double shared[kWarps];
  wait_for_earlier_kernels();
  let_later_kernels_begin();
  const bool is_edge = blockIdx.x >= num_node_chunks;
  const LossPart part = is_edge ? edge : node;
  const int64_t chunk = is_edge ? blockIdx.x - num_node_chunks : blockIdx.x;
  const int64_t count = count_of(part.capacity, is_edge ? num_edges : nullptr);
  const int64_t first = chunk * kChunk + static_cast<int64_t>(threadIdx.x) * kPerThread;
  const double scale = 2 * part.weight / static_cast<double>(count);  // infinite, and not used, for count = 0
  Numbers prediction, target, gradient;
  if (first + kPerThread <= count) {
    prediction = *reinterpret_cast<const Numbers*>(part.prediction + first);
    target = *reinterpret_cast<const Numbers*>(part.target + first);
  } else {
#pragma unroll
    for (int n = 0; n < kPerThread; ++n) {
      const bool inside = first + n < count;
      prediction.v[n] = inside ? part.prediction[first + n] : 0.0f;
      target.v[n] = inside ? part.target[first + n] : 0.0f;
    }
  }
  double squares = 0;
#pragma unroll
  for (int n = 0; n < kPerThread; ++n) {
    const double difference = static_cast<double>(prediction.v[n]) - static_cast<double>(target.v[n]);
    squares += difference * difference;
    gradient.v[n] = first + n < count ? static_cast<float>(scale * difference) : 0.0f;
  }
  if (part.gradient) {
    if (first + kPerThread <= part.capacity) {
      *reinterpret_cast<Numbers*>(part.gradient + first) = gradient;
    } else {
#pragma unroll
      for (int n = 0; n < kPerThread; ++n) {
        if (first + n < part.capacity) part.gradient[first + n] = gradient.v[n];
      }
    }
  }
  const double sum = block_sum<kWarps>(squares, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// The sum of partial[0:num_chunks] on thread 0
__device__ __forceinline__ double add_chunks(const double* partial, int64_t num_chunks, double* shared) {
  double sum = 0;
  for (int64_t c = threadIdx.x; c < num_chunks; c += kThreads) sum += partial[c];
  return block_sum<kWarps>(sum, shared);
}

__global__ void __launch_bounds__(kThreads)
    add_losses_kernel(const double* partial, Part node, Part edge, const int32_t* num_edges, float* loss,
                      float* node_loss, float* edge_loss) {
  __shared__ double shared[kWarps];
  wait_for_earlier_kernels();
  let_later_kernels_begin();
  const double node_sum = add_chunks(partial, node.num_chunks, shared);
  const double edge_sum = add_chunks(partial + node.num_chunks, edge.num_chunks, shared);
  if (threadIdx.x > 0) return;
  // the mean over nothing is 0 / 0, not a number
  const double node_mean = node.given ? node_sum / static_cast<double>(node.capacity) : 0;
  const double edge_mean = edge.given ? edge_sum / static_cast<double>(count_of(edge.capacity, num_edges)) : 0;
  // a part without weight does not count, even where it is not a number
  const double total =
      (node.weight > 0 ? node.weight * node_mean : 0) + (edge.weight > 0 ? edge.weight * edge_mean : 0);
  *loss = static_cast<float>(total);
  *node_loss = static_cast<float>(node_mean);
  *edge_loss = static_cast<float>(edge_mean);
}

// ---- launches -----------------------------------------------------------------------------------------------

void check_part(const char* name, const LossPart& part) {
  if (part.capacity < 0 || (!part.given && part.capacity > 0)) {
    throw std::invalid_argument(std::string("loss: ") + name + ".capacity = " + std::to_string(part.capacity) +
                                "; it must be " + (part.given ? "0 or more" : "0 where the part is not given"));
  }
  if (!(part.weight >= 0)) {
    throw std::invalid_argument(std::string("loss: ") + name + ".weight = " + std::to_string(part.weight) +
                                "; it must not be negative");
  }
  for (const void* address : {static_cast<const void*>(part.prediction), static_cast<const void*>(part.target),
                              static_cast<const void*>(part.gradient)}) {
    if (reinterpret_cast<uintptr_t>(address) % 16) {
      throw std::invalid_argument(std::string("loss: an array of ") + name + " is not aligned to 16 bytes; copy it");
    }
  }
}

}  // namespace

size_t loss_workspace_bytes(int64_t node_capacity, int64_t edge_capacity) {
  return sizeof(double) * static_cast<size_t>(ceil_div(node_capacity, kChunk) + ceil_div(edge_capacity, kChunk));
}

void loss(Stream stream, const LossPart& node, const LossPart& edge, const int32_t* num_edges, float* loss,
          float* node_loss, float* edge_loss, Workspace workspace) {
  check_part("node", node);
  check_part("edge", edge);
  check_workspace("loss", loss_workspace_bytes(node.capacity, edge.capacity), workspace);
  const Part nodes = part_of(node), edges = part_of(edge);
  const int64_t blocks = nodes.num_chunks + edges.num_chunks;
  if (blocks > 2147483647) {
    throw std::invalid_argument("loss: " + std::to_string(edge.capacity) + " edges are too many for one launch");
  }
  const DeviceGuard guard(stream);
  double* partial = static_cast<double*>(workspace.data);
  if (blocks > 0) {
    launch_early("loss", loss_kernel, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, stream, node, edge,
                 nodes.num_chunks, num_edges, partial);
  }
  launch_early("add_losses", add_losses_kernel, dim3(1), dim3(kThreads), 0, stream, static_cast<const double*>(partial),
               nodes, edges, num_edges, loss, node_loss, edge_loss);
}

}  // namespace botan_fast::cuda
