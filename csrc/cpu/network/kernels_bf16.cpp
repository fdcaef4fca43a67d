// The kernels of precision bf16: factors of products are rounded to bfloat16 (to nearest, ties to even), sums are
// float32. Compiled once for each instruction set, as kernels.cpp and under the same rules. AVX512-BF16 multiplies
// pairs of bfloat16 in one instruction (which treats denormals as zero); the other sets widen to float32.
//
// Two layouts hold two bfloat16 in a 32-bit word:
//   rows   (M, H / 2): neighbours in a row, the array as it lies in memory, the left factor of a product by weights
//   pairs  (M / 2, H): the same column of rows 2 m (low half) and 2 m + 1, both factors of a weight gradient;
//          packed weights are pairs of the (K, H) matrix, panel by panel
#include "cpu/network/kernels.h"
#include "cpu/network/vector.h"

#if defined(__AVX512F__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC's own header leaves "undefined" vectors uninitialised
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace botan_fast {
namespace {

#if defined(__AVX512BF16__)
constexpr int kBlockRows = 6;
#else
constexpr int kBlockRows = 4;  // the widened right factors need registers
#endif

typedef uint32_t Words __attribute__((vector_size(4 * kWidth)));
typedef uint16_t Halves __attribute__((vector_size(2 * kWidth)));
typedef uint32_t UnalignedWords __attribute__((vector_size(4 * kWidth), aligned(4), may_alias));
typedef uint16_t UnalignedHalves __attribute__((vector_size(2 * kWidth), aligned(2), may_alias));

inline Words load(const uint32_t* p) { return *reinterpret_cast<const UnalignedWords*>(p); }
inline void store(uint32_t* p, Words v) { *reinterpret_cast<UnalignedWords*>(p) = v; }
inline Halves load(const uint16_t* p) { return *reinterpret_cast<const UnalignedHalves*>(p); }
inline void store(uint16_t* p, Halves v) { *reinterpret_cast<UnalignedHalves*>(p) = v; }

inline Halves to_bf16(Vector v) {
#if defined(__AVX512BF16__)
  return (Halves)_mm512_cvtneps_pbh((__m512)v);
#else
  const Words w = (Words)v;
  const Words rounded = (w + (0x7fffu + ((w >> 16) & 1u))) >> 16;
  const Words nan = (w >> 16) | 0x40u;  // quiet: adding would carry into the sign
  return __builtin_convertvector((Words)(v == v ? rounded : nan), Halves);
#endif
}
inline Words widen(Halves h) {
#if defined(__AVX512F__)
  return (Words)_mm512_cvtepu16_epi32((__m256i)h);  // GCC 12 takes five instructions for the conversion below
#else
  return __builtin_convertvector(h, Words);
#endif
}
inline Vector from_bf16(Halves h) { return (Vector)(widen(h) << 16); }
inline Vector rounded(Vector v) { return from_bf16(to_bf16(v)); }
inline float rounded(float x) { return rounded(Vector{} + x)[0]; }
inline Words pair(Halves low, Halves high) { return widen(low) | widen(high) << 16; }
inline Vector low(Words w) { return (Vector)(w << 16); }
inline Vector high(Words w) { return (Vector)(w & 0xffff0000u); }

// acc + the products of the high halves + those of the low halves
inline Vector add_products(Vector acc, uint32_t a, Words b) {
#if defined(__AVX512BF16__)
  return (Vector)_mm512_dpbf16_ps((__m512)acc, (__m512bh)_mm512_set1_epi32(static_cast<int>(a)), (__m512bh)b);
#else
  const Words splat = Words{} + a;
  acc += high(splat) * high(b);
  acc += low(splat) * low(b);
  return acc;
#endif
}

struct Left {  // word (row, k) is p[row * row_stride + k * k_stride]
  const uint32_t* p;
  int64_t row_stride, k_stride;
};
struct Right {  // word (k, column) is p[panel * panel_stride + k * k_stride + column within the panel]
  const uint32_t* p;
  int64_t panel_stride, k_stride;
};

template <int H>
inline Left rows_of(const uint16_t* p) {
  return {reinterpret_cast<const uint32_t*>(p), H / 2, 1};
}
template <int H>
inline Right packed(const float* p) {  // of (H, H) weights
  return {reinterpret_cast<const uint32_t*>(p), H / 2 * panel_columns<H>(), panel_columns<H>()};
}

template <int R, int H, class Init, class Store>
inline void register_block(int64_t row, int panel, Left a, Right b, int64_t num_k, Init& init, Store& out) {
  constexpr int V = panel_vectors<H>();
  Vector acc[R][V];
  const int column = panel * panel_columns<H>();
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) acc[r][v] = init(row + r, column + v * kWidth);
  const uint32_t* pa = a.p + row * a.row_stride;
  const uint32_t* pb = b.p + panel * b.panel_stride;
  for (int64_t k = 0; k < num_k; ++k) {
    Words bv[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) bv[v] = load(pb + v * kWidth);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const uint32_t s = pa[r * a.row_stride];
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) acc[r][v] = add_products(acc[r][v], s, bv[v]);
    }
    pa += a.k_stride;
    pb += b.k_stride;
  }
  // Column by column, all rows of the block at once: out(row, column, vectors of R rows).
