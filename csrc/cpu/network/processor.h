// What both passes of the n-step processor share: packed weights, a step forward, the edge features between steps.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "botan_fast.h"
#include "cpu/network/kernels.h"
#include "cpu/runtime/buffer_pool.h"
#include "cpu/runtime/chunks.h"

namespace botan_fast {

// ---- weights -------------------------------------------------------------------------------------------------

// The H x H blocks of the weights, by the names of the algebra: MLP_e's first weight is [Ws | Wr | We | W0] or
// [Ws | Wr | We | W0 | Ws0 | Wr0], MLP_n's is [Vx | Vx0 | Vsum]; W2 and V2 are the second ones.
enum Block { kWs, kWr, kWe, kW0, kWs0, kWr0, kW2, kVx, kVx0, kVsum, kV2, kNumBlocks };

// Where a block begins, in weights or gradients, and the distance of its rows.
template <class T>
struct BlockPlace {
  T* data;
  int64_t stride;
};
template <class T>
BlockPlace<T> place_of(Block block, const ProcessorArrays<T>& arrays, int64_t H, bool edge_node_skip) {
  if (block < kW2) return {arrays.edge_w1 + block * H, (edge_node_skip ? 6 : 4) * H};
  if (block == kW2) return {arrays.edge_w2, H};
  if (block < kV2) return {arrays.node_w1 + (block - kVx) * H, 3 * H};
  return {arrays.node_w2, H};
}

// Each block packed for both directions: forward(kWe) multiplies rows by We^T, backward(kWe) by We.
class PackedWeights {
 public:
  PackedWeights(const Kernels& kernels, const ProcessorWeights& weights, bool edge_node_skip)
      : H_(kernels.hidden_size), storage_(2 * kNumBlocks * H_ * H_) {
    for (int b = 0; b < kNumBlocks; ++b) {
      if ((b == kWs0 || b == kWr0) && !edge_node_skip) continue;
      const auto [weight, stride] = place_of(static_cast<Block>(b), weights, H_, edge_node_skip);
      kernels.pack(weight, 1, stride, H_, at(2 * b));  // (k, j) = W[j, k]
      kernels.pack(weight, stride, 1, H_, at(2 * b + 1));
    }
  }

  const float* forward(Block block) const { return at(2 * block); }
  const float* backward(Block block) const { return at(2 * block + 1); }

 private:
  float* at(int64_t i) const { return storage_.get() + i * H_ * H_; }

  const int64_t H_;
  const Pooled<float> storage_;
};

// ---- a step --------------------------------------------------------------------------------------------------

struct Term {
  const float *rows, *packed;
};

// out[begin:end] = bias + base + sum of terms
inline LinearChunk linear(int64_t begin, int64_t end, float* out, std::initializer_list<Term> terms,
                          const float* base = nullptr, const float* bias = nullptr, bool relu = false,
                          const float* mask = nullptr) {
  LinearChunk l{};
  l.begin = begin, l.end = end, l.out = out, l.base = base, l.bias = bias, l.relu = relu, l.mask = mask;
  for (const Term& term : terms) {
    l.a[l.num_terms] = term.rows;
    l.b[l.num_terms++] = term.packed;
  }
  return l;
}

// What stays the same in all steps, for rows of nodes.
struct ConstantRows {
  float *node, *p_sender, *p_receiver;  // V_x0 x0 + a1; the x0 terms of the older model, null without
};

// The arithmetic of a step but for the edges, on rows [begin, end) of the caller's arrays.
class Layers {
 public:
  Layers(int hidden_size, bool edge_node_skip, Precision precision, const ProcessorWeights& weights)
      : H(hidden_size),
        skip(edge_node_skip),
        k(*kernels(hidden_size, precision)),
        w(weights),
        packed(k, weights, edge_node_skip) {}

  bool bf16() const { return k.round; }  // whether Stored is bfloat16

  void node_constant(const float* x0, int64_t begin, int64_t end, const ConstantRows& out) const {
    k.linear(linear(begin, end, out.node, {{x0, packed.forward(kVx0)}}, nullptr, w.node_b1));
    if (!skip) return;
    k.linear(linear(begin, end, out.p_sender, {{x0, packed.forward(kWs0)}}));
    k.linear(linear(begin, end, out.p_receiver, {{x0, packed.forward(kWr0)}}));
  }

