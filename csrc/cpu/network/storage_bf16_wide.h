// bfloat16 as the numbers of the kernels, for processors that do not multiply it: see kernels_common.h. The arrays that
// stay between steps are bfloat16. In tiles and packed weights lie float32 numbers that are bfloat16 already: they are
// rounded where they are put down, once, and widened where an array is read, so that a product is that of float32.
#pragma once

#include "cpu/network/bfloat16.h"
#include "cpu/network/narrow_bf16.h"
#include "cpu/network/storage_fp32.h"

namespace botan_fast {
namespace {

struct Bf16Wide : Fp32 {                          // what is not said here is as there
  static constexpr int64_t kFactorAhead = kTile;  // a tile of them is widened at once, before its products
  typedef uint16_t Number;

  static Vector load_number(const uint16_t* p) { return from_bf16(load(p)); }
  static void store_number(uint16_t* p, Vector v) { store(p, to_bf16(v)); }
  static Vector rounded(Vector v) { return round_to_bf16(v); }
  static float rounded(float x) { return rounded(Vector{} + x)[0]; }
  static void after_products() { forget_rounding(); }

  // Where a tile goes; with `stored`, to an array that stays, too.
  struct Places {
    float* rows;
    float* pairs;  // unused
    uint16_t* stored = nullptr;
  };
  static const float* factor(Places p) { return p.rows; }
  static Places stored_places(uint16_t* stored, Places spare, Places) { return {spare.rows, nullptr, stored}; }

  template <int H, int R>
  static void put(int64_t row, int i, const Vector (&v)[R], Places to) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const int64_t at = (row + r) * H + i;
      const Vector number = rounded(v[r]);
      store(to.rows + at, number);
      if (to.stored) store(to.stored + at, upper_halves(number));
    }
  }

  template <int H, int R>
  static void mask(int64_t row, int i, Places by, Vector (&v)[R]) {
    Fp32::mask<H>(row, i, {by.rows, nullptr}, v);
  }

  template <int H>
  static const float* as_rows(int64_t num_rows, const float* from, float* to) {
#pragma GCC unroll 4
    for (int64_t i = 0; i < num_rows * H; i += kWidth) store(to + i, rounded(load(from + i)));
    return to;
  }
  template <int H>
  static const float* as_rows(int64_t num_rows, const uint16_t* from, float* to) {
#pragma GCC unroll 4
    for (int64_t i = 0; i < num_rows * H; i += kWidth) store(to + i, load_number(from + i));
    return to;
  }

  static constexpr auto kRound = &round_to_bf16_array;

  // (H, H): as for float32. (K, H) with another K: row by row, for narrow_layer().
  template <int H>
  static void pack(const float* source, int64_t k_stride, int64_t j_stride, int64_t num_k, float* to) {
    if (num_k == H) {
      Fp32::pack<H>(source, k_stride, j_stride, num_k, to);
    } else {
      float* out = to;
      for (int64_t k = 0; k < num_k; ++k)
        for (int j = 0; j < H; ++j) *out++ = source[k * k_stride + j * j_stride];
    }
    for (int64_t i = 0; i < num_k * H; i += kWidth) store(to + i, rounded(load(to + i)));
  }

  template <int H, class Put>
  static void narrow_layer(int64_t rows, const float* x, int64_t inputs, const float* w1_forward, const float* b1,
                           const Put& put_hidden) {
    narrow_layer_bf16<Bf16Wide, H>(rows, x, inputs, w1_forward, b1, put_hidden);
  }
  template <int H>
  static void narrow_gradients(int64_t rows, const float* x, int64_t inputs, const float* dh, const float* w1_forward,
                               const float*, float* grad_w1, float* grad_x) {
    narrow_gradients_bf16<Bf16Wide, H>(rows, x, inputs, dh, w1_forward, grad_w1, grad_x);
  }
};

}  // namespace
}  // namespace botan_fast