#pragma GCC unroll 8
  for (int v = 0; v < V; ++v) {
    Vector values[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) values[r] = acc[r][v];
    out(row, column + v * kWidth, values);
  }
}

// out(row, column, R vectors) of sum over k of a(row, k) b(k, column) + init(row, column). Blocks of rows begin at
// even rows. The order of the sum over k is the same for every element, whatever the blocking.
template <int H, class Init, class Store>
inline void product(int64_t rows, Left a, Right b, int64_t num_k, Init init, Store out) {
  constexpr int panels = H / panel_columns<H>();
  int64_t row = 0;
  for (; row + kBlockRows <= rows; row += kBlockRows)
    for (int p = 0; p < panels; ++p) register_block<kBlockRows, H>(row, p, a, b, num_k, init, out);
  for (; row + 2 <= rows; row += 2)
    for (int p = 0; p < panels; ++p) register_block<2, H>(row, p, a, b, num_k, init, out);
  for (; row < rows; ++row)
    for (int p = 0; p < panels; ++p) register_block<1, H>(row, p, a, b, num_k, init, out);
}

inline Vector zero(int64_t, int) { return Vector{}; }

// grad (H, H) += g^T a, both as pairs of `rows` rows.
template <int H>
inline void outer_product(int64_t rows, const uint32_t* g, const uint32_t* a, float* grad) {
  product<H>(
      H, Left{g, 1, H}, Right{a, panel_columns<H>(), H}, (rows + 1) / 2,
      [=](int64_t j, int i) { return load(grad + j * H + i); },
      [=](int64_t j, int i, const auto& v) {
        constexpr int R = sizeof(v) / sizeof(Vector);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) store(grad + (j + r) * H + i, v[r]);
      });
}

// ---- moving between layouts; null pointers leave a layout out -------------------------------------------------

template <int H, int R>
inline void store_bf16(int64_t row, int i, const Vector (&v)[R], uint16_t* rows, uint32_t* pairs) {
#pragma GCC unroll 8
  for (int r = 0; r < R; r += 2) {
    const Halves first = to_bf16(v[r]), second = r + 1 < R ? to_bf16(v[r + 1 < R ? r + 1 : r]) : Halves{};
    if (rows) {
      store(rows + (row + r) * H + i, first);
      if (r + 1 < R) store(rows + (row + r + 1) * H + i, second);
    }
    if (pairs) store(pairs + (row + r) / 2 * H + i, pair(first, second));
  }
}

// Vectors [r] of R rows at (row, column i) of floats or bfloat16.
inline Vector load_float(const float* p) { return load(p); }
inline Vector load_float(const uint16_t* p) { return from_bf16(load(p)); }

template <int H, class T>
inline void convert(int64_t num_rows, const T* from, uint16_t* rows, uint32_t* pairs) {
  int64_t row = 0;
  for (; row + 2 <= num_rows; row += 2)
#pragma GCC unroll 8
    for (int i = 0; i < H; i += kWidth) {
      const Vector v[2] = {load_float(from + row * H + i), load_float(from + (row + 1) * H + i)};
      store_bf16<H>(row, i, v, rows, pairs);
    }
  if (row < num_rows)
    for (int i = 0; i < H; i += kWidth) {
      const Vector v[1] = {load_float(from + row * H + i)};
      store_bf16<H>(row, i, v, rows, pairs);
    }
}

