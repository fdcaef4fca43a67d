// Message passing and multilayer perceptrons in precision bf16.
#include "cuda/network/kernels.cuh"

namespace botan_fast::cuda {
const Kernels* kernels_bf16(int hidden_size) { return kernels_for<Precision::bf16>(hidden_size); }
}  // namespace botan_fast::cuda
