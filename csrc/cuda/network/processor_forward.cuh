// The launches of processor_forward for one precision and width.
#pragma once

#include "cuda/network/processor_common.cuh"

namespace botan_fast::cuda {

template <Precision P, int H>
struct ForwardPlan {
  PackedProcessor<P, H> packed;
  float *x[2], *sum;
  Stored<P>*c, *e;  // e: bf16, where not every e is kept; float32 ones take the place of the result
  ForwardPlan(Arena& arena, const ProcessorShape& s, bool keep, const void* given) : packed(arena, s, false, given) {
    const int64_t nodes = keep ? 0 : s.num_nodes * H, edges = keep && !s.save_memory ? 0 : s.num_edges * H;
    for (auto& array : x) array = arena.take<float>(nodes);
    sum = arena.take<float>(nodes);
    c = arena.take<Stored<P>>(edges);
    e = arena.take<Stored<P>>(P == Precision::bf16 ? edges : 0);
  }
};

template <Precision P, int H>
size_t processor_forward_bytes(Stream, const ProcessorShape& shape, bool keep) {
  Arena arena(nullptr);
  const ForwardPlan<P, H> plan(arena, shape, keep, nullptr);
  return arena.used();
}

template <Precision P, int H, bool from_e0>
void run_edge_forward(Stream stream, const Grids& grids, const EdgeForward<P>& edges) {
  launch_early("edge_forward", edge_forward_kernel<P, H, from_e0>, dim3(grids.edges_forward), dim3(kThreads),
               edge_forward_shared_bytes<P, H>(), stream, edges);
}

template <Precision P, int H>
void processor_forward_with(Stream stream, const ProcessorForward& p, const void* given, void* workspace) {
  constexpr bool bf16 = P == Precision::bf16;
  const int64_t nodes = p.shape.num_nodes, node_size = nodes * H, edge_size = p.shape.num_edges * H;
  const int num_steps = p.shape.num_steps;
  Arena arena(workspace);
  const ForwardPlan<P, H> plan(arena, p.shape, p.keep, given);
  const PackedProcessor<P, H>& packed = plan.packed;
  const Grids grids(stream, nodes);
  const EdgeTopology graph = edge_topology(p.topology, p.shape);
  const bool keep_all = p.keep && !p.shape.save_memory;
  const float* x = p.x ? p.x : p.x0;
  const float* e = p.e ? p.e : p.e0;
  Stored<P>* c = keep_all ? static_cast<Stored<P>*>(p.history.c) : plan.c;
  // Where e lies before step k, from step 1 on (bf16: from step 0 on, rounded). What is not kept shares one array: the
  // rows of e before and after a step may be the same memory.
  const auto stored_e = [&](int k) {
    Stored<P>* kept = static_cast<Stored<P>*>(p.history.e);
    if (keep_all) return kept + (bf16 ? k : k - 1) * edge_size;
    if (p.keep && k > 0 && k % kSavedSteps == 0) return kept + (k / kSavedSteps - 1) * edge_size;
    return bf16 ? plan.e : reinterpret_cast<Stored<P>*>(p.e_out);
  };
  packed.pack_if_not(given, stream, p.weights);
  LinearJob of_e0{};
  of_e0.source[0] = {p.e0, false, packed.edge1(3)};
  of_e0.bias = p.weights.edge_b1;
  of_e0.out = c;
  of_e0.out_stored = true;
  of_e0.rows = p.shape.num_edges;
  of_e0.row_ptr = graph.row_ptr;
  of_e0.num_nodes = nodes;
  of_e0.copied = e;
  of_e0.copy = bf16 ? stored_e(0) : nullptr;
  LinearJobs jobs;  // the large one first
  jobs.add(of_e0, grids.edge_rows);
  packed.add_tables_of_x0(jobs, grids, nodes, p.weights, p.x0);
  packed.add_tables_of_x(jobs, grids, nodes, p.x0, x);
  linear<P, H>(stream, jobs);
  for (int k = 0; k < num_steps; ++k) {
    const bool last = k == num_steps - 1;
    float* sum = p.keep ? p.history.sum + k * node_size : plan.sum;
    float* x_next = last ? p.x_out : p.keep ? p.history.x + k * node_size : plan.x[k % 2];
    EdgeForward<P> edges{};
    edges.graph = graph;
    edges.in = packed.inputs(p.weights, k == 0 && !bf16 ? reinterpret_cast<const Stored<P>*>(e) : stored_e(k), c);
    edges.e_out = last ? static_cast<void*>(p.e_out) : stored_e(k + 1);
    edges.e_out_stored = !last;
    edges.sum = sum;
    edges.zero_tail = last;
    run_edge_forward<P, H, false>(stream, grids, edges);
    launch_early("node_forward", node_forward_kernel<P, H>, dim3(grids.nodes), dim3(kNodeWarps * kWarpSize),
                 kNodeSharedBytes<H>, stream, packed.layer(nodes, x, sum), p.weights.node_b2, x_next, !last);
    x = x_next;
  }
}

}  // namespace botan_fast::cuda