// The same for bfloat16 rows, without arithmetic.
template <int H>
inline void pairs_of(int64_t num_rows, const uint16_t* from, uint32_t* pairs) {
  int64_t row = 0;
  for (; row + 2 <= num_rows; row += 2)
#pragma GCC unroll 8
    for (int i = 0; i < H; i += kWidth)
      store(pairs + row / 2 * H + i, pair(load(from + row * H + i), load(from + (row + 1) * H + i)));
  if (row < num_rows)
    for (int i = 0; i < H; i += kWidth) store(pairs + row / 2 * H + i, pair(load(from + row * H + i), Halves{}));
}

// v where the element (row + r, i) of the pairs is positive
template <int H, int R>
inline void mask_by_pairs(int64_t row, int i, const uint32_t* pairs, Vector (&v)[R]) {
#pragma GCC unroll 8
  for (int r = 0; r < R; r += 2) {
    const Words w = load(pairs + (row + r) / 2 * H + i);
    v[r] = where_positive(low(w), v[r]);
    if (r + 1 < R) v[r + 1 < R ? r + 1 : r] = where_positive(high(w), v[r + 1 < R ? r + 1 : r]);
  }
}

template <int R>
inline Vector total(const Vector (&v)[R]) {
  Vector sum = v[0];
#pragma GCC unroll 8
  for (int r = 1; r < R; ++r) sum += v[r];
  return sum;
}

void round_array(const float* from, int64_t begin, int64_t end, Stored* to) {
  uint16_t* out = static_cast<uint16_t*>(to);
  for (int64_t i = begin; i < end; i += kWidth) store(out + i, to_bf16(load(from + i)));
}

// (H, H): pairs, panel by panel. (K, H) with another K: rounded floats, row by row, for narrow().
template <int H>
void pack(const float* source, int64_t k_stride, int64_t j_stride, int64_t num_k, float* to) {
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
        for (int which = 0; which < 2; ++which)
          *halves++ = to_bf16(Vector{} + source[(k + which) * k_stride + (p * columns + j) * j_stride])[0];
}

// ---- edges ----------------------------------------------------------------------------------------------------

constexpr int kAhead = 2 * kBlockRows;  // rows of Ps, which lie anywhere, are fetched this many edges before their use

// h = relu(We e + c + Ps[sender] + Pr[receiver]) for `rows` edges from k0 on.
template <int H, class Args>
inline void hidden_layer(const Args& s, int64_t k0, int64_t rows, uint16_t* h_rows, uint32_t* h_pairs) {
  product<H>(
      rows, rows_of<H>(static_cast<const uint16_t*>(s.e) + k0 * H), packed<H>(s.we_forward), H / 2,
      [&](int64_t r, int i) {
        const int64_t k = k0 + r;
        if (r + kAhead < rows) __builtin_prefetch(s.p_sender + int64_t(s.senders[k + kAhead]) * H + i);
        return from_bf16(load(static_cast<const uint16_t*>(s.c) + k * H + i)) +
               load(s.p_sender + int64_t(s.senders[k]) * H + i) + load(s.p_receiver + int64_t(s.receivers[k]) * H + i);
      },
      [=](int64_t r, int i, auto& v) {
        for (Vector& each : v) each = relu(each);
        store_bf16<H>(r, i, v, h_rows, h_pairs);
      });
}

