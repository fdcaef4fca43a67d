// The arithmetic of the model for one instruction set; see kernels.h. CMake compiles this file once for each
// set with BOTAN_FAST_SIMD naming it. Everything but the entry table has internal linkage, and no inline
// function of the standard library is instantiated here, so that the linker cannot hand AVX-512 code to a
// machine without it.
#include "cpu/network/kernels.h"
#include "cpu/network/vector.h"

namespace botan_fast {
namespace {

struct Left {  // element (row, k) is p[row * row_stride + k * k_stride]
  const float* p;
  int64_t row_stride, k_stride;
};
struct Right {  // element (k, column) is p[panel * panel_stride + k * k_stride + column within the panel]
  const float* p;
  int64_t panel_stride, k_stride;
};

template <int H>
inline Right packed(const float* p, int64_t num_k) {
  return {p, num_k * panel_columns<H>(), panel_columns<H>()};
}
template <int H>
inline Right rows_of(const float* p) {  // a row-major (K, H) array as it lies in memory
  return {p, panel_columns<H>(), H};
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
  const float* pa = a.p + row * a.row_stride;
  const float* pb = b.p + panel * b.panel_stride;
  for (int64_t k = 0; k < num_k; ++k) {
    Vector bv[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) bv[v] = load(pb + v * kWidth);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const float s = pa[r * a.row_stride];
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) acc[r][v] += s * bv[v];
    }
    pa += a.k_stride;
    pb += b.k_stride;
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) out(row + r, column + v * kWidth, acc[r][v]);
}

// out(row, column, sum over k of a(row, k) b(k, column) + init(row, column)) for all rows and H columns.
// k runs in rising order for every element, so the result does not depend on the blocking.
template <int H, class Init, class Store>
inline void product(int64_t rows, Left a, Right b, int64_t num_k, Init init, Store out) {
  constexpr int panels = H / panel_columns<H>();
  int64_t row = 0;
  for (; row + kRows <= rows; row += kRows)
    for (int p = 0; p < panels; ++p) register_block<kRows, H>(row, p, a, b, num_k, init, out);
  for (int p = 0; p < panels; ++p) {
    switch (rows - row) {
      case 1:
        register_block<1, H>(row, p, a, b, num_k, init, out);
        break;
      case 2:
        register_block<2, H>(row, p, a, b, num_k, init, out);
        break;
      case 3:
        register_block<3, H>(row, p, a, b, num_k, init, out);
        break;
      case 4:
        register_block<4, H>(row, p, a, b, num_k, init, out);
        break;
      case 5:
        register_block<5, H>(row, p, a, b, num_k, init, out);
        break;
      default:
        break;
    }
  }
}

// grad (G, H) += g^T a: g is (rows, G) with row stride g_stride, a is (rows, H).
template <int H>
inline void outer_product(int64_t rows, const float* g, int64_t num_g, int64_t g_stride, const float* a, float* grad) {
  product<H>(
      num_g, Left{g, 1, g_stride}, rows_of<H>(a), rows, [=](int64_t j, int i) { return load(grad + j * H + i); },
      [=](int64_t j, int i, Vector v) { store(grad + j * H + i, v); });
}

template <int H>
void pack(const float* source, int64_t k_stride, int64_t j_stride, int64_t num_k, float* to) {
  constexpr int columns = panel_columns<H>();
  for (int p = 0; p < H / columns; ++p)
    for (int64_t k = 0; k < num_k; ++k)
      for (int j = 0; j < columns; ++j) *to++ = source[k * k_stride + (p * columns + j) * j_stride];
}

// h = relu(We e + c + Ps[sender] + Pr[receiver]) for `rows` edges from k0 on.
template <int H, class Args>
inline void hidden_layer(const Args& s, int64_t k0, int64_t rows, float* h) {
  product<H>(
      rows, Left{static_cast<const float*>(s.e) + k0 * H, H, 1}, packed<H>(s.we_forward, H), H,
      [&](int64_t r, int i) {
        const int64_t k = k0 + r;
        return load(static_cast<const float*>(s.c) + k * H + i) + load(s.p_sender + int64_t(s.senders[k]) * H + i) +
               load(s.p_receiver + int64_t(s.receivers[k]) * H + i);
      },
      [=](int64_t r, int i, Vector v) { store(h + r * H + i, relu(v)); });
}

