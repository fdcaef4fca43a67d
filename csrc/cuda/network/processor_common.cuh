// What processor_forward and processor_backward share: numbers of blocks, packed weights, products with x0.
#pragma once

#include "cuda/network/dense.cuh"
#include "cuda/network/edges.cuh"
#include "cuda/network/nodes.cuh"
#include "cuda/runtime/arena.cuh"

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
  // W_s, W_r, W_e, W_0, W_s0, W_r0; V_x, V_0, V_sum; then their transposes
  Bits4 *edge1[6], *edge2, *node1[3], *node2;
  Bits4 *edge1_backward[6], *edge2_backward, *node1_backward[3], *node2_backward;
  float *at_sender, *at_receiver, *from_x0, *sender0 = nullptr, *receiver0 = nullptr;
  int blocks;

  PackedProcessor(Arena& arena, const ProcessorShape& shape, bool backward) : blocks(shape.edge_node_skip ? 6 : 4) {
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
    const int64_t table = shape.num_nodes * H;
    at_sender = arena.take<float>(table);
    at_receiver = arena.take<float>(table);
    from_x0 = arena.take<float>(table);
    if (shape.edge_node_skip) {
      sender0 = arena.take<float>(table);
      receiver0 = arena.take<float>(table);
    }
  }

  void run_pack(Stream stream, const ProcessorWeights& w, bool backward) const {
    Jobs<PackJob> jobs;
    for (int b = 0; b < blocks; ++b) jobs.add(square_job<H>(w.edge_w1, blocks, b, false, edge1[b]));
    for (int b = 0; b < 3; ++b) jobs.add(square_job<H>(w.node_w1, 3, b, false, node1[b]));
    jobs.add(square_job<H>(w.edge_w2, 1, 0, false, edge2));
    jobs.add(square_job<H>(w.node_w2, 1, 0, false, node2));
    if (backward) {
      for (int b = 0; b < blocks; ++b) jobs.add(square_job<H>(w.edge_w1, blocks, b, true, edge1_backward[b]));
      for (int b = 0; b < 3; ++b) jobs.add(square_job<H>(w.node_w1, 3, b, true, node1_backward[b]));
      jobs.add(square_job<H>(w.edge_w2, 1, 0, true, edge2_backward));
      jobs.add(square_job<H>(w.node_w2, 1, 0, true, node2_backward));
    }
    pack<P, H>(stream, jobs);
  }

  // from_x0, sender0 and receiver0
  void run_tables_of_x0(Stream stream, const Grids& grids, int64_t num_nodes, const ProcessorWeights& w,
                        const float* x0) const {
    Jobs<LinearJob> jobs;
    LinearJob job = node_job(x0, node1[1], from_x0, num_nodes);
    job.bias = w.node_b1;
    jobs.add(job);
    if (blocks == 6) {
      jobs.add(node_job(x0, edge1[4], sender0, num_nodes));
      jobs.add(node_job(x0, edge1[5], receiver0, num_nodes));
    }
    linear<P, H>(stream, jobs, grids.nodes);
  }

  // Ps and Pr of x, as node_forward_kernel leaves them
  void run_tables_of_x(Stream stream, const Grids& grids, int64_t num_nodes, const float* x) const {
    Jobs<LinearJob> jobs;
    LinearJob of_sender = node_job(x, edge1[0], at_sender, num_nodes);
    LinearJob of_receiver = node_job(x, edge1[1], at_receiver, num_nodes);
    of_sender.add = sender0;
    of_receiver.add = receiver0;
    jobs.add(of_sender);
    jobs.add(of_receiver);
    linear<P, H>(stream, jobs, grids.nodes);
  }

  EdgeInputs<P> inputs(const ProcessorWeights& w, const Stored<P>* e, const Stored<P>* c) const {
    EdgeInputs<P> in{};
    in.e = e;
    in.at_sender = at_sender;
    in.at_receiver = at_receiver;
    in.c = c;
    in.c_bias = w.edge_b1;
    in.of_e0 = edge1[3];
    in.edge = edge1[2];
    in.second = edge2;
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
    layer.of_x = node1[0];
    layer.of_sum = node1[2];
    layer.second = node2;
    layer.sender = edge1[0];
    layer.receiver = edge1[1];
    layer.at_sender = at_sender;
    layer.at_receiver = at_receiver;
    return layer;
  }

 private:
  // out = x times the matrix, of all nodes
  static LinearJob node_job(const float* x, const Bits4* matrix, float* out, int64_t num_nodes) {
    LinearJob job{};
    job.source[0] = {x, false, matrix};
    job.out = out;
    job.rows = num_nodes;
    return job;
  }
};

}  // namespace botan_fast::cuda
