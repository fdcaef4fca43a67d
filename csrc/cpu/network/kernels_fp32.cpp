// The kernels of precision fp32 for one instruction set; see kernels_common.h.
#include "cpu/network/kernels_common.h"
#include "cpu/network/storage_fp32.h"

const botan_fast::Kernels* botan_fast::BOTAN_FAST_JOIN(kernels_, BOTAN_FAST_SIMD)(int hidden_size) {
  return table<Fp32>(hidden_size);
}