template <int H>
void edge_forward(const EdgeForwardChunk& arguments) {
  const EdgeForwardChunk s = arguments;  // a local copy: stores through float* cannot alias it
  float* e_out = s.e_last ? s.e_last : static_cast<float*>(s.e_out);
  alignas(64) float h[kTile * H];
  for (int64_t n = s.node_begin * H; n < s.node_end * H; n += kWidth) store(s.sum + n, Vector{});
  const int64_t end = s.row_ptr[s.node_end];
  for (int64_t k0 = s.row_ptr[s.node_begin]; k0 < end; k0 += kTile) {
    const int64_t rows = end - k0 < kTile ? end - k0 : kTile;
    hidden_layer<H>(s, k0, rows, h);
    product<H>(
        rows, Left{h, H, 1}, packed<H>(s.w2_forward, H), H, [&](int64_t, int i) { return load(s.b2 + i); },
        [&](int64_t r, int i, Vector v) {
          v = relu(v);
          store(e_out + (k0 + r) * H + i, v);
          add_to(s.sum + int64_t(s.receivers[k0 + r]) * H + i, v);
        });
  }
}

template <int H>
void edge_backward(const EdgeBackwardChunk& arguments) {
  const EdgeBackwardChunk s = arguments;  // a local copy: stores through float* cannot alias it
  const float *e = static_cast<const float*>(s.e), *e_out = static_cast<const float*>(s.e_out);
  float* grad_z = static_cast<float*>(s.grad_z);
  alignas(64) float h[kTile * H], g[kTile * H];
  for (int64_t n = s.node_begin * H; n < s.node_end * H; n += kWidth) store(s.grad_p_receiver + n, Vector{});
  const int64_t end = s.row_ptr[s.node_end];
  for (int64_t k0 = s.row_ptr[s.node_begin]; k0 < end; k0 += kTile) {
    const int64_t rows = end - k0 < kTile ? end - k0 : kTile;
    float* dz = grad_z + k0 * H;
    hidden_layer<H>(s, k0, rows, h);
    // g = (gradient of e' from the next step + gradient of the incoming sum) where e' > 0
    if (s.last) {
      product<H>(
          rows, Left{h, H, 1}, packed<H>(s.w2_forward, H), H, [&](int64_t, int i) { return load(s.b2 + i); },
          [&](int64_t r, int i, Vector v) {
            const int64_t k = k0 + r;
            Vector gradient = s.grad_e_out ? load(s.grad_e_out + k * H + i) : Vector{};
            gradient += load(s.grad_sum + int64_t(s.receivers[k]) * H + i);
            store(g + r * H + i, where_positive(v, gradient));
          });
    } else {
      product<H>(
          rows, Left{dz, H, 1}, packed<H>(s.we_backward, H), H, [](int64_t, int) { return Vector{}; },
          [&](int64_t r, int i, Vector v) {
            const int64_t k = k0 + r;
            v += load(s.grad_sum + int64_t(s.receivers[k]) * H + i);
            store(g + r * H + i, where_positive(load(e_out + k * H + i), v));
          });
    }
    column_sum<H>(g, 0, rows, s.grad_b2);
    outer_product<H>(rows, g, H, H, h, s.grad_w2);
    const bool last = s.last;
    product<H>(
        rows, Left{g, H, 1}, packed<H>(s.w2_backward, H), H, [](int64_t, int) { return Vector{}; },
        [&](int64_t r, int i, Vector v) {
          v = where_positive(load(h + r * H + i), v);
          const int64_t k = k0 + r;
          store(dz + r * H + i, v);
          store(s.grad_c + k * H + i, last ? v : load(s.grad_c + k * H + i) + v);
          add_to(s.grad_p_receiver + int64_t(s.receivers[k]) * H + i, v);
        });
    outer_product<H>(rows, dz, H, H, e + k0 * H, s.grad_we);
  }
}

template <int H>
void edge_input_gradient(const void* grad_z, const float* we_backward, int64_t begin, int64_t end, float* out) {
  product<H>(
      end - begin, Left{static_cast<const float*>(grad_z) + begin * H, H, 1}, packed<H>(we_backward, H), H,
      [](int64_t, int) { return Vector{}; }, [=](int64_t r, int i, Vector v) { store(out + (begin + r) * H + i, v); });
}

template <int H>
inline void dense_relu(int64_t rows, const float* x, int64_t inputs, const float* w, const float* b, float* y) {
  product<H>(
      rows, Left{x, inputs, 1}, packed<H>(w, inputs), inputs, [=](int64_t, int i) { return load(b + i); },
      [=](int64_t r, int i, Vector v) { store(y + r * H + i, relu(v)); });
}

template <int H>
void mlp_forward(const MlpForwardChunk& arguments) {
  const MlpForwardChunk s = arguments;  // a local copy: stores through float* cannot alias it
  alignas(64) float h[kTile * H], h2[kTile * H];
  for (int64_t m = s.begin; m < s.end; m += kTile) {
    const int64_t rows = s.end - m < kTile ? s.end - m : kTile;
    dense_relu<H>(rows, s.x + m * s.num_inputs, s.num_inputs, s.w1_forward, s.b1, h);
    float* y = s.w3 ? h2 : s.y + m * H;
    dense_relu<H>(rows, h, H, s.w2_forward, s.b2, y);
    if (s.w3)
      for (int64_t r = 0; r < rows; ++r) s.y[m + r] = dot<H>(h2 + r * H, s.w3) + s.b3[0];
  }
}

