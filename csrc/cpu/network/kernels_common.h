// The arithmetic of the model for one instruction set and one Storage: Fp32 (storage_fp32.h), Bf16 (storage_bf16.h) or
// Bf16Wide (storage_bf16_wide.h) says how numbers lie between steps, how factors are multiplied, and how a tile serves
// as a factor. See kernels.h for what each kernel does. A tile is put down in `Places`: as rows, the left factor of a
// product by weights, and as the factor of a weight gradient; where Storage has one layout these are one array.
//
// CMake compiles kernels_fp32.cpp and kernels_bf16.cpp once for each set with BOTAN_FAST_SIMD naming it. Everything but
// the entry table has internal linkage, and no inline function of the standard library is instantiated here, so that
// the linker cannot hand AVX-512 code to a machine without it.
#pragma once

#include "cpu/network/kernels.h"
#include "cpu/network/products.h"

namespace botan_fast {
namespace {

// Rows [begin, end) in tiles: body(first row, number of rows).
template <class Body>
inline void for_tiles(int64_t begin, int64_t end, const Body& body) {
  for (int64_t m = begin; m < end; m += kTile) body(m, end - m < kTile ? end - m : kTile);
}

// Of a tile as the factor of a weight gradient, where that is an array of its own.
template <class Storage, int H>
constexpr int64_t kPairWords = Storage::kOneLayout ? 1 : kTile / Storage::kPerWord * H;

template <class Storage, int H>
struct Tile {
  alignas(64) typename Storage::Element rows[kTile * H];
  alignas(64) typename Storage::Word pairs[kPairWords<Storage, H>];

  typename Storage::Places both() { return {rows, pairs}; }
};

// grad (H, H) += g^T a, both (rows, H)
template <class Storage, int H>
inline void add_weight_gradient(int64_t rows, const typename Storage::Word* g, const typename Storage::Word* a,
                                float* grad) {
  outer_product<Storage, H>((rows + Storage::kPerWord - 1) / Storage::kPerWord, g, H, H, a, grad);
}

// Rows of an array as the factor of a weight gradient. `as_rows` is what Storage::as_rows made of them; `pairs` has
// room for a tile.
template <class Storage, int H, class From>
inline const typename Storage::Word* factor_of(int64_t rows, const From* from, const typename Storage::Element* as_rows,
                                               typename Storage::Word* pairs) {
  if constexpr (Storage::kOneLayout)
    return as_rows;
  else
    return Storage::template as_factor<H>(rows, from, pairs);
}

// out(row, column, R vectors) of rows times (H, H) weights + init(row, column)
template <class Storage, int H, class Init, class Out>
inline void times(int64_t rows, const typename Storage::Element* a, const float* weights, const Init& init,
                  const Out& out) {
  product<Storage, H>(rows, rows_of<Storage, H>(a), packed<Storage, H>(weights), H / Storage::kPerWord, init, out);
}

// ---- edges ----------------------------------------------------------------------------------------------------

// Asks for row k + kRows of an edge array, once for each cache line. These arrays are larger than the caches, and the
// processor asks on its own too late: rows of three arrays come one after the other, each a tile at a time. Not inlined
// at once, GCC takes a function that only asks for one without effect, and drops its calls.
template <int H, int64_t kRows = kRowsAhead, class T>
__attribute__((always_inline)) inline void ask_ahead(const T* array, int64_t k, int i) {
  if (i % static_cast<int>(64 / sizeof(T)) == 0) __builtin_prefetch(array + (k + kRows) * H + i);
}

// h = relu(We e + c + Ps[sender] + Pr[receiver]) for `rows` edges from k0 on, of which e_rows holds e.
template <class Storage, int H, class Chunk>
inline void hidden_layer(const Chunk& s, int64_t k0, int64_t rows, const typename Storage::Element* e_rows,
                         typename Storage::Places h) {
  using Number = typename Storage::Number;
  const Number *e = static_cast<const Number*>(s.e), *c = static_cast<const Number*>(s.c);
  times<Storage, H>(
      rows, e_rows, s.we_forward,
      [&](int64_t r, int i) {
        const int64_t k = k0 + r;
        ask_ahead<H, Storage::kFactorAhead>(e, k, i);
        ask_ahead<H>(c, k, i);
        if (i % 16 == 0 && r + Storage::kAhead < rows)
          __builtin_prefetch(s.p_sender + int64_t(s.senders[k + Storage::kAhead]) * H + i);
        return Storage::load_number(c + k * H + i) + load(s.p_sender + int64_t(s.senders[k]) * H + i) +
               load(s.p_receiver + int64_t(s.receivers[k]) * H + i);
      },
      [=](int64_t r, int i, auto& v) {
        for (Vector& each : v) each = relu(each);
        Storage::template put<H>(r, i, v, h);
      });
}

template <class Storage, int H>
void edge_forward(const EdgeForwardChunk& arguments) {
  const EdgeForwardChunk s = arguments;  // a local copy: stores through float* cannot alias it
  using Number = typename Storage::Number;
  const Number* e = static_cast<const Number*>(s.e);
  Number* e_out = static_cast<Number*>(s.e_out);
  Tile<Storage, H> e_tile, h;
  for (int64_t n = s.node_begin * H; n < s.node_end * H; n += kWidth) store(s.sum + n, Vector{});
  for_tiles(s.row_ptr[s.node_begin], s.row_ptr[s.node_end], [&](int64_t k0, int64_t rows) {
    const auto* e_rows = Storage::template as_rows<H>(rows, e + k0 * H, e_tile.rows);
    hidden_layer<Storage, H>(s, k0, rows, e_rows, {h.rows, nullptr});
    times<Storage, H>(
        rows, h.rows, s.w2_forward, [&](int64_t, int i) { return load(s.b2 + i); },
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
              Storage::store_number(e_out + k * H + i, v[r]);
          }
        });
  });
}