template <int H>
void edge_forward(const EdgeForwardChunk& arguments) {
  const EdgeForwardChunk s = arguments;  // a local copy: stores through float* cannot alias it
  uint16_t* e_out = static_cast<uint16_t*>(s.e_out);
  alignas(64) uint16_t h[kTile * H];
  for (int64_t n = s.node_begin * H; n < s.node_end * H; n += kWidth) store(s.sum + n, Vector{});
  const int64_t end = s.row_ptr[s.node_end];
  for (int64_t k0 = s.row_ptr[s.node_begin]; k0 < end; k0 += kTile) {
    const int64_t rows = end - k0 < kTile ? end - k0 : kTile;
    hidden_layer<H>(s, k0, rows, h, nullptr);
    product<H>(
        rows, rows_of<H>(h), packed<H>(s.w2_forward), H / 2, [&](int64_t, int i) { return load(s.b2 + i); },
        [&](int64_t row, int i, auto& v) {
          constexpr int R = sizeof(v) / sizeof(Vector);
#pragma GCC unroll 8
          for (int r = 0; r < R; ++r) {
            const int64_t k = k0 + row + r;
            v[r] = relu(v[r]);
            add_to(s.sum + int64_t(s.receivers[k]) * H + i, v[r]);
            if (s.e_last)
              store(s.e_last + k * H + i, v[r]);
            else
              store(e_out + k * H + i, to_bf16(v[r]));
          }
        });
  }
}

template <int H>
void edge_backward(const EdgeBackwardChunk& arguments) {
  const EdgeBackwardChunk s = arguments;  // a local copy: stores through float* cannot alias it
  const uint16_t *e = static_cast<const uint16_t*>(s.e), *e_out = static_cast<const uint16_t*>(s.e_out);
  uint16_t* grad_z = static_cast<uint16_t*>(s.grad_z);
  const bool last = s.last;
  alignas(64) uint16_t g_rows[kTile * H], h_rows[kTile * H];
  alignas(64) uint32_t h_pairs[kTile / 2 * H], g_pairs[kTile / 2 * H], pairs[kTile / 2 * H];
  for (int64_t n = s.node_begin * H; n < s.node_end * H; n += kWidth) store(s.grad_p_receiver + n, Vector{});
  const int64_t end = s.row_ptr[s.node_end];
  for (int64_t k0 = s.row_ptr[s.node_begin]; k0 < end; k0 += kTile) {
    const int64_t rows = end - k0 < kTile ? end - k0 : kTile;
    uint16_t* dz = grad_z + k0 * H;
    hidden_layer<H>(s, k0, rows, last ? h_rows : nullptr, h_pairs);
    // g = (gradient of e' from the next step + gradient of the incoming sum) where e' > 0
    if (last) {
      product<H>(
          rows, rows_of<H>(h_rows), packed<H>(s.w2_forward), H / 2, [&](int64_t, int i) { return load(s.b2 + i); },
          [&](int64_t row, int i, auto& v) {
            constexpr int R = sizeof(v) / sizeof(Vector);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) {
              const int64_t k = k0 + row + r;
              Vector gradient = s.grad_e_out ? load(s.grad_e_out + k * H + i) : Vector{};
              gradient += load(s.grad_sum + int64_t(s.receivers[k]) * H + i);
              v[r] = where_positive(v[r], gradient);
            }
            add_to(s.grad_b2 + i, total(v));
            store_bf16<H>(row, i, v, g_rows, g_pairs);
          });
    } else {
      product<H>(rows, rows_of<H>(dz), packed<H>(s.we_backward), H / 2, zero, [&](int64_t row, int i, auto& v) {
        constexpr int R = sizeof(v) / sizeof(Vector);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          const int64_t k = k0 + row + r;
          v[r] += load(s.grad_sum + int64_t(s.receivers[k]) * H + i);
          v[r] = where_positive(from_bf16(load(e_out + k * H + i)), v[r]);
        }
        add_to(s.grad_b2 + i, total(v));
        store_bf16<H>(row, i, v, g_rows, g_pairs);
      });
    }
    outer_product<H>(rows, g_pairs, h_pairs, s.grad_w2);
    product<H>(rows, rows_of<H>(g_rows), packed<H>(s.w2_backward), H / 2, zero, [&](int64_t row, int i, auto& v) {
      constexpr int R = sizeof(v) / sizeof(Vector);
      mask_by_pairs<H>(row, i, h_pairs, v);
      store_bf16<H>(row, i, v, dz, g_pairs);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {  // everything reads the stored dz
        const int64_t k = k0 + row + r;
        const Vector stored = rounded(v[r]);
        store(s.grad_c + k * H + i, last ? stored : load(s.grad_c + k * H + i) + stored);
        add_to(s.grad_p_receiver + int64_t(s.receivers[k]) * H + i, stored);
      }
    });
    pairs_of<H>(rows, e + k0 * H, pairs);
    outer_product<H>(rows, g_pairs, pairs, s.grad_we);
  }
}

