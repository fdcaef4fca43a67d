// Message passing and multilayer perceptrons in precision fp32.
#include "cuda/network/kernels.cuh"

namespace botan_fast::cuda {
const Engine* engine_fp32(int hidden_size) { return engine_of<Precision::fp32>(hidden_size); }
}  // namespace botan_fast::cuda