  // c = W0 e0 + b1
  void edge_constant(const float* e0, int64_t begin, int64_t end, Stored* c) const {
    const float* packed_w0 = packed.forward(kW0);
    if (!bf16()) return k.linear(linear(begin, end, static_cast<float*>(c), {{e0, packed_w0}}, nullptr, w.edge_b1));
    float tile[kTile * kMaxHidden];
    for (int64_t row = begin; row < end; row += kTile) {
      const int64_t rows = std::min(kTile, end - row);
      k.linear(linear(0, rows, tile, {{e0 + row * H, packed_w0}}, nullptr, w.edge_b1));
      k.round(tile, 0, rows * H, static_cast<uint16_t*>(c) + row * H);
    }
  }

  // Ps = Ws x, Pr = Wr x
  void project_sender(const float* x, const ConstantRows& constant, int64_t begin, int64_t end, float* out) const {
    k.linear(linear(begin, end, out, {{x, packed.forward(kWs)}}, constant.p_sender));
  }
  void project_receiver(const float* x, const ConstantRows& constant, int64_t begin, int64_t end, float* out) const {
    k.linear(linear(begin, end, out, {{x, packed.forward(kWr)}}, constant.p_receiver));
  }

  void node_hidden(const float* x, const float* sum, const ConstantRows& constant, int64_t begin, int64_t end,
                   float* out) const {
    k.linear(linear(begin, end, out, {{x, packed.forward(kVx)}, {sum, packed.forward(kVsum)}}, constant.node, nullptr,
                    true));
  }
  void node_output(const float* hidden, int64_t begin, int64_t end, float* x_out) const {
    k.linear(linear(begin, end, x_out, {{hidden, packed.forward(kV2)}}, nullptr, w.node_b2, true));
  }

  // What the edges of any receivers read besides arrays of nodes and edges.
  EdgeForwardChunk edge_weights() const {
    EdgeForwardChunk edges{};
    edges.we_forward = packed.forward(kWe), edges.w2_forward = packed.forward(kW2), edges.b2 = w.edge_b2;
    return edges;
  }

  const int64_t H;
  const bool skip;  // edge_node_skip
  const Kernels& k;
  const ProcessorWeights w;
  const PackedWeights packed;
};

class Processor : public Layers {
 public:
  // Of ProcessorForward or ProcessorBackward.
  template <class Arguments>
  Processor(const Arguments& a, int num_threads)
      : Layers(a.shape.hidden_size, a.shape.edge_node_skip, a.precision, a.weights),
        t(a.topology),
        N(a.shape.num_nodes),
        E(a.shape.num_edges),
        num_threads(num_threads),
        node_chunks(chunk_rows(N)),
        edge_row_chunks(chunk_rows(E, 1024)),
        receiver_chunks(chunk_receivers(t.row_ptr, N, E)),
        constant_node(N * H),
        constant_sender(skip ? N * H : 0),
        constant_receiver(skip ? N * H : 0),
        constant{constant_node.get(), skip ? constant_sender.get() : nullptr, skip ? constant_receiver.get() : nullptr},
        p_sender(N * H),
        p_receiver(N * H),
        hidden(N * H) {
    for_chunks(node_chunks, num_threads,
               [&](int64_t, int64_t begin, int64_t end) { node_constant(a.x0, begin, end, constant); });
  }

  // Scratch for an edge array (E, H) of Stored, in floats.
  int64_t stored_size() const { return bf16() ? E * H / 2 : E * H; }

  void edge_constant(const float* e0, Stored* c) {
    for_chunks(edge_row_chunks, num_threads,
               [&](int64_t, int64_t begin, int64_t end) { Layers::edge_constant(e0, begin, end, c); });
  }

  const Stored* rounded(const float* e, Stored* to) {
    for_chunks(edge_row_chunks, num_threads,
               [&](int64_t, int64_t begin, int64_t end) { k.round(e, begin * H, end * H, to); });
    return to;
  }

  void projections(const float* x, int64_t begin, int64_t end) {
    project_sender(x, constant, begin, end, p_sender);
    project_receiver(x, constant, begin, end, p_receiver);
  }
  void projections(const float* x) {
    for_chunks(node_chunks, num_threads, [&](int64_t, int64_t begin, int64_t end) { projections(x, begin, end); });
  }

  void node_hidden(const float* x, const float* sum, int64_t begin, int64_t end) {
    Layers::node_hidden(x, sum, constant, begin, end, hidden);
  }

  // e -> e_out, which may be e, and its incoming sums, for the projections of x. In the last step e_out is float32 in
  // every precision.
  void edge_step(const Stored* e, const Stored* c, float* sum, Stored* e_out, bool last) {
    EdgeForwardChunk edges = edge_weights();
    edges.senders = t.senders, edges.receivers = t.receivers, edges.row_ptr = t.row_ptr;
    edges.e = e, edges.c = c, edges.p_sender = p_sender, edges.p_receiver = p_receiver;
    edges.e_out = e_out, edges.e_last = last ? static_cast<float*>(e_out) : nullptr, edges.sum = sum;
    for_chunks(receiver_chunks, num_threads, [&](int64_t, int64_t begin, int64_t end) {
      EdgeForwardChunk part = edges;
      part.node_begin = begin, part.node_end = end;
      k.edge_forward(part);
    });
  }

