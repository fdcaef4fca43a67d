// float32 as the numbers of the kernels: see kernels_common.h. Nothing is rounded, and an array as it lies in memory
// serves as either factor of a product.
#pragma once

#include "cpu/network/products.h"

namespace botan_fast {
namespace {

struct Fp32 {
  typedef float Number, Element, Word;
  typedef Vector WordVector;
  static constexpr int kPerWord = 1;        // numbers
  static constexpr bool kOneLayout = true;  // the rows of a tile are its factor of a weight gradient, too
  static constexpr int kBlockRows = kRows;
  static constexpr bool kBlocksOf4 = true;       // of the rows that are left over
  static constexpr int kAhead = 2 * kBlockRows;  // rows of Ps, which lie anywhere, are fetched this many edges early
  static constexpr int64_t kFactorAhead = kRowsAhead;  // and rows of left factors that lie in memory
  static constexpr auto kRound = nullptr;              // of Kernels

  static Vector load_number(const float* p) { return load(p); }
  static void store_number(float* p, Vector v) { store(p, v); }
  static Vector rounded(Vector v) { return v; }
  static float rounded(float x) { return x; }
  static Vector add_products(Vector acc, float a, Vector b) { return acc + a * b; }
  static void after_products() {}

  struct Places {
    float* rows;
    float* pairs;  // unused
  };
  static const float* factor(Places p) { return p.rows; }
  static Places stored_places(float* stored, Places, Places) { return {stored, nullptr}; }

  template <int H, int R>
  static void put(int64_t row, int i, const Vector (&v)[R], Places to) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) store(to.rows + (row + r) * H + i, v[r]);
  }

  template <int H, int R>
  static void mask(int64_t row, int i, Places by, Vector (&v)[R]) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) v[r] = where_positive(load(by.rows + (row + r) * H + i), v[r]);
  }

  // One row after the other, so that a sum does not depend on the size of the blocks.
  template <int R>
  static void add_rows(float* sum, const Vector (&v)[R]) {
    Vector total = load(sum);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) total += v[r];
    store(sum, total);
  }

  template <int H>
  static const float* as_rows(int64_t, const float* from, float*) {
    return from;
  }

  template <int H>
  static void pack(const float* source, int64_t k_stride, int64_t j_stride, int64_t num_k, float* to) {
    constexpr int columns = panel_columns<H>();
    for (int p = 0; p < H / columns; ++p)
      for (int64_t k = 0; k < num_k; ++k)
        for (int j = 0; j < columns; ++j) *to++ = source[k * k_stride + (p * columns + j) * j_stride];
  }

  // ---- another number of inputs than H

  template <int H, class Put>
  static void narrow_layer(int64_t rows, const float* x, int64_t inputs, const float* w1_forward, const float* b1,
                           const Put& put_hidden) {
    product<Fp32, H>(
        rows, Left<Fp32>{x, inputs, 1}, packed<Fp32, H>(w1_forward, inputs), inputs,
        [=](int64_t, int i) { return load(b1 + i); }, put_hidden);
  }

  // grad_w1 (K, H) += x^T dh and grad_x = dh W1
  template <int H>
  static void narrow_gradients(int64_t rows, const float* x, int64_t inputs, const float* dh, const float*,
                               const float* w1_transposed, float* grad_w1, float* grad_x) {
    outer_product<Fp32, H>(rows, x, inputs, inputs, dh, grad_w1);
    if (!grad_x) return;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t k = 0; k < inputs; ++k) grad_x[r * inputs + k] = dot<H>(dh + r * H, w1_transposed + k * H);
  }
};

}  // namespace
}  // namespace botan_fast
