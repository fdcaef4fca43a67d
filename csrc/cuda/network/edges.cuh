// The kernels of edges. Weights and the graph are older than the kernel just before them: they are read before the wait
// for it (intrinsics.cuh). One step of message passing is two launches: edge_forward_kernel (messages and their sums)
// and node_forward_kernel (nodes.cuh); backward three: nodes, edges, and the sums over the edges that leave a node
// (graph.cuh).
#pragma once

#include <type_traits>

#include "cuda/network/graph.cuh"
#include "cuda/network/outer.cuh"
#include "cuda/network/weights.cuh"

namespace botan_fast::cuda {

// ---- edges, both ways ---------------------------------------------------------------------------------------

// What the hidden layer of an edge is computed from. Kernels with `from_e0`, for save_memory, compute c where it is
// used; a choice at run time would cost the others too many registers.
template <Precision P>
struct EdgeInputs {
  const Stored<P>* e;                    // (E, H) before the step
  const float *at_sender, *at_receiver;  // (N, H) Ws x, Wr x
  const Stored<P>* c;                    // (E, H) W0 e0 + b1; not with from_e0
  const float *e0, *c_bias;              // (E, H), (H,) b1; with from_e0 only
  const Bits4 *of_e0, *edge, *second;    // W0, We, W2
  const float* bias;                     // (H,) b2
};

// What is stored is used as it is stored from there on: c, dz.
template <Precision P, int H>
__device__ __forceinline__ void round_stored(Fragment<H>& a) {
  if constexpr (P == Precision::bf16) {
    for_each<H>([&](int q, int h, int m) { a.at(q, h, m) = low_bf16(pack_bf16(a.at(q, h, m), 0.0f)); });
  }
}

// relu(c + Ps[sender] + Pr[receiver] + We e), all read from global memory
template <Precision P, int H, bool from_e0, bool staged = kStaged<H>>
__device__ __forceinline__ void hidden_layer(Fragment<H>& hidden, const EdgeInputs<P>& in, const Bits4* edge,
                                             const Rows& rows, const Ends& ends, float* scratch) {
  if constexpr (from_e0) {
    set_bias(hidden, in.c_bias);
    // through `scratch` where that saves registers, and where it has rows of float32 for each warp
    multiply_rows<P, H, kStaged<H> || P != Precision::bf16, 1>(hidden, in.e0, rows, in.of_e0, scratch);
  }
  if constexpr (from_e0) round_stored<P>(hidden);
  if constexpr (staged) {
    // Some columns at a time, through shared memory: the loads of all at once would take too many registers.
    constexpr int kColumns = H / 32;  // blocks of 16 columns
    const int t = lane_id() % 4;
    if constexpr (from_e0) stage<H>(scratch, hidden);
    __syncwarp();
#pragma unroll 1
    for (int first = 0; first < H / 16; first += kColumns) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int64_t edge_row = rows.row[h], sender = ends.sender[h], receiver = ends.receiver[h];
#pragma unroll
        for (int q = 0; q < kColumns; ++q) {
          const int column = 16 * (first + q) + 4 * t;
          float* place = own_place<H>(scratch, h, first + q);
          Float4 sum{};
          if (rows.valid[h]) {
            sum = from_e0 ? load4<false>(place) : load4<true>(in.c + edge_row * H + column);
            const Float4 s = load4<false>(in.at_sender + sender * H + column);
            const Float4 r = load4<false>(in.at_receiver + receiver * H + column);
            for (int m = 0; m < 4; ++m) sum.v[m] = sum.v[m] + s.v[m] + r.v[m];
          }
          store4(place, sum);
        }
      }
    }
    load_tile<H>(hidden, scratch);
  } else {
    if constexpr (!from_e0) load_rows<H, true>(hidden, in.c, rows);
    add_rows<H>(hidden, in.at_sender, ends.sender, rows.valid);
    __syncwarp();  // the next loads not before these have arrived: they need their registers
    add_rows<H>(hidden, in.at_receiver, ends.receiver, rows.valid);
    __syncwarp();
  }
  multiply_rows<P, H, staged>(hidden, in.e, rows, edge, scratch);
  apply_relu(hidden);
}

