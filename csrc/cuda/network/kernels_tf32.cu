// Message passing and multilayer perceptrons in precision tf32.
#include "cuda/network/kernels.cuh"

namespace botan_fast::cuda {
const Kernels* kernels_tf32(int hidden_size) { return kernels_for<Precision::tf32>(hidden_size); }
}  // namespace botan_fast::cuda