template <class Storage, int H>
void edge_backward(const EdgeBackwardChunk& arguments) {
  const EdgeBackwardChunk s = arguments;  // a local copy: stores through float* cannot alias it
  using Number = typename Storage::Number;
  const Number *e = static_cast<const Number*>(s.e), *e_out = static_cast<const Number*>(s.e_out);
  const bool last = s.last;
  Tile<Storage, H> e_tile, h, g, next;
  for (int64_t n = s.node_begin * H; n < s.node_end * H; n += kWidth) store(s.grad_p_receiver + n, Vector{});
  for_tiles(s.row_ptr[s.node_begin], s.row_ptr[s.node_end], [&](int64_t k0, int64_t rows) {
    Number* grad_z = static_cast<Number*>(s.grad_z) + k0 * H;
    // What h and g hold is used up by then, element by element.
    const typename Storage::Places dz = Storage::stored_places(grad_z, h.both(), g.both());
    const auto* e_rows = Storage::template as_rows<H>(rows, e + k0 * H, e_tile.rows);
    hidden_layer<Storage, H>(s, k0, rows, e_rows, {last || Storage::kOneLayout ? h.rows : nullptr, h.pairs});
    // g = (gradient of e' from the next step + gradient of the incoming sum) where e' > 0
    if (last) {
      times<Storage, H>(
          rows, h.rows, s.w2_forward, [&](int64_t, int i) { return load(s.b2 + i); },
          [&](int64_t row, int i, auto& v) {
            constexpr int R = sizeof(v) / sizeof(Vector);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) {
              const int64_t k = k0 + row + r;
              Vector gradient = s.grad_e_out ? load(s.grad_e_out + k * H + i) : Vector{};
              gradient += load(s.grad_sum + int64_t(s.receivers[k]) * H + i);
              v[r] = where_positive(v[r], gradient);
            }
            Storage::add_rows(s.grad_b2 + i, v);
            Storage::template put<H>(row, i, v, g.both());
          });
    } else {
      const auto* next_dz = Storage::template as_rows<H>(rows, grad_z, next.rows);
      const auto start = [=](int64_t r, int i) {
        ask_ahead<H, Storage::kFactorAhead>(grad_z, r, i);
        ask_ahead<H>(e_out, k0 + r, i);
        return Vector{};
      };
      times<Storage, H>(rows, next_dz, s.we_backward, start, [&](int64_t row, int i, auto& v) {
        constexpr int R = sizeof(v) / sizeof(Vector);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          const int64_t k = k0 + row + r;
          v[r] += load(s.grad_sum + int64_t(s.receivers[k]) * H + i);
          v[r] = where_positive(Storage::load_number(e_out + k * H + i), v[r]);
        }
        Storage::add_rows(s.grad_b2 + i, v);
        Storage::template put<H>(row, i, v, g.both());
      });
    }
    add_weight_gradient<Storage, H>(rows, Storage::factor(g.both()), Storage::factor(h.both()), s.grad_w2);
    float* grad_c = s.grad_c + k0 * H;
    const auto start = [=](int64_t r, int i) {
      ask_ahead<H>(grad_c, r, i);
      return Vector{};
    };
    times<Storage, H>(rows, g.rows, s.w2_backward, start, [&](int64_t row, int i, auto& v) {
      constexpr int R = sizeof(v) / sizeof(Vector);
      Storage::template mask<H>(row, i, h.both(), v);
      Storage::template put<H>(row, i, v, dz);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {  // everything reads the stored dz
        const int64_t k = k0 + row + r;
        const Vector stored = Storage::rounded(v[r]);
        store(s.grad_c + k * H + i, last ? stored : load(s.grad_c + k * H + i) + stored);
        add_to(s.grad_p_receiver + int64_t(s.receivers[k]) * H + i, stored);
      }
    });
    const auto* e_factor = factor_of<Storage, H>(rows, e + k0 * H, e_rows, e_tile.pairs);
    add_weight_gradient<Storage, H>(rows, Storage::factor(dz), e_factor, s.grad_we);
  });
}

