// The kernels of precision bf16 for one instruction set; see kernels_common.h.
#include "cpu/network/kernels_common.h"
#if defined(__AVX512BF16__)
#include "cpu/network/storage_bf16.h"
#else
#include "cpu/network/storage_bf16_wide.h"
#endif

const botan_fast::Kernels* botan_fast::BOTAN_FAST_JOIN(kernels_bf16_, BOTAN_FAST_SIMD)(int hidden_size) {
#if defined(__AVX512BF16__)
  return table<Bf16>(hidden_size);
#else
  return table<Bf16Wide>(hidden_size);
#endif
}
