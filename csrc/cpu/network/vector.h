// Vectors of one instruction set, for the kernels; see kernels_common.h why all linkage is internal.
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
typedef uint32_t Words __attribute__((vector_size(4 * kWidth)));
typedef uint16_t Halves __attribute__((vector_size(2 * kWidth)));
typedef uint32_t UnalignedWords __attribute__((vector_size(4 * kWidth), aligned(4), may_alias));
typedef uint16_t UnalignedHalves __attribute__((vector_size(2 * kWidth), aligned(2), may_alias));

inline Vector load(const float* p) { return *reinterpret_cast<const UnalignedVector*>(p); }
inline void store(float* p, Vector v) { *reinterpret_cast<UnalignedVector*>(p) = v; }
inline Words load(const uint32_t* p) { return *reinterpret_cast<const UnalignedWords*>(p); }
inline void store(uint32_t* p, Words v) { *reinterpret_cast<UnalignedWords*>(p) = v; }
inline Halves load(const uint16_t* p) { return *reinterpret_cast<const UnalignedHalves*>(p); }
inline void store(uint16_t* p, Halves v) { *reinterpret_cast<UnalignedHalves*>(p) = v; }
inline void add_to(float* p, Vector v) { store(p, load(p) + v); }
inline Vector relu(Vector v) { return v < 0.0f ? Vector{} : v; }  // keeps NaN, as torch does
inline Vector where_positive(Vector mask, Vector v) { return mask > 0.0f ? v : Vector{}; }

// Columns that one register block covers: the most that divide a row, which are 3 vectors of 16 where H is 48 or 96.
template <int H>
constexpr int panel_vectors() {
  static_assert(H % kWidth == 0, "a row is whole vectors");
  int vectors = kRegisterColumns;
  while (H / kWidth % vectors != 0) --vectors;
  return vectors;
}
template <int H>
constexpr int panel_columns() {
  return panel_vectors<H>() * kWidth;
}

}  // namespace
}  // namespace botan_fast
