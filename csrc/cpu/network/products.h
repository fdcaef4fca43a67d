// Products of tiles by weights, and of two tiles, in blocks that fit the registers. Storage (of storage_*.h) says what
// a word of a factor is and how words are multiplied.
#pragma once

#include "cpu/network/vector.h"

namespace botan_fast {
namespace {

constexpr int64_t kRowsAhead = 24;  // of arrays that are read row by row: four blocks of a product

template <class Storage>
struct Left {  // word (row, k) is p[row * row_stride + k * k_stride]
  const typename Storage::Word* p;
  int64_t row_stride, k_stride;
};
template <class Storage>
struct Right {  // word (k, column) is p[panel * panel_stride + k * k_stride + column within the panel]
  const typename Storage::Word* p;
  int64_t panel_stride, k_stride;
};

template <class Storage, int H>
inline Left<Storage> rows_of(const typename Storage::Element* p) {  // (M, H) as it lies in memory
  return {reinterpret_cast<const typename Storage::Word*>(p), H / Storage::kPerWord, 1};
}
template <class Storage, int H>
inline Right<Storage> packed(const float* p, int64_t num_k = H) {  // of (K, H) weights
  return {reinterpret_cast<const typename Storage::Word*>(p), num_k / Storage::kPerWord * panel_columns<H>(),
          panel_columns<H>()};
}

template <class Storage, int R, int H, class Init, class Out>
inline void register_block(int64_t row, int panel, Left<Storage> a, Right<Storage> b, int64_t num_words, Init& init,
                           Out& out) {
  constexpr int V = panel_vectors<H>();
  Vector acc[R][V];
  const int column = panel * panel_columns<H>();
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) acc[r][v] = init(row + r, column + v * kWidth);
  const auto* pa = a.p + row * a.row_stride;
  const auto* pb = b.p + panel * b.panel_stride;
  // Sixteen rounds rather than 64: less counting, and an end that a processor can foresee.
#pragma GCC unroll 4
  for (int64_t k = 0; k < num_words; ++k) {
    typename Storage::WordVector bv[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) bv[v] = load(pb + v * kWidth);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const typename Storage::Word s = pa[r * a.row_stride];
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) acc[r][v] = Storage::add_products(acc[r][v], s, bv[v]);
    }
    pa += a.k_stride;
    pb += b.k_stride;
  }
  Storage::after_products();
  if constexpr (Storage::kOneLayout) {
    // Row by row: columns that are neighbours share a cache line, which is best written at once.
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        Vector values[1] = {acc[r][v]};
        out(row + r, column + v * kWidth, values);
      }
  } else {
    // Column by column, all rows of the block at once, for layouts that pair rows.
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      Vector values[R];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) values[r] = acc[r][v];
      out(row, column + v * kWidth, values);
    }
  }
}

// out(row, column, vectors of some rows) of sum over k of a(row, k) b(k, column) + init(row, column). Blocks begin at
// even rows. The order of the sum over k is the same for every element, whatever the blocking.
template <class Storage, int H, class Init, class Out>
inline void product(int64_t rows, Left<Storage> a, Right<Storage> b, int64_t num_words, Init init, Out out) {
  constexpr int panels = H / panel_columns<H>(), most = Storage::kBlockRows;
  int64_t row = 0;
  for (; row + most <= rows; row += most)
    for (int p = 0; p < panels; ++p) register_block<Storage, most, H>(row, p, a, b, num_words, init, out);
  if constexpr (Storage::kBlocksOf4)
    for (; row + 4 <= rows; row += 4)
      for (int p = 0; p < panels; ++p) register_block<Storage, 4, H>(row, p, a, b, num_words, init, out);
  for (; row + 2 <= rows; row += 2)
    for (int p = 0; p < panels; ++p) register_block<Storage, 2, H>(row, p, a, b, num_words, init, out);
  for (; row < rows; ++row)
    for (int p = 0; p < panels; ++p) register_block<Storage, 1, H>(row, p, a, b, num_words, init, out);
}

inline Vector zero(int64_t, int) { return Vector{}; }

// grad (G, H) += g^T a, where g has G columns and rows g_stride words apart, a has H columns, both `num_words` words
// high.
template <class Storage, int H>
inline void outer_product(int64_t num_words, const typename Storage::Word* g, int64_t num_g, int64_t g_stride,
                          const typename Storage::Word* a, float* grad) {
  product<Storage, H>(
      num_g, Left<Storage>{g, 1, g_stride}, Right<Storage>{a, panel_columns<H>(), H}, num_words,
      [=](int64_t j, int i) { return load(grad + j * H + i); },
      [=](int64_t j, int i, const auto& v) {
        constexpr int R = sizeof(v) / sizeof(Vector);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) store(grad + (j + r) * H + i, v[r]);
      });
}

// sum over columns of a[i] b[i]
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
