// The launches of processor_forward for one precision and width.
#pragma once

#include "cuda/network/processor_common.cuh"

namespace botan_fast::cuda {

template <Precision P, int H>
struct ForwardPlan {
  PackedProcessor<P, H> packed;
  float *x[2], *sum;
  Stored<P>*c, *e;  // e: bf16, where not every e is kept; float32 ones take the place of the result
  ForwardPlan(Arena& arena, const ProcessorShape& s, bool keep) : packed(arena, s, false) {
    const int64_t nodes = keep ? 0 : s.num_nodes * H, edges = keep && !s.save_memory ? 0 : s.num_edges * H;
    for (auto& array : x) array = arena.take<float>(nodes);
    sum = arena.take<float>(nodes);
    c = arena.take<Stored<P>>(edges);
    e = arena.take<Stored<P>>(P == Precision::bf16 ? edges : 0);
  }
};

template <Precision P, int H>
size_t forward_bytes(Stream, const ProcessorShape& sizes, bool keep) {
  Arena arena(nullptr);
  const ForwardPlan<P, H> plan(arena, sizes, keep);
  return arena.used();
}

template <Precision P, int H, bool from_e0>
void run_edge_forward(Stream stream, const Grids& grids, const EdgeForward<P>& edges) {
  launch("edge_forward", edge_forward_kernel<P, H, from_e0>, dim3(grids.edges_forward), dim3(kThreads),
         edge_forward_shared_bytes<P, H>(), stream, edges);
}

template <Precision P, int H>
void forward(Stream stream, const Topology& topology, int num_steps, const ProcessorWeights& weights, const float* x,
             const float* e, const float* x0, const float* e0, float* x_out, float* e_out,
             const ProcessorHistory& history, bool keep, void* workspace) {
  constexpr bool bf16 = P == Precision::bf16;
  const ProcessorShape sizes{topology.num_nodes, topology.num_edges,     H,
                             num_steps,          weights.edge_node_skip, history.save_memory};
  const int64_t node_size = sizes.num_nodes * H, edge_size = sizes.num_edges * H;
  Arena arena(workspace);
  const ForwardPlan<P, H> plan(arena, sizes, keep);
  const PackedProcessor<P, H>& packed = plan.packed;
  const Grids grids(stream, sizes.num_nodes);
  const EdgeTopology graph{topology.senders, topology.receivers, topology.row_ptr, sizes.num_nodes, sizes.num_edges};
  const bool keep_all = keep && !sizes.save_memory;
  if (!x) x = x0;
  if (!e) e = e0;
  Stored<P>* c = keep_all ? static_cast<Stored<P>*>(history.c) : plan.c;
  // Where e lies before step k, from step 1 on (bf16: from step 0 on, rounded). What is not kept shares one array: the
  // rows of e before and after a step may be the same memory.
  const auto stored_e = [&](int k) {
    Stored<P>* kept = static_cast<Stored<P>*>(history.e);
    if (keep_all) return kept + (bf16 ? k : k - 1) * edge_size;
    if (keep && k > 0 && k % kSavedSteps == 0) return kept + (k / kSavedSteps - 1) * edge_size;
    return bf16 ? plan.e : reinterpret_cast<Stored<P>*>(e_out);
  };
  packed.run_pack(stream, weights, false);
  packed.run_tables_of_x0(stream, grids, sizes.num_nodes, weights, x0);
  packed.run_tables_of_x(stream, grids, sizes.num_nodes, x);
  Jobs<LinearJob> of_e0;
  of_e0.add({{{e0, false, packed.edge1[3]}, {}, {}},
             weights.edge_b1,
             nullptr,
             c,
             sizes.num_edges,
             graph.row_ptr,
             sizes.num_nodes,
             e,
             bf16 ? stored_e(0) : nullptr,
             true});
  linear<P, H>(stream, of_e0, grids.edge_rows);
  for (int k = 0; k < num_steps; ++k) {
    const bool last = k == num_steps - 1;
    float* sum = keep ? history.sum + k * node_size : plan.sum;
    float* x_next = last ? x_out : keep ? history.x + k * node_size : plan.x[k % 2];
    EdgeForward<P> edges{};
    edges.graph = graph;
    edges.in = packed.inputs(weights, k == 0 && !bf16 ? reinterpret_cast<const Stored<P>*>(e) : stored_e(k), c);
    edges.e_out = last ? static_cast<void*>(e_out) : stored_e(k + 1);
    edges.e_out_stored = !last;
    edges.sum = sum;
    edges.zero_tail = last;
    run_edge_forward<P, H, false>(stream, grids, edges);
    launch("node_forward", node_forward_kernel<P, H>, dim3(grids.nodes), dim3(kNodeWarps * kWarpSize),
           kNodeSharedBytes<H>, stream, packed.layer(sizes.num_nodes, x, sum), weights.node_b2, x_next, !last);
    x = x_next;
  }
}

}  // namespace botan_fast::cuda
