// What the objects for each instruction set (kernels_fp32.cpp and kernels_bf16.cpp, compiled several times) offer to
// message_passing.cpp and mlp.cpp. A struct here describes one chunk of rows, which one thread works on;
// message_passing.cpp and mlp.cpp cut the work into chunks and own the memory.
//
// Weights come packed: (K, H) matrices in the order (and rounding) in which the set's register block reads them. pack()
// makes them, and they fill at most K * H floats. *_forward multiplies rows by the transposed weight (x W^T, as a layer
// does), *_backward by the weight itself, which is how a gradient passes the layer. Gradients of weights are added to
// plain row-major (out, in) accumulators.
#pragma once

#include <cstddef>
#include <cstdint>

#include "botan_fast.h"

namespace botan_fast {

constexpr int64_t kTile = 96;  // rows of a tile: a few (kTile, H) arrays, on the stack, stay in L1 and L2
constexpr int kMaxHidden = 128;

// Edge features, c and dz, which stay between steps, are float32 here and bfloat16 in the set for precision bf16.
typedef void Stored;

// ---- chunks --------------------------------------------------------------------------------------------------

// One message-passing step of the edges of receivers [node_begin, node_end):
//   z  = We e + c + Ps[sender] + Pr[receiver]      h = relu(z)      e' = relu(W2 h + b2)
struct EdgeForwardChunk {
  int64_t node_begin, node_end;
  const int32_t *senders, *receivers, *row_ptr;
  const Stored* e;                            // (E, H)
  const Stored* c;                            // (E, H)
  const float *p_sender, *p_receiver;         // (N, H) (N, H)
  const float *we_forward, *w2_forward, *b2;  // packed but for b2 (H,)
  Stored* e_out;                              // (E, H), may be e
  float* e_last;                              // (E, H) or null: e' goes here instead of e_out
  float* sum;                                 // (N, H) incoming sum of e'
};

// The gradient of e' is that of the next step, which follows from its dz, plus that of the incoming sum:
//   g = (dz_next We + grad_sum[receiver]) where e' > 0      dz = (g W2) where h > 0
// In the last step grad_e_out stands for dz_next We, and e' is computed again for its sign.
// dz is what grad_z holds, rounded in bf16: all that follows from it reads that.
struct EdgeBackwardChunk {
  int64_t node_begin, node_end;
  const int32_t *senders, *receivers, *row_ptr;
  const Stored* e;
  const Stored* c;
  const float *p_sender, *p_receiver;
  const float *we_forward, *w2_forward, *b2, *we_backward, *w2_backward;  // packed but for b2
  const Stored* e_out;      // (E, H) of the forward step; unused in the last one
  const float* grad_e_out;  // (E, H) or null for zero; used in the last step only
  const float* grad_sum;    // (N, H)
  Stored* grad_z;           // (E, H), in: dz of the next step, out: dz of this one
  float* grad_c;            // (E, H), added to unless last
  bool last;
  float* grad_p_receiver;              // (N, H)
  float *grad_we, *grad_w2, *grad_b2;  // accumulators (H, H) (H, H) (H,)
};

// Rows [begin, end) of y = relu(W2 relu(W1 x + b1) + b2)    and, with w3, y = w3 . that + b3.
struct MlpForwardChunk {
  int64_t begin, end;
  const float* x;                                  // (M, K)
  int64_t num_inputs;                              // K
  const float *w1_forward, *b1, *w2_forward, *b2;  // packed (K, H), (H,), packed (H, H), (H,)
  const float *w3, *b3;                            // (H,), (1,) or null
  float* y;                                        // (M, H), or (M,) with w3
};

struct MlpBackwardChunk {
  int64_t begin, end;
  const float* x;
  int64_t num_inputs;
  const float *w1_forward, *b1, *w2_forward, *b2, *w3;
  const float *w1_backward, *w2_backward;  // packed, but where K != H the first is plain W1^T (K, H)
  const float* y;                          // (M, H); unused with w3
  const float* grad_y;                     // (M, H), or (M,) with w3
  float* grad_x;                           // (M, K) or null
  float *grad_w1, *grad_b1, *grad_w2, *grad_b2, *grad_w3, *grad_b3;  // grad_w1 is (K, H)
};

// Rows [begin, end) of out = init + sum over terms of a_t B_t, each a_t (M, H), B_t packed (H, H).
struct LinearChunk {
  int64_t begin, end;
  const float* bias;  // (H,) or null
  const float* base;  // (M, H) or null; may be out
  int num_terms;
  const float* a[3];
  const float* b[3];
  const float* mask;  // (M, H) or null: out = 0 where mask <= 0
  bool relu;
  float* out;
};

// grad (H, H) += g^T a over rows [begin, end): the weight gradient of out = a W^T for the gradient g of out.
struct WeightGradientChunk {
  int64_t begin, end;
  const float *g, *a;
  float* grad;
};

// ---- tables --------------------------------------------------------------------------------------------------

// The kernels of one instruction set and precision for one feature width H.
struct Kernels {
  int hidden_size;
  // Rounds floats to what a Stored array of edge features holds; null where that is float32.
  void (*round)(const float* from, int64_t begin, int64_t end, Stored* to);
  // packed[panel][k][column]: element (k, j) of the (K, H) matrix is source[k * k_stride + j * j_stride]
  void (*pack)(const float* source, int64_t k_stride, int64_t j_stride, int64_t num_k, float* packed);
  void (*edge_forward)(const EdgeForwardChunk&);
  void (*edge_backward)(const EdgeBackwardChunk&);
  // rows [begin, end) of out (E, H) = dz We
  void (*edge_input_gradient)(const Stored* grad_z, const float* we_backward, int64_t begin, int64_t end, float* out);
  void (*mlp_forward)(const MlpForwardChunk&);
  void (*mlp_backward)(const MlpBackwardChunk&);
  void (*linear)(const LinearChunk&);
  void (*weight_gradient)(const WeightGradientChunk&);
  // out[0:H] += rows [begin, end) of a (M, H)
  void (*column_sum)(const float* a, int64_t begin, int64_t end, float* out);
  // out[i] = sum of values[order[k]] for k in ptr[i]:ptr[i+1], rows i in [begin, end)
  void (*gather_sum)(const Stored* values, const int32_t* order, const int32_t* ptr, int64_t begin, int64_t end,
                     float* out);
};

// Null when H has no fast path.
const Kernels* kernels_generic(int hidden_size);
const Kernels* kernels_avx2(int hidden_size);
const Kernels* kernels_avx512(int hidden_size);
const Kernels* kernels_bf16_generic(int hidden_size);
const Kernels* kernels_bf16_avx2(int hidden_size);
const Kernels* kernels_bf16_avx512(int hidden_size);
const Kernels* kernels_bf16_avx512_bf16(int hidden_size);
// The best set that this machine runs.
const Kernels* kernels(int hidden_size, Precision precision);

}  // namespace botan_fast
