// The rows of a neighbour list: degrees, then the neighbours in order. Included by neighbor_list.cu alone.
#pragma once

#include "cuda/geometry/neighbor_cells.cuh"

namespace botan_fast::cuda {
namespace {

// ---- count --------------------------------------------------------------------------------------------------

// How a graph that cannot be used is emptied: row_ptr is 0 everywhere.
struct Usable {
  const int64_t* status;
  __device__ bool operator()() const { return static_cast<const volatile int64_t*>(status)[1] == 0; }
};

struct FinishRows {
  Control* control;
  int64_t* status;
  int64_t max_edges;
  __device__ void operator()(int64_t total) const {
    const int32_t flags = static_cast<const volatile Control*>(control)->flags;
    status[0] = total;
    status[1] = flags | (total > max_edges ? kOverflow : 0);
  }
};
struct FinishCells {
  __device__ void operator()(int64_t) const {}
};
struct Always {
  __device__ bool operator()() const { return true; }
};

template <int D, bool kBrute, bool kDiagonal>
__device__ __forceinline__ int32_t count_row(const Search<D>& s, const Box<D>& box, int64_t p, Runs& runs,
                                             Control* control) {
  int32_t near = 0, zeros = 0;
  for_candidates<D, kBrute, kDiagonal>(s, box, p, runs, [&](int64_t, bool valid, double squared) {
    near += valid && squared < s.threshold;
    zeros += valid && squared == 0;
  });
  near = __reduce_add_sync(kFullMask, near);
  zeros = __reduce_add_sync(kFullMask, zeros);
  bool invalid = false;
#pragma unroll
  for (int b = 0; b < D; ++b) {
    double fraction = 0;
#pragma unroll
    for (int a = 0; a < D; ++a) fraction += s.sorted[p * D + a] * box.cell.inverse[a][b];
    invalid = invalid || !(fabs(fraction) < kFar);
  }
  if (lane_id() == 0 && (invalid || zeros > 1))
    atomicOr(&control->flags, (invalid ? kInvalid : 0) | (zeros > 1 ? kCoincident : 0));
  return invalid ? 0 : near - (s.self_edges ? 0 : 1);
}

template <int D, bool kBrute>
__global__ void __launch_bounds__(kThreads)
    count_kernel(Search<D> s, int32_t* degree, bool scan_here, int32_t* row_ptr, Control* control, FinishRows finish) {
  __shared__ Runs runs[kWarps];
  const int warp = warp_id();
  const int64_t p = static_cast<int64_t>(blockIdx.x) * kWarps + warp;
  if (p < s.num_nodes) {
    const Box<D>& box = s.boxes[graph_of(s.boxes, s.num_graphs, p)];
    const int32_t n = box.cell.diagonal ? count_row<D, kBrute, true>(s, box, p, runs[warp], control)
                                        : count_row<D, kBrute, false>(s, box, p, runs[warp], control);
    if (lane_id() == 0) degree[kBrute ? p : s.order[p]] = n;
  }
  if (!scan_here || !is_last_block(&control->rows_done)) return;
  const int64_t total = scan_in_one_block<int32_t>(degree, s.num_nodes, nullptr);
  if (threadIdx.x == 0) finish(total);
  __syncthreads();
  int64_t before = 0;
  for (int64_t tile = 0; tile * kScanTile < s.num_nodes; ++tile)
    before += scan_tile(degree, s.num_nodes, tile, before, row_ptr, Usable{finish.status});
}

// ---- fill ---------------------------------------------------------------------------------------------------

// Sorts n numbers upwards by one warp, in place: bitonic, for any n (a partner beyond the end is larger than all).
template <class T>
__device__ __forceinline__ void sort_row(T* row, int64_t n) {
  const int64_t lane = lane_id();
  const auto exchange = [&](int64_t a, int64_t b) {
    if (b >= n) return;
    const T low = row[a], high = row[b];
    if (high < low) row[a] = high, row[b] = low;
  };
  for (int64_t size = 2; size < 2 * n; size *= 2) {
    for (int64_t t = lane; t / (size / 2) * size < n; t += kWarpSize) {
      const int64_t block = t / (size / 2) * size, within = t % (size / 2);
      exchange(block + within, block + size - 1 - within);
    }
    __syncwarp();
    for (int64_t half = size / 4; half >= 1; half /= 2) {
      for (int64_t t = lane; t / half * 2 * half < n; t += kWarpSize) {
        const int64_t a = t / half * 2 * half + t % half;
        exchange(a, a + half);
      }
      __syncwarp();
    }
  }
}

struct GraphWriter {
  int32_t *indices, *receivers;  // the senders
  float* vectors;
  template <int D>
  __device__ __forceinline__ void operator()(int64_t k, int64_t i, int64_t j, const double (&d)[D], const double (&)[D],
                                             double) const {
    indices[k] = static_cast<int32_t>(j);
    receivers[k] = static_cast<int32_t>(i);
#pragma unroll
    for (int b = 0; b < D; ++b) vectors[k * D + b] = static_cast<float>(d[b]);
  }
};

struct PairWriter {
  int64_t *first, *indices;  // the second particles
  double *vectors, *distances;
  int64_t* shifts;
  template <int D>
  __device__ __forceinline__ void operator()(int64_t k, int64_t i, int64_t j, const double (&d)[D],
                                             const double (&shift)[D], double squared) const {
    indices[k] = j;
    if (first) first[k] = i;
    if (distances) distances[k] = sqrt(squared);
#pragma unroll
    for (int b = 0; b < D; ++b) {
      if (vectors) vectors[k * D + b] = 0.0 - d[b];  // no negative zeros
      if (shifts) shifts[k * D + b] = static_cast<int64_t>(shift[b]);
    }
  }
};

struct Row {
  Runs runs;
  int32_t index[kRow], place[kRow];  // of the particle; its place in cell order
};

// Orders n <= kMost neighbours by index: the rank of each is the number of smaller ones. The whole warp.
template <int kMost>
__device__ __forceinline__ void order_row(Row& row, int n) {
  constexpr int kItems = kMost / kWarpSize;
  const int lane = lane_id();
  int32_t index[kItems], place[kItems], rank[kItems];
#pragma unroll
  for (int m = 0; m < kItems; ++m) {
    const int e = lane + m * kWarpSize;
    index[m] = e < n ? row.index[e] : 0, place[m] = e < n ? row.place[e] : 0, rank[m] = 0;
  }
  for (int e = 0; e < n; ++e) {
    const int32_t other = row.index[e];
#pragma unroll
    for (int m = 0; m < kItems; ++m) rank[m] += other < index[m];
  }
  __syncwarp();
#pragma unroll
  for (int m = 0; m < kItems; ++m) {
    if (lane + m * kWarpSize < n) row.index[rank[m]] = index[m], row.place[rank[m]] = place[m];
  }
  __syncwarp();
}

template <int D, bool kBrute, bool kDiagonal, class Writer>
__device__ __forceinline__ void fill_row(const Search<D>& s, const Box<D>& box, int64_t p, int64_t i, int64_t begin,
                                         int32_t n, Row& row, const Writer& write) {
  const int lane = lane_id();
  const bool is_long = n > kRow;
  int32_t found = 0;
  for_candidates<D, kBrute, kDiagonal>(s, box, p, row.runs, [&](int64_t q, bool valid, double squared) {
    const bool hit = valid && squared < s.threshold && (s.self_edges || q != p);
    const unsigned hits = __ballot_sync(kFullMask, hit);
    const int32_t slot = found + __popc(hits & ((1u << lane) - 1));
    if (hit && slot < n) {  // slot < n unless the positions changed since the count
      const int32_t j = kBrute ? static_cast<int32_t>(q) : s.order[q];
      if (is_long) {
        write.indices[begin + slot] = j;
      } else {
        row.index[slot] = j;
        row.place[slot] = static_cast<int32_t>(q);
      }
    }
    found += __popc(hits);
  });
  // Never, unless the positions changed since the count: then the particle itself stands in for what is missing.
  for (int32_t e = found + lane; e < n; e += kWarpSize) {
    if (is_long) {
      write.indices[begin + e] = static_cast<int32_t>(i);
    } else {
      row.index[e] = static_cast<int32_t>(i);
      row.place[e] = static_cast<int32_t>(p);
    }
  }
  __syncwarp();
  double here[D];
#pragma unroll
  for (int b = 0; b < D; ++b) here[b] = s.sorted[p * D + b];
  if (is_long) {
    if (!kBrute) sort_row(write.indices + begin, n);  // by brute force candidates come in order
    for (int32_t e = lane; e < n; e += kWarpSize) {
      const int64_t j = write.indices[begin + e];
      double d[D], shift[D];
      const double squared = image_of<D, kDiagonal>(box, here, s.positions + j * D, d, shift);
      write(begin + e, i, j, d, shift, squared);
    }
    return;
  }
  if (!kBrute) {
    n <= kRow / 2 ? order_row<kRow / 2>(row, n) : order_row<kRow>(row, n);
  }
  for (int32_t e = lane; e < n; e += kWarpSize) {
    double d[D], shift[D];
    const double* there = s.sorted + static_cast<int64_t>(row.place[e]) * D;
    const double squared = image_of<D, kDiagonal>(box, here, there, d, shift);
    write(begin + e, i, row.index[e], d, shift, squared);
  }
}

// Four blocks on a multiprocessor leave 64 registers: with more blocks the compiler spills.
template <int D, bool kBrute, class Writer>
__global__ void __launch_bounds__(kThreads, 4) fill_kernel(Search<D> s, const int32_t* row_ptr, Writer write) {
  __shared__ Row rows[kWarps];
  const int warp = warp_id();
  const int64_t p = static_cast<int64_t>(blockIdx.x) * kWarps + warp;
  if (p >= s.num_nodes) return;
  const int64_t i = kBrute ? p : s.order[p];
  const int32_t begin = row_ptr[i], n = row_ptr[i + 1] - begin;
  if (n <= 0) return;
  const Box<D>& box = s.boxes[graph_of(s.boxes, s.num_graphs, p)];
  box.cell.diagonal ? fill_row<D, kBrute, true>(s, box, p, i, begin, n, rows[warp], write)
                    : fill_row<D, kBrute, false>(s, box, p, i, begin, n, rows[warp], write);
}

// ---- reverse ------------------------------------------------------------------------------------------------

// reverse[k] of the edge j -> i: the place of i in the row of j. Beyond the last edge come padding edges 0 -> 0 with
// the zero vector that are their own reverse.
template <int D>
__global__ void __launch_bounds__(kThreads)
    reverse_kernel(int64_t num_nodes, const int32_t* row_ptr, int64_t max_edges, int32_t* senders, int32_t* receivers,
                   int32_t* reverse, float* vectors) {
  const int64_t num_edges = row_ptr[num_nodes];
  const int64_t k = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (k >= max_edges) return;
  if (k >= num_edges) {
    senders[k] = receivers[k] = 0;
    reverse[k] = static_cast<int32_t>(k);
#pragma unroll
    for (int b = 0; b < D; ++b) vectors[k * D + b] = 0;
    return;
  }
  const int32_t i = receivers[k], j = senders[k];
  int32_t low = row_ptr[j], high = row_ptr[j + 1] - 1;
  while (low < high) {
    const int32_t middle = low + (high - low) / 2;
    if (senders[middle] < i) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  reverse[k] = low;
}

}  // namespace
}  // namespace botan_fast::cuda
