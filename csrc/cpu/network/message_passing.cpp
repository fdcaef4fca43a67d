// The n-step processor by the split-weight algebra: MLP_e's first weight W1 = [Ws | Wr | We | W0] acts on the
// N rows of x and once on e0, so that an edge and step cost two H x H products instead of five.
#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "botan_fast.h"
#include "cpu/network/processor.h"

namespace botan_fast {
namespace {

// Gradients of some blocks of the weights and of one bias (H,), as sums over each chunk, added up in the order of the
// chunks: the result does not depend on the number of threads.
class Partials {
 public:
  Partials(const std::vector<int64_t>& chunks, std::initializer_list<Block> blocks, int64_t H)
      : num_chunks_(static_cast<int64_t>(chunks.size()) - 1),
        H_(H),
        blocks_(blocks),
        bias_(static_cast<int64_t>(blocks.size()) * H * H),
        size_(bias_ + H),
        storage_(num_chunks_ * size_) {
    storage_.clear();
    for (size_t i = 0; i < blocks_.size(); ++i) at_[blocks_[i]] = static_cast<int64_t>(i) * H * H;
  }

  // Accumulators of one chunk: (H, H) and (H,).
  float* block(int64_t chunk, Block b) { return storage_ + chunk * size_ + at_[b]; }
  float* bias(int64_t chunk) { return storage_ + chunk * size_ + bias_; }

  void add_up(const ProcessorGradients& gradients, float* bias_gradient, bool edge_node_skip, int num_threads) {
    constexpr int64_t kElements = 1024;  // of one task; each element adds up its chunks in their order
    parallel_for((size_ + kElements - 1) / kElements, num_threads, [&](int64_t task) {
      const int64_t end = std::min(size_, (task + 1) * kElements);
      for (int64_t chunk = 1; chunk < num_chunks_; ++chunk)
        for (int64_t i = task * kElements; i < end; ++i) storage_[i] += storage_[chunk * size_ + i];
    });
    for (const Block b : blocks_) {
      if ((b == kWs0 || b == kWr0) && !edge_node_skip) continue;
      const auto [to, stride] = place_of(b, gradients, H_, edge_node_skip);
      for (int64_t row = 0; row < H_; ++row) std::memcpy(to + row * stride, block(0, b) + row * H_, H_ * sizeof(float));
    }
    std::memcpy(bias_gradient, bias(0), H_ * sizeof(float));
  }

