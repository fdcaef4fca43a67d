// Asynchronous copies and tensor-core instructions on the CPU; csrc/cuda/runtime/intrinsics.cuh says what they do.
#pragma once

#include <cmath>

#include "simt.h"

namespace simt {

inline bool is_aligned_16(const void* address) { return reinterpret_cast<uintptr_t>(address) % 16 == 0; }

inline void copy_async(void* to, const void* from, bool valid) {
  if (!is_aligned_16(to) || (valid && !is_aligned_16(from))) fail("cp_async_16: an address is not aligned to 16 bytes");
  std::memset(to, 0xff, 16);  // the copy may happen now: what was there is gone
  current->open_group.push_back({to, from, valid ? size_t{16} : size_t{0}});
}

inline void copy_async_commit() {
  current->groups.push_back(std::move(current->open_group));
  current->open_group.clear();
}

inline void copy_async_wait(int pending) {
  auto& groups = current->groups;
  const size_t finished = groups.size() > static_cast<size_t>(pending) ? groups.size() - pending : 0;
  for (size_t g = 0; g < finished; ++g) {
    for (const PendingCopy& copy : groups[g]) {
      std::memset(copy.to, 0, 16);
      if (copy.bytes) std::memcpy(copy.to, copy.from, copy.bytes);
    }
  }
  groups.erase(groups.begin(), groups.begin() + static_cast<std::ptrdiff_t>(finished));
}

inline uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}
inline float float_of(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

inline uint32_t round_tf32(float x) {
  const uint32_t bits = bits_of(x);
  if ((bits & 0x7f800000u) == 0x7f800000u) return x != x ? 0x7fffffffu : bits;
  return (bits + 0x1000u) & 0xffffe000u;
}

inline uint16_t round_bf16(float x) {
  const uint32_t bits = bits_of(x);
  if (x != x) return 0x7fff;
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

// ---- what a tensor core makes of c + a b --------------------------------------------------------------------
// Products are exact. Of these and of c the hardware aligns the fraction to the largest exponent, cuts off what lies
// beyond a few bits, adds, and cuts the sum to float32: it never rounds to nearest (Fasi, Higham, Mikaitis & Pranesh,
// PeerJ Comput. Sci. 7, e330 (2021); Khattak & Mikaitis, arXiv:2512.07004). Hopper takes all terms at once and keeps
// two bits beyond float32's, Ampere takes half of them at a time and keeps one.

inline int exponent_of(float x) { return static_cast<int>(bits_of(x) >> 23 & 255u) - 127; }

// 2^exponent, for -1022 <= exponent <= 1023
inline double power_of_two(int exponent) {
  const uint64_t bits = static_cast<uint64_t>(exponent + 1023) << 52;
  double x;
  std::memcpy(&x, &bits, 8);
  return x;
}

// The float32 next to x on the side of zero, or x where it is one.
inline float cut(double x) {
  const float rounded = static_cast<float>(x);
  if (std::fabs(static_cast<double>(rounded)) <= std::fabs(x)) return rounded;
  return float_of(bits_of(rounded) - 1);  // one less in magnitude
}

// c + a[0] b[0][column] + ... by one addition of all terms, of which `bits` bits behind the largest one's first count.
template <int K>
float add_aligned(float c, const float* a, const float (*b)[8], int column, int bits) {
  double terms[K + 1], plain = c;
  int largest = c != 0 ? exponent_of(c) : -1000;
  for (int k = 0; k < K; ++k) {
    terms[k] = static_cast<double>(a[k]) * static_cast<double>(b[k][column]);
    plain += terms[k];
    if (terms[k] != 0) largest = std::max(largest, exponent_of(a[k]) + exponent_of(b[k][column]));
  }
  if (!std::isfinite(plain) || largest == -1000) return static_cast<float>(plain);
  terms[K] = c;
  const double scale = power_of_two(bits - largest);
  int64_t sum = 0;  // a term is below 2^(bits + 2): conversion cuts, as the hardware does
  for (const double term : terms) sum += static_cast<int64_t>(term * scale);
  return cut(static_cast<double>(sum) * power_of_two(largest - bits));
}

template <int K>
float accumulate(float c, const float (&a)[K], const float (&b)[K][8], int column) {
  if (tensor_core == TensorCore::hopper) return add_aligned<K>(c, a, b, column, 25);
  const float half = add_aligned<K / 2>(c, a, b, column, 24);
  return add_aligned<K / 2>(half, a + K / 2, b + K / 2, column, 24);
}

struct MmaInput {
  uint32_t a[4], b[2];
  float c[4];
};

template <int K, class Element>
void multiply_accumulate(const void* const* in, void* const* out, Element element) {
  float a[16][K], b[K][8];
  for (int lane = 0; lane < 32; ++lane) {
    if (!in[lane]) fail("mma needs all 32 lanes of the warp");
    const auto& input = *static_cast<const MmaInput*>(in[lane]);
    const int g = lane / 4, t = lane % 4;
    constexpr int per = K / 8;  // numbers in a register: 1 (tf32) or 2 (bf16)
    for (int i = 0; i < per; ++i) {
      for (int r = 0; r < 4; ++r) a[g + 8 * (r % 2)][per * (t + 4 * (r / 2)) + i] = element(input.a[r], i);
      for (int r = 0; r < 2; ++r) b[per * (t + 4 * r) + i][g] = element(input.b[r], i);
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    const auto& input = *static_cast<const MmaInput*>(in[lane]);
    float* c = static_cast<float*>(out[lane]);
    for (int r = 0; r < 4; ++r) {
      c[r] = accumulate<K>(input.c[r], a[lane / 4 + 8 * (r / 2)], b, 2 * (lane % 4) + r % 2);
    }
  }
}

inline void mma(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Exchange exchange,
                const char* operation) {
  MmaInput input;
  std::memcpy(input.a, a, sizeof a);
  std::memcpy(input.b, b, sizeof b);
  std::memcpy(input.c, c, sizeof c);
  collective(0xffffffffu, &input, c, exchange, operation, __FILE__, __LINE__);
}

inline void mma_tf32(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  const Exchange exchange = [](unsigned, const void* const* in, void* const* out) {
    multiply_accumulate<8>(in, out, [](uint32_t bits, int) { return float_of(bits & 0xffffe000u); });
  };
  mma(c, a, b, exchange, "mma_tf32");
}

inline void mma_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  const Exchange exchange = [](unsigned, const void* const* in, void* const* out) {
    multiply_accumulate<16>(in, out,
                            [](uint32_t bits, int i) { return float_of(i ? bits & 0xffff0000u : bits << 16); });
  };
  mma(c, a, b, exchange, "mma_bf16");
}

template <bool transposed>
void ldmatrix(uint32_t (&out)[4], const void* row) {
  if (!is_aligned_16(row)) fail("ldmatrix: the address of a row is not aligned to 16 bytes");
  const Exchange exchange = [](unsigned, const void* const* in, void* const* out) {
    for (int lane = 0; lane < 32; ++lane) {
      if (!in[lane]) fail("ldmatrix needs all 32 lanes of the warp");
      for (int m = 0; m < 4; ++m) {
        uint16_t pair[2];
        for (int i = 0; i < 2; ++i) {
          const int r = transposed ? 2 * (lane % 4) + i : lane / 4, c = transposed ? lane / 4 : 2 * (lane % 4) + i;
          const void* address = *static_cast<const void* const*>(in[8 * m + r]);
          std::memcpy(&pair[i], static_cast<const char*>(address) + 2 * c, 2);
        }
        static_cast<uint32_t*>(out[lane])[m] = pair[0] | static_cast<uint32_t>(pair[1]) << 16;
      }
    }
  };
  collective(0xffffffffu, &row, out, exchange, "ldmatrix", __FILE__, __LINE__);
}

}  // namespace simt