template <class Storage, int H>
void edge_input_gradient(const Stored* grad_z, const float* we_backward, int64_t begin, int64_t end, float* out) {
  const auto* dz = static_cast<const typename Storage::Number*>(grad_z);
  Tile<Storage, H> tile;
  for_tiles(begin, end, [&](int64_t m, int64_t rows) {
    float* to = out + m * H;
    const auto* dz_rows = Storage::template as_rows<H>(rows, dz + m * H, tile.rows);
    times<Storage, H>(rows, dz_rows, we_backward, zero, [=](int64_t row, int i, const auto& v) {
      constexpr int R = sizeof(v) / sizeof(Vector);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) store(to + (row + r) * H + i, v[r]);
    });
  });
}

// ---- multilayer perceptrons -----------------------------------------------------------------------------------

// h = relu(W1 x + b1). x_rows has room for a tile, and holds the rows of x afterwards where they do not serve as they
// lie in memory; the result is where they are, or null for another number of inputs than H.
template <class Storage, int H>
inline const typename Storage::Element* first_layer(int64_t rows, const float* x, int64_t inputs,
                                                    const float* w1_forward, const float* b1,
                                                    typename Storage::Element* x_rows, typename Storage::Places h) {
  const auto put_hidden = [=](int64_t row, int i, auto& v) {
    for (Vector& each : v) each = relu(each);
    Storage::template put<H>(row, i, v, h);
  };
  if (inputs != H) {
    Storage::template narrow_layer<H>(rows, x, inputs, w1_forward, b1, put_hidden);
    return nullptr;
  }
  const auto* from = Storage::template as_rows<H>(rows, x, x_rows);
  times<Storage, H>(rows, from, w1_forward, [=](int64_t, int i) { return load(b1 + i); }, put_hidden);
  return from;
}

template <class Storage, int H>
void mlp_forward(const MlpForwardChunk& arguments) {
  const MlpForwardChunk s = arguments;  // a local copy: stores through float* cannot alias it
  Tile<Storage, H> x, h;
  alignas(64) float h2[kTile * H], w3[H] = {};
  if (s.w3)
    for (int i = 0; i < H; i += kWidth) store(w3 + i, Storage::rounded(load(s.w3 + i)));
  for_tiles(s.begin, s.end, [&](int64_t m, int64_t rows) {
    first_layer<Storage, H>(rows, s.x + m * s.num_inputs, s.num_inputs, s.w1_forward, s.b1, x.rows, {h.rows, nullptr});
    float* y = s.w3 ? h2 : s.y + m * H;
    const bool round = s.w3;
    times<Storage, H>(
        rows, h.rows, s.w2_forward, [&](int64_t, int i) { return load(s.b2 + i); },
        [&](int64_t row, int i, const auto& v) {
          constexpr int R = sizeof(v) / sizeof(Vector);
#pragma GCC unroll 8
          for (int r = 0; r < R; ++r) store(y + (row + r) * H + i, round ? Storage::rounded(relu(v[r])) : relu(v[r]));
        });
    if (s.w3)
      for (int64_t r = 0; r < rows; ++r) s.y[m + r] = dot<H>(h2 + r * H, w3) + s.b3[0];
  });
}

