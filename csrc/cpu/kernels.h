// What the instruction-set-specific objects (kernels.cpp, compiled several times) offer to the rest of the
// CPU core. Everything here works on one chunk of rows on the calling thread; message_passing.cpp and mlp.cpp
// cut the work into chunks and own the memory.
//
// "packed" weights are (K, H) matrices in the panel order that the set's register block reads; pack() makes
// them. Gradients of weights are added to plain row-major (out, in) accumulators.
#pragma once

#include <cstddef>
#include <cstdint>

namespace botan_fast {

// One message-passing step of the edges of receivers [node_begin, node_end):
//   z  = We e + c + Ps[sender] + Pr[receiver]      h = relu(z)      e' = relu(W2 h + b2)
struct EdgeForward {
  int64_t node_begin, node_end;
  const int32_t *senders, *receivers, *row_ptr;
  const float *e, *c, *p_sender, *p_receiver;  // (E, H) (E, H) (N, H) (N, H)
  const float *we, *w2, *b2;                   // packed transposed, packed transposed, (H,)
  float* e_out;                                // (E, H)
  float* sum;                                  // (N, H) incoming sum of e'
};

struct EdgeBackward {
  int64_t node_begin, node_end;
  const int32_t *senders, *receivers, *row_ptr;
  const float *e, *c, *p_sender, *p_receiver;
  const float *we, *w2t, *w2, *wet;  // packed: We^T, W2^T for the hidden layer; W2, We for the gradients
  const float* e_out;                // (E, H) of the forward step: its sign is the mask of the outer ReLU
  const float* grad_e_out;           // (E, H) or null for zero
  const float* grad_sum;             // (N, H) or null for zero
  float* grad_e;                     // (E, H), may be grad_e_out
  float* grad_z;                     // (E, H)
  float* grad_c;                     // (E, H), added to unless first
  bool first;
  float* grad_p_receiver;            // (N, H)
  float *grad_we, *grad_w2, *grad_b2;  // accumulators (H, H) (H, H) (H,)
};

// Rows [begin, end) of y = relu(W2 relu(W1 x + b1) + b2)    and, with w3, y = w3 . that + b3.
struct MlpForward {
  int64_t begin, end;
  const float* x;              // (M, K)
  int64_t inputs;              // K
  const float *w1, *b1, *w2, *b2;  // packed transposed (K, H), (H,), packed transposed (H, H), (H,)
  const float *w3, *b3;        // (H,), (1,) or null
  float* y;                    // (M, H), or (M,) with w3
};

struct MlpBackward {
  int64_t begin, end;
  const float* x;
  int64_t inputs;
  const float *w1t, *b1, *w2t, *b2, *w3;
  const float *w1, *w2;        // for the gradients: W1 packed, or plain W1^T (K, H) when K != H; W2 packed
  const float* y;              // (M, H); unused with w3
  const float* grad_y;         // (M, H), or (M,) with w3
  float* grad_x;               // (M, K) or null
  float *grad_w1, *grad_b1, *grad_w2, *grad_b2, *grad_w3, *grad_b3;  // grad_w1 is (K, H)
};

// Rows [begin, end) of out = init + sum over terms of a_t B_t, each a_t (M, H), B_t packed (H, H).
struct Linear {
  int64_t begin, end;
  const float* bias;   // (H,) or null
  const float* base;   // (M, H) or null; may be out
  int num_terms;
  const float* a[3];
  const float* b[3];
  const float* mask;   // (M, H) or null: out = 0 where mask <= 0
  bool relu;
  float* out;
};

// grad (H, H) += g^T a over rows [begin, end): the weight gradient of out = a W^T for the gradient g of out.
struct WeightGradient {
  int64_t begin, end;
  const float *g, *a;
  float* grad;
};

// Vector width dependent entry points for one feature width H.
struct Kernels {
  int hidden_size;
  // packed[panel][k][column]: element (k, j) of the (K, H) matrix is source[k * k_stride + j * j_stride]
  void (*pack)(const float* source, int64_t k_stride, int64_t j_stride, int64_t num_k, float* packed);
  void (*edge_forward)(const EdgeForward&);
  void (*edge_backward)(const EdgeBackward&);
  void (*mlp_forward)(const MlpForward&);
  void (*mlp_backward)(const MlpBackward&);
  void (*linear)(const Linear&);
  void (*weight_gradient)(const WeightGradient&);
  // out[0:H] += rows [begin, end) of a (M, H)
  void (*column_sum)(const float* a, int64_t begin, int64_t end, float* out);
  // out[i] = sum of values[order[k]] for k in ptr[i]:ptr[i+1], rows i in [begin, end)
  void (*gather_sum)(const float* values, const int32_t* order, const int32_t* ptr, int64_t begin, int64_t end,
                     float* out);
};

// Null when H has no fast path.
const Kernels* kernels_generic(int hidden_size);
const Kernels* kernels_avx2(int hidden_size);
const Kernels* kernels_avx512(int hidden_size);
// The best set that this machine runs.
const Kernels* kernels(int hidden_size);

}  // namespace botan_fast
