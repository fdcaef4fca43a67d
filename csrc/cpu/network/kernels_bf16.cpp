// The kernels of precision bf16 for one instruction set; see kernels_common.h.
#include "cpu/network/kernels_common.h"
#include "cpu/network/storage_bf16.h"

const botan_fast::Kernels* botan_fast::BOTAN_FAST_JOIN(kernels_bf16_, BOTAN_FAST_SIMD)(int hidden_size) {
  return table<Bf16>(hidden_size);
}