template <class Storage, int H>
void mlp_backward(const MlpBackwardChunk& arguments) {
  const MlpBackwardChunk s = arguments;  // a local copy: stores through float* cannot alias it
  const bool wide = s.num_inputs == H;
  Tile<Storage, H> x, h, g;
  alignas(64) float narrow_dh[kTile * H], w3[H] = {};
  if (s.w3)
    for (int i = 0; i < H; i += kWidth) store(w3 + i, Storage::rounded(load(s.w3 + i)));
  for_tiles(s.begin, s.end, [&](int64_t m, int64_t rows) {
    const float* from = s.x + m * s.num_inputs;
    const bool h_rows = s.w3 || Storage::kOneLayout;
    const auto* x_rows = first_layer<Storage, H>(rows, from, s.num_inputs, s.w1_forward, s.b1, x.rows,
                                                 {h_rows ? h.rows : nullptr, h.pairs});
    if (s.w3) {
      for (int64_t r = 0; r < rows; ++r) s.grad_b3[0] += s.grad_y[m + r];
      times<Storage, H>(
          rows, h.rows, s.w2_forward, [&](int64_t, int i) { return load(s.b2 + i); },
          [&](int64_t row, int i, auto& v) {
            constexpr int R = sizeof(v) / sizeof(Vector);
            Vector gradient = load(s.grad_w3 + i);
            for (int r = 0; r < R; ++r) {
              const float gy = Storage::rounded(s.grad_y[m + row + r]);
              const Vector h2 = relu(v[r]);
              gradient += gy * Storage::rounded(h2);
              v[r] = where_positive(h2, gy * load(w3 + i));
            }
            store(s.grad_w3 + i, gradient);
            Storage::add_rows(s.grad_b2 + i, v);
            Storage::template put<H>(row, i, v, g.both());
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
            Storage::add_rows(s.grad_b2 + i, v);
            Storage::template put<H>(row, i, v, g.both());
          } else {
            const Vector v[1] = {masked(row)};
            Storage::add_rows(s.grad_b2 + i, v);
            Storage::template put<H>(row, i, v, g.both());
          }
        }
    }
    add_weight_gradient<Storage, H>(rows, Storage::factor(g.both()), Storage::factor(h.both()), s.grad_w2);
    const typename Storage::Places dh{h.rows, g.pairs};  // what they held is used up, element by element
    times<Storage, H>(rows, g.rows, s.w2_backward, zero, [&](int64_t row, int i, auto& v) {
      constexpr int R = sizeof(v) / sizeof(Vector);
      Storage::template mask<H>(row, i, h.both(), v);
      Storage::add_rows(s.grad_b1 + i, v);
      if (wide)
        Storage::template put<H>(row, i, v, dh);
      else
        for (int r = 0; r < R; ++r) store(narrow_dh + (row + r) * H + i, Storage::rounded(v[r]));
    });
    float* grad_x = s.grad_x ? s.grad_x + m * s.num_inputs : nullptr;
    if (!wide) {
      Storage::template narrow_gradients<H>(rows, from, s.num_inputs, narrow_dh, s.w1_forward, s.w1_backward, s.grad_w1,
                                            grad_x);
      return;
    }
    const auto* x_factor = factor_of<Storage, H>(rows, from, x_rows, x.pairs);
    add_weight_gradient<Storage, H>(rows, x_factor, Storage::factor(dh), s.grad_w1);  // (K, H): x^T dh
    if (!grad_x) return;
    times<Storage, H>(rows, dh.rows, s.w1_backward, zero, [&](int64_t row, int i, const auto& v) {
      constexpr int R = sizeof(v) / sizeof(Vector);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) store(grad_x + (row + r) * H + i, v[r]);
    });
  });
}

// ---- rows of nodes --------------------------------------------------------------------------------------------

