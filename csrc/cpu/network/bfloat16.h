// Vectors of float32 to bfloat16 and back: to nearest, ties to even; what is not a number stays so.
#pragma once

#include "cpu/network/vector.h"

#if defined(__AVX2__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC's own header leaves "undefined" vectors uninitialised
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace botan_fast {
namespace {

inline Words widen(Halves h) {
#if defined(__AVX512F__)
  return (Words)_mm512_cvtepu16_epi32((__m256i)h);  // GCC 12 takes five instructions for the conversion below
#else
  return __builtin_convertvector(h, Words);
#endif
}
inline Vector from_bf16(Halves h) { return (Vector)(widen(h) << 16); }

#if !defined(__AVX512BF16__)
// Constants of rounding, in memory. As long as the compiler may keep them in registers throughout a kernel, it takes
// these from the accumulators of the products. See forget_rounding().
struct Rounding {
  Words one, below_half, upper;
};
Rounding rounding = {Words{} + 1u, Words{} + 0x7fffu, Words{} + 0xffff0000u};
#endif

// The compiler assumes from here on that it has to read the constants of rounding again.
inline void forget_rounding() {
#if !defined(__AVX512BF16__)
  asm volatile("" : "+m"(rounding));
#endif
}

// The bfloat16 next to each number, as float32.
inline Vector round_to_bf16(Vector v) {
#if defined(__AVX512BF16__)
  return from_bf16((Halves)_mm512_cvtneps_pbh((__m512)v));
#else
  const Words w = (Words)v;
  const Words nearest = (w + (rounding.below_half + ((w >> 16) & rounding.one))) & rounding.upper;
  return (Vector)(nearest | (Words)(v != v));  // a NaN, which the sum may have made something else, has all bits set
#endif
}

// The bfloat16 of numbers that are one already.
inline Halves upper_halves(Vector v) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  const __m256i upper = _mm256_srli_epi32((__m256i)v, 16);
  const __m128i low = _mm256_castsi256_si128(upper), high = _mm256_extracti128_si256(upper, 1);
  return (Halves)_mm_packus_epi32(low, high);
#else
  return __builtin_convertvector((Words)v >> 16, Halves);
#endif
}

inline Halves to_bf16(Vector v) {
#if defined(__AVX512BF16__)
  return (Halves)_mm512_cvtneps_pbh((__m512)v);
#else
  return upper_halves(round_to_bf16(v));
#endif
}

// Numbers [begin, end) of an array, in whole vectors: `round` of Kernels.
inline void round_to_bf16_array(const float* from, int64_t begin, int64_t end, void* to) {
  uint16_t* out = static_cast<uint16_t*>(to);
  for (int64_t i = begin; i < end; i += kWidth) store(out + i, to_bf16(load(from + i)));
}

}  // namespace
}  // namespace botan_fast
