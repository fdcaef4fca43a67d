// Message passing and multilayer perceptrons in precision fp32.
#include "cuda/network/kernels.cuh"

namespace botan_fast::cuda {
const Kernels* kernels_fp32(int hidden_size) { return kernels_for<Precision::fp32>(hidden_size); }
}  // namespace botan_fast::cuda