template <class Storage, int H>
void linear(const LinearChunk& arguments) {
  const LinearChunk s = arguments;  // a local copy: stores through float* cannot alias it
  alignas(64) typename Storage::Element a_rows[kTile * H];
  for_tiles(s.begin, s.end, [&](int64_t m, int64_t rows) {
    float* out = s.out + m * H;
    const float* base = s.base ? s.base + m * H : nullptr;
    for (int t = 0; t < s.num_terms; ++t) {
      const bool last = t + 1 == s.num_terms, positive = last && s.relu;
      const float* bias = t == 0 ? s.bias : nullptr;
      const float* mask = last && s.mask ? s.mask + m * H : nullptr;
      // Captured by value: the compiler must assume that stores change what lies in memory.
      times<Storage, H>(
          rows, Storage::template as_rows<H>(rows, s.a[t] + m * H, a_rows), s.b[t],
          [=](int64_t r, int i) {
            Vector v = bias ? load(bias + i) : Vector{};
            return base ? v + load(base + r * H + i) : v;
          },
          [=](int64_t row, int i, auto& v) {
            constexpr int R = sizeof(v) / sizeof(Vector);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) {
              const int64_t at = (row + r) * H + i;
              if (positive) v[r] = relu(v[r]);
              if (mask) v[r] = where_positive(load(mask + at), v[r]);
              store(out + at, v[r]);
            }
          });
      base = out;
    }
  });
}

template <class Storage, int H>
void weight_gradient(const WeightGradientChunk& s) {
  Tile<Storage, H> g, a;
  for_tiles(s.begin, s.end, [&](int64_t m, int64_t rows) {
    const auto factor = [&](const float* from, Tile<Storage, H>& tile) {
      const typename Storage::Element* as_rows = nullptr;
      if constexpr (Storage::kOneLayout) as_rows = Storage::template as_rows<H>(rows, from, tile.rows);
      return factor_of<Storage, H>(rows, from, as_rows, tile.pairs);
    };
    add_weight_gradient<Storage, H>(rows, factor(s.g + m * H, g), factor(s.a + m * H, a), s.grad);
  });
}

template <int H>
void column_sum(const float* a, int64_t begin, int64_t end, float* out) {
  for (int i = 0; i < H; i += kWidth) {
    Vector sum = load(out + i);
    for (int64_t row = begin; row < end; ++row) sum += load(a + row * H + i);
    store(out + i, sum);
  }
}

template <class Storage, int H>
void gather_sum(const Stored* values, const int32_t* order, const int32_t* ptr, int64_t begin, int64_t end,
                float* out) {
  for (int64_t n = begin; n < end; ++n) {
    Vector sum[H / kWidth] = {};
    for (int64_t k = ptr[n]; k < ptr[n + 1]; ++k) {
      const auto* row = static_cast<const typename Storage::Number*>(values) + int64_t(order[k]) * H;
#pragma GCC unroll 8
      for (int v = 0; v < H / kWidth; ++v) sum[v] += Storage::load_number(row + v * kWidth);
    }
#pragma GCC unroll 8
    for (int v = 0; v < H / kWidth; ++v) store(out + n * H + v * kWidth, sum[v]);
  }
}

// ---- table ----------------------------------------------------------------------------------------------------

template <class Storage, int H>
const Kernels kTable = {H,
                        Storage::kRound,
                        &Storage::template pack<H>,
                        &edge_forward<Storage, H>,
                        &edge_backward<Storage, H>,
                        &edge_input_gradient<Storage, H>,
                        &mlp_forward<Storage, H>,
                        &mlp_backward<Storage, H>,
                        &linear<Storage, H>,
                        &weight_gradient<Storage, H>,
                        &column_sum<H>,
                        &gather_sum<Storage, H>};

template <class Storage>
const Kernels* table(int hidden_size) {
  static_assert(kMaxHidden == 128, "as the largest of these");
  switch (hidden_size) {
    case 16:
      return &kTable<Storage, 16>;
    case 32:
      return &kTable<Storage, 32>;
    case 48:
      return &kTable<Storage, 48>;
    case 64:
      return &kTable<Storage, 64>;
    case 96:
      return &kTable<Storage, 96>;
    case 128:
      return &kTable<Storage, 128>;
    default:
      return nullptr;
  }
}

}  // namespace
}  // namespace botan_fast
