// What processor_forward and processor_backward share: numbers of blocks, packed weights, products with x0.
#pragma once

#include "cuda/network/dense.cuh"
#include "cuda/network/edges.cuh"
#include "cuda/network/nodes.cuh"
#include "cuda/network/pack.cuh"

namespace botan_fast::cuda {

inline EdgeTopology edge_topology(const Topology& topology, const ProcessorShape& shape) {
  EdgeTopology graph{};
  graph.senders = topology.senders;
  graph.receivers = topology.receivers;
  graph.row_ptr = topology.row_ptr;
  graph.num_nodes = shape.num_nodes;
  graph.capacity = shape.num_edges;
  return graph;
}

// Numbers of blocks; partial sums, and so the last bits of gradients, depend on them.
struct Grids {
  unsigned edges_forward, edges_backward, node_sums, edge_sums, edge_rows, nodes, node_warps;
  Grids(Stream stream, int64_t num_nodes) {
    const int64_t processors = num_multiprocessors(stream);
    const int64_t pairs = std::max<int64_t>(1, ceil_div<int64_t>(num_nodes, 2));
    edges_forward = static_cast<unsigned>(std::min(2 * processors, pairs));
    edges_backward = static_cast<unsigned>(std::min(processors, pairs));
    // sums over rows: of edges two blocks per multiprocessor, of nodes (five sums in a launch) all together as many
    edge_sums = static_cast<unsigned>(std::min(2 * processors, pairs));
    node_sums = static_cast<unsigned>(std::min(ceil_div<int64_t>(processors, 2), ceil_div<int64_t>(pairs, 4)));
    edge_rows = static_cast<unsigned>(std::min(4 * processors, pairs));
    nodes = static_cast<unsigned>(ceil_div<int64_t>(num_nodes, 16 * kNodeWarps));
    node_warps = static_cast<unsigned>(ceil_div<int64_t>(num_nodes, kWarps));
  }
};

// Packed weights, and what the products with x0 are.
template <Precision P, int H>
struct PackedProcessor {
  PackedPair<P, H> weights;
  float *at_sender, *at_receiver, *from_x0, *sender0 = nullptr, *receiver0 = nullptr;
  int blocks;

  // `given`: packed weights, or null; then there is room for them here
  PackedProcessor(Arena& arena, const ProcessorShape& shape, bool backward, const void* given)
      : weights(packed_weights<PackedPair<P, H>>(arena, given, shape.edge_node_skip, backward)),
        blocks(shape.edge_node_skip ? 6 : 4) {
    const int64_t table = shape.num_nodes * H;
    at_sender = arena.take<float>(table);
    at_receiver = arena.take<float>(table);
    from_x0 = arena.take<float>(table);
    if (shape.edge_node_skip) {
      sender0 = arena.take<float>(table);
      receiver0 = arena.take<float>(table);
    }
  }

  // W_s, W_r, W_e, W_0, W_s0, W_r0 and V_x, V_0, V_sum, for rows and for gradients
  const Bits4* edge1(int b) const { return weights.edge.first_slice(b); }
  const Bits4* node1(int b) const { return weights.node.first_slice(b); }
  const Bits4* edge1_backward(int b) const { return weights.edge.backward_slice(b); }
  const Bits4* node1_backward(int b) const { return weights.node.backward_slice(b); }

  void pack_if_not(const void* given, Stream stream, const ProcessorWeights& w) const {
    if (given) return;
    PackJobs jobs;
    weights.add_jobs(jobs, w);
    pack<P, H>(stream, jobs);
  }

  // from_x0, sender0 and receiver0
  void add_tables_of_x0(LinearJobs& jobs, const Grids& grids, int64_t num_nodes, const ProcessorWeights& w,
                        const float* x0) const {
    LinearJob job = node_job(from_x0, num_nodes);
    job.source[0] = {x0, false, node1(1)};
    job.bias = w.node_b1;
    jobs.add(job, grids.nodes);
    if (blocks < 6) return;
    for (const bool of_sender : {true, false}) {
      job = node_job(of_sender ? sender0 : receiver0, num_nodes);
      job.source[0] = {x0, false, edge1(of_sender ? 4 : 5)};
      jobs.add(job, grids.nodes);
    }
  }

  // Ps and Pr of x, as node_forward_kernel leaves them: the product with x0 first. It is taken here rather than from
  // its table, which the same launch may be about to write.
  void add_tables_of_x(LinearJobs& jobs, const Grids& grids, int64_t num_nodes, const float* x0, const float* x) const {
    for (const bool of_sender : {true, false}) {
      LinearJob job = node_job(of_sender ? at_sender : at_receiver, num_nodes);
      const int own = of_sender ? 0 : 1;
      int source = 0;
      if (blocks == 6) job.source[source++] = {x0, false, edge1(4 + own)};
      job.source[source] = {x, false, edge1(own)};
      jobs.add(job, grids.nodes);
    }
  }

  EdgeInputs<P> inputs(const ProcessorWeights& w, const Stored<P>* e, const Stored<P>* c) const {
    EdgeInputs<P> in{};
    in.e = e;
    in.at_sender = at_sender;
    in.at_receiver = at_receiver;
    in.c = c;
    in.c_bias = w.edge_b1;
    in.of_e0 = edge1(3);
    in.edge = edge1(2);
    in.second = weights.edge.second;
    in.bias = w.edge_b2;
    return in;
  }

  NodeLayer layer(int64_t num_nodes, const float* x, const float* sum) const {
    NodeLayer layer{};
    layer.num_nodes = num_nodes;
    layer.x = x;
    layer.sum = sum;
    layer.from_x0 = from_x0;
    layer.sender0 = sender0;
    layer.receiver0 = receiver0;
    layer.of_x = node1(0);
    layer.of_sum = node1(2);
    layer.second = weights.node.second;
    layer.sender = edge1(0);
    layer.receiver = edge1(1);
    layer.at_sender = at_sender;
    layer.at_receiver = at_receiver;
    return layer;
  }

 private:
  // out = a sum of products, of all nodes
  static LinearJob node_job(float* out, int64_t num_nodes) {
    LinearJob job{};
    job.out = out;
    job.rows = num_nodes;
    return job;
  }
};

}  // namespace botan_fast::cuda
