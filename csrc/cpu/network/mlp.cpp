// Multilayer perceptrons: packs the weights, cuts the rows into chunks, and adds up the gradients of the chunks.
#include <cstring>

#include "botan_fast.h"
#include "cpu/network/kernels.h"
#include "cpu/runtime/buffer_pool.h"
#include "cpu/runtime/chunks.h"

namespace botan_fast {
namespace {

// out (rows, columns) = transpose of in (columns, rows)
void transpose(const float* in, int64_t rows, int64_t columns, float* out) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) out[r * columns + c] = in[c * rows + r];
}

}  // namespace

void mlp_forward(const MlpForward& a, int num_threads) {
  const Kernels& k = *kernels(a.hidden_size, a.precision);
  const int64_t K = a.num_inputs, H = a.hidden_size;
  Scratch w1_forward(K * H), w2_forward(H * H);
  k.pack(a.weights.w1, 1, K, K, w1_forward);
  k.pack(a.weights.w2, 1, H, H, w2_forward);
  MlpForwardChunk mlp{};
  mlp.x = a.x, mlp.num_inputs = K, mlp.w1_forward = w1_forward, mlp.w2_forward = w2_forward;
  mlp.b1 = a.weights.b1, mlp.b2 = a.weights.b2, mlp.w3 = a.weights.w3, mlp.b3 = a.weights.b3, mlp.y = a.y;
  for_chunks(chunk_rows(a.num_rows), num_threads, [&](int64_t, int64_t begin, int64_t end) {
    MlpForwardChunk part = mlp;
    part.begin = begin, part.end = end;
    k.mlp_forward(part);
  });
}

void mlp_backward(const MlpBackward& a, int num_threads) {
  const Kernels& k = *kernels(a.hidden_size, a.precision);
  const int64_t K = a.num_inputs, H = a.hidden_size;
  Scratch w1_forward(K * H), w2_forward(H * H), w1_backward(K * H), w2_backward(H * H);
  k.pack(a.weights.w1, 1, K, K, w1_forward);
  k.pack(a.weights.w2, 1, H, H, w2_forward);
  k.pack(a.weights.w2, H, 1, H, w2_backward);
  if (K == H)
    k.pack(a.weights.w1, H, 1, H, w1_backward);
  else
    transpose(a.weights.w1, K, H, w1_backward);

  // One set of weight gradients for each chunk, added up in the order of the chunks.
  const auto bounds = chunk_rows(a.num_rows, 1024);
  const int64_t num_chunks = static_cast<int64_t>(bounds.size()) - 1;
  // w1 (K, H), w2 (H, H), b1, b2, w3 (H,), b3 (1,) padded to a cache line
  const int64_t at_w2 = K * H, at_b1 = at_w2 + H * H, at_b2 = at_b1 + H, at_w3 = at_b2 + H, at_b3 = at_w3 + H;
  const int64_t size = at_b3 + 16;
  Scratch partial(num_chunks * size);
  partial.clear();
  MlpBackwardChunk mlp{};
  mlp.x = a.x, mlp.num_inputs = K, mlp.y = a.y, mlp.grad_y = a.grad_y, mlp.grad_x = a.grad_x;
  mlp.w1_forward = w1_forward, mlp.w2_forward = w2_forward;
  mlp.w1_backward = w1_backward, mlp.w2_backward = w2_backward;
  mlp.b1 = a.weights.b1, mlp.b2 = a.weights.b2, mlp.w3 = a.weights.w3;
  for_chunks(bounds, num_threads, [&](int64_t chunk, int64_t begin, int64_t end) {
    MlpBackwardChunk part = mlp;
    float* to = partial + chunk * size;
    part.begin = begin, part.end = end;
    part.grad_w1 = to, part.grad_w2 = to + at_w2, part.grad_b1 = to + at_b1, part.grad_b2 = to + at_b2;
    part.grad_w3 = to + at_w3, part.grad_b3 = to + at_b3;
    k.mlp_backward(part);
  });
  for (int64_t chunk = 1; chunk < num_chunks; ++chunk)
    for (int64_t i = 0; i < size; ++i) partial[i] += partial[chunk * size + i];
  transpose(partial, H, K, a.gradients.w1);
  std::memcpy(a.gradients.w2, partial + at_w2, H * H * sizeof(float));
  std::memcpy(a.gradients.b1, partial + at_b1, H * sizeof(float));
  std::memcpy(a.gradients.b2, partial + at_b2, H * sizeof(float));
  if (!a.weights.w3) return;
  std::memcpy(a.gradients.w3, partial + at_w3, H * sizeof(float));
  a.gradients.b3[0] = partial[at_b3];
}

}  // namespace botan_fast