// Of the tile after this one.
template <int H, bool from_e0, Precision P>
__device__ __forceinline__ void prefetch_inputs(const EdgeTopology& graph, const EdgeInputs<P>& in, int64_t first,
                                                int64_t end) {
  prefetch_rows<H>(in.e, first, end);
  if constexpr (from_e0) {
    prefetch_rows<H>(in.e0, first, end);
  } else {
    prefetch_rows<H>(in.c, first, end);
  }
  if (lane_id() < 2 && first < end) prefetch_l2((lane_id() ? graph.receivers : graph.senders) + first);
}

// ---- edges, forward -----------------------------------------------------------------------------------------

template <Precision P>
struct EdgeForward {
  EdgeTopology graph;
  EdgeInputs<P> in;
  void* e_out;  // (E, H) float, or Stored<P>; then it may be in.e
  bool e_out_stored;
  float* sum;      // (N, H), or null
  bool zero_tail;  // rows beyond the edges of e_out become zeros
};

template <Precision P, int H>
size_t edge_forward_shared_bytes() {
  return (kWeightsShared<H> ? 2 * packed_bytes<P>(H, H) : 0) + sizeof(float) * (kTile * H + 2 * H);
}

template <Precision P, int H, bool from_e0>
__global__ void __launch_bounds__(kThreads, H <= 64 && !from_e0 ? 2 : 1) edge_forward_kernel(EdgeForward<P> a) {
  constexpr int kVectors = static_cast<int>(packed_bytes<P>(H, H) / 16);
  // two blocks per multiprocessor leave 128 registers, not enough for both factors of float32
  constexpr bool kInShared = kStaged<H> || P == Precision::fp32 || (H == 64 && P == Precision::tf32);
  Bits4* weights = dynamic_shared<Bits4>();
  float* tile = reinterpret_cast<float*>(weights + (kWeightsShared<H> ? 2 * kVectors : 0));
  float* carry = tile + kTile * H;
  const Bits4 *edge = a.in.edge, *second = a.in.second;
  if constexpr (kWeightsShared<H>) {
    const Bits4* const packed[2] = {a.in.edge, a.in.second};
    load_weights<P, H>(weights, packed);
    edge = weights;
    second = weights + kVectors;
  }
  const BlockRange range = block_range(a.graph);
  wait_for_earlier_kernels();
  let_later_kernels_begin();
  int begin = range.begin;
  for (int number = 0; number == 0 || begin < range.end; ++number, begin += kTile) {
    const int end = min(begin + kTile, range.end), first = begin + 16 * warp_id();
    if (first < end) {
      const Rows rows(first, end);
      const Ends ends(a.graph, rows);
      prefetch_inputs<H, from_e0>(a.graph, a.in, first + kTile, range.end);
      Fragment<H> hidden, out;
      hidden_layer<P, H, from_e0, kInShared>(hidden, a.in, edge, rows, ends, tile);
      set_bias(out, a.in.bias);
      multiply<P, H, kInShared>(out, hidden, second, tile);
      apply_relu(out);
      if (P == Precision::bf16 && a.e_out_stored) {
        store_rows(static_cast<Stored<P>*>(a.e_out), out, rows);
      } else {
        store_rows(static_cast<float*>(a.e_out), out, rows);
      }
      if (a.sum) stage<H>(tile, out);
    }
    if (!a.sum) continue;
    __syncthreads();
    sum_receivers<H, kWarps>(tile, a.graph, range, begin, end, carry, number, a.sum);
    __syncthreads();
  }
  if (!a.zero_tail) return;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads, numbers = a.graph.capacity * H;
  for (int64_t k = static_cast<int64_t>(a.graph.row_ptr[a.graph.num_nodes]) * H +
                   static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
       k < numbers; k += step) {
    static_cast<float*>(a.e_out)[k] = 0;
  }
}

// ---- edges, backward ----------------------------------------------------------------------------------------

template <Precision P>
struct EdgeBackward {
  EdgeTopology graph;
  EdgeInputs<P> in;
  const Bits4 *edge_backward, *second_backward;  // products with the transposes of We, W2
  const float* grad_e;    // gradient of the result beside that of its sums: this (null: zeros) in the last step,
  bool last;              // dz We in the others, with dz of the step after
  const float* grad_sum;  // (N, H)
  Stored<P>* dz;          // (E, H), of the step after on entry, of this one at the end
  // Every second step adds its dz and that of the step after, which it reads anyway, to dc (E, H).
  float* dc;                      // null: not in this step
  bool set_dc;                    // the first that does
  float* grad_receiver;           // (N, H), sums of dz over the edges of each receiver
  float *partial, *bias_partial;  // per block: (kParts, H, H) of W2, then as much of We; (H,) of b2
  Stored<P>*dy, *hidden;          // without fused weight gradients: (E, H), their factors
};

