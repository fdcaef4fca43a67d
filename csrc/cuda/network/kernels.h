// What each precision and width provides; kernels_*.cu fill it in, dispatch.cu chooses.
#pragma once

#include "botan_fast_cuda.h"

namespace botan_fast::cuda {

struct Kernels {
  size_t shared_bytes;  // of a block that a GPU must have at least
  size_t (*processor_forward_bytes)(Stream, const ProcessorShape&, bool keep);
  size_t (*processor_backward_bytes)(Stream, const ProcessorShape&);
  void (*processor_forward)(Stream, const ProcessorForward&, const void* packed, void* workspace);
  void (*processor_backward)(Stream, const ProcessorBackward&, const void* packed, void* workspace);
  size_t (*mlp_bytes)(Stream, int64_t num_rows, int64_t num_inputs, bool backward);
  void (*mlp_forward)(Stream, const MlpForward&, const void* packed, void* workspace);
  void (*mlp_backward)(Stream, const MlpBackward&, const void* packed, void* workspace);
  size_t (*packed_bytes)(int64_t num_inputs, bool processor, bool backward);
  void (*pack)(Stream, const PackPart* parts, int64_t num_parts, bool backward);
};

// Null for another width.
const Kernels* kernels_fp32(int hidden_size);
const Kernels* kernels_tf32(int hidden_size);
const Kernels* kernels_bf16(int hidden_size);

}  // namespace botan_fast::cuda
