// bfloat16 as the numbers of the kernels, for processors with AVX512-BF16, which multiplies pairs of bfloat16 in one
// instruction (and treats denormals as zero): see kernels_common.h. Factors of products are rounded to bfloat16, sums
// are float32. storage_bf16_wide.h is for processors without the instruction.
//
// Two layouts hold two bfloat16 in a 32-bit word:
//   rows   (M, H / 2): neighbours in a row, the array as it lies in memory, the left factor of a product by weights
//   pairs  (M / 2, H): the same column of rows 2 m (low half) and 2 m + 1, both factors of a weight gradient;
//          packed weights are pairs of the (K, H) matrix, panel by panel
#pragma once

#include "cpu/network/bfloat16.h"
#include "cpu/network/narrow_bf16.h"

namespace botan_fast {
namespace {

inline Words pair(Halves low, Halves high) { return widen(low) | widen(high) << 16; }
inline Vector low(Words w) { return (Vector)(w << 16); }
inline Vector high(Words w) { return (Vector)(w & 0xffff0000u); }

struct Bf16 {
  typedef uint16_t Number, Element;
  typedef uint32_t Word;
  typedef Words WordVector;
  static constexpr int kPerWord = 2;
  static constexpr bool kOneLayout = false;
  static constexpr int kBlockRows = kRows;
  static constexpr bool kBlocksOf4 = false;      // sums over rows are taken block by block: other blocks, other bits
  static constexpr int kAhead = 2 * kBlockRows;  // rows of Ps, which lie anywhere, are fetched this many edges early
  static constexpr int64_t kFactorAhead = kRowsAhead;  // and rows of left factors that lie in memory

  static Vector load_number(const uint16_t* p) { return from_bf16(load(p)); }
  static void store_number(uint16_t* p, Vector v) { store(p, to_bf16(v)); }
  static Vector rounded(Vector v) { return round_to_bf16(v); }
  static float rounded(float x) { return rounded(Vector{} + x)[0]; }

  // acc + the products of the high halves + those of the low halves
  static Vector add_products(Vector acc, uint32_t a, Words b) {
    return (Vector)_mm512_dpbf16_ps((__m512)acc, (__m512bh)_mm512_set1_epi32(static_cast<int>(a)), (__m512bh)b);
  }
  static void after_products() {}

  // Where a tile goes; null pointers leave a layout out.
  struct Places {
    uint16_t* rows;
    uint32_t* pairs;
  };
  static const uint32_t* factor(Places p) { return p.pairs; }
  static Places stored_places(uint16_t* stored, Places, Places spare) { return {stored, spare.pairs}; }

  template <int H, int R>
  static void put(int64_t row, int i, const Vector (&v)[R], Places to) {
#pragma GCC unroll 8
    for (int r = 0; r < R; r += 2) {
      const Halves first = to_bf16(v[r]), second = r + 1 < R ? to_bf16(v[r + 1 < R ? r + 1 : r]) : Halves{};
      if (to.rows) {
        store(to.rows + (row + r) * H + i, first);
        if (r + 1 < R) store(to.rows + (row + r + 1) * H + i, second);
      }
      if (to.pairs) store(to.pairs + (row + r) / 2 * H + i, pair(first, second));
    }
  }

  // v where the element (row + r, i) of the pairs is positive
  template <int H, int R>
  static void mask(int64_t row, int i, Places by, Vector (&v)[R]) {
#pragma GCC unroll 8
    for (int r = 0; r < R; r += 2) {
      const Words w = load(by.pairs + (row + r) / 2 * H + i);
      v[r] = where_positive(low(w), v[r]);
      if (r + 1 < R) v[r + 1 < R ? r + 1 : r] = where_positive(high(w), v[r + 1 < R ? r + 1 : r]);
    }
  }

  template <int R>
  static void add_rows(float* sum, const Vector (&v)[R]) {
    Vector total = v[0];
#pragma GCC unroll 8
    for (int r = 1; r < R; ++r) total += v[r];
    add_to(sum, total);
  }

  // ---- rows of floats or of numbers as factors; `to` has room for a tile

  template <int H>
  static const uint16_t* as_rows(int64_t num_rows, const float* from, uint16_t* to) {
    convert<H>(num_rows, from, {to, nullptr});
    return to;
  }
  template <int H>
  static const uint16_t* as_rows(int64_t, const uint16_t* from, uint16_t*) {
    return from;
  }
  template <int H>
  static const uint32_t* as_factor(int64_t num_rows, const float* from, uint32_t* to) {
    convert<H>(num_rows, from, {nullptr, to});
    return to;
  }
  template <int H>
  static const uint32_t* as_factor(int64_t num_rows, const uint16_t* from, uint32_t* to) {  // without arithmetic
    int64_t row = 0;
    for (; row + 2 <= num_rows; row += 2)
#pragma GCC unroll 8
      for (int i = 0; i < H; i += kWidth)
        store(to + row / 2 * H + i, pair(load(from + row * H + i), load(from + (row + 1) * H + i)));
    if (row < num_rows)
      for (int i = 0; i < H; i += kWidth) store(to + row / 2 * H + i, pair(load(from + row * H + i), Halves{}));
    return to;
  }

  static constexpr auto kRound = &round_to_bf16_array;

  // (H, H): pairs, panel by panel. (K, H) with another K: rounded floats, row by row, for narrow_layer().
  template <int H>
  static void pack(const float* source, int64_t k_stride, int64_t j_stride, int64_t num_k, float* to) {
    constexpr int columns = panel_columns<H>();
    if (num_k != H) {
      for (int64_t k = 0; k < num_k; ++k)
        for (int j = 0; j < H; ++j) *to++ = rounded(source[k * k_stride + j * j_stride]);
      return;
    }
    uint16_t* halves = reinterpret_cast<uint16_t*>(to);
    for (int p = 0; p < H / columns; ++p)
      for (int64_t k = 0; k < num_k; k += 2)
        for (int j = 0; j < columns; ++j)
          for (int half = 0; half < 2; ++half)
            *halves++ = to_bf16(Vector{} + source[(k + half) * k_stride + (p * columns + j) * j_stride])[0];
  }

  // ---- another number of inputs than H

  template <int H, class Put>
  static void narrow_layer(int64_t rows, const float* x, int64_t inputs, const float* w1_forward, const float* b1,
                           const Put& put_hidden) {
    narrow_layer_bf16<Bf16, H>(rows, x, inputs, w1_forward, b1, put_hidden);
  }
  template <int H>
  static void narrow_gradients(int64_t rows, const float* x, int64_t inputs, const float* dh, const float* w1_forward,
                               const float*, float* grad_w1, float* grad_x) {
    narrow_gradients_bf16<Bf16, H>(rows, x, inputs, dh, w1_forward, grad_w1, grad_x);
  }

 private:
  template <int H>
  static void convert(int64_t num_rows, const float* from, Places to) {
    int64_t row = 0;
    for (; row + 2 <= num_rows; row += 2)
#pragma GCC unroll 8
      for (int i = 0; i < H; i += kWidth) {
        const Vector v[2] = {load(from + row * H + i), load(from + (row + 1) * H + i)};
        put<H>(row, i, v, to);
      }
    if (row < num_rows)
      for (int i = 0; i < H; i += kWidth) {
        const Vector v[1] = {load(from + row * H + i)};
        put<H>(row, i, v, to);
      }
  }
};

}  // namespace
}  // namespace botan_fast
