// The n-step processor by the split-weight algebra: MLP_e's first weight W1 = [Ws | Wr | We | W0] acts on the
// N rows of x and once on e0, so that an edge and step cost two H x H products instead of five.
#include <cstring>
#include <vector>

#include "botan_fast.h"
#include "cpu/network/processor.h"

namespace botan_fast {
namespace {

// Weight gradients of one kind of chunk: `count` arrays of H x H and one of H for each chunk, added up in order.
class Partials {
 public:
  Partials(const std::vector<int64_t>& chunks, int64_t count, int64_t H)
      : num_chunks_(static_cast<int64_t>(chunks.size()) - 1),
        H_(H),
        size_(count * H * H + 4 * H),
        count_(count),
        storage_(num_chunks_ * size_) {
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
    for (int64_t row = 0; row < H_; ++row) std::memcpy(to + row * stride, matrix(0, i) + row * H_, H_ * sizeof(float));
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
  const bool bf16 = p.k.round, keep = history.sum != nullptr;  // c is null in a graph without edges too
  const bool keep_all = keep && !history.save_memory;
  const int64_t node_size = p.N * p.H, edge_size = p.E * p.H;
  Scratch own_c(keep_all ? 0 : bf16 ? edge_size / 2 : edge_size), own_sum(keep ? 0 : node_size);
  Stored* c = keep_all ? history.c : own_c.get();
  p.edge_constant(e0, c);
  if (!x) x = x0;
  // Features that are not kept share one array; float32 ones take that of the result.
  Scratch own_e(keep_all || !bf16 ? 0 : edge_size / 2);
  const KeptEdges kept(history, edge_size, bf16);
  const auto before = [&](int step) -> Stored* { return kept.has(step) ? kept.at(step) : bf16 ? own_e.get() : e_out; };
  const Stored* e_in = e ? e : e0;
  if (bf16) e_in = p.rounded(e ? e : e0, before(0));
  p.projections(x);
  for (int s = 0; s < num_steps; ++s) {
    const bool last = s + 1 == num_steps;
    float* sum = keep ? history.sum + s * node_size : own_sum.get();
    float* next_x = keep && !last ? history.x + s * node_size : x_out;
    Stored* next_e = last ? e_out : before(s + 1);
    p.edge_step(e_in, c, sum, next_e, last);
    p.node_step(x, sum, next_x, last);
    x = next_x, e_in = next_e;
  }
}

void processor_backward(const Topology& topology, int hidden_size, int num_steps, const ProcessorWeights& weights,
                        const float* x, const float* e, const float* x0, const float* e0, const float* x_out,
                        const ProcessorHistory& history, const float* grad_x_out, const float* grad_e_out,
                        float* grad_x, float* grad_e, float* grad_x0, float* grad_e0,
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

  // Arrays of E x H that are alive throughout, besides those of the caller: grad_z and, as grad_c, grad_e0. With
  // save_memory also c and at most two of EdgeFeatures, three where n float32 ones were kept: less from four steps on.
  Scratch grad_z(k.round ? edge_size / 2 : edge_size);
  float* grad_c = grad_e0;  // becomes grad_e0 in the end
  Scratch grad_p_sender(node_size), grad_p_receiver(node_size), grad_hidden(node_size), grad_sum(node_size);
  Scratch own_c(!history.save_memory ? 0 : k.round ? edge_size / 2 : edge_size);
  if (history.save_memory) p.edge_constant(e0, own_c);
  const Stored* c = history.save_memory ? own_c.get() : history.c;
  EdgeFeatures features(p, history, x ? x : x0, e ? e : e0, c, grad_sum);  // grad_sum: free between steps
  Scratch grad_constant(node_size);                                        // of V_x0 x0 + a1
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
    const Stored* e_s = last ? nullptr : features.before(s + 1);
    const Stored* e_in = features.before(s);
    const float* x_in = s > 0 ? history.x + (s - 1) * node_size : (x ? x : x0);
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
    edges.e = e_in, edges.c = c, edges.p_sender = p.p_sender, edges.p_receiver = p.p_receiver;
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
    float tile[kTileRows * kMaxHidden];
    for (int64_t row = begin; row < end; row += kTileRows) {
      const int64_t rows = std::min(kTileRows, end - row);
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
    k.linear(linear(
        begin, end, grad_x0,
        {{total_sender, p.packed.backward(Blocks::kSender0)}, {total_receiver, p.packed.backward(Blocks::kReceiver0)}},
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