template <int H>
void edge_input_gradient(const Stored* grad_z, const float* we_backward, int64_t begin, int64_t end, float* out) {
  product<H>(end - begin, rows_of<H>(static_cast<const uint16_t*>(grad_z) + begin * H), packed<H>(we_backward), H / 2,
             zero, [=](int64_t row, int i, const auto& v) {
               constexpr int R = sizeof(v) / sizeof(Vector);
               for (int r = 0; r < R; ++r) store(out + (begin + row + r) * H + i, v[r]);
             });
}

// ---- multilayer perceptrons -----------------------------------------------------------------------------------

// h = relu(W1 x + b1), as rows and pairs. x_rows has room for a tile where inputs == H.
template <int H>
inline void first_layer(int64_t rows, const float* x, int64_t inputs, const float* w, const float* b, uint16_t* x_rows,
                        uint16_t* h_rows, uint32_t* h_pairs) {
  if (inputs == H) {
    convert<H>(rows, x, x_rows, nullptr);
    product<H>(
        rows, rows_of<H>(x_rows), packed<H>(w), H / 2, [=](int64_t, int i) { return load(b + i); },
        [=](int64_t row, int i, auto& v) {
          for (Vector& each : v) each = relu(each);
          store_bf16<H>(row, i, v, h_rows, h_pairs);
        });
    return;
  }
  for (int64_t row = 0; row < rows; row += 2) {  // few inputs: plain float32 on rounded numbers
    constexpr int V = H / kWidth;
    const bool both = row + 1 < rows;
    Vector v[V][2];
    for (int i = 0; i < V; ++i) v[i][0] = v[i][1] = load(b + i * kWidth);
    for (int64_t k = 0; k < inputs; ++k) {
      const float first = rounded(x[row * inputs + k]), second = both ? rounded(x[(row + 1) * inputs + k]) : 0.0f;
#pragma GCC unroll 32
      for (int i = 0; i < V; ++i) {
        v[i][0] += first * load(w + k * H + i * kWidth);
        v[i][1] += second * load(w + k * H + i * kWidth);
      }
    }
    for (int i = 0; i < V; ++i) {
      for (Vector& each : v[i]) each = relu(each);
      if (both) {
        store_bf16<H>(row, i * kWidth, v[i], h_rows, h_pairs);
      } else {
        const Vector single[1] = {v[i][0]};
        store_bf16<H>(row, i * kWidth, single, h_rows, h_pairs);
      }
    }
  }
}

template <int H>
void mlp_forward(const MlpForwardChunk& arguments) {
  const MlpForwardChunk s = arguments;  // a local copy: stores through float* cannot alias it
  alignas(64) uint16_t x_rows[kTile * H], h[kTile * H];
  alignas(64) float h2[kTile * H], w3[H] = {};
  if (s.w3)
    for (int i = 0; i < H; i += kWidth) store(w3 + i, rounded(load(s.w3 + i)));
  for (int64_t m = s.begin; m < s.end; m += kTile) {
    const int64_t rows = s.end - m < kTile ? s.end - m : kTile;
    first_layer<H>(rows, s.x + m * s.num_inputs, s.num_inputs, s.w1_forward, s.b1, x_rows, h, nullptr);
    float* y = s.w3 ? h2 : s.y + m * H;
    const bool round = s.w3;
    product<H>(
        rows, rows_of<H>(h), packed<H>(s.w2_forward), H / 2, [&](int64_t, int i) { return load(s.b2 + i); },
        [&](int64_t row, int i, const auto& v) {
          constexpr int R = sizeof(v) / sizeof(Vector);
          for (int r = 0; r < R; ++r) store(y + (row + r) * H + i, round ? rounded(relu(v[r])) : relu(v[r]));
        });
    if (s.w3)
      for (int64_t r = 0; r < rows; ++r) s.y[m + r] = dot<H>(h2 + r * H, w3) + s.b3[0];
  }
}

