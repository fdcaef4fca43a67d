// The n-step processor by the split-weight algebra: MLP_e's first weight W1 = [Ws | Wr | We | W0] acts on the
// N rows of x and once on e0, so that an edge and step cost two H x H products instead of five.
#include <cstring>
#include <vector>

#include "botan_fast.h"
#include "cpu/buffer_pool.h"
#include "cpu/chunks.h"
#include "cpu/kernels.h"

namespace botan_fast {
namespace {

constexpr int64_t kFinalRows = 96, kMaxHidden = 128;

// The H x H blocks of the weights, packed for products with the weight or with its transpose.
class PackedWeights {
 public:
  PackedWeights(const Kernels& kernel, const ProcessorWeights& w)
      : kernel_(kernel),
        h_(kernel.hidden_size),
        num_edge_blocks_(w.edge_node_skip ? 6 : 4),
        storage_(2 * (num_edge_blocks_ + 1 + 3 + 1) * h_ * h_) {
    float* to = storage_;
    for (int b = 0; b < num_edge_blocks_; ++b) add(w.edge_w1 + b * h_, num_edge_blocks_ * h_, &to);
    add(w.edge_w2, h_, &to);
    for (int b = 0; b < 3; ++b) add(w.node_w1 + b * h_, 3 * h_, &to);
    add(w.node_w2, h_, &to);
  }

  // Blocks in the order of MLP_e's inputs; forward(kE) multiplies rows by We^T, backward(kE) by We.
  enum Block { kSender, kReceiver, kEdge, kEdge0, kSender0, kReceiver0 };
  enum NodeBlock { kX, kX0, kSum };
  const float* forward(Block b) const { return at(b, 0); }
  const float* backward(Block b) const { return at(b, 1); }
  const float* edge2(bool backward) const { return at(num_edge_blocks_, backward); }
  const float* node(NodeBlock b, bool backward) const { return at(num_edge_blocks_ + 1 + b, backward); }
  const float* node2(bool backward) const { return at(num_edge_blocks_ + 4, backward); }

 private:
  void add(const float* weight, int64_t stride, float** to) {
    kernel_.pack(weight, 1, stride, h_, *to);  // (k, j) = W[j, k]
    kernel_.pack(weight, stride, 1, h_, *to + h_ * h_);
    *to += 2 * h_ * h_;
  }
  const float* at(int64_t block, bool backward) const {
    return static_cast<const float*>(static_cast<float*>(storage_)) + (2 * block + backward) * h_ * h_;
  }

  const Kernels& kernel_;
  int64_t h_;
  int64_t num_edge_blocks_;
  mutable Scratch storage_;
};

using Blocks = PackedWeights;

struct Term {
  const float *rows, *packed;
};

// out[begin:end] = bias + base + sum of terms
Linear linear(int64_t begin, int64_t end, float* out, std::initializer_list<Term> terms, const float* base = nullptr,
              const float* bias = nullptr, bool relu = false, const float* mask = nullptr) {
  Linear l{};
  l.begin = begin, l.end = end, l.out = out, l.base = base, l.bias = bias, l.relu = relu, l.mask = mask;
  for (const Term& term : terms) {
    l.a[l.num_terms] = term.rows;
    l.b[l.num_terms++] = term.packed;
  }
  return l;
}

// What stays the same in all steps.
struct Constant {
  Scratch node;                 // (N, H)  V_x0 x0 + a1
  Scratch p_sender, p_receiver;  // (N, H)  the x0 terms of the older model; empty without
  Constant(int64_t rows, bool skip) : node(rows), p_sender(skip ? rows : 0), p_receiver(skip ? rows : 0) {}
};

class Processor {
 public:
  Processor(const Topology& t, int hidden_size, const ProcessorWeights& w, const float* x0,
            Precision precision, int num_threads)
      : t(t),
        H(hidden_size),
        N(t.num_nodes),
        E(t.num_edges),
        num_threads(num_threads),
        k(*kernels(hidden_size, precision)),
        w(w),
        packed(k, w),
        node_chunks(chunk_rows(N)),
        edge_row_chunks(chunk_rows(E, 1024)),
        receiver_chunks(chunk_receivers(t)),
        constant(N * H, w.edge_node_skip),
        p_sender(N * H),
        p_receiver(N * H),
        hidden(N * H) {
    for_chunks(node_chunks, num_threads, [&](int64_t, int64_t begin, int64_t end) {
      k.linear(linear(begin, end, constant.node, {{x0, packed.node(Blocks::kX0, false)}}, nullptr, w.node_b1));
      if (!w.edge_node_skip) return;
      k.linear(linear(begin, end, constant.p_sender, {{x0, packed.forward(Blocks::kSender0)}}));
      k.linear(linear(begin, end, constant.p_receiver, {{x0, packed.forward(Blocks::kReceiver0)}}));
    });
  }

