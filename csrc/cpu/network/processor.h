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

constexpr int64_t kTileRows = 96, kMaxHidden = 128;  // of rows on the stack

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
inline Linear linear(int64_t begin, int64_t end, float* out, std::initializer_list<Term> terms,
                     const float* base = nullptr, const float* bias = nullptr, bool relu = false,
                     const float* mask = nullptr) {
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
  Scratch node;                  // (N, H)  V_x0 x0 + a1
  Scratch p_sender, p_receiver;  // (N, H)  the x0 terms of the older model; empty without
  Constant(int64_t rows, bool skip) : node(rows), p_sender(skip ? rows : 0), p_receiver(skip ? rows : 0) {}
};

class Processor {
 public:
  Processor(const Topology& t, int hidden_size, const ProcessorWeights& w, const float* x0, Precision precision,
            int num_threads)
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
  void edge_constant(const float* e0, Stored* c) {
    const float* packed_w0 = packed.forward(Blocks::kEdge0);
    for_chunks(edge_row_chunks, num_threads, [&](int64_t, int64_t begin, int64_t end) {
      if (!k.round) return k.linear(linear(begin, end, static_cast<float*>(c), {{e0, packed_w0}}, nullptr, w.edge_b1));
      float tile[kTileRows * kMaxHidden];
      for (int64_t row = begin; row < end; row += kTileRows) {
        const int64_t rows = std::min(kTileRows, end - row);
        k.linear(linear(0, rows, tile, {{e0 + row * H, packed_w0}}, nullptr, w.edge_b1));
        k.round(tile, 0, rows * H, static_cast<uint16_t*>(c) + row * H);
      }
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
    k.linear(
        linear(begin, end, p_sender, {{x, packed.forward(Blocks::kSender)}}, skip ? constant.p_sender.get() : nullptr));
    k.linear(linear(begin, end, p_receiver, {{x, packed.forward(Blocks::kReceiver)}},
                    skip ? constant.p_receiver.get() : nullptr));
  }
  void projections(const float* x) {
    for_chunks(node_chunks, num_threads, [&](int64_t, int64_t begin, int64_t end) { projections(x, begin, end); });
  }

  void node_hidden(const float* x, const float* sum, int64_t begin, int64_t end) {
    k.linear(linear(begin, end, hidden, {{x, packed.node(Blocks::kX, false)}, {sum, packed.node(Blocks::kSum, false)}},
                    constant.node, nullptr, true));
  }

  // e -> e_out, which may be e, and its incoming sums, for the projections of x. In the last step e_out is float32 in
  // every precision.
  void edge_step(const Stored* e, const Stored* c, float* sum, Stored* e_out, bool last) {
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
  }

  // x -> x_out, which may be x. Leaves the projections of x_out behind, unless it is the last step.
  void node_step(const float* x, const float* sum, float* x_out, bool last) {
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

// The edge features before each step that the forward pass keeps, float32 or bfloat16. Before step 0 that is their
// rounded copy in bf16, and in float32 nothing: those stay with the caller.
class KeptEdges {
 public:
  KeptEdges(const ProcessorHistory& history, int64_t edge_size, bool bf16)
      : data_(static_cast<char*>(history.e)),
        bytes_(edge_size * (bf16 ? 2 : 4)),
        keep_(history.sum != nullptr),  // e is null in a graph without edges too
        save_memory_(history.save_memory),
        bf16_(bf16) {}
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
  EdgeFeatures(Processor& p, const ProcessorHistory& history, const float* x, const float* e, const Stored* c,
               float* sum)
      : p_(p), history_(history), bf16_(p.k.round), kept_(history, p.E * p.H, bf16_), x_(x), e_(e), c_(c), sum_(sum) {}

  const Stored* before(int step) {
    if (kept_.has(step)) return kept_.at(step);
    if (step == 0 && !bf16_) return e_;
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
    else if (bf16_)
      e = p_.rounded(e_, take(array(0), 0));
    for (; s < step; ++s) {
      p_.projections(s > 0 ? history_.x + (s - 1) * p_.N * p_.H : x_);
      Stored* next = take(array(s + 1), s + 1);
      p_.edge_step(e, c_, sum_, next, false);
      e = next;
    }
  }

  // Array i, to be filled with the features before `step`.
  Stored* take(int i, int step) {
    if (!again_[i].get()) again_[i] = Pooled<char>(p_.E * p_.H * (bf16_ ? 2 : 4));
    held_[i] = step;
    return again_[i].get();
  }

  Processor& p_;
  const ProcessorHistory& history_;
  const bool bf16_;
  const KeptEdges kept_;
  const float *x_, *e_;
  const Stored* c_;
  float* sum_;
  Pooled<char> again_[2];
  int held_[2] = {-1, -1};
};

}  // namespace botan_fast
