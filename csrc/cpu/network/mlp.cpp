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

void mlp_forward(int64_t num_rows, int64_t num_inputs, int hidden_size, const MlpWeights& weights, const float* x,
                 float* y, Precision precision, int num_threads) {
  const Kernels& kernel = *kernels(hidden_size, precision);
  const int64_t K = num_inputs, H = hidden_size;
  Scratch w1(K * H), w2(H * H);
  kernel.pack(weights.w1, 1, K, K, w1);
  kernel.pack(weights.w2, 1, H, H, w2);
  MlpForward base{};
  base.x = x, base.inputs = K, base.w1 = w1, base.b1 = weights.b1, base.w2 = w2, base.b2 = weights.b2;
  base.w3 = weights.w3, base.b3 = weights.b3, base.y = y;
  for_chunks(chunk_rows(num_rows), num_threads, [&](int64_t, int64_t begin, int64_t end) {
    MlpForward part = base;
    part.begin = begin, part.end = end;
    kernel.mlp_forward(part);
  });
}

void mlp_backward(int64_t num_rows, int64_t num_inputs, int hidden_size, const MlpWeights& weights, const float* x,
                  const float* y, const float* grad_y, float* grad_x, const MlpGradients& gradients,
                  Precision precision, int num_threads) {
  const Kernels& kernel = *kernels(hidden_size, precision);
  const int64_t K = num_inputs, H = hidden_size;
  Scratch w1t(K * H), w2t(H * H), w1(K * H), w2(H * H);
  kernel.pack(weights.w1, 1, K, K, w1t);
  kernel.pack(weights.w2, 1, H, H, w2t);
  kernel.pack(weights.w2, H, 1, H, w2);
  if (K == H)
    kernel.pack(weights.w1, H, 1, H, w1);
  else
    transpose(weights.w1, K, H, w1);

  // One set of weight gradients for each chunk, added up in the order of the chunks.
  const auto bounds = chunk_rows(num_rows, 1024);
  const int64_t num_chunks = static_cast<int64_t>(bounds.size()) - 1;
  // w1 (K, H), w2 (H, H), b1, b2, w3 (H,), b3 (1,) padded to a cache line
  const int64_t at_w2 = K * H, at_b1 = at_w2 + H * H, at_b2 = at_b1 + H, at_w3 = at_b2 + H, at_b3 = at_w3 + H;
  const int64_t size = at_b3 + 16;
  Scratch partial(num_chunks * size);
  partial.clear();
  MlpBackward base{};
  base.x = x, base.inputs = K, base.w1t = w1t, base.b1 = weights.b1, base.w2t = w2t, base.b2 = weights.b2;
  base.w3 = weights.w3, base.w1 = w1, base.w2 = w2, base.y = y, base.grad_y = grad_y, base.grad_x = grad_x;
  for_chunks(bounds, num_threads, [&](int64_t chunk, int64_t begin, int64_t end) {
    MlpBackward part = base;
    float* to = partial + chunk * size;
    part.begin = begin, part.end = end;
    part.grad_w1 = to, part.grad_w2 = to + at_w2, part.grad_b1 = to + at_b1, part.grad_b2 = to + at_b2;
    part.grad_w3 = to + at_w3, part.grad_b3 = to + at_b3;
    kernel.mlp_backward(part);
  });
  for (int64_t chunk = 1; chunk < num_chunks; ++chunk)
    for (int64_t i = 0; i < size; ++i) partial[i] += partial[chunk * size + i];
  transpose(partial, H, K, gradients.w1);
  std::memcpy(gradients.w2, partial + at_w2, H * H * sizeof(float));
  std::memcpy(gradients.b1, partial + at_b1, H * sizeof(float));
  std::memcpy(gradients.b2, partial + at_b2, H * sizeof(float));
  if (!weights.w3) return;
  std::memcpy(gradients.w3, partial + at_w3, H * sizeof(float));
  gradients.b3[0] = partial[at_b3];
}

}  // namespace botan_fast
