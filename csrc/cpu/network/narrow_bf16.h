// The first layer of a perceptron with fewer or more inputs than H in precision bf16, for both of its storages: plain
// float32 on numbers that are rounded as they are read. `Storage::pack` gives such weights as rounded rows (K, H).
#pragma once

#include "cpu/network/products.h"

namespace botan_fast {
namespace {

template <class Storage, int H, class Put>
inline void narrow_layer_bf16(int64_t rows, const float* x, int64_t inputs, const float* w1, const float* b1,
                              const Put& put_hidden) {
  constexpr int V = H / kWidth % 4 == 0 ? 4 : 1;  // vectors at once: two rows of them stay in registers
  for (int64_t row = 0; row < rows; row += 2) {
    const bool both = row + 1 < rows;
    for (int column = 0; column < H; column += V * kWidth) {
      Vector v[V][2];
#pragma GCC unroll 8
      for (int i = 0; i < V; ++i) v[i][0] = v[i][1] = load(b1 + column + i * kWidth);
      for (int64_t k = 0; k < inputs; ++k) {
        const float first = Storage::rounded(x[row * inputs + k]);
        const float second = both ? Storage::rounded(x[(row + 1) * inputs + k]) : 0.0f;
#pragma GCC unroll 8
        for (int i = 0; i < V; ++i) {
          const Vector w = load(w1 + k * H + column + i * kWidth);
          v[i][0] += first * w;
          v[i][1] += second * w;
        }
      }
#pragma GCC unroll 8
      for (int i = 0; i < V; ++i) {
        Vector single[1] = {v[i][0]};
        if (both)
          put_hidden(row, column + i * kWidth, v[i]);
        else
          put_hidden(row, column + i * kWidth, single);
      }
    }
  }
}

// grad_w1 (K, H) += x^T dh and grad_x = dh W1
template <class Storage, int H>
inline void narrow_gradients_bf16(int64_t rows, const float* x, int64_t inputs, const float* dh, const float* w1,
                                  float* grad_w1, float* grad_x) {
  constexpr int V = H / kWidth % 4 == 0 ? 4 : 1;
  for (int64_t k = 0; k < inputs; ++k) {
    for (int column = 0; column < H; column += V * kWidth) {
      float* to = grad_w1 + k * H + column;
      Vector sum[V];
#pragma GCC unroll 8
      for (int i = 0; i < V; ++i) sum[i] = load(to + i * kWidth);
      for (int64_t r = 0; r < rows; ++r) {
        const float xr = Storage::rounded(x[r * inputs + k]);
#pragma GCC unroll 8
        for (int i = 0; i < V; ++i) sum[i] += xr * load(dh + r * H + column + i * kWidth);
      }
#pragma GCC unroll 8
      for (int i = 0; i < V; ++i) store(to + i * kWidth, sum[i]);
    }
    if (!grad_x) continue;
    for (int64_t r = 0; r < rows; ++r) grad_x[r * inputs + k] = dot<H>(dh + r * H, w1 + k * H);
  }
}

}  // namespace
}  // namespace botan_fast