  // c = W0 e0 + b1
  void edge_constant(const float* e0, float* c) {
    for_chunks(edge_row_chunks, num_threads, [&](int64_t, int64_t begin, int64_t end) {
      k.linear(linear(begin, end, c, {{e0, packed.forward(Blocks::kEdge0)}}, nullptr, w.edge_b1));
    });
  }

  const Stored* rounded(const float* e, Stored* to) {
    for_chunks(edge_row_chunks, num_threads,
               [&](int64_t, int64_t begin, int64_t end) { k.round(e, begin * H, end * H, to); });
    return to;
  }

  // Ps = Ws x, Pr = Wr x
  void projections(const float* x, int64_t begin, int64_t end) {
    const bool skip = w.edge_node_skip;
    k.linear(linear(begin, end, p_sender, {{x, packed.forward(Blocks::kSender)}},
                    skip ? constant.p_sender.get() : nullptr));
    k.linear(linear(begin, end, p_receiver, {{x, packed.forward(Blocks::kReceiver)}},
                    skip ? constant.p_receiver.get() : nullptr));
  }
  void projections(const float* x) {
    for_chunks(node_chunks, num_threads,
               [&](int64_t, int64_t begin, int64_t end) { projections(x, begin, end); });
  }

  void node_hidden(const float* x, const float* sum, int64_t begin, int64_t end) {
    k.linear(linear(begin, end, hidden,
                    {{x, packed.node(Blocks::kX, false)}, {sum, packed.node(Blocks::kSum, false)}}, constant.node,
                    nullptr, true));
  }

  // e, x -> e_out, x_out; e_out may be e and x_out may be x. Leaves the projections of x_out behind.
  // In the last step e_out is float32 in every precision.
  void step(const float* x, const Stored* e, const float* c, float* sum, float* x_out, Stored* e_out, bool last) {
    EdgeForward edges{};
    edges.senders = t.senders, edges.receivers = t.receivers, edges.row_ptr = t.row_ptr;
    edges.e = e, edges.c = c, edges.p_sender = p_sender, edges.p_receiver = p_receiver;
    edges.we_forward = packed.forward(Blocks::kEdge), edges.w2_forward = packed.edge2(false), edges.b2 = w.edge_b2;
    edges.e_out = e_out, edges.e_last = last ? static_cast<float*>(e_out) : nullptr, edges.sum = sum;
    for_chunks(receiver_chunks, num_threads, [&](int64_t, int64_t begin, int64_t end) {
      EdgeForward part = edges;
      part.node_begin = begin, part.node_end = end;
      k.edge_forward(part);
    });
    for_chunks(node_chunks, num_threads, [&](int64_t, int64_t begin, int64_t end) {
      node_hidden(x, sum, begin, end);
      k.linear(linear(begin, end, x_out, {{hidden, packed.node2(false)}}, nullptr, w.node_b2, true));
      if (!last) projections(x_out, begin, end);
    });
  }

  const Topology& t;
  const int64_t H, N, E;
  const int num_threads;
  const Kernels& k;
  const ProcessorWeights& w;
  const PackedWeights packed;
  const std::vector<int64_t> node_chunks, edge_row_chunks, receiver_chunks;
  Constant constant;
  Scratch p_sender, p_receiver, hidden;  // (N, H)
};

// Where the edge features before each step lie: float32 ones before step 0 stay with the caller.
class StoredEdges {
 public:
  StoredEdges(void* data, int64_t size, bool bf16, bool keep)
      : data_(static_cast<char*>(data)), bytes_(size * (bf16 ? 2 : 4)), first_(bf16 ? 0 : 1), keep_(keep) {}
  Stored* input(int step) const { return keep_ ? data_ + (step - first_) * bytes_ : data_; }

