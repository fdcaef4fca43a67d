// Chooses among precisions and widths, and checks sizes.
#include "cuda/network/kernels.h"
#include "cuda/runtime/launch.cuh"

namespace botan_fast::cuda {
namespace {

constexpr int64_t kMost = (int64_t{1} << 31) - 1024;  // rows: 32-bit numbers, with room for a tile
constexpr int64_t kMostInputs = 65536;

// null for another width
const Kernels* kernels_of(int hidden_size, Precision precision) {
  switch (precision) {
    case Precision::fp32:
      return kernels_fp32(hidden_size);
    case Precision::tf32:
      return kernels_tf32(hidden_size);
    case Precision::bf16:
      return kernels_bf16(hidden_size);
  }
  return nullptr;
}

const Kernels& find_kernels(const char* function, int hidden_size, Precision precision) {
  if (const Kernels* found = kernels_of(hidden_size, precision)) return *found;
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

void check_rows(const char* function, int64_t num_rows, int64_t num_inputs) {
  if (num_rows >= 0 && num_rows <= kMost && num_inputs >= 1 && num_inputs <= kMostInputs) return;
  throw std::invalid_argument(std::string(function) + ": num_rows = " + std::to_string(num_rows) +
                              ", num_inputs = " + std::to_string(num_inputs) +
                              "; rows are at most 2^31 - 1024, inputs 1 to " + std::to_string(kMostInputs));
}

}  // namespace

// ---- packed weights -----------------------------------------------------------------------------------------

size_t packed_bytes(int64_t num_inputs, bool processor, int hidden_size, bool backward, Precision precision) {
  check_rows("pack_weights", 0, num_inputs);
  return find_kernels("pack_weights", hidden_size, precision).packed_bytes(num_inputs, processor, backward);
}

void pack_weights(Stream stream, const PackPart* parts, int64_t num_parts, int hidden_size, bool backward,
                  Precision precision) {
  const Kernels& kernels = find_kernels("pack_weights", hidden_size, precision);
  for (int64_t p = 0; p < num_parts; ++p) {
    check_rows("pack_weights", 0, parts[p].num_inputs);
    if (!parts[p].processor || parts[p].num_inputs == 4 * hidden_size || parts[p].num_inputs == 6 * hidden_size) {
      continue;
    }
    throw std::invalid_argument("pack_weights: num_inputs = " + std::to_string(parts[p].num_inputs) +
                                " of a processor with hidden_size = " + std::to_string(hidden_size) +
                                "; MLP_e reads 4 or 6 times that");
  }
  if (num_parts == 0) return;
  const DeviceGuard guard(stream);
  kernels.pack(stream, parts, num_parts, backward);
}

// ---- message passing ----------------------------------------------------------------------------------------

bool has_message_passing(Stream stream, int hidden_size, Precision precision) {
  const Kernels* kernels = kernels_of(hidden_size, precision);
  return kernels && kernels->shared_bytes <= max_shared_bytes(stream);
}

size_t processor_forward_workspace_bytes(Stream stream, const ProcessorShape& shape, bool keep, Precision precision) {
  check_shape("processor_forward", shape);
  return find_kernels("processor_forward", shape.hidden_size, precision).processor_forward_bytes(stream, shape, keep);
}

void processor_forward(Stream stream, const ProcessorForward& processor, const void* packed, Workspace workspace) {
  const ProcessorShape& shape = processor.shape;
  check_workspace("processor_forward",
                  processor_forward_workspace_bytes(stream, shape, processor.keep, processor.precision), workspace);
  if (shape.num_nodes == 0) return;
  const DeviceGuard guard(stream);
  find_kernels("processor_forward", shape.hidden_size, processor.precision)
      .processor_forward(stream, processor, packed, workspace.data);
}

size_t processor_backward_workspace_bytes(Stream stream, const ProcessorShape& shape, Precision precision) {
  check_shape("processor_backward", shape);
  return find_kernels("processor_backward", shape.hidden_size, precision).processor_backward_bytes(stream, shape);
}

void processor_backward(Stream stream, const ProcessorBackward& processor, const void* packed, Workspace workspace) {
  const ProcessorShape& shape = processor.shape;
  check_workspace("processor_backward", processor_backward_workspace_bytes(stream, shape, processor.precision),
                  workspace);
  const DeviceGuard guard(stream);
  if (shape.num_nodes == 0) {
    const ProcessorGradients& gradients = processor.gradients;
    const size_t width = static_cast<size_t>(shape.hidden_size), row = sizeof(float) * width, square = row * width;
    fill_zero(stream, gradients.edge_w1, (shape.edge_node_skip ? 6 : 4) * square);
    fill_zero(stream, gradients.node_w1, 3 * square);
    for (float* matrix : {gradients.edge_w2, gradients.node_w2}) fill_zero(stream, matrix, square);
    for (float* bias : {gradients.edge_b1, gradients.edge_b2, gradients.node_b1, gradients.node_b2}) {
      fill_zero(stream, bias, row);
    }
    return;
  }
  find_kernels("processor_backward", shape.hidden_size, processor.precision)
      .processor_backward(stream, processor, packed, workspace.data);
}

// ---- multilayer perceptrons ---------------------------------------------------------------------------------

size_t mlp_workspace_bytes(Stream stream, int64_t num_rows, int64_t num_inputs, int hidden_size, bool backward,
                           Precision precision) {
  check_rows("mlp", num_rows, num_inputs);
  return find_kernels("mlp", hidden_size, precision).mlp_bytes(stream, num_rows, num_inputs, backward);
}

void mlp_forward(Stream stream, const MlpForward& mlp, const void* packed, Workspace workspace) {
  check_workspace("mlp",
                  mlp_workspace_bytes(stream, mlp.num_rows, mlp.num_inputs, mlp.hidden_size, false, mlp.precision),
                  workspace);
  if (mlp.num_rows == 0) return;
  const DeviceGuard guard(stream);
  find_kernels("mlp", mlp.hidden_size, mlp.precision).mlp_forward(stream, mlp, packed, workspace.data);
}

void mlp_backward(Stream stream, const MlpBackward& mlp, const void* packed, Workspace workspace) {
  check_workspace("mlp",
                  mlp_workspace_bytes(stream, mlp.num_rows, mlp.num_inputs, mlp.hidden_size, true, mlp.precision),
                  workspace);
  const DeviceGuard guard(stream);
  find_kernels("mlp", mlp.hidden_size, mlp.precision).mlp_backward(stream, mlp, packed, workspace.data);
}

}  // namespace botan_fast::cuda
