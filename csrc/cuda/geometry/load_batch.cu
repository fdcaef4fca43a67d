// The batch of a captured training step: configurations that lie end to end become one graph of fixed size.
//
// A thread makes one row of the result: an edge of the room for edges, or a particle. Which configurations, from where
// to where, and how each is turned is read from device memory, so that a CUDA graph that holds this kernel serves every
// batch. Vectors are turned by products and sums in a fixed order, which are not contracted in this folder: the bits
// are those of the definition in plain torch. 56 bytes are moved per edge, 9 MB at N = 4096: some 4 us.
#include <limits>

#include "cuda/runtime/launch.cuh"

namespace botan_fast::cuda {
namespace {

constexpr int kThreads = 256;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Where a configuration comes from and where it goes in the batch: a row of `places`.
struct Place {
  int64_t node_source, edge_source, node_begin, edge_begin;
};

__device__ __forceinline__ Place place_of(const int64_t* places, int64_t g) {
  return {places[4 * g], places[4 * g + 1], places[4 * g + 2], places[4 * g + 3]};
}

// The last configuration that begins at `row` or before; column 2 is of nodes, 3 of edges. Empty ones are passed over.
__device__ __forceinline__ int64_t find_place(const int64_t* places, int64_t num_graphs, int column, int64_t row) {
  int64_t low = 0, high = num_graphs;  // places[low] <= row < places[high]
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (places[4 * middle + column] <= row ? low : high) = middle;
  }
  return low;
}

__device__ __forceinline__ void turn(const float* rotation, const float* from, float* to, int dimensions) {
  for (int i = 0; i < dimensions; ++i) {
    float sum = from[0] * rotation[dimensions * i];
    for (int j = 1; j < dimensions; ++j) sum += from[j] * rotation[dimensions * i + j];
    to[i] = sum;
  }
}

__device__ __forceinline__ void load_edge(const BatchSource& source, const BatchChoice& choice, const Batch& batch,
                                          int64_t num_edges, int64_t row) {
  const int dimensions = batch.dimensions;
  if (row >= num_edges) {  // 0 -> 0, its own reverse, outside of every row of row_ptr; its target is not known
    batch.senders[row] = batch.receivers[row] = 0;
    batch.reverse[row] = static_cast<int32_t>(row);
    for (int d = 0; d < dimensions; ++d) batch.vectors[row * dimensions + d] = 0;
    for (int d = 0; batch.inherent_vectors && d < dimensions; ++d) batch.inherent_vectors[row * dimensions + d] = 0;
    for (int k = 0; k < batch.edge_columns; ++k) batch.edge_targets[row * batch.edge_columns + k] = kNan;
    return;
  }
  const int64_t graph = find_place(choice.places, choice.num_graphs, 3, row);
  const Place place = place_of(choice.places, graph);
  const int64_t from = place.edge_source + row - place.edge_begin;
  BOTAN_DEVICE_CHECK(from >= 0 && from < source.num_edges, "places name edges of the configurations");
  batch.senders[row] = source.senders[from] + static_cast<int32_t>(place.node_begin);
  batch.receivers[row] = source.receivers[from] + static_cast<int32_t>(place.node_begin);
  batch.reverse[row] = source.reverse[from] + static_cast<int32_t>(place.edge_begin);
  const float* rotation = choice.rotations + graph * dimensions * dimensions;
  turn(rotation, source.vectors + from * dimensions, batch.vectors + row * dimensions, dimensions);
  if (batch.inherent_vectors) {
    turn(rotation, source.inherent_vectors + from * dimensions, batch.inherent_vectors + row * dimensions, dimensions);
  }
  for (int k = 0; k < batch.edge_columns; ++k) {
    batch.edge_targets[row * batch.edge_columns + k] = source.edge_targets[from * batch.edge_columns + k];
  }
}

__device__ __forceinline__ void load_node(const BatchSource& source, const BatchChoice& choice, const Batch& batch,
                                          int64_t row) {
  const Place place = place_of(choice.places, find_place(choice.places, choice.num_graphs, 2, row));
  const int64_t from = place.node_source + row - place.node_begin;
  BOTAN_DEVICE_CHECK(from >= 0 && from < source.num_nodes, "places name particles of the configurations");
  batch.types[row] = source.types[from];
  batch.row_ptr[row] = source.row_begin[from] + static_cast<int32_t>(place.edge_begin);
  const int first = batch.node_columns - batch.noise_columns;
  for (int c = 0; c < batch.node_columns; ++c) {
    float number = source.numbers[from * batch.node_columns + c];
    if (c >= first) number += choice.noise[row * batch.noise_columns + c - first] * choice.noise_widths[c - first];
    batch.numbers[row * batch.node_columns + c] = number;
  }
}

__global__ void __launch_bounds__(kThreads) load_batch_kernel(BatchSource source, BatchChoice choice, Batch batch) {
  const Place end = place_of(choice.places, choice.num_graphs);
  const int64_t num_edges = end.edge_begin;
  BOTAN_DEVICE_CHECK(num_edges >= 0 && num_edges <= batch.capacity, "the edges of the batch fit its room");
  BOTAN_DEVICE_CHECK(end.node_begin == batch.num_nodes, "the batch has as many particles as its arrays");
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (row < batch.capacity) load_edge(source, choice, batch, num_edges, row);
  if (row < batch.num_nodes) load_node(source, choice, batch, row);
  if (row == 0) {
    batch.row_ptr[batch.num_nodes] = static_cast<int32_t>(num_edges);
    batch.status[0] = num_edges;
    batch.status[1] = 0;
  }
}

void check_size(const char* name, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return;
  throw std::invalid_argument(std::string("load_batch: ") + name + " = " + std::to_string(value) + "; it must be " +
                              std::to_string(least) + " to " + std::to_string(most));
}

}  // namespace

void load_batch(Stream stream, const BatchSource& source, const BatchChoice& choice, const Batch& batch) {
  constexpr int64_t kMost = 2147483647;
  check_size("num_nodes", batch.num_nodes, 1, kMost);
  check_size("capacity", batch.capacity, 0, kMost);
  check_size("dimensions", batch.dimensions, 2, 3);
  check_size("num_graphs", choice.num_graphs, 1, batch.num_nodes);
  check_size("node_columns", batch.node_columns, 0, kMost);
  check_size("noise_columns", batch.noise_columns, 0, batch.node_columns);
  const DeviceGuard guard(stream);
  const int64_t rows = std::max(batch.num_nodes, batch.capacity);
  launch("load_batch", load_batch_kernel, dim3(static_cast<unsigned>(ceil_div<int64_t>(rows, kThreads))),
         dim3(kThreads), 0, stream, source, choice, batch);
}

}  // namespace botan_fast::cuda