// Tiles of the kernel that fetches the next tile's rows while it computes: c (with tiles of float32 in the one of the
// hidden layer), e (two of bfloat16, of which the other is being filled; one of float32), dz.
template <Precision P>
constexpr int kEdgeTiles = P == Precision::bf16 ? 2 : 1;

template <Precision P, int H, int warps, bool ahead>
__host__ __device__ constexpr size_t edge_backward_shared_bytes() {
  const size_t numbers = kTileNumbers<H, warps>, tile = sizeof(Stored<P>) * numbers;
  const size_t fetched = (kEdgeTiles<P> + (P == Precision::bf16 ? 2 : 1)) * tile;
  return (kWeightsShared<H> ? 4 * packed_bytes<P>(H, H) : 0) +
         (kFusedGradients<H> ? 2 * tile : sizeof(float) * numbers) + (ahead ? fetched : 0) +
         sizeof(float) * (warps + 2) * H;
}

// In the place of a mask that a kernel does not need.
struct Nothing {
  template <class T>
  __device__ explicit Nothing(const T&) {}
};

// dc = dz of this step, which lies in `tile`, + dz of the step after + dc; `after`: a tile with dz of the step after,
// or null where it is to be read from a.dz. Some columns at a time: all at once would take too many registers.
template <int H, Precision P, class T>
__device__ __forceinline__ void add_to_dc(const EdgeBackward<P>& a, const Rows& rows, const T* tile, const T* after) {
  const int t = lane_id() % 4;
#pragma unroll(H > 64 ? 1 : 2)
  for (int q = 0; q < H / 16; ++q) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      if (!rows.valid[h]) continue;
      const int64_t place = static_cast<int64_t>(rows.row[h]) * H + 16 * q + 4 * t;
      Float4 sum = load4<false>(own_place<H>(tile, h, q));
      if (!a.last) {
        const Float4 next = after ? load4<false>(own_place<H>(after, h, q)) : load4<false>(a.dz + place);
        for (int m = 0; m < 4; ++m) sum.v[m] += next.v[m];
      }
      if (!a.set_dc) {
        const Float4 before = load4<false>(a.dc + place);
        for (int m = 0; m < 4; ++m) sum.v[m] += before.v[m];
      }
      store4(a.dc + place, sum);
    }
  }
}

