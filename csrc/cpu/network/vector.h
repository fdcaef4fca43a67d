// Vectors of one instruction set, for kernels_fp32.cpp and kernels_bf16.cpp; see there why all linkage is internal.
#pragma once

#include <cstdint>

#define BOTAN_FAST_JOIN2(a, b) a##b
#define BOTAN_FAST_JOIN(a, b) BOTAN_FAST_JOIN2(a, b)

namespace botan_fast {
namespace {

#if defined(__AVX512F__)
constexpr int kWidth = 16, kRegisterColumns = 4, kRows = 6;  // 24 accumulators of 32 registers
#elif defined(__AVX__)
constexpr int kWidth = 8, kRegisterColumns = 2, kRows = 6;  // 12 of 16
#elif defined(__aarch64__)
constexpr int kWidth = 4, kRegisterColumns = 4, kRows = 6;  // 24 of 32
#else
constexpr int kWidth = 4, kRegisterColumns = 2, kRows = 6;  // 12 of 16
#endif

typedef float Vector __attribute__((vector_size(4 * kWidth)));
typedef float UnalignedVector __attribute__((vector_size(4 * kWidth), aligned(4), may_alias));

inline Vector load(const float* p) { return *reinterpret_cast<const UnalignedVector*>(p); }
inline void store(float* p, Vector v) { *reinterpret_cast<UnalignedVector*>(p) = v; }
inline void add_to(float* p, Vector v) { store(p, load(p) + v); }
inline Vector relu(Vector v) { return v < 0.0f ? Vector{} : v; }  // keeps NaN, as torch does
inline Vector where_positive(Vector mask, Vector v) { return mask > 0.0f ? v : Vector{}; }

// Columns that one register block covers.
template <int H>
constexpr int panel_vectors() {
  return H / kWidth < kRegisterColumns ? H / kWidth : kRegisterColumns;
}
template <int H>
constexpr int panel_columns() {
  return panel_vectors<H>() * kWidth;
}

template <int H>
void column_sum(const float* a, int64_t begin, int64_t end, float* out) {
  for (int i = 0; i < H; i += kWidth) {
    Vector sum = load(out + i);
    for (int64_t row = begin; row < end; ++row) sum += load(a + row * H + i);
    store(out + i, sum);
  }
}

template <int H>
inline float dot(const float* a, const float* b) {
  Vector sum = load(a) * load(b);
  for (int i = kWidth; i < H; i += kWidth) sum += load(a + i) * load(b + i);
  float total = 0;
  for (int i = 0; i < kWidth; ++i) total += sum[i];
  return total;
}

}  // namespace
}  // namespace botan_fast
