// Chooses among precisions and widths, and checks sizes.
#include "cuda/network/kernels.h"
#include "cuda/runtime/launch.cuh"

namespace botan_fast::cuda {
namespace {

constexpr int64_t kMost = (int64_t{1} << 31) - 1024;  // rows: 32-bit numbers, with room for a tile

const Kernels& find_kernels(const char* function, int hidden_size, Precision precision) {
  const Kernels* found = nullptr;
  switch (precision) {
    case Precision::fp32:
      found = kernels_fp32(hidden_size);
      break;
    case Precision::tf32:
      found = kernels_tf32(hidden_size);
      break;
    case Precision::bf16:
      found = kernels_bf16(hidden_size);
      break;
  }
  if (found) return *found;
  throw std::invalid_argument(std::string(function) + ": hidden_size = " + std::to_string(hidden_size) +
                              "; CUDA kernels exist for 32, 64 and 128");
}

void check_shape(const char* function, const ProcessorShape& shape) {
  if (shape.num_nodes >= 0 && shape.num_nodes <= kMost && shape.num_edges >= 0 && shape.num_edges <= kMost &&
      shape.num_steps >= 1 && (shape.num_nodes > 0 || shape.num_edges == 0)) {
    return;
  }
  throw std::invalid_argument(std::string(function) + ": num_nodes = " + std::to_string(shape.num_nodes) +
                              ", num_edges = " + std::to_string(shape.num_edges) +
                              ", num_steps = " + std::to_string(shape.num_steps) +
                              "; sizes are at most 2^31 - 1024, steps at least 1, and edges need nodes");
}

void check_rows(const char* function, int64_t num_rows, int64_t num_inputs, int hidden_size) {
  if (num_rows >= 0 && num_rows <= kMost && num_inputs >= 1 && num_inputs <= hidden_size) return;
  throw std::invalid_argument(
      std::string(function) + ": num_rows = " + std::to_string(num_rows) +
      ", num_inputs = " + std::to_string(num_inputs) +
      "; rows are at most 2^31 - 1024, inputs 1 to hidden_size = " + std::to_string(hidden_size));
}

ProcessorShape shape_of(const Topology& topology, int hidden_size, int num_steps, const ProcessorWeights& weights,
                        const ProcessorHistory& history) {
  return {topology.num_nodes, topology.num_edges, hidden_size, num_steps, weights.edge_node_skip, history.save_memory};
}

}  // namespace

bool has_message_passing(Stream stream, int hidden_size) {
  for (const Kernels* kernels : {kernels_fp32(hidden_size), kernels_tf32(hidden_size), kernels_bf16(hidden_size)}) {
    if (!kernels || kernels->shared_bytes > max_shared_bytes(stream)) return false;
  }
  return true;
}

size_t processor_forward_workspace_bytes(Stream stream, const ProcessorShape& shape, bool keep, Precision precision) {
  check_shape("processor_forward", shape);
  return find_kernels("processor_forward", shape.hidden_size, precision).processor_forward_bytes(stream, shape, keep);
}

void processor_forward(Stream stream, const Topology& topology, int hidden_size, int num_steps,
                       const ProcessorWeights& weights, const float* x, const float* e, const float* x0,
                       const float* e0, float* x_out, float* e_out, const ProcessorHistory& history, bool keep,
                       Precision precision, void* workspace, size_t workspace_bytes) {
  const ProcessorShape shape = shape_of(topology, hidden_size, num_steps, weights, history);
  check_workspace("processor_forward", processor_forward_workspace_bytes(stream, shape, keep, precision), workspace,
                  workspace_bytes);
  if (topology.num_nodes == 0) return;
  const DeviceGuard guard(stream);
  find_kernels("processor_forward", hidden_size, precision)
      .processor_forward(stream, topology, num_steps, weights, x, e, x0, e0, x_out, e_out, history, keep, workspace);
}

size_t processor_backward_workspace_bytes(Stream stream, const ProcessorShape& shape, Precision precision) {
  check_shape("processor_backward", shape);
  return find_kernels("processor_backward", shape.hidden_size, precision).processor_backward_bytes(stream, shape);
}

void processor_backward(Stream stream, const Topology& topology, int hidden_size, int num_steps,
                        const ProcessorWeights& weights, const float* x, const float* e, const float* x0,
                        const float* e0, const float* x_out, const ProcessorHistory& history, const float* grad_x_out,
                        const float* grad_e_out, float* grad_x, float* grad_e, float* grad_x0, float* grad_e0,
                        const ProcessorGradients& gradients, Precision precision, void* workspace,
                        size_t workspace_bytes) {
  const ProcessorShape shape = shape_of(topology, hidden_size, num_steps, weights, history);
  check_workspace("processor_backward", processor_backward_workspace_bytes(stream, shape, precision), workspace,
                  workspace_bytes);
  const DeviceGuard guard(stream);
  if (topology.num_nodes == 0) {
    const size_t width = static_cast<size_t>(hidden_size), row = sizeof(float) * width, square = row * width;
    fill_zero(stream, gradients.edge_w1, (weights.edge_node_skip ? 6 : 4) * square);
    fill_zero(stream, gradients.node_w1, 3 * square);
    for (float* matrix : {gradients.edge_w2, gradients.node_w2}) fill_zero(stream, matrix, square);
    for (float* bias : {gradients.edge_b1, gradients.edge_b2, gradients.node_b1, gradients.node_b2}) {
      fill_zero(stream, bias, row);
    }
    return;
  }
  find_kernels("processor_backward", hidden_size, precision)
      .processor_backward(stream, topology, num_steps, weights, x, e, x0, e0, x_out, history, grad_x_out, grad_e_out,
                          grad_x, grad_e, grad_x0, grad_e0, gradients, workspace);
}

size_t mlp_workspace_bytes(Stream stream, int64_t num_rows, int64_t num_inputs, int hidden_size, bool backward,
                           Precision precision) {
  check_rows("mlp", num_rows, num_inputs, hidden_size);
  return find_kernels("mlp", hidden_size, precision).mlp_bytes(stream, num_rows, backward);
}

void mlp_forward(Stream stream, int64_t num_rows, int64_t num_inputs, int hidden_size, const MlpWeights& weights,
                 const float* x, float* y, Precision precision, void* workspace, size_t workspace_bytes) {
  check_workspace("mlp", mlp_workspace_bytes(stream, num_rows, num_inputs, hidden_size, false, precision), workspace,
                  workspace_bytes);
  if (num_rows == 0) return;
  const DeviceGuard guard(stream);
  find_kernels("mlp", hidden_size, precision)
      .mlp_forward(stream, num_rows, static_cast<int>(num_inputs), weights, x, y, workspace);
}

void mlp_backward(Stream stream, int64_t num_rows, int64_t num_inputs, int hidden_size, const MlpWeights& weights,
                  const float* x, const float* grad_y, float* grad_x, const MlpGradients& gradients,
                  Precision precision, void* workspace, size_t workspace_bytes) {
  check_workspace("mlp", mlp_workspace_bytes(stream, num_rows, num_inputs, hidden_size, true, precision), workspace,
                  workspace_bytes);
  const DeviceGuard guard(stream);
  find_kernels("mlp", hidden_size, precision)
      .mlp_backward(stream, num_rows, static_cast<int>(num_inputs), weights, x, grad_y, grad_x, gradients, workspace);
}

}  // namespace botan_fast::cuda