// `ahead`: rows of the next tile are copied to shared memory while this one is worked on. With one block of 8 warps on
// a multiprocessor, the loads of a tile at a time do not keep the memory busy.
template <Precision P, int H, int warps, bool ahead, bool from_e0>
__global__ void __launch_bounds__(warps* kWarpSize, 1) edge_backward_kernel(EdgeBackward<P> a) {
  static_assert(!ahead || (kFusedGradients<H> && !from_e0), "no room for more tiles");
  using T = Stored<P>;
  using TileType = std::conditional_t<kFusedGradients<H>, T, float>;
  constexpr int kTile = 16 * warps, kNumbers = kTileNumbers<H, warps>;
  constexpr int kVectors = static_cast<int>(packed_bytes<P>(H, H) / 16);
  constexpr int kMore = P == Precision::fp32 || !ahead ? 1 : H / 16;
  constexpr int kMoreOfDz = P == Precision::bf16 && kMore > 1 ? 2 : kMore;     // there most registers are in use
  constexpr bool kInShared = kStaged<H> || (H == 64 && P != Precision::bf16);  // for want of registers
  constexpr bool kOwnTileOfC = P == Precision::bf16;
  Bits4* weights = dynamic_shared<Bits4>();
  // a_tile: gradient of the second layer, then dz. b_tile: hidden layer, then (not ahead) e.
  auto* a_tile = reinterpret_cast<TileType*>(weights + (kWeightsShared<H> ? 4 * kVectors : 0));
  auto* b_tile = a_tile + (kFusedGradients<H> ? kNumbers : 0);
  TileType* fetched = b_tile + kNumbers;
  TileType* e_tile = ahead ? fetched : b_tile;
  TileType* dz_tile = e_tile + kEdgeTiles<P> * kNumbers;
  TileType* c_tile = kOwnTileOfC ? dz_tile + kNumbers : b_tile;
  float* bias_sums =
      reinterpret_cast<float*>(reinterpret_cast<unsigned char*>(weights) +
                               edge_backward_shared_bytes<P, H, warps, ahead>() - sizeof(float) * (warps + 2) * H);
  float* carry = bias_sums + warps * H;
  [[maybe_unused]] float* scratch = reinterpret_cast<float*>(a_tile);
  const Bits4 *edge = a.in.edge, *second = a.in.second, *edge_backward = a.edge_backward,
              *second_backward = a.second_backward;
  if constexpr (kWeightsShared<H>) {
    const Bits4* const packed[4] = {edge, second, edge_backward, second_backward};
    load_weights<P, H, warps>(weights, packed);
    edge = weights;
    second = weights + kVectors;
    edge_backward = weights + 2 * kVectors;
    second_backward = weights + 3 * kVectors;
  }
  [[maybe_unused]] ColumnSums<H> bias_gradient;  // ahead; else each warp's sums lie in shared memory
  float* my_bias_sums = bias_sums + warp_id() * H;
  for (int f = lane_id(); f < H; f += kWarpSize) my_bias_sums[f] = 0;
  __syncwarp();
  constexpr int kOuters = OuterShape<H, warps>::kOuters;
  Outer second_gradient[kOuters], edge_gradient[kOuters];
  if constexpr (kFusedGradients<H>) {
#pragma unroll
    for (int o = 0; o < kOuters; ++o) {
      set_zero(second_gradient[o]);
      set_zero(edge_gradient[o]);
    }
  }
  const BlockRange range = block_range(a.graph);
  // Ask for this warp's rows of the tile that begins at `at`.
  [[maybe_unused]] const auto fetch = [&](auto* tile, const auto* array, int at) {
    if constexpr (ahead) {
      fetch_rows<H>(tile, array, at + 16 * warp_id(), min(at + kTile, range.end));
      cp_async_commit();
    }
  };
  const auto fetch_c = [&](int at) { fetch(c_tile, a.in.c, at); };
  const auto fetch_e = [&](int at, int number) { fetch(e_tile + number % kEdgeTiles<P> * kNumbers, a.in.e, at); };
  const auto fetch_dz = [&](int at) {
    if (!a.last) fetch(dz_tile, a.dz, at);
  };
  int begin = range.begin;
  Ends next_ends(a.graph, Rows(begin + 16 * warp_id(), ahead ? min(begin + kTile, range.end) : 0));
  wait_for_earlier_kernels();
  let_later_kernels_begin();
  if constexpr (ahead) {
    fetch_c(begin);
    fetch_e(begin, 0);
    fetch_dz(begin);
  }
  for (int number = 0; number == 0 || begin < range.end; ++number, begin += kTile) {
    const int end = min(begin + kTile, range.end), first = begin + 16 * warp_id(), next = begin + kTile;
    [[maybe_unused]] const bool more = next < range.end;
    [[maybe_unused]] TileType* e_now = e_tile + (ahead ? number % kEdgeTiles<P> * kNumbers : 0);
    const Rows rows(first, end);
    if (!from_e0 && a.dc && !a.set_dc) prefetch_rows<H>(a.dc, first, end);                // read late in this tile
    if (ahead && kEdgeTiles<P> == 1) prefetch_rows<H>(a.in.e, first + kTile, range.end);  // fetched late
    Fragment<H> dz;
    if (ahead || first < end) {
      const Ends ends = ahead ? next_ends : Ends(a.graph, rows);
      Fragment<H> hidden, y;  // y: first the result before its ReLU, then the gradient of that
      if constexpr (ahead) {
        next_ends = Ends(a.graph, Rows(first + kTile, min(next + kTile, range.end)));
        cp_async_wait<0>();
        __syncwarp();
        if (kEdgeTiles<P> == 2 && more) fetch_e(next, number + 1);
        load_tile<H>(hidden, c_tile);
        if constexpr (kOwnTileOfC) {
          __syncwarp();
          if (more) fetch_c(next);
        }
        add_rows<H>(hidden, a.in.at_sender, ends.sender, rows.valid);
        __syncwarp();  // the next loads not before these have arrived: they need their registers
        add_rows<H>(hidden, a.in.at_receiver, ends.receiver, rows.valid);
        __syncwarp();
        multiply_tile<P, kMore>(hidden, e_now, edge);
        apply_relu(hidden);
      } else {
        prefetch_inputs<H, from_e0>(a.graph, a.in, first + kTile, range.end);
        if (!a.last) prefetch_rows<H>(a.dz, first + kTile, range.end);
        hidden_layer<P, H, from_e0, kInShared>(hidden, a.in, edge, rows, ends, scratch);
      }
      [[maybe_unused]] std::conditional_t<kFusedGradients<H>, Nothing, Positive<H>> hidden_positive(hidden);
      set_bias(y, a.in.bias);
      if constexpr (kFusedGradients<H>) {
        stage<H>(b_tile, hidden);  // the lane reads what it wrote, here and below
        multiply_tile<P, kMore>(y, b_tile, second);
      } else {
        store_rows(a.hidden, hidden, rows);
        multiply<P>(y, hidden, second, scratch);
      }
      if constexpr (ahead) {
        const Fragment<H> result = y;
        load_rows<H>(y, a.grad_sum, ends.receiver, rows.valid);
        if (!a.last) {
          multiply_tile<P, kMore>(y, dz_tile, edge_backward);
        } else if (a.grad_e) {
          add_rows<H, true>(y, a.grad_e, rows.row, rows.valid);
        }
        pass_where_positive(y, result);
        bias_gradient.add(y);
      } else {  // fewer registers
        const Positive<H> positive(y);
        load_rows<H>(y, a.grad_sum, ends.receiver, rows.valid);
        if (!a.last) {
          multiply_rows<P, H, kInShared>(y, a.dz, rows, edge_backward, scratch);
        } else if (a.grad_e) {
          add_rows<H, true>(y, a.grad_e, rows.row, rows.valid);
        }
        positive.pass(y);
        add_column_sums(my_bias_sums, y);
      }
      set_zero(dz);
      if constexpr (kFusedGradients<H>) {
        stage<H>(a_tile, y);
        multiply_tile<P, kMoreOfDz>(dz, a_tile, second_backward);
        pass_where_positive<H>(dz, b_tile);
      } else {
        store_rows(a.dy, y, rows);
        multiply<P>(dz, y, second_backward, scratch);
        hidden_positive.pass(dz);
      }
      round_stored<P>(dz);
    } else {
      set_zero(dz);
      if constexpr (kFusedGradients<H>) {
        stage<H>(a_tile, dz);
        stage<H>(b_tile, dz);
      }
    }
    if constexpr (kFusedGradients<H>) {
      __syncthreads();
      add_outers<P, H, warps, kTile>(second_gradient, a_tile, b_tile);
      __syncthreads();
    }
    stage<H>(a_tile, dz);
    if constexpr (kFusedGradients<H> && !ahead) {
      Fragment<H> e;
      load_rows(e, a.in.e, rows);
      stage<H>(e_tile, e);
    }
    if (a.dc) {
      if constexpr (ahead) {
        add_to_dc<H>(a, rows, a_tile, dz_tile);
      } else {
        add_to_dc<H>(a, rows, a_tile, static_cast<const TileType*>(nullptr));
      }
    }
    store_rows(a.dz, dz, rows);
    if constexpr (ahead) {
      __syncwarp();
      if (!kOwnTileOfC && more) fetch_c(next);
      if (more) fetch_dz(next);
    }
    __syncthreads();
    if constexpr (kFusedGradients<H>) {
      add_outers<P, H, warps, kTile>(edge_gradient, a_tile, e_now);
      if constexpr (ahead && kEdgeTiles<P> == 1) {
        __syncthreads();
        if (more) fetch_e(next, number + 1);
      }
    }
    sum_receivers<H, warps>(a_tile, a.graph, range, begin, end, carry, number, a.grad_receiver);
    __syncthreads();
  }
  if constexpr (kFusedGradients<H>) {
    constexpr int kPartial = OuterShape<H>::kParts * H * H;
    store_outers<H, warps>(a.partial + blockIdx.x * static_cast<int64_t>(kPartial), second_gradient, !a.last);
    store_outers<H, warps>(a.partial + (gridDim.x + blockIdx.x) * static_cast<int64_t>(kPartial), edge_gradient,
                           !a.last);
  }
  if constexpr (ahead) {
    bias_gradient.store(my_bias_sums);
    __syncthreads();
  }
  const int f = static_cast<int>(threadIdx.x);
  if (f >= H) return;
  float total = a.last ? 0.0f : a.bias_partial[blockIdx.x * H + f];
  for (int w = 0; w < warps; ++w) total += bias_sums[w * H + f];
  a.bias_partial[blockIdx.x * H + f] = total;
}

}  // namespace botan_fast::cuda