 private:
  char* data_;
  int64_t bytes_;
  int first_;
  bool keep_;
};

// Weight gradients of one kind of chunk: `count` arrays of H x H and one of H for each chunk, added up in order.
class Partials {
 public:
  Partials(const std::vector<int64_t>& chunks, int64_t count, int64_t H)
      : num_chunks_(static_cast<int64_t>(chunks.size()) - 1), H_(H), size_(count * H * H + 4 * H),
        count_(count), storage_(num_chunks_ * size_) {
    storage_.clear();
  }
  float* matrix(int64_t chunk, int64_t i) { return storage_ + chunk * size_ + i * H_ * H_; }
  float* vector(int64_t chunk, int64_t i = 0) { return storage_ + chunk * size_ + count_ * H_ * H_ + i * H_; }

  void reduce() {
    for (int64_t chunk = 1; chunk < num_chunks_; ++chunk)
      for (int64_t i = 0; i < size_; ++i) storage_[i] += storage_[chunk * size_ + i];
  }
  // Copies matrix i into the H columns of a wider (H, stride) weight that start at `to`.
  void copy_matrix(int64_t i, float* to, int64_t stride) {
    for (int64_t row = 0; row < H_; ++row)
      std::memcpy(to + row * stride, matrix(0, i) + row * H_, H_ * sizeof(float));
  }
  void copy_vector(float* to, int64_t i = 0) { std::memcpy(to, vector(0, i), H_ * sizeof(float)); }