template <int H>
void mlp_backward(const MlpBackwardChunk& arguments) {
  const MlpBackwardChunk s = arguments;  // a local copy: stores through float* cannot alias it
  alignas(64) float h[kTile * H], h2[kTile * H], g[kTile * H], dh[kTile * H];
  for (int64_t m = s.begin; m < s.end; m += kTile) {
    const int64_t rows = s.end - m < kTile ? s.end - m : kTile;
    const float* x = s.x + m * s.num_inputs;
    dense_relu<H>(rows, x, s.num_inputs, s.w1_forward, s.b1, h);
    if (s.w3) {
      dense_relu<H>(rows, h, H, s.w2_forward, s.b2, h2);
      for (int64_t r = 0; r < rows; ++r) {
        const float gy = s.grad_y[m + r];
        s.grad_b3[0] += gy;
        for (int i = 0; i < H; i += kWidth) {
          const Vector hv = load(h2 + r * H + i);
          add_to(s.grad_w3 + i, gy * hv);
          store(g + r * H + i, where_positive(hv, gy * load(s.w3 + i)));
        }
      }
    } else {
      for (int64_t i = 0; i < rows * H; i += kWidth)
        store(g + i, where_positive(load(s.y + m * H + i), load(s.grad_y + m * H + i)));
    }
    column_sum<H>(g, 0, rows, s.grad_b2);
    outer_product<H>(rows, g, H, H, h, s.grad_w2);
    product<H>(
        rows, Left{g, H, 1}, packed<H>(s.w2_backward, H), H, [](int64_t, int) { return Vector{}; },
        [&](int64_t r, int i, Vector v) { store(dh + r * H + i, where_positive(load(h + r * H + i), v)); });
    column_sum<H>(dh, 0, rows, s.grad_b1);
    outer_product<H>(rows, x, s.num_inputs, s.num_inputs, dh, s.grad_w1);  // (K, H): x^T dh
    if (!s.grad_x) continue;
    if (s.num_inputs == H) {
      product<H>(
          rows, Left{dh, H, 1}, packed<H>(s.w1_backward, H), H, [](int64_t, int) { return Vector{}; },
          [&](int64_t r, int i, Vector v) { store(s.grad_x + (m + r) * H + i, v); });
    } else {  // narrow inputs: a dot product with each row of W1^T
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t k = 0; k < s.num_inputs; ++k)
          s.grad_x[(m + r) * s.num_inputs + k] = dot<H>(dh + r * H, s.w1_backward + k * H);
    }
  }
}

template <int H>
void linear(const LinearChunk& arguments) {
  const LinearChunk s = arguments;  // a local copy: stores through float* cannot alias it
  const float* base = s.base;
  for (int t = 0; t < s.num_terms; ++t) {
    const bool last = t + 1 == s.num_terms;
    const float* bias = t == 0 ? s.bias : nullptr;
    product<H>(
        s.end - s.begin, Left{s.a[t] + s.begin * H, H, 1}, packed<H>(s.b[t], H), H,
        [&](int64_t r, int i) {
          Vector v = bias ? load(bias + i) : Vector{};
          return base ? v + load(base + (s.begin + r) * H + i) : v;
        },
        [&](int64_t r, int i, Vector v) {
          const int64_t at = (s.begin + r) * H + i;
          if (last && s.relu) v = relu(v);
          if (last && s.mask) v = where_positive(load(s.mask + at), v);
          store(s.out + at, v);
        });
    base = s.out;
  }
}

template <int H>
void weight_gradient(const WeightGradientChunk& s) {
  for (int64_t m = s.begin; m < s.end; m += kTile) {
    const int64_t rows = s.end - m < kTile ? s.end - m : kTile;
    outer_product<H>(rows, s.g + m * H, H, H, s.a + m * H, s.grad);
  }
}

template <int H>
void gather_sum(const void* values, const int32_t* order, const int32_t* ptr, int64_t begin, int64_t end, float* out) {
  for (int64_t n = begin; n < end; ++n) {
    Vector sum[H / kWidth] = {};
    for (int64_t k = ptr[n]; k < ptr[n + 1]; ++k) {
      const float* row = static_cast<const float*>(values) + int64_t(order[k]) * H;
#pragma GCC unroll 8
      for (int v = 0; v < H / kWidth; ++v) sum[v] += load(row + v * kWidth);
    }
#pragma GCC unroll 8
    for (int v = 0; v < H / kWidth; ++v) store(out + n * H + v * kWidth, sum[v]);
  }
}

template <int H>
const Kernels table = {H,
                       nullptr,
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

const Kernels* BOTAN_FAST_JOIN(kernels_, BOTAN_FAST_SIMD)(int hidden_size) {
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
