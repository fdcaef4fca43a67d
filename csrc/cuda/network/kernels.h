// What each precision and width provides; kernels_*.cu fill it in, dispatch.cu chooses.
#pragma once

#include "botan_fast_cuda.h"

namespace botan_fast::cuda {

struct Kernels {
  size_t shared_bytes;  // at most, of a block of any kernel
  size_t (*processor_forward_bytes)(Stream, const ProcessorShape&, bool keep);
  size_t (*processor_backward_bytes)(Stream, const ProcessorShape&);
  void (*processor_forward)(Stream, const Topology&, int num_steps, const ProcessorWeights&, const float* x,
                            const float* e, const float* x0, const float* e0, float* x_out, float* e_out,
                            const ProcessorHistory&, bool keep, void* workspace);
  void (*processor_backward)(Stream, const Topology&, int num_steps, const ProcessorWeights&, const float* x,
                             const float* e, const float* x0, const float* e0, const float* x_out,
                             const ProcessorHistory&, const float* grad_x_out, const float* grad_e_out, float* grad_x,
                             float* grad_e, float* grad_x0, float* grad_e0, const ProcessorGradients&, void* workspace);
  size_t (*mlp_bytes)(Stream, int64_t num_rows, bool backward);
  void (*mlp_forward)(Stream, int64_t num_rows, int num_inputs, const MlpWeights&, const float* x, float* y,
                      void* workspace);
  void (*mlp_backward)(Stream, int64_t num_rows, int num_inputs, const MlpWeights&, const float* x, const float* grad_y,
                       float* grad_x, const MlpGradients&, void* workspace);
};

// Null for another width.
const Kernels* kernels_fp32(int hidden_size);
const Kernels* kernels_tf32(int hidden_size);
const Kernels* kernels_bf16(int hidden_size);

}  // namespace botan_fast::cuda