  // x -> x_out, which may be x. Leaves the projections of x_out behind, unless it is the last step.
  void node_step(const float* x, const float* sum, float* x_out, bool last) {
    for_chunks(node_chunks, num_threads, [&](int64_t, int64_t begin, int64_t end) {
      node_hidden(x, sum, begin, end);
      node_output(hidden, begin, end, x_out);
      if (!last) projections(x_out, begin, end);
    });
  }

  const Topology& t;
  const int64_t N, E;
  const int num_threads;
  const std::vector<int64_t> node_chunks, edge_row_chunks, receiver_chunks;
  Scratch constant_node, constant_sender, constant_receiver;  // (N, H)
  const ConstantRows constant;
  Scratch p_sender, p_receiver, hidden;  // (N, H)
};

// ---- edge features between steps -----------------------------------------------------------------------------

// The edge features before each step that the forward pass keeps, float32 or bfloat16. Before step 0 that is their
// rounded copy in bf16, and in float32 nothing: those stay with the caller.
class KeptEdges {
 public:
  KeptEdges(const Processor& p, const ProcessorHistory& history, bool keep, bool save_memory)
      : data_(static_cast<char*>(history.e)),
        bytes_(p.E * p.H * (p.bf16() ? 2 : 4)),
        keep_(keep),
        save_memory_(save_memory),
        bf16_(p.bf16()) {}
  bool has(int step) const { return keep_ && (save_memory_ ? step > 0 && step % kSavedSteps == 0 : bf16_ || step > 0); }
  Stored* at(int step) const {
    return data_ + (save_memory_ ? step / kSavedSteps - 1 : bf16_ ? step : step - 1) * bytes_;
  }

 private:
  char* data_;
  int64_t bytes_;
  bool keep_, save_memory_, bf16_;
};

// The edge features before each step for the backward pass, which asks for those of step s + 1, then of s, from the
// last step down. What the forward pass did not keep is computed again, by the same operations and so with the same
// bits, from what it kept before: those of step s into array s % 2.
//
// Two arrays suffice: on the way up to the last step of a segment they hold in turn every second one, so that two steps
// are served at once. Later a step's own features are computed in place in one array, while the other holds what
// comes after it. A segment of four steps takes four edge passes so; three arrays would take three.
class EdgeFeatures {
 public:
  // `sum` (N, H) takes the incoming sums, which are known already.
  EdgeFeatures(Processor& p, const ProcessorBackward& a, const Stored* c, float* sum)
      : p_(p),
        x_(a.x ? a.x : a.x0),
        e_(a.e ? a.e : a.e0),
        later_x_(a.history.x),
        kept_(p, a.history, true, a.shape.save_memory),
        c_(c),
        sum_(sum) {}

  const Stored* before(int step) {
    if (kept_.has(step)) return kept_.at(step);
    if (step == 0 && !p_.bf16()) return e_;
    if (held_[step % 2] != step) compute(step);
    return again_[step % 2].get();
  }

 private:
  void compute(int step) {
    const bool in_place = held_[(step + 1) % 2] == step + 1;
    const auto array = [&](int s) { return in_place ? step % 2 : s % 2; };
    int s = step / kSavedSteps * kSavedSteps;
    const Stored* e = e_;
    if (s > 0)
      e = kept_.at(s);
    else if (p_.bf16())
      e = p_.rounded(e_, take(array(0), 0));
    for (; s < step; ++s) {
      p_.projections(s > 0 ? later_x_ + (s - 1) * p_.N * p_.H : x_);
      Stored* next = take(array(s + 1), s + 1);
      p_.edge_step(e, c_, sum_, next, false);
      e = next;
    }
  }

  // Array i, to be filled with the features before `step`.
  Stored* take(int i, int step) {
    if (!again_[i].get()) again_[i] = Pooled<float>(p_.stored_size());
    held_[i] = step;
    return again_[i].get();
  }

  Processor& p_;
  const float *x_, *e_;   // before step 0
  const float* later_x_;  // after each step but the last
  const KeptEdges kept_;
  const Stored* c_;
  float* sum_;
  Pooled<float> again_[2];
  int held_[2] = {-1, -1};
};

}  // namespace botan_fast
