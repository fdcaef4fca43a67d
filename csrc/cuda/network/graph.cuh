// The graph in a kernel: which receivers a block has, the ends of edges, and sums over the edges of a node.
//
// A block owns a run of whole receivers, cut so that all blocks have nearly the same number of edges, and walks
// through their edges in tiles of 128 rows. A receiver that goes on in the next tile leaves its sum in a carry. So no
// sum is shared between blocks, any degree will do, and tiles are full. Launch shapes follow from N and the device
// alone, the number of edges is read from row_ptr on the device.
#pragma once

#include "cuda/network/tile.cuh"

namespace botan_fast::cuda {

struct EdgeTopology {
  const int32_t *senders, *receivers, *row_ptr;
  int64_t num_nodes, capacity;  // the arrays hold `capacity` edges, of which row_ptr[num_nodes] count
};

// The receivers of this block and their edges. Sizes are checked to leave room for a tile below 2^31.
struct BlockRange {
  int first_node, end_node, begin, end;
};

__device__ __forceinline__ BlockRange block_range(const EdgeTopology& graph) {
  BlockRange range;
  const int64_t edges = graph.row_ptr[graph.num_nodes], blocks = gridDim.x;
  BOTAN_DEVICE_CHECK(edges >= 0 && edges <= graph.capacity, "row_ptr rises from 0 to the number of edges");
  // the first node whose edges begin at edges * block / blocks or later
  const auto first_node = [&](int64_t block) {
    const int64_t edge = edges * block / blocks;
    return block == blocks ? static_cast<int>(graph.num_nodes) : edge == 0 ? 0 : graph.receivers[edge - 1] + 1;
  };
  range.first_node = first_node(blockIdx.x);
  range.end_node = first_node(static_cast<int64_t>(blockIdx.x) + 1);
  BOTAN_DEVICE_CHECK(range.first_node >= 0 && range.first_node <= range.end_node && range.end_node <= graph.num_nodes,
                     "receivers rise and are nodes");
  range.begin = graph.row_ptr[range.first_node];
  range.end = graph.row_ptr[range.end_node];
  return range;
}

// Both ends of the lane's two edges.
struct Ends {
  int sender[2], receiver[2];
  __device__ __forceinline__ Ends(const EdgeTopology& graph, const Rows& rows) {
    for (int h = 0; h < 2; ++h) {
      sender[h] = rows.valid[h] ? graph.senders[rows.row[h]] : 0;
      receiver[h] = rows.valid[h] ? graph.receivers[rows.row[h]] : 0;
      BOTAN_DEVICE_CHECK(sender[h] >= 0 && receiver[h] >= 0 &&
                             (!rows.valid[h] || (sender[h] < graph.num_nodes && receiver[h] < graph.num_nodes)),
                         "every sender and receiver is a node");
    }
  }
};

// out[node] = sum of the rows of its edges, for the nodes of this tile; the tile has rows begin to end - 1.
// One warp per node. carry (2, H): the node that began before the tile, and the one that goes on after it.
template <int H, int warps, class T>
__device__ __forceinline__ void sum_receivers(const T* tile, const EdgeTopology& graph, const BlockRange& range,
                                              int begin, int end, float* carry, int tile_number, float* out) {
  constexpr int kLanes = H / 4, kStep = kWarpSize / kLanes;  // lanes of a row, rows of a warp
  const int lane = lane_id(), column = 4 * (lane % kLanes);
  const int first = begin == range.begin ? range.first_node : graph.receivers[begin];
  int last = range.end_node;
  if (end < range.end) {
    last = graph.receivers[end];
    if (graph.row_ptr[last] < end) ++last;
  }
  for (int node = first + warp_id(); node < last; node += warps) {
    const int from = graph.row_ptr[node], to = graph.row_ptr[node + 1];
    const int stop = min(to, end) - begin;
    Float4 sum{};
#pragma unroll 4
    for (int k = max(from, begin) - begin + lane / kLanes; k < stop; k += kStep) {
      const Float4 row = load4<false>(tile + Swizzle<T, H>::place(k, column));
      for (int m = 0; m < 4; ++m) sum.v[m] += row.v[m];
    }
    for (int m = 0; m < 4; ++m) sum.v[m] = warp_sum<kLanes>(sum.v[m]);
    if (lane >= kLanes) continue;
    if (from < begin) {
      const Float4 before = load4<false>(carry + tile_number % 2 * H + column);
      for (int m = 0; m < 4; ++m) sum.v[m] += before.v[m];
    }
    store4(to <= end ? out + static_cast<int64_t>(node) * H + column : carry + (tile_number + 1) % 2 * H + column, sum);
  }
}

// out[i] = sum of dz over the edges that leave node i, in the order of sender_order. One warp per node.
template <Precision P, int H>
__global__ void __launch_bounds__(kThreads)
    sum_senders_kernel(const Stored<P>* dz, const int32_t* sender_order, const int32_t* sender_ptr, int64_t num_nodes,
                       int64_t capacity, float* out) {
  constexpr int kLanes = H / 4, kStep = kWarpSize / kLanes, kLoads = 4;
  const int lane = lane_id(), column = 4 * (lane % kLanes);
  const int64_t node = static_cast<int64_t>(blockIdx.x) * kWarps + warp_id();
  wait_for_earlier_kernels();
  let_later_kernels_begin();
  if (node >= num_nodes) return;
  const int64_t begin = sender_ptr[node], end = sender_ptr[node + 1];
  BOTAN_DEVICE_CHECK(begin >= 0 && begin <= end && end <= capacity, "sender_ptr rises from 0 to the number of edges");
  Float4 sum{};
  for (int64_t k = begin + lane / kLanes; k < end; k += kLoads * kStep) {
    Float4 row[kLoads] = {};
#pragma unroll
    for (int u = 0; u < kLoads; ++u) {
      if (k + u * kStep >= end) continue;
      const int64_t edge = sender_order[k + u * kStep];
      BOTAN_DEVICE_CHECK(edge >= 0 && edge < capacity, "every number in sender_order is an edge");
      row[u] = load4<false>(dz + edge * H + column);
    }
#pragma unroll
    for (int u = 0; u < kLoads; ++u) {
      for (int m = 0; m < 4; ++m) sum.v[m] += row[u].v[m];
    }
  }
  for (int m = 0; m < 4; ++m) sum.v[m] = warp_sum<kLanes>(sum.v[m]);
  if (lane < kLanes) store4(out + node * H + column, sum);
}

}  // namespace botan_fast::cuda