template <int H>
void mlp_backward(const MlpBackwardChunk& arguments) {
  const MlpBackwardChunk s = arguments;  // a local copy: stores through float* cannot alias it
  const bool wide = s.num_inputs == H;
  alignas(64) uint16_t x_rows[kTile * H], h_rows[kTile * H], g_rows[kTile * H];
  alignas(64) uint32_t h_pairs[kTile / 2 * H], g_pairs[kTile / 2 * H], x_pairs[kTile / 2 * H];
  alignas(64) float dh[kTile * H], w3[H] = {};
  if (s.w3)
    for (int i = 0; i < H; i += kWidth) store(w3 + i, rounded(load(s.w3 + i)));
  for (int64_t m = s.begin; m < s.end; m += kTile) {
    const int64_t rows = s.end - m < kTile ? s.end - m : kTile;
    const float* x = s.x + m * s.num_inputs;
    first_layer<H>(rows, x, s.num_inputs, s.w1_forward, s.b1, x_rows, s.w3 ? h_rows : nullptr, h_pairs);
    if (s.w3) {
      for (int64_t r = 0; r < rows; ++r) s.grad_b3[0] += s.grad_y[m + r];
      product<H>(
          rows, rows_of<H>(h_rows), packed<H>(s.w2_forward), H / 2, [&](int64_t, int i) { return load(s.b2 + i); },
          [&](int64_t row, int i, auto& v) {
            constexpr int R = sizeof(v) / sizeof(Vector);
            Vector gradient = load(s.grad_w3 + i);
            for (int r = 0; r < R; ++r) {
              const float gy = rounded(s.grad_y[m + row + r]);
              const Vector h = relu(v[r]);
              gradient += gy * rounded(h);
              v[r] = where_positive(h, gy * load(w3 + i));
            }
            store(s.grad_w3 + i, gradient);
            add_to(s.grad_b2 + i, total(v));
            store_bf16<H>(row, i, v, g_rows, g_pairs);
          });
    } else {
      for (int64_t row = 0; row < rows; row += 2)
#pragma GCC unroll 8
        for (int i = 0; i < H; i += kWidth) {
          const auto masked = [&](int64_t r) {
            return where_positive(load(s.y + (m + r) * H + i), load(s.grad_y + (m + r) * H + i));
          };
          if (row + 1 < rows) {
            const Vector v[2] = {masked(row), masked(row + 1)};
            add_to(s.grad_b2 + i, total(v));
            store_bf16<H>(row, i, v, g_rows, g_pairs);
          } else {
            const Vector v[1] = {masked(row)};
            add_to(s.grad_b2 + i, v[0]);
            store_bf16<H>(row, i, v, g_rows, g_pairs);
          }
        }
    }
    outer_product<H>(rows, g_pairs, h_pairs, s.grad_w2);
    product<H>(rows, rows_of<H>(g_rows), packed<H>(s.w2_backward), H / 2, zero, [&](int64_t row, int i, auto& v) {
      constexpr int R = sizeof(v) / sizeof(Vector);
      mask_by_pairs<H>(row, i, h_pairs, v);
      add_to(s.grad_b1 + i, total(v));
      if (wide)
        store_bf16<H>(row, i, v, h_rows, g_pairs);  // h_rows and g_pairs are free again
      else
        for (int r = 0; r < R; ++r) store(dh + (row + r) * H + i, rounded(v[r]));
    });
    if (wide) {
      pairs_of<H>(rows, x_rows, x_pairs);
      outer_product<H>(rows, x_pairs, g_pairs, s.grad_w1);  // (K, H): x^T dh
      if (!s.grad_x) continue;
      product<H>(rows, rows_of<H>(h_rows), packed<H>(s.w1_backward), H / 2, zero,
                 [&](int64_t row, int i, const auto& v) {
                   constexpr int R = sizeof(v) / sizeof(Vector);
                   for (int r = 0; r < R; ++r) store(s.grad_x + (m + row + r) * H + i, v[r]);
                 });
      continue;
    }
    for (int64_t k = 0; k < s.num_inputs; ++k) {
      Vector sum[H / kWidth];
      for (int i = 0; i < H / kWidth; ++i) sum[i] = load(s.grad_w1 + k * H + i * kWidth);
      for (int64_t r = 0; r < rows; ++r) {
        const float xr = rounded(x[r * s.num_inputs + k]);
#pragma GCC unroll 32
        for (int i = 0; i < H / kWidth; ++i) sum[i] += xr * load(dh + r * H + i * kWidth);
        if (s.grad_x) s.grad_x[(m + r) * s.num_inputs + k] = dot<H>(dh + r * H, s.w1_forward + k * H);
      }
      for (int i = 0; i < H / kWidth; ++i) store(s.grad_w1 + k * H + i * kWidth, sum[i]);
    }
  }
}

