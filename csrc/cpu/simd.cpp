// Chooses the instruction set once, at run time.
#include <cstdlib>
#include <cstring>

#include "botan_fast.h"
#include "cpu/geometry/descriptor_kernels.h"
#include "cpu/geometry/neighbor_kernels.h"
#include "cpu/network/kernel_timers.h"
#include "cpu/network/kernels.h"

namespace botan_fast {
namespace {

enum Level { kGeneric = 0, kAvx2 = 1, kAvx512 = 2, kAvx512Bf16 = 3 };
const char* const kNames[] = {"generic", "avx2", "avx512", "avx512_bf16"};

int detect() {
  int level = kGeneric;
#if defined(BOTAN_FAST_HAVE_AVX512)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) level = kAvx2;
  if (level == kAvx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    level = kAvx512;
#endif
#if defined(BOTAN_FAST_HAVE_AVX512_BF16)
  if (level == kAvx512 && __builtin_cpu_supports("avx512bf16")) level = kAvx512Bf16;
#endif
  if (const char* forced = std::getenv("BOTAN_FAST_SIMD"))
    for (int narrower = 0; narrower < level; ++narrower)
      if (std::strcmp(forced, kNames[narrower]) == 0) level = narrower;
  return level;
}

int level() {
  static const int value = detect();
  return value;
}

const Kernels* plain_kernels(int hidden_size, Precision precision) {
  const bool bf16 = precision == Precision::bf16;
  switch (level()) {
#if defined(BOTAN_FAST_HAVE_AVX512_BF16)
    case kAvx512Bf16:
      return bf16 ? kernels_bf16_avx512_bf16(hidden_size) : kernels_avx512(hidden_size);
#endif
#if defined(BOTAN_FAST_HAVE_AVX512)
    case kAvx512:
      return bf16 ? kernels_bf16_avx512(hidden_size) : kernels_avx512(hidden_size);
    case kAvx2:
      return bf16 ? kernels_bf16_avx2(hidden_size) : kernels_avx2(hidden_size);
#endif
    default:
      return bf16 ? kernels_bf16_generic(hidden_size) : kernels_generic(hidden_size);
  }
}

}  // namespace

const char* simd_level() { return kNames[level()]; }

const Kernels* kernels(int hidden_size, Precision precision) {
  return timed_kernels(plain_kernels(hidden_size, precision));
}

bool has_fast_path(int hidden_size) { return plain_kernels(hidden_size, Precision::fp32) != nullptr; }

const NeighborKernels& neighbor_kernels() {
#if defined(BOTAN_FAST_HAVE_AVX512)
  if (level() >= kAvx512) return neighbor_kernels_avx512();
  if (level() == kAvx2) return neighbor_kernels_avx2();
#endif
  return neighbor_kernels_generic();
}

const DescriptorKernels& descriptor_kernels() {
#if defined(BOTAN_FAST_HAVE_AVX512)
  if (level() >= kAvx512) return descriptor_kernels_avx512();
  if (level() == kAvx2) return descriptor_kernels_avx2();
#endif
  return descriptor_kernels_generic();
}

}  // namespace botan_fast