 private:
  int64_t num_chunks_, H_, size_, count_;
  Scratch storage_;
};

}  // namespace

void processor_forward(const Topology& topology, int hidden_size, int num_steps, const ProcessorWeights& weights,
                       const float* x, const float* e, const float* x0, const float* e0, float* x_out, float* e_out,
                       const ProcessorHistory& history, Precision precision, int num_threads) {
  Processor p(topology, hidden_size, weights, x0, precision, num_threads);
  const bool keep = history.sum != nullptr;  // c is null in a graph without edges too
  const int64_t node_size = p.N * p.H, edge_size = p.E * p.H;
  Scratch own_c(keep ? 0 : edge_size), own_sum(keep ? 0 : node_size);
  float* c = keep ? history.c : own_c;
  p.edge_constant(e0, c);
  if (!x) x = x0;
  const Stored* e_in = e ? e : e0;
  // Without history bfloat16 features of all steps share one array; float32 ones take that of the result.
  Scratch own_e(keep || !p.k.round ? 0 : edge_size / 2);
  const StoredEdges steps(keep ? history.e : own_e.get(), edge_size, p.k.round, keep);
  if (p.k.round) e_in = p.rounded(static_cast<const float*>(e_in), steps.input(0));
  p.projections(x);
  for (int s = 0; s < num_steps; ++s) {
    const bool last = s + 1 == num_steps;
    float* sum = keep ? history.sum + s * node_size : own_sum;
    float* next_x = keep && !last ? history.x + s * node_size : x_out;
    Stored* next_e = last || !(keep || p.k.round) ? e_out : steps.input(s + 1);
    p.step(x, e_in, c, sum, next_x, next_e, last);
    x = next_x, e_in = next_e;
  }
}

void processor_backward(const Topology& topology, int hidden_size, int num_steps, const ProcessorWeights& weights,
                        const float* x, const float* e, const float* x0, const float* e0, const float* x_out,
                        const ProcessorHistory& history, const float* grad_x_out,
                        const float* grad_e_out, float* grad_x, float* grad_e, float* grad_x0, float* grad_e0,
                        const ProcessorGradients& gradients, Precision precision, int num_threads) {
  Processor p(topology, hidden_size, weights, x0, precision, num_threads);
  const Kernels& k = p.k;
  const Topology& t = topology;
  const int64_t H = p.H, N = p.N, E = p.E, node_size = N * H, edge_size = E * H;
  const bool skip = weights.edge_node_skip;

  enum EdgePartial { kWe, kW2, kNumEdge };
  enum NodePartial { kVx, kVsum, kV2, kWs, kWr, kNumNode };
  enum FinalNodePartial { kVx0, kWs0, kWr0, kNumFinalNode };
  Partials edge_partials(p.receiver_chunks, kNumEdge, H);
  Partials node_partials(p.node_chunks, kNumNode, H);

  const StoredEdges steps(history.e, edge_size, k.round, true);
  Scratch grad_z(k.round ? edge_size / 2 : edge_size);
  float* grad_c = grad_e0;  // becomes grad_e0 in the end
  Scratch grad_p_sender(node_size), grad_p_receiver(node_size), grad_hidden(node_size), grad_sum(node_size);
  Scratch grad_constant(node_size);  // of V_x0 x0 + a1
  grad_constant.clear();
  Scratch total_sender(skip ? node_size : 0), total_receiver(skip ? node_size : 0);
  total_sender.clear();
  total_receiver.clear();

  // Gradients of the current step's output, turned into those of its input in place.
  float* dx = grad_x ? grad_x : grad_x0;
  if (grad_x_out)
    std::memcpy(dx, grad_x_out, node_size * sizeof(float));
  else
    std::memset(dx, 0, node_size * sizeof(float));
  for (int s = num_steps - 1; s >= 0; --s) {
    const bool last = s + 1 == num_steps;
    const float* x_s = last ? x_out : history.x + s * node_size;
    const Stored* e_s = last ? nullptr : steps.input(s + 1);
    const float* x_in = s > 0 ? history.x + (s - 1) * node_size : (x ? x : x0);
    const Stored* e_in = s > 0 || k.round ? steps.input(s) : (e ? e : e0);
    const float* sum = history.sum + s * node_size;

    for_chunks(p.node_chunks, num_threads, [&](int64_t chunk, int64_t begin, int64_t end) {
      p.projections(x_in, begin, end);
      p.node_hidden(x_in, sum, begin, end);
      for (int64_t i = begin * H; i < end * H; ++i) dx[i] = x_s[i] > 0 ? dx[i] : 0.0f;
      k.column_sum(dx, begin, end, node_partials.vector(chunk));
      k.weight_gradient({begin, end, dx, p.hidden, node_partials.matrix(chunk, kV2)});
      k.linear(linear(begin, end, grad_hidden, {{dx, p.packed.node2(true)}}, nullptr, nullptr, false, p.hidden));
      k.weight_gradient({begin, end, grad_hidden, x_in, node_partials.matrix(chunk, kVx)});
      k.weight_gradient({begin, end, grad_hidden, sum, node_partials.matrix(chunk, kVsum)});
      for (int64_t i = begin * H; i < end * H; ++i) grad_constant[i] += grad_hidden[i];
      k.linear(linear(begin, end, dx, {{grad_hidden, p.packed.node(Blocks::kX, true)}}));
      k.linear(linear(begin, end, grad_sum, {{grad_hidden, p.packed.node(Blocks::kSum, true)}}));
    });

    EdgeBackward edges{};
    edges.senders = t.senders, edges.receivers = t.receivers, edges.row_ptr = t.row_ptr;
    edges.e = e_in, edges.c = history.c, edges.p_sender = p.p_sender, edges.p_receiver = p.p_receiver;
    edges.we_forward = p.packed.forward(Blocks::kEdge), edges.we = p.packed.backward(Blocks::kEdge);
    edges.w2_forward = p.packed.edge2(false), edges.w2 = p.packed.edge2(true), edges.b2 = weights.edge_b2;
    edges.e_out = e_s, edges.grad_e_out = grad_e_out, edges.grad_sum = grad_sum;
    edges.grad_z = grad_z.get(), edges.grad_c = grad_c, edges.last = last;
    edges.grad_p_receiver = grad_p_receiver;
    for_chunks(p.receiver_chunks, num_threads, [&](int64_t chunk, int64_t begin, int64_t end) {
      EdgeBackward part = edges;
      part.node_begin = begin, part.node_end = end;
      part.grad_we = edge_partials.matrix(chunk, kWe), part.grad_w2 = edge_partials.matrix(chunk, kW2);
      part.grad_b2 = edge_partials.vector(chunk);
      k.edge_backward(part);
    });

    for_chunks(p.node_chunks, num_threads, [&](int64_t chunk, int64_t begin, int64_t end) {
      k.gather_sum(grad_z.get(), t.sender_order, t.sender_ptr, begin, end, grad_p_sender);
      k.weight_gradient({begin, end, grad_p_sender, x_in, node_partials.matrix(chunk, kWs)});
      k.weight_gradient({begin, end, grad_p_receiver, x_in, node_partials.matrix(chunk, kWr)});
      k.linear(linear(begin, end, dx,
                      {{grad_p_sender, p.packed.backward(Blocks::kSender)},
                       {grad_p_receiver, p.packed.backward(Blocks::kReceiver)}},
                      dx));
      if (!skip) return;
      for (int64_t i = begin * H; i < end * H; ++i) {
        total_sender[i] += grad_p_sender[i];
        total_receiver[i] += grad_p_receiver[i];
      }
    });
  }

  // Through c = W0 e0 + b1 and V_x0 x0 + a1, once.
  Partials final_edge(p.edge_row_chunks, 1, H);
  for_chunks(p.edge_row_chunks, num_threads, [&](int64_t chunk, int64_t begin, int64_t end) {
    k.column_sum(grad_c, begin, end, final_edge.vector(chunk));
    k.weight_gradient({begin, end, grad_c, e0, final_edge.matrix(chunk, 0)});
    // grad_e0 = grad_c W0, in the same memory, tile by tile; the start of the steps adds dz We.
    float* start = grad_e ? grad_e : grad_e0;
    float tile[kFinalRows * kMaxHidden];
    for (int64_t row = begin; row < end; row += kFinalRows) {
      const int64_t rows = std::min(kFinalRows, end - row);
      std::memcpy(tile, grad_c + row * H, rows * H * sizeof(float));
      k.edge_input_gradient(grad_z.get(), p.packed.backward(Blocks::kEdge), row, row + rows, start);
      float* out = grad_e0 + row * H;
      k.linear(linear(0, rows, out, {{tile, p.packed.backward(Blocks::kEdge0)}}, grad_e ? nullptr : out));
    }
  });
  Partials final_node(p.node_chunks, kNumFinalNode, H);
  for_chunks(p.node_chunks, num_threads, [&](int64_t chunk, int64_t begin, int64_t end) {
    k.column_sum(grad_constant, begin, end, final_node.vector(chunk));
    k.weight_gradient({begin, end, grad_constant, x0, final_node.matrix(chunk, kVx0)});
    k.linear(linear(begin, end, grad_x0, {{grad_constant, p.packed.node(Blocks::kX0, true)}}, grad_x ? nullptr : dx));
    if (!skip) return;
    k.weight_gradient({begin, end, total_sender, x0, final_node.matrix(chunk, kWs0)});
    k.weight_gradient({begin, end, total_receiver, x0, final_node.matrix(chunk, kWr0)});
    k.linear(linear(begin, end, grad_x0,
                    {{total_sender, p.packed.backward(Blocks::kSender0)},
                     {total_receiver, p.packed.backward(Blocks::kReceiver0)}},
                    grad_x0));
  });

  edge_partials.reduce();
  node_partials.reduce();
  final_edge.reduce();
  final_node.reduce();
  const int64_t stride = (skip ? 6 : 4) * H;
  node_partials.copy_matrix(kWs, gradients.edge_w1 + Blocks::kSender * H, stride);
  node_partials.copy_matrix(kWr, gradients.edge_w1 + Blocks::kReceiver * H, stride);
  edge_partials.copy_matrix(kWe, gradients.edge_w1 + Blocks::kEdge * H, stride);
  final_edge.copy_matrix(0, gradients.edge_w1 + Blocks::kEdge0 * H, stride);
  if (skip) {
    final_node.copy_matrix(kWs0, gradients.edge_w1 + Blocks::kSender0 * H, stride);
    final_node.copy_matrix(kWr0, gradients.edge_w1 + Blocks::kReceiver0 * H, stride);
  }
  final_edge.copy_vector(gradients.edge_b1);
  edge_partials.copy_matrix(kW2, gradients.edge_w2, H);
  edge_partials.copy_vector(gradients.edge_b2);
  node_partials.copy_matrix(kVx, gradients.node_w1 + Blocks::kX * H, 3 * H);
  final_node.copy_matrix(kVx0, gradients.node_w1 + Blocks::kX0 * H, 3 * H);
  node_partials.copy_matrix(kVsum, gradients.node_w1 + Blocks::kSum * H, 3 * H);
  final_node.copy_vector(gradients.node_b1);
  node_partials.copy_matrix(kV2, gradients.node_w2, H);
  node_partials.copy_vector(gradients.node_b2);
}

}  // namespace botan_fast