 private:
  const int64_t num_chunks_, H_;
  const std::vector<Block> blocks_;
  const int64_t bias_, size_;  // where the bias begins; all of a chunk
  int64_t at_[kNumBlocks] = {};
  Scratch storage_;
};

// grad += g^T a over rows [begin, end)
WeightGradientChunk weight_gradient(int64_t begin, int64_t end, const float* g, const float* a, float* grad) {
  WeightGradientChunk chunk{};
  chunk.begin = begin, chunk.end = end, chunk.g = g, chunk.a = a, chunk.grad = grad;
  return chunk;
}

}  // namespace

// ---- forward --------------------------------------------------------------------------------------------------

void processor_forward(const ProcessorForward& a, int num_threads) {
  Processor p(a, num_threads);
  const bool keep_all = a.keep && !a.shape.save_memory;
  const int64_t node_size = p.N * p.H;
  Scratch own_c(keep_all ? 0 : p.stored_size()), own_sum(a.keep ? 0 : node_size);
  Stored* c = keep_all ? a.history.c : own_c.get();
  p.edge_constant(a.e0, c);
  // Features that are not kept share one array; float32 ones take that of the result.
  Scratch own_e(keep_all || !p.bf16() ? 0 : p.stored_size());
  const KeptEdges kept(p, a.history, a.keep, a.shape.save_memory);
  const auto before = [&](int step) -> Stored* {
    return kept.has(step) ? kept.at(step) : p.bf16() ? own_e.get() : a.e_out;
  };
  const float* x = a.x ? a.x : a.x0;
  const Stored* e = a.e ? a.e : a.e0;
  if (p.bf16()) e = p.rounded(a.e ? a.e : a.e0, before(0));
  p.projections(x);
  for (int s = 0; s < a.shape.num_steps; ++s) {
    const bool last = s + 1 == a.shape.num_steps;
    float* sum = a.keep ? a.history.sum + s * node_size : own_sum.get();
    float* next_x = a.keep && !last ? a.history.x + s * node_size : a.x_out;
    Stored* next_e = last ? a.e_out : before(s + 1);
    p.edge_step(e, c, sum, next_e, last);
    p.node_step(x, sum, next_x, last);
    x = next_x, e = next_e;
  }
}

// ---- backward -------------------------------------------------------------------------------------------------

void processor_backward(const ProcessorBackward& a, int num_threads) {
  Processor p(a, num_threads);
  const Kernels& k = p.k;
  const Topology& t = a.topology;
  const int num_steps = a.shape.num_steps;
  const int64_t H = p.H, node_size = p.N * H;
  const bool skip = p.skip, save_memory = a.shape.save_memory;

  Partials edge_partials(p.receiver_chunks, {kWe, kW2}, H);
  Partials node_partials(p.node_chunks, {kVx, kVsum, kV2, kWs, kWr}, H);

  // Arrays of E x H that are alive throughout, besides those of the caller: grad_z and, as grad_c, grad_e0. With
  // save_memory also c and at most two of EdgeFeatures, three where n float32 ones were kept: less from four steps on.
  Scratch grad_z(p.stored_size());
  float* grad_c = a.grad_e0;  // becomes grad_e0 in the end
  Scratch grad_p_sender(node_size), grad_p_receiver(node_size), grad_hidden(node_size), grad_sum(node_size);
  Scratch own_c(save_memory ? p.stored_size() : 0);
  if (save_memory) p.edge_constant(a.e0, own_c);
  const Stored* c = save_memory ? own_c.get() : a.history.c;
  EdgeFeatures features(p, a, c, grad_sum);  // grad_sum: free between steps
  Scratch grad_constant(node_size);          // of V_x0 x0 + a1
  grad_constant.clear();
  Scratch total_sender(skip ? node_size : 0), total_receiver(skip ? node_size : 0);
  total_sender.clear();
  total_receiver.clear();

  // Gradients of the current step's output, turned into those of its input in place.
  float* dx = a.grad_x ? a.grad_x : a.grad_x0;
  if (a.grad_x_out)
    std::memcpy(dx, a.grad_x_out, node_size * sizeof(float));
  else
    std::memset(dx, 0, node_size * sizeof(float));
  for (int s = num_steps - 1; s >= 0; --s) {
    const bool last = s + 1 == num_steps;
    const float* x_s = last ? a.x_out : a.history.x + s * node_size;
    const Stored* e_s = last ? nullptr : features.before(s + 1);
    const Stored* e_in = features.before(s);
    const float* x_in = s > 0 ? a.history.x + (s - 1) * node_size : (a.x ? a.x : a.x0);
    const float* sum = a.history.sum + s * node_size;

    for_chunks(p.node_chunks, num_threads, [&](int64_t chunk, int64_t begin, int64_t end) {
      p.projections(x_in, begin, end);
      p.node_hidden(x_in, sum, begin, end);
      for (int64_t i = begin * H; i < end * H; ++i) dx[i] = x_s[i] > 0 ? dx[i] : 0.0f;
      k.column_sum(dx, begin, end, node_partials.bias(chunk));
      k.weight_gradient(weight_gradient(begin, end, dx, p.hidden, node_partials.block(chunk, kV2)));
      k.linear(linear(begin, end, grad_hidden, {{dx, p.packed.backward(kV2)}}, nullptr, nullptr, false, p.hidden));
      k.weight_gradient(weight_gradient(begin, end, grad_hidden, x_in, node_partials.block(chunk, kVx)));
      k.weight_gradient(weight_gradient(begin, end, grad_hidden, sum, node_partials.block(chunk, kVsum)));
      for (int64_t i = begin * H; i < end * H; ++i) grad_constant[i] += grad_hidden[i];
      k.linear(linear(begin, end, dx, {{grad_hidden, p.packed.backward(kVx)}}));
      k.linear(linear(begin, end, grad_sum, {{grad_hidden, p.packed.backward(kVsum)}}));
    });

    EdgeBackwardChunk edges{};
    edges.senders = t.senders, edges.receivers = t.receivers, edges.row_ptr = t.row_ptr;
    edges.e = e_in, edges.c = c, edges.p_sender = p.p_sender, edges.p_receiver = p.p_receiver;
    edges.we_forward = p.packed.forward(kWe), edges.we_backward = p.packed.backward(kWe);
    edges.w2_forward = p.packed.forward(kW2), edges.w2_backward = p.packed.backward(kW2);
    edges.b2 = a.weights.edge_b2;
    edges.e_out = e_s, edges.grad_e_out = a.grad_e_out, edges.grad_sum = grad_sum;
    edges.grad_z = grad_z.get(), edges.grad_c = grad_c, edges.last = last;
    edges.grad_p_receiver = grad_p_receiver;
    for_chunks(p.receiver_chunks, num_threads, [&](int64_t chunk, int64_t begin, int64_t end) {
      EdgeBackwardChunk part = edges;
      part.node_begin = begin, part.node_end = end;
      part.grad_we = edge_partials.block(chunk, kWe), part.grad_w2 = edge_partials.block(chunk, kW2);
      part.grad_b2 = edge_partials.bias(chunk);
      k.edge_backward(part);
    });

    for_chunks(p.node_chunks, num_threads, [&](int64_t chunk, int64_t begin, int64_t end) {
      k.gather_sum(grad_z.get(), t.sender_order, t.sender_ptr, begin, end, grad_p_sender);
      k.weight_gradient(weight_gradient(begin, end, grad_p_sender, x_in, node_partials.block(chunk, kWs)));
      k.weight_gradient(weight_gradient(begin, end, grad_p_receiver, x_in, node_partials.block(chunk, kWr)));
      k.linear(linear(begin, end, dx,
                      {{grad_p_sender, p.packed.backward(kWs)}, {grad_p_receiver, p.packed.backward(kWr)}}, dx));
      if (!skip) return;
      for (int64_t i = begin * H; i < end * H; ++i) {
        total_sender[i] += grad_p_sender[i];
        total_receiver[i] += grad_p_receiver[i];
      }
    });
  }

  // Through c = W0 e0 + b1 and V_x0 x0 + a1, once.
  Partials final_edge(p.edge_row_chunks, {kW0}, H);
  for_chunks(p.edge_row_chunks, num_threads, [&](int64_t chunk, int64_t begin, int64_t end) {
    k.column_sum(grad_c, begin, end, final_edge.bias(chunk));
    k.weight_gradient(weight_gradient(begin, end, grad_c, a.e0, final_edge.block(chunk, kW0)));
    // grad_e0 = grad_c W0, in the same memory, tile by tile; the start of the steps adds dz We.
    float* start = a.grad_e ? a.grad_e : a.grad_e0;
    float tile[kTile * kMaxHidden];
    for (int64_t row = begin; row < end; row += kTile) {
      const int64_t rows = std::min(kTile, end - row);
      std::memcpy(tile, grad_c + row * H, rows * H * sizeof(float));
      k.edge_input_gradient(grad_z.get(), p.packed.backward(kWe), row, row + rows, start);
      float* out = a.grad_e0 + row * H;
      k.linear(linear(0, rows, out, {{tile, p.packed.backward(kW0)}}, a.grad_e ? nullptr : out));
    }
  });
  Partials final_node(p.node_chunks, {kVx0, kWs0, kWr0}, H);
  for_chunks(p.node_chunks, num_threads, [&](int64_t chunk, int64_t begin, int64_t end) {
    k.column_sum(grad_constant, begin, end, final_node.bias(chunk));
    k.weight_gradient(weight_gradient(begin, end, grad_constant, a.x0, final_node.block(chunk, kVx0)));
    k.linear(linear(begin, end, a.grad_x0, {{grad_constant, p.packed.backward(kVx0)}}, a.grad_x ? nullptr : dx));
    if (!skip) return;
    k.weight_gradient(weight_gradient(begin, end, total_sender, a.x0, final_node.block(chunk, kWs0)));
    k.weight_gradient(weight_gradient(begin, end, total_receiver, a.x0, final_node.block(chunk, kWr0)));
    k.linear(linear(begin, end, a.grad_x0,
                    {{total_sender, p.packed.backward(kWs0)}, {total_receiver, p.packed.backward(kWr0)}}, a.grad_x0));
  });

  edge_partials.add_up(a.gradients, a.gradients.edge_b2, skip, num_threads);
  node_partials.add_up(a.gradients, a.gradients.node_b2, skip, num_threads);
  final_edge.add_up(a.gradients, a.gradients.edge_b1, skip, num_threads);
  final_node.add_up(a.gradients, a.gradients.node_b1, skip, num_threads);
}

}  // namespace botan_fast
