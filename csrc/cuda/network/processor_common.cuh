// What processor_forward and processor_backward share: numbers of blocks, packed weights, products with x0.
#pragma once

#include "cuda/network/dense.cuh"
#include "cuda/network/edges.cuh"
#include "cuda/network/nodes.cuh"
#include "cuda/runtime/arena.cuh"

namespace botan_fast::cuda {

// Numbers of blocks; partial sums, and so the last bits of gradients, depend on them.
struct Grids {
  unsigned edges_forward, edges_backward, node_sums, edge_sums, edge_rows, nodes, node_warps;
  Grids(Stream stream, int64_t num_nodes) {
    const int64_t processors = num_multiprocessors(stream);
    const int64_t some = std::max<int64_t>(1, ceil_div<int64_t>(num_nodes, 2));
    edges_forward = static_cast<unsigned>(std::min(2 * processors, some));
    edges_backward = static_cast<unsigned>(std::min(processors, some));
    // sums over rows: of edges two blocks per multiprocessor, of nodes (five sums in a launch) all together as many
    edge_sums = static_cast<unsigned>(std::min(2 * processors, some));
    node_sums = static_cast<unsigned>(std::min(ceil_div<int64_t>(processors, 2), ceil_div<int64_t>(some, 4)));
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

  // from_x0, sender0 and receiver0
  void run_tables_of_x0(Stream stream, const Grids& grids, int64_t num_nodes, const ProcessorWeights& w,
                        const float* x0) const {
    Jobs<LinearJob> jobs;
    const auto add = [&](const Bits4* matrix, const float* bias, float* out) {
      jobs.add({{{x0, false, matrix}, {}, {}}, bias, nullptr, out, num_nodes, nullptr, 0});
    };
    add(node1[1], w.node_b1, from_x0);
    if (blocks == 6) {
      add(edge1[4], nullptr, sender0);
      add(edge1[5], nullptr, receiver0);
    }
    linear<P, H>(stream, jobs, grids.nodes);
  }

  // Ps and Pr of x, as node_forward_kernel leaves them
  void run_tables_of_x(Stream stream, const Grids& grids, int64_t num_nodes, const float* x) const {
    Jobs<LinearJob> jobs;
    jobs.add({{{x, false, edge1[0]}, {}, {}}, nullptr, sender0, at_sender, num_nodes, nullptr, 0});
    jobs.add({{{x, false, edge1[1]}, {}, {}}, nullptr, receiver0, at_receiver, num_nodes, nullptr, 0});
    linear<P, H>(stream, jobs, grids.nodes);
  }

  EdgeInputs<P> inputs(const ProcessorWeights& w, const Stored<P>* e, const Stored<P>* c) const {
    return {e, at_sender, at_receiver, c, nullptr, w.edge_b1, edge1[3], edge1[2], edge2, w.edge_b2};
  }

  NodeLayer layer(int64_t num_nodes, const float* x, const float* sum) const {
    return {num_nodes, x,     sum,      from_x0,  sender0,   receiver0,  node1[0],
            node1[2],  node2, edge1[0], edge1[1], at_sender, at_receiver};
  }
};

}  // namespace botan_fast::cuda
