// The CUDA side of the core: the operations of botan_fast.h on device memory. No torch, no Python, no CUDA header.
//
// All addresses are device addresses, arrays dense and row-major. Rules that hold for every function:
//
//   - It queues its work on the given stream of the given device and returns; it never waits for the device and
//     reads no device memory, hence it can be captured in a CUDA graph.
//   - It allocates nothing. Scratch memory is a Workspace that the caller owns until the stream has passed the call;
//     X_workspace_bytes, with the same sizes, says how many bytes X needs (0: a null one will do). Any address that
//     cudaMalloc or a caching allocator returns is aligned well enough (256 bytes).
//   - Bad sizes are std::invalid_argument; a failed launch is std::runtime_error, whose message names the kernel.
//   - Results are bitwise repeatable: no floating-point atomics, and the order of every sum follows from sizes and
//     topology alone.
//   - Arrays are not validated beforehand, since that would wait for the device. Where an index leads out of an
//     array the kernel stops with a device assertion, as torch's own indexing does.
#pragma once

#include <cstddef>
#include <cstdint>

#include "botan_fast.h"

namespace botan_fast::cuda {

// Where work goes: the index of the device and its cudaStream_t (null: the default stream).
struct Stream {
  int device;
  void* handle;
};

// Scratch memory on the device.
struct Workspace {
  void* data;
  size_t bytes;
};

// ---- build (cuda/runtime/build.cu) --------------------------------------------------------------------------

// The architectures of the binary, as CMake was given them ("80-real 90-real 90-virtual"), and the toolkit's
// version ("13.0"). Neither touches the driver.
const char* architectures();
const char* toolkit_version();

// Whether the device can run these kernels: compute capability 8.0 or more, for tf32, bfloat16 and asynchronous copies.
// 10 major + minor of it.
int compute_capability(Stream stream);
bool can_run(Stream stream);

// ---- sums (cuda/network/segment_sum.cu) ---------------------------------------------------------------------

// T = float or double, I = int32_t or int64_t. Sums are taken in float64 and rounded once.

// out[i, f] = sum of values[row(k), f] for row_ptr[i] <= k < row_ptr[i + 1], where row(k) = order[k], or k where
// order is null; values (num_rows, F), row_ptr (N+1,), order (num_order,), out (N, F). Without an order,
// num_order = num_rows.
size_t segment_sum_workspace_bytes(int64_t num_order, int64_t width, int64_t num_segments);
template <class T, class I>
void segment_sum(Stream stream, const T* values, int64_t num_rows, int64_t width, const I* row_ptr,
                 int64_t num_segments, const I* order, int64_t num_order, T* out, Workspace workspace);

// The transpose: out[e, f] = values[i, f] for row_ptr[i] <= e < row_ptr[i + 1]; values (N, F), out (num_rows, F)
template <class T, class I>
void segment_expand(Stream stream, const T* values, int64_t num_segments, int64_t width, const I* row_ptr,
                    int64_t num_rows, T* out);

// row_ptr of a sorted index: row_ptr[i] = number of k with index[k] < i; index (num_rows,) in [0, num_segments),
// row_ptr (num_segments + 1,)
void row_ptr_of_sorted(Stream stream, const int64_t* index, int64_t num_rows, int64_t num_segments, int64_t* row_ptr);

// ---- neighbour list (cuda/geometry/neighbor_list.cu) --------------------------------------------------------

// How candidates are found; all ways give the same bits. By default the sizes decide.
enum class NeighborPath {
  automatic,
  brute_force,     // all particles of a graph
  cells_by_block,  // cells, each graph binned by one block; graphs of at most 8192 particles
  cells_by_grid,   // cells, binned by all blocks
};

// One configuration or a batch of them. Host memory: graph_ptr, which rises from 0 to num_nodes, and cells. They are
// read during the call and copied into kernel arguments; a CUDA graph keeps those of its capture.
struct NeighborInput {
  const double* positions;  // (N, D)
  int64_t num_nodes;
  int dimensions;
  const int64_t* graph_ptr;  // (G+1,), host: particles of graph g are graph_ptr[g]:graph_ptr[g+1]
  const double* cells;       // (G, D, D) row vectors, host; heights of at least 2 * cutoff, which the caller checks
  int64_t num_graphs;
  double cutoff;
  bool self_edges;
  NeighborPath path;
};

// The edges of NeighborSearch (botan_fast.h), bit for bit; those of a batch are the disjoint union of its graphs. In
// two calls, so that arrays of the right size can be made between them:
//
//   neighbor_list_count      row_ptr (N+1,) and status (2,) int64 on the device
//   neighbor_list_fill_...   the arrays, from the same input, row_ptr and workspace
//
// status[0] is the number of edges, also where it is more than max_edges. status[1] is 0, or a sum of
//   1  a position is not finite, or lies 2**30 box lengths or more from the origin
//   2  two particles are at one point
//   4  more than max_edges edges
// and then row_ptr is 0 everywhere: a graph without edges. Nothing is ever written beyond max_edges.
size_t neighbor_list_workspace_bytes(int64_t num_nodes, int64_t num_graphs, int dimensions);
void neighbor_list_count(Stream stream, const NeighborInput& input, int64_t max_edges, int32_t* row_ptr,
                         int64_t* status, Workspace workspace);

// senders, receivers, reverse (max_edges,), vectors (max_edges, D), max_edges that of the count or the number of edges.
// Edges beyond the last one go 0 -> 0 with the zero vector, outside of every row, each its own reverse.
void neighbor_list_fill_graph(Stream stream, const NeighborInput& input, const int32_t* row_ptr, int64_t max_edges,
                              int32_t* senders, int32_t* receivers, int32_t* reverse, float* vectors,
                              Workspace workspace);

// The arrays of NeighborSearch::fill_pairs; null pointers leave all but `second` out.
void neighbor_list_fill_pairs(Stream stream, const NeighborInput& input, const int32_t* row_ptr, int64_t* first,
                              int64_t* second, double* vectors, double* distances, int64_t* shifts,
                              Workspace workspace);

// ---- targets (cuda/geometry/targets.cu) ---------------------------------------------------------------------

// The graph of isoconfigurational_targets (botan_fast.h): one configuration. cell (D, D) in host memory.
struct TargetInput {
  const double* initial_positions;  // (N, D)
  int64_t num_nodes, num_edges;
  int dimensions;
  const double* cell;
  const int32_t *senders, *receivers, *reverse;
  const float* vectors;
};

// Adds runs (num_runs, N, D) to node_sum (N,) and edge_sum (E,); the first call (`first`) sets them. Many calls with
// parts of the runs, in their order, give the bits of one call with all, and of the CPU. status (2,) int32, cleared by
// the caller: status[0] becomes 1 where a position is not finite.
template <class T>
void targets_accumulate(Stream stream, const TargetInput& input, const T* trajectories, int64_t num_runs, bool first,
                        double* node_sum, double* edge_sum, int32_t* status);

// propensity (N,), pair_change (E,) from the sums over num_runs runs; status[1] becomes 1 where an edge of the graph
// differs in length by more than 1e-4 from that of initial_positions.
void targets_finish(Stream stream, const TargetInput& input, int64_t num_runs, const double* node_sum,
                    const double* edge_sum, float* propensity, float* pair_change, int32_t* status);

// ---- packed weights (cuda/network/dispatch.cu) --------------------------------------------------------------

// The kernels read weights in an order of their own. processor_... and mlp_... put them into it in their workspace, a
// launch for each call; or take what pack_weights made of all parts of a network in one launch.

// A perceptron of K inputs, or the two of a processor; packed: a buffer of packed_bytes, aligned to 16 bytes.
struct PackPart {
  int64_t num_inputs;  // K; of a processor the inputs of MLP_e, 4 H or 6 H
  bool processor;
  MlpWeights mlp_weights;  // of which W1 and W2 are read
  ProcessorWeights processor_weights;
  void* packed;
};

// `backward`: also what the backward pass reads. Such a buffer serves the forward pass too.
size_t packed_bytes(int64_t num_inputs, bool processor, int hidden_size, bool backward, Precision precision);
void pack_weights(Stream stream, const PackPart* parts, int64_t num_parts, int hidden_size, bool backward,
                  Precision precision);

// ---- message passing (cuda/network/dispatch.cu) -------------------------------------------------------------

// The operations of botan_fast.h, with the same structs, for hidden_size 32, 64 and 128. Every array must be aligned to
// 16 bytes. In the backward pass grad_e0 also holds intermediate results. The number of edges is row_ptr[num_nodes],
// read on the device; num_edges is what the arrays have room for. Rows beyond the edges are not read, and zeros in
// results (history aside). So one CUDA graph serves all graphs of N nodes that fit. packed: these weights as
// pack_weights left them in this precision, in the backward pass with `backward`; or null.

// Whether there are kernels for this width, and a block of the device has the shared memory that they take in this
// precision; perceptrons too.
bool has_message_passing(Stream stream, int hidden_size, Precision precision);

size_t processor_forward_workspace_bytes(Stream stream, const ProcessorShape& shape, bool keep, Precision precision);
void processor_forward(Stream stream, const ProcessorForward& processor, const void* packed, Workspace workspace);
size_t processor_backward_workspace_bytes(Stream stream, const ProcessorShape& shape, Precision precision);
void processor_backward(Stream stream, const ProcessorBackward& processor, const void* packed, Workspace workspace);

// ---- multilayer perceptrons (cuda/network/dispatch.cu) ------------------------------------------------------

// As in botan_fast.h, for 1 <= num_inputs <= 65536; all layers are computed again in the backward pass, which
// does not read y.
size_t mlp_workspace_bytes(Stream stream, int64_t num_rows, int64_t num_inputs, int hidden_size, bool backward,
                           Precision precision);
void mlp_forward(Stream stream, const MlpForward& mlp, const void* packed, Workspace workspace);
void mlp_backward(Stream stream, const MlpBackward& mlp, const void* packed, Workspace workspace);

// ---- loss (cuda/network/loss.cu) ----------------------------------------------------------------------------

// Mean squared difference of one kind of prediction and its target, float32, aligned to 16 bytes.
struct LossPart {
  bool given;               // false: the part is 0, and its arrays are null
  const float* prediction;  // (capacity,)
  const float* target;      // (capacity,)
  int64_t capacity;
  double weight;    // p of the nodes, 1 - p of the edges
  float* gradient;  // (capacity,) 2 weight (prediction - target) / count; null: not computed
};

// node_loss = mean_i (S_hat_i - S_i)^2 over the N = node.capacity particles, edge_loss = mean_ij (E_hat_ij - E_ij)^2
// over the edges, loss = the sum of both times their weights; each is one float32. A part without weight adds nothing
// to loss, also where it is not finite; the mean over nothing is not a number. num_edges: where the number of edges
// stands on the device (row_ptr + N), at most edge.capacity; null: edge.capacity. Numbers beyond the edges are not
// read, and their gradients are zero. Results are the same for every capacity, bit for bit. Each is computed in float64
// and rounded once.
size_t loss_workspace_bytes(int64_t node_capacity, int64_t edge_capacity);
void loss(Stream stream, const LossPart& node, const LossPart& edge, const int32_t* num_edges, float* loss,
          float* node_loss, float* edge_loss, Workspace workspace);

// ---- a captured training step (cuda/geometry/load_batch.cu, cuda/network/record_step.cu) --------------------

// Configurations end to end. Edges and rows are counted within their own configuration.
struct BatchSource {
  const int64_t* types;                          // (num_nodes,)
  const int32_t* row_begin;                      // (num_nodes,) the first edge of each receiver
  const float* numbers;                          // (num_nodes, node_columns)
  const int32_t *senders, *receivers, *reverse;  // (num_edges,)
  const float *vectors, *inherent_vectors;       // (num_edges, D); the second null where the batch has none
  const float* edge_targets;                     // (num_edges, edge_columns)
  int64_t num_nodes, num_edges;
};

// Which of them are in a batch, read on the device.
struct BatchChoice {
  const int64_t* places;      // (G+1, 4): first particle and edge in the source, and in the batch; the last row has the
                              // numbers of particles and edges of the batch. Configurations without either come last.
  const float* rotations;     // (G, D, D): vectors become rotation v
  const float* noise;         // (num_nodes, noise_columns) of the batch; noise * noise_widths is added to the last
  const float* noise_widths;  // (noise_columns,)            columns of `numbers`
  int64_t num_graphs;         // G
};

// Their disjoint union. Edges beyond the last one go 0 -> 0 with the zero vector, outside of every row, each its own
// reverse, and their targets are not numbers.
struct Batch {
  int64_t* types;                          // (num_nodes,)
  int32_t* row_ptr;                        // (num_nodes + 1,)
  float* numbers;                          // (num_nodes, node_columns)
  int32_t *senders, *receivers, *reverse;  // (capacity,)
  float *vectors, *inherent_vectors;       // (capacity, D); the second null: none
  float* edge_targets;                     // (capacity, edge_columns)
  int64_t* status;                         // (2,): the number of edges, and 0
  int64_t num_nodes, capacity;
  int dimensions, node_columns, noise_columns, edge_columns;
};

void load_batch(Stream stream, const BatchSource& source, const BatchChoice& choice, const Batch& batch);

// What a step has found, on the device.
struct StepNumbers {
  const float *loss, *node_loss, *edge_loss;  // one number each
  const float* norms;                         // (num_norms,) of the gradients of the weights, tensor by tensor
  int64_t num_norms;
  double clip_norm;  // the largest norm of all gradients together
};

// What becomes of it, on the device.
struct StepResults {
  float* record;          // (num_batches, 4): losses and the norm of all gradients, in row *batch
  float* not_finite;      // 1 where one of these four is not finite, else 0
  float* gradient_scale;  // max(1, (norm + 1e-6) / clip_norm): gradients are divided by it
  int64_t* steps;         // one more
};

void record_step(Stream stream, const StepNumbers& numbers, const int64_t* batch, int64_t num_batches,
                 const StepResults& results);

}  // namespace botan_fast::cuda
