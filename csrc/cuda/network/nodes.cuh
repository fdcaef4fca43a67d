// The kernels of nodes: one step, what the next step's messages need of it, and its gradients.
#pragma once

#include "cuda/network/products.cuh"

namespace botan_fast::cuda {

constexpr int kNodeWarps = 2;  // 32 rows per block: N = 4096 nodes are 128 blocks

template <int H>
constexpr size_t kNodeSharedBytes = kStaged<H> ? scratch_bytes<H>(kNodeWarps) : 0;

// What both directions need: the hidden layer, and the tables Ps and Pr.
struct NodeLayer {
  int64_t num_nodes;
  const float *x, *sum;              // (N, H), before the step; incoming sums
  const float* from_x0;              // (N, H) V0 x0 + a1
  const float *sender0, *receiver0;  // (N, H) products with x0 that belong to Ps and Pr; null: none
  const Bits4 *of_x, *of_sum, *second, *sender, *receiver;  // Vx, Vs, V2, Ws, Wr
  float *at_sender, *at_receiver;                           // (N, H) Ps, Pr
};

// relu(V0 x0 + a1 + Vx x + Vs sum)
template <Precision P, int H>
__device__ __forceinline__ void node_hidden(Fragment<H>& z, const NodeLayer& a, const Rows& rows, float* scratch) {
  load_rows(z, a.from_x0, rows);
  multiply_rows<P>(z, a.x, rows, a.of_x, scratch);
  multiply_rows<P>(z, a.sum, rows, a.of_sum, scratch);
  apply_relu(z);
}

template <Precision P, int H>
__device__ __forceinline__ void write_table(float* table, const float* from_x0, const Fragment<H>& x,
                                            const Bits4* packed, const Rows& rows, float* scratch) {
  Fragment<H> out;
  set_zero(out);
  if (from_x0) add_rows<H>(out, from_x0, rows.row, rows.valid);
  multiply<P>(out, x, packed, scratch);
  store_rows(table, out, rows);
}

template <Precision P, int H>
__global__ void __launch_bounds__(kNodeWarps* kWarpSize)
    node_forward_kernel(NodeLayer a, const float* bias, float* x_out, bool tables) {
  const Rows rows(16 * (static_cast<int64_t>(blockIdx.x) * kNodeWarps + warp_id()), a.num_nodes);
  wait_for_earlier_kernels();
  let_later_kernels_begin();
  Fragment<H> x, hidden;
  float* scratch = dynamic_shared<float>();
  node_hidden<P>(hidden, a, rows, scratch);
  set_bias(x, bias);
  multiply<P>(x, hidden, a.second, scratch);
  apply_relu(x);
  store_rows(x_out, x, rows);
  if (!tables) return;
  write_table<P>(a.at_sender, a.sender0, x, a.sender, rows, scratch);
  write_table<P>(a.at_receiver, a.receiver0, x, a.receiver, rows, scratch);
}

struct NodeBackward {
  NodeLayer layer;
  const float* x_out;  // (N, H) after the step
  // The gradient of x_out is grad (null: zeros) plus, except in the last step, what the messages of the step after
  // give: dPs Ws + dPr Wr.
  const float *grad, *grad_sender, *grad_receiver;
  const Bits4 *sender_backward, *receiver_backward, *of_x_backward, *of_sum_backward, *second_backward;
  bool last;
  float *dy, *hidden, *dz;   // (N, H) factors of the weight gradients: the second layer's two, and the gradient of z
  float* dz_total;           // (N, H) += dz, set in the last step
  float *grad_sum, *grad_x;  // (N, H)
};

template <int H>
__device__ __forceinline__ void accumulate(float* total, const Fragment<H>& a, const Rows& rows, bool set) {
  Fragment<H> sum = a;
  if (!set) add_rows<H>(sum, total, rows.row, rows.valid);
  store_rows(total, sum, rows);
}

template <Precision P, int H>
__global__ void __launch_bounds__(kNodeWarps* kWarpSize) node_backward_kernel(NodeBackward a) {
  const Rows rows(16 * (static_cast<int64_t>(blockIdx.x) * kNodeWarps + warp_id()), a.layer.num_nodes);
  wait_for_earlier_kernels();
  let_later_kernels_begin();
  float* scratch = dynamic_shared<float>();
  Fragment<H> a1, a2;  // two at a time: more would not stay in registers for H = 128
  load_rows(a1, a.layer.x, rows);
  write_table<P>(a.layer.at_sender, a.layer.sender0, a1, a.layer.sender, rows, scratch);
  write_table<P>(a.layer.at_receiver, a.layer.receiver0, a1, a.layer.receiver, rows, scratch);
  node_hidden<P>(a1, a.layer, rows, scratch);
  store_rows(a.hidden, a1, rows);
  const Positive<H> hidden_positive(a1);

  // the gradient of x_out
  set_zero(a1);
  if (a.grad) add_rows<H>(a1, a.grad, rows.row, rows.valid);
  if (!a.last) {
    multiply_rows<P>(a1, a.grad_sender, rows, a.sender_backward, scratch);
    multiply_rows<P>(a1, a.grad_receiver, rows, a.receiver_backward, scratch);
  }
  load_rows(a2, a.x_out, rows);
  const Positive<H> positive(a2);
  positive.pass(a1);
  store_rows(a.dy, a1, rows);

  set_zero(a2);
  multiply<P>(a2, a1, a.second_backward, scratch);
  hidden_positive.pass(a2);
  store_rows(a.dz, a2, rows);
  set_zero(a1);
  multiply<P>(a1, a2, a.of_sum_backward, scratch);
  store_rows(a.grad_sum, a1, rows);
  set_zero(a1);
  multiply<P>(a1, a2, a.of_x_backward, scratch);
  store_rows(a.grad_x, a1, rows);
  accumulate(a.dz_total, a2, rows, a.last);
}

// sender_total = sum over steps of sender (steps, numbers), likewise receiver, added to what is there with `add`; a
// thread per four numbers
template <int H>
__global__ void __launch_bounds__(kThreads)
    sum_steps_kernel(int64_t num_nodes, int num_steps, const float* sender, const float* receiver, float* sender_total,
                     float* receiver_total, bool add) {
  const int64_t numbers = num_nodes * H;
  const int64_t at = 4 * (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x);
  wait_for_earlier_kernels();
  let_later_kernels_begin();
  if (at >= numbers) return;
  for (int pair = 0; pair < 2; ++pair) {
    float* total = (pair ? receiver_total : sender_total) + at;
    Float4 sum = add ? load4<false>(total) : Float4{};
    for (int k = num_steps - 1; k >= 0; --k) {
      const Float4 x = load4<false>((pair ? receiver : sender) + k * numbers + at);
      for (int m = 0; m < 4; ++m) sum.v[m] += x.v[m];
    }
    store4(total, sum);
  }
}

}  // namespace botan_fast::cuda
