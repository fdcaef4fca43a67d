// The launches of processor_forward and processor_backward for one precision and width.
#pragma once

#include "cuda/message_passing.cuh"

namespace botan_fast::cuda {

// Numbers of blocks; partial sums, and so the last bits of gradients, depend on them.
struct Grids {
  unsigned edges_forward, edges_backward, rows, edge_rows, nodes, node_warps;
  Grids(Stream stream, int64_t num_nodes) {
    const int64_t processors = num_multiprocessors(stream);
    const int64_t some = std::max<int64_t>(1, ceil_div<int64_t>(num_nodes, 2));
    edges_forward = static_cast<unsigned>(std::min(2 * processors, some));
    edges_backward = static_cast<unsigned>(std::min(processors, some));
    rows = static_cast<unsigned>(std::min(processors, ceil_div<int64_t>(some, 4)));
    edge_rows = static_cast<unsigned>(std::min(4 * processors, some));
    nodes = static_cast<unsigned>(ceil_div<int64_t>(num_nodes, 16 * kNodeWarps));
    node_warps = static_cast<unsigned>(ceil_div<int64_t>(num_nodes, kWarps));
  }
};

// Packed weights, and what the products with x0 are.
template <Precision P, int H>
struct PackedProcessor {
  // W_s, W_r, W_e, W_0, W_s0, W_r0; V_x, V_0, V_sum; then their transposes
  Bits4 *edge1[6], *edge2, *node1[3], *node2;
  Bits4 *edge1_backward[6], *edge2_backward, *node1_backward[3], *node2_backward;
  float *at_sender, *at_receiver, *from_x0, *sender0 = nullptr, *receiver0 = nullptr;
  int blocks;

  PackedProcessor(Arena& arena, const ProcessorShape& sizes, bool backward) : blocks(sizes.edge_node_skip ? 6 : 4) {
    const auto matrix = [&] { return arena.take<Bits4>(packed_bytes<P>(H, H) / 16); };
    for (int b = 0; b < blocks; ++b) edge1[b] = matrix();
    for (auto& b : node1) b = matrix();
    edge2 = matrix();
    node2 = matrix();
    if (backward) {
      for (int b = 0; b < blocks; ++b) edge1_backward[b] = matrix();
      for (auto& b : node1_backward) b = matrix();
      edge2_backward = matrix();
      node2_backward = matrix();
    }
    const int64_t table = sizes.num_nodes * H;
    at_sender = arena.take<float>(table);
    at_receiver = arena.take<float>(table);
    from_x0 = arena.take<float>(table);
    if (sizes.edge_node_skip) {
      sender0 = arena.take<float>(table);
      receiver0 = arena.take<float>(table);
    }
  }

  void run_pack(Stream stream, const ProcessorWeights& w, bool backward) const {
    Jobs<PackJob> jobs;
    for (int b = 0; b < blocks; ++b) jobs.add({w.edge_w1, blocks * H, b * H, H, false, H, edge1[b]});
    for (int b = 0; b < 3; ++b) jobs.add({w.node_w1, 3 * H, b * H, H, false, H, node1[b]});
    jobs.add({w.edge_w2, H, 0, H, false, H, edge2});
    jobs.add({w.node_w2, H, 0, H, false, H, node2});
    if (backward) {
      for (int b = 0; b < blocks; ++b) jobs.add({w.edge_w1, blocks * H, b * H, H, true, H, edge1_backward[b]});
      for (int b = 0; b < 3; ++b) jobs.add({w.node_w1, 3 * H, b * H, H, true, H, node1_backward[b]});
      jobs.add({w.edge_w2, H, 0, H, true, H, edge2_backward});
      jobs.add({w.node_w2, H, 0, H, true, H, node2_backward});
    }
    pack<P, H>(stream, jobs);
  }