// ---- rows of nodes --------------------------------------------------------------------------------------------

template <int H>
void linear(const LinearChunk& arguments) {
  const LinearChunk s = arguments;  // a local copy: stores through float* cannot alias it
  alignas(64) uint16_t a_rows[kTile * H];
  for (int64_t m = s.begin; m < s.end; m += kTile) {
    const int64_t rows = s.end - m < kTile ? s.end - m : kTile;
    const float* base = s.base;
    for (int t = 0; t < s.num_terms; ++t) {
      const bool last = t + 1 == s.num_terms;
      const float* bias = t == 0 ? s.bias : nullptr;
      convert<H>(rows, s.a[t] + m * H, a_rows, nullptr);
      product<H>(
          rows, rows_of<H>(a_rows), packed<H>(s.b[t]), H / 2,
          [&](int64_t r, int i) {
            Vector v = bias ? load(bias + i) : Vector{};
            return base ? v + load(base + (m + r) * H + i) : v;
          },
          [&](int64_t row, int i, auto& v) {
            constexpr int R = sizeof(v) / sizeof(Vector);
            for (int r = 0; r < R; ++r) {
              const int64_t at = (m + row + r) * H + i;
              if (last && s.relu) v[r] = relu(v[r]);
              if (last && s.mask) v[r] = where_positive(load(s.mask + at), v[r]);
              store(s.out + at, v[r]);
            }
          });
      base = s.out;
    }
  }
}

template <int H>
void weight_gradient(const WeightGradientChunk& s) {
  alignas(64) uint32_t g[kTile / 2 * H], a[kTile / 2 * H];
  for (int64_t m = s.begin; m < s.end; m += kTile) {
    const int64_t rows = s.end - m < kTile ? s.end - m : kTile;
    convert<H>(rows, s.g + m * H, nullptr, g);
    convert<H>(rows, s.a + m * H, nullptr, a);
    outer_product<H>(rows, g, a, s.grad);
  }
}

template <int H>
void gather_sum(const Stored* values, const int32_t* order, const int32_t* ptr, int64_t begin, int64_t end,
                float* out) {
  for (int64_t n = begin; n < end; ++n) {
    Vector sum[H / kWidth] = {};
    for (int64_t k = ptr[n]; k < ptr[n + 1]; ++k) {
      const uint16_t* row = static_cast<const uint16_t*>(values) + int64_t(order[k]) * H;
#pragma GCC unroll 8
      for (int v = 0; v < H / kWidth; ++v) sum[v] += from_bf16(load(row + v * kWidth));
    }
#pragma GCC unroll 8
    for (int v = 0; v < H / kWidth; ++v) store(out + n * H + v * kWidth, sum[v]);
  }
}

template <int H>
const Kernels table = {H,
                       &round_array,
                       &pack<H>,
                       &edge_forward<H>,
                       &edge_backward<H>,
                       &edge_input_gradient<H>,
                       &mlp_forward<H>,
                       &mlp_backward<H>,
                       &linear<H>,
                       &weight_gradient<H>,
                       &column_sum<H>,
                       &gather_sum<H>};

}  // namespace

const Kernels* BOTAN_FAST_JOIN(kernels_bf16_, BOTAN_FAST_SIMD)(int hidden_size) {
  switch (hidden_size) {
    case 32:
      return &table<32>;
    case 64:
      return &table<64>;
    case 128:
      return &table<128>;
    default:
      return nullptr;
  }
}

}  // namespace botan_fast