  // from_x0, sender0 and receiver0; Ps and Pr of x unless that is null
  void run_tables(Stream stream, const Grids& grids, int64_t num_nodes, const ProcessorWeights& w, const float* x,
                  const float* x0) const {
    Jobs<LinearJob> jobs;
    const auto add = [&](const float* in, const Bits4* packed, const float* in0, const Bits4* packed0,
                         const float* bias, float* out) {
      jobs.add({{{in, false, packed}, {in0, false, packed0}, {}}, bias, nullptr, out, num_nodes, nullptr, 0});
    };
    add(x0, node1[1], nullptr, nullptr, w.node_b1, from_x0);
    if (blocks == 6) {
      add(x0, edge1[4], nullptr, nullptr, nullptr, sender0);
      add(x0, edge1[5], nullptr, nullptr, nullptr, receiver0);
    }
    if (x) {
      add(x, edge1[0], blocks == 6 ? x0 : nullptr, blocks == 6 ? edge1[4] : nullptr, nullptr, at_sender);
      add(x, edge1[1], blocks == 6 ? x0 : nullptr, blocks == 6 ? edge1[5] : nullptr, nullptr, at_receiver);
    }
    linear<P, H>(stream, jobs, grids.nodes);
  }

  NodeLayer layer(int64_t num_nodes, const float* x, const float* sum) const {
    return {num_nodes, x,        sum,   from_x0,  sender0,  receiver0, node1[0],
            node1[2],  node2,    edge1[0], edge1[1], at_sender, at_receiver};
  }
};

// ---- forward ------------------------------------------------------------------------------------------------

template <Precision P, int H>
struct ForwardPlan {
  PackedProcessor<P, H> packed;
  float *x[2], *sum, *c;
  Stored<P>* e[2];
  ForwardPlan(Arena& arena, const ProcessorShape& s, bool keep) : packed(arena, s, false) {
    const int64_t nodes = keep ? 0 : s.num_nodes * H, edges = keep ? 0 : s.num_edges * H;
    for (auto& array : x) array = arena.take<float>(nodes);
    for (auto& array : e) array = arena.take<Stored<P>>(edges);
    sum = arena.take<float>(nodes);
    c = arena.take<float>(edges);
  }
};

template <Precision P, int H>
size_t forward_bytes(Stream, const ProcessorShape& sizes, bool keep) {
  Arena arena(nullptr);
  const ForwardPlan<P, H> plan(arena, sizes, keep);
  return arena.used();
}

template <Precision P, int H>
void forward(Stream stream, const Topology& topology, int num_steps, const ProcessorWeights& weights, const float* x,
             const float* e, const float* x0, const float* e0, float* x_out, float* e_out,
             const ProcessorHistory& history, bool keep, void* workspace) {
  constexpr bool bf16 = P == Precision::bf16;
  const ProcessorShape sizes{topology.num_nodes, topology.num_edges, H, num_steps, weights.edge_node_skip};
  const int64_t node_size = sizes.num_nodes * H, edge_size = sizes.num_edges * H;
  Arena arena(workspace);
  const ForwardPlan<P, H> plan(arena, sizes, keep);
  const Grids grids(stream, sizes.num_nodes);
  const EdgeTopology graph{topology.senders, topology.receivers, topology.row_ptr, sizes.num_nodes, sizes.num_edges};
  if (!x) x = x0;
  if (!e) e = e0;
  float* c = keep ? history.c : plan.c;
  // Where e is kept before step k > 0; in bf16 history has it from step 0 on.
  const auto stored_e = [&](int k) {
    Stored<P>* kept = static_cast<Stored<P>*>(history.e);
    return keep ? kept + (bf16 ? k : k - 1) * edge_size : plan.e[k % 2];
  };
  plan.packed.run_pack(stream, weights, false);
  plan.packed.run_tables(stream, grids, sizes.num_nodes, weights, x, x0);
  Jobs<LinearJob> of_e0;
  of_e0.add({{{e0, false, plan.packed.edge1[3]}, {}, {}}, weights.edge_b1, nullptr, c, sizes.num_edges, graph.row_ptr,
             sizes.num_nodes});
  linear<P, H>(stream, of_e0, grids.edge_rows);
  for (int k = 0; k < num_steps; ++k) {
    const bool last = k == num_steps - 1;
    float* sum = keep ? history.sum + k * node_size : plan.sum;
    float* x_next = last ? x_out : keep ? history.x + k * node_size : plan.x[k % 2];
    const EdgeForward<P> edges{graph, c, plan.packed.at_sender, plan.packed.at_receiver,
                               k == 0 ? static_cast<const void*>(e) : stored_e(k), k != 0,
                               bf16 && k == 0 && keep ? stored_e(0) : nullptr, plan.packed.edge1[2], plan.packed.edge2,
                               weights.edge_b2, last ? static_cast<void*>(e_out) : stored_e(k + 1), !last, sum, last};
    launch("edge_forward", edge_forward_kernel<P, H>, dim3(grids.edges_forward), dim3(kThreads),
           edge_forward_shared_bytes<P, H>(), stream, edges);
    launch("node_forward", node_forward_kernel<P, H>, dim3(grids.nodes), dim3(kNodeWarps * kWarpSize),
           kNodeSharedBytes<H>, stream,
           plan.packed.layer(sizes.num_nodes, x, sum), weights.node_b2, x_next, !last);
    x = x_next;
  }
}

// ---- backward -----------------------------------------------------------------------------------------------

template <Precision P, int H>
struct BackwardPlan {
  PackedProcessor<P, H> packed;
  // node arrays of every step
  float *node_dy, *node_hidden, *node_dz, *grad_sender, *grad_receiver;
  float *node_dz_total, *sender_total = nullptr, *receiver_total = nullptr, *grad_sum, *grad_x, *dc;
  Stored<P>*dz, *dy = nullptr, *hidden = nullptr;
  // partial sums
  float *edge_partial[2], *edge_bias_partial;
  float *partial[9], *vector[9];
  unsigned edge_blocks;

  BackwardPlan(Arena& arena, const ProcessorShape& s, const Grids& grids) : packed(arena, s, true) {
    const int64_t nodes = s.num_nodes * H, edges = s.num_edges * H;
    for (float** array : {&node_dy, &node_hidden, &node_dz, &grad_sender, &grad_receiver}) {
      *array = arena.take<float>(s.num_steps * nodes);
    }
    for (float** array : {&node_dz_total, &grad_sum, &grad_x}) *array = arena.take<float>(nodes);
    if (s.edge_node_skip) {
      sender_total = arena.take<float>(nodes);
      receiver_total = arena.take<float>(nodes);
    }
    dc = arena.take<float>(edges);
    dz = arena.take<Stored<P>>(edges);
    if (!kFusedGradients<H>) {
      dy = arena.take<Stored<P>>(edges);
      hidden = arena.take<Stored<P>>(edges);
    }
    constexpr int64_t kNumbers = OuterShape<H>::kParts * H * H;
    edge_blocks = kFusedGradients<H> ? grids.edges_backward : grids.rows;
    edge_partial[0] = arena.take<float>(2 * edge_blocks * kNumbers);
    edge_partial[1] = edge_partial[0] ? edge_partial[0] + edge_blocks * kNumbers : nullptr;
    edge_bias_partial = arena.take<float>(static_cast<int64_t>(grids.edges_backward) * H);
    for (int j = 0; j < 9; ++j) {
      partial[j] = arena.take<float>(grids.rows * kNumbers);
      vector[j] = arena.take<float>(static_cast<int64_t>(grids.rows) * H);
    }
  }
};

template <Precision P, int H>
size_t backward_bytes(Stream stream, const ProcessorShape& sizes) {
  Arena arena(nullptr);
  const BackwardPlan<P, H> plan(arena, sizes, Grids(stream, sizes.num_nodes));
  return arena.used();
}

template <Precision P, int H>
void backward(Stream stream, const Topology& topology, int num_steps, const ProcessorWeights& weights, const float* x,
              const float* e, const float* x0, const float* e0, const float* x_out, const ProcessorHistory& history,
              const float* grad_x_out, const float* grad_e_out, float* grad_x, float* grad_e, float* grad_x0,
              float* grad_e0, const ProcessorGradients& gradients, void* workspace) {
  constexpr bool bf16 = P == Precision::bf16;
  const ProcessorShape sizes{topology.num_nodes, topology.num_edges, H, num_steps, weights.edge_node_skip};
  const int64_t nodes = sizes.num_nodes, node_size = nodes * H, edge_size = sizes.num_edges * H;
  Arena arena(workspace);
  const Grids grids(stream, nodes);
  const BackwardPlan<P, H> plan(arena, sizes, grids);
  const PackedProcessor<P, H>& packed = plan.packed;
  const EdgeTopology graph{topology.senders, topology.receivers, topology.row_ptr, nodes, sizes.num_edges};
  const float *x_first = x ? x : x0, *e_first = e ? e : e0;
  const auto x_before = [&](int k) { return k == 0 ? x_first : history.x + (k - 1) * node_size; };
  const auto e_before = [&](int k) -> const void* {
    if (bf16) return static_cast<const Stored<P>*>(history.e) + k * edge_size;
    return k == 0 ? static_cast<const void*>(e_first) : static_cast<const Stored<P>*>(history.e) + (k - 1) * edge_size;
  };
  packed.run_pack(stream, weights, true);
  packed.run_tables(stream, grids, nodes, weights, nullptr, x0);
  for (int k = num_steps - 1; k >= 0; --k) {
    const bool last = k == num_steps - 1;
    const float* sum = history.sum + k * node_size;
    NodeBackward node{};
    node.layer = packed.layer(nodes, x_before(k), sum);
    node.x_out = last ? x_out : history.x + k * node_size;
    node.grad = last ? grad_x_out : plan.grad_x;
    node.grad_sender = last ? nullptr : plan.grad_sender + (k + 1) * node_size;
    node.grad_receiver = last ? nullptr : plan.grad_receiver + (k + 1) * node_size;
    node.sender_backward = packed.edge1_backward[0];
    node.receiver_backward = packed.edge1_backward[1];
    node.of_x_backward = packed.node1_backward[0];
    node.of_sum_backward = packed.node1_backward[2];
    node.second_backward = packed.node2_backward;
    node.last = last;
    node.dy = plan.node_dy + k * node_size;
    node.hidden = plan.node_hidden + k * node_size;
    node.dz = plan.node_dz + k * node_size;
    node.dz_total = plan.node_dz_total;
    node.grad_sum = plan.grad_sum;
    node.grad_x = plan.grad_x;
    launch("node_backward", node_backward_kernel<P, H>, dim3(grids.nodes), dim3(kNodeWarps * kWarpSize),
           kNodeSharedBytes<H>, stream,
           node);

    EdgeBackward<P> edges{};
    edges.graph = graph;
    edges.c = history.c;
    edges.at_sender = packed.at_sender;
    edges.at_receiver = packed.at_receiver;
    edges.e = e_before(k);
    edges.e_stored = true;
    edges.edge = packed.edge1[2];
    edges.second = packed.edge2;
    edges.edge_backward = packed.edge1_backward[2];
    edges.second_backward = packed.edge2_backward;
    edges.bias = weights.edge_b2;
    edges.grad_e = grad_e_out;
    edges.last = last;
    edges.grad_sum = plan.grad_sum;
    edges.dz = plan.dz;
    edges.dc = plan.dc;
    edges.grad_receiver = plan.grad_receiver + k * node_size;
    edges.partial = plan.edge_partial[0];
    edges.bias_partial = plan.edge_bias_partial;
    edges.dy = plan.dy;
    edges.hidden = plan.hidden;
    launch("edge_backward", edge_backward_kernel<P, H>, dim3(grids.edges_backward), dim3(kThreads),
           edge_backward_shared_bytes<P, H>(), stream, edges);
    if (!kFusedGradients<H>) {
      Jobs<OuterJob> jobs;
      const auto add = [&](const Stored<P>* a, const void* b, float* partial) {
        jobs.add({a, true, nullptr, 0, b, true, H, sizes.num_edges, graph.row_ptr, nodes, partial, nullptr, !last});
      };
      add(plan.dy, plan.hidden, plan.edge_partial[0]);
      add(plan.dz, e_before(k), plan.edge_partial[1]);
      outer<P, H>(stream, jobs, grids.rows);
    }
    launch("sum_senders", sum_senders_kernel<P, H>, dim3(grids.node_warps), dim3(kThreads), 0, stream,
           static_cast<const Stored<P>*>(plan.dz), topology.sender_order, topology.sender_ptr, nodes, sizes.num_edges,
           plan.grad_sender + k * node_size);
  }

  // Gradients of the inputs. What steps have in common is linear: its gradients were added up over the steps.
  const auto linear_node = [&](LinearJob::Source a, LinearJob::Source b, LinearJob::Source c, const float* add,
                               float* out) {
    Jobs<LinearJob> jobs;
    jobs.add({{a, b, c}, nullptr, add, out, nodes, nullptr, 0});
    linear<P, H>(stream, jobs, grids.nodes);
  };
  const LinearJob::Source none{};
  float* to_x = grad_x ? grad_x : plan.grad_x;
  linear_node({plan.grad_sender, false, packed.edge1_backward[0]},
              {plan.grad_receiver, false, packed.edge1_backward[1]}, none, plan.grad_x, to_x);
  if (plan.sender_total) {
    launch("sum_steps", sum_steps_kernel<H>, dim3(static_cast<unsigned>(ceil_div<int64_t>(node_size, 4 * kThreads))),
           dim3(kThreads), 0, stream, nodes, num_steps, static_cast<const float*>(plan.grad_sender),
           static_cast<const float*>(plan.grad_receiver), plan.sender_total, plan.receiver_total);
  }
  const bool skip = sizes.edge_node_skip;
  linear_node({plan.node_dz_total, false, packed.node1_backward[1]},
              skip ? LinearJob::Source{plan.sender_total, false, packed.edge1_backward[4]} : none,
              skip ? LinearJob::Source{plan.receiver_total, false, packed.edge1_backward[5]} : none,
              grad_x ? nullptr : to_x, grad_x0);
  Jobs<LinearJob> of_edges;
  const LinearJob::Source from_c{plan.dc, false, packed.edge1_backward[3]};
  const LinearJob::Source from_e{plan.dz, true, packed.edge1_backward[2]};
  of_edges.add({{from_c, e ? none : from_e, none}, nullptr, nullptr, grad_e0, sizes.num_edges, graph.row_ptr, nodes});
  if (grad_e) of_edges.add({{from_e, none, none}, nullptr, nullptr, grad_e, sizes.num_edges, graph.row_ptr, nodes});
  linear<P, H>(stream, of_edges, grids.edge_rows);

  // Gradients of the weights.
  Jobs<OuterJob> jobs;
  Jobs<ReduceJob> sums;
  const int pitch = packed.blocks * H;
  const auto add = [&](const float* a, const float* b_first, const float* b, int64_t rows, const int32_t* row_ptr,
                       float* out, int out_pitch, int offset, float* bias) {
    const int j = jobs.count;
    jobs.add({a, false, b_first, b_first ? nodes : 0, b, false, H, rows, row_ptr, nodes, plan.partial[j],
              bias ? plan.vector[j] : nullptr, false});
    sums.add(matrix_sum<H>(plan.partial[j], grids.rows, out, out_pitch, offset, H));
    if (bias) sums.add(vector_sum(plan.vector[j], H, grids.rows, bias, H));
  };
  const int64_t all = num_steps * nodes;
  add(plan.grad_sender, x_first, history.x, all, nullptr, gradients.edge_w1, pitch, 0, nullptr);
  add(plan.grad_receiver, x_first, history.x, all, nullptr, gradients.edge_w1, pitch, H, nullptr);
  add(plan.dc, nullptr, e0, sizes.num_edges, graph.row_ptr, gradients.edge_w1, pitch, 3 * H, gradients.edge_b1);
  if (skip) {
    add(plan.sender_total, nullptr, x0, nodes, nullptr, gradients.edge_w1, pitch, 4 * H, nullptr);
    add(plan.receiver_total, nullptr, x0, nodes, nullptr, gradients.edge_w1, pitch, 5 * H, nullptr);
  }
  add(plan.node_dz, x_first, history.x, all, nullptr, gradients.node_w1, 3 * H, 0, nullptr);
  add(plan.node_dz_total, nullptr, x0, nodes, nullptr, gradients.node_w1, 3 * H, H, gradients.node_b1);
  add(plan.node_dz, nullptr, history.sum, all, nullptr, gradients.node_w1, 3 * H, 2 * H, nullptr);
  add(plan.node_dy, nullptr, plan.node_hidden, all, nullptr, gradients.node_w2, H, 0, gradients.node_b2);
  outer<P, H>(stream, jobs, grids.rows);
  sums.add(matrix_sum<H>(plan.edge_partial[1], plan.edge_blocks, gradients.edge_w1, pitch, 2 * H, H));
  sums.add(matrix_sum<H>(plan.edge_partial[0], plan.edge_blocks, gradients.edge_w2, H, 0, H));
  sums.add(vector_sum(plan.edge_bias_partial, H, grids.edges_backward, gradients.edge_b2, H));
  reduce<P, H>(stream, sums);
}

}  // namespace botan_fast::cuda
