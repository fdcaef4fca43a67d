// Particles in cells, and the candidates of a particle. Included by neighbor_list.cu alone.
#pragma once

#include "cuda/runtime/scan.cuh"
#include "cuda/runtime/warp.cuh"
#include "periodic.h"

namespace botan_fast::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarpSize;
static_assert(kThreads == kScanThreads, "the last block of the count scans");
constexpr int kRow = 128;               // neighbours of one particle that are ordered in shared memory
constexpr int64_t kBrute = 768;         // about where a bin kernel costs what it saves
constexpr int64_t kShared = 8192;       // particles, and cells, of a graph that one block bins
constexpr int64_t kScanAtOnce = 16384;  // degrees that one block scans sooner than two more kernels start
constexpr int kBinWarps = 32;
constexpr int kBoxesPerLaunch = 16;  // kernel arguments hold 4 KB
constexpr int kMaxRuns = 18;

constexpr int32_t kInvalid = 1, kCoincident = 2, kOverflow = 4;  // flags of status[1]

// ---- what a search reads ------------------------------------------------------------------------------------

template <int D>
struct Box {
  Cell<D> cell;
  int64_t begin, end;  // its particles
  int32_t count[3];    // cells along each axis, the last one fastest; axis 0 is idle in 2D
  int32_t first_cell;
};

template <int D>
struct BoxArguments {
  Box<D> box[kBoxesPerLaunch];
};

struct Control {
  int32_t flags, cells_done, rows_done;
};

// What a search reads. With cells, sorted, order and cell_of are in cell order; by brute force positions are `sorted`.
template <int D>
struct Search {
  const Box<D>* boxes;
  int64_t num_graphs, num_nodes;
  const double* positions;
  const double* sorted;
  const int32_t *order, *cell_of, *cell_begin;
  double threshold;
  bool self_edges;
};

// The candidates of one particle as runs of the cell order: candidate t is t + shift[r], end[r - 1] <= t < end[r].
struct Runs {
  int32_t shift[kMaxRuns], end[kMaxRuns];
};

template <int D>
__global__ void init_kernel(const __grid_constant__ BoxArguments<D> given, int64_t first, int number, Box<D>* boxes,
                            Control* control, int64_t* status) {
  if (static_cast<int>(threadIdx.x) < number) boxes[first + threadIdx.x] = given.box[threadIdx.x];
  if (first == 0 && threadIdx.x == 0) {
    *control = Control{0, 0, 0};
    status[0] = status[1] = 0;
  }
}

// ---- cells --------------------------------------------------------------------------------------------------

template <int D>
__device__ __forceinline__ int64_t graph_of(const Box<D>* boxes, int64_t num_graphs, int64_t particle) {
  int64_t low = 0, high = num_graphs;  // the last graph that begins at the particle or before
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (boxes[middle].begin <= particle ? low : high) = middle;
  }
  return low;
}

// The cell within its graph; a position that is not finite or too far is put into cell 0 (the count reports it).
template <int D>
__device__ __forceinline__ int32_t cell_index(const Box<D>& box, const double* position) {
  int32_t c = 0;
#pragma unroll
  for (int b = 0; b < D; ++b) {
    double s = 0;
#pragma unroll
    for (int a = 0; a < D; ++a) s += position[a] * box.cell.inverse[a][b];
    const int32_t count = box.count[3 - D + b];
    const double fraction = fabs(s) < kFar ? s - floor(s) : 0.0;
    c = c * count + min(static_cast<int32_t>(fraction * count), count - 1);
  }
  return c;
}

template <int D>
__device__ __forceinline__ void put(const double* positions, int64_t i, int64_t p, double* sorted) {
#pragma unroll
  for (int b = 0; b < D; ++b) sorted[p * D + b] = positions[i * D + b];
}

// One block bins one graph.
template <int D>
__global__ void __launch_bounds__(kBinWarps* kWarpSize, 1)
    bin_in_block_kernel(const Box<D>* boxes, const double* positions, int64_t num_cells, int32_t* cell_begin,
                        int32_t* order, int32_t* cell_of, double* sorted) {
  constexpr int kItems = kShared / (kBinWarps * kWarpSize);
  __shared__ int32_t counter[kShared];
  __shared__ int64_t warp_sums[kBinWarps];
  const Box<D>& box = boxes[blockIdx.x];
  const int number = box.count[0] * box.count[1] * box.count[2];
  for (int c = threadIdx.x; c < number; c += blockDim.x) counter[c] = 0;
  __syncthreads();
  for (int64_t i = box.begin + threadIdx.x; i < box.end; i += blockDim.x)
    atomicAdd(&counter[cell_index<D>(box, positions + i * D)], 1);
  __syncthreads();
  const int mine = static_cast<int>(threadIdx.x) * kItems;
  int64_t sum = 0, total;
#pragma unroll
  for (int k = 0; k < kItems; ++k) sum += mine + k < number ? counter[mine + k] : 0;
  int32_t running = static_cast<int32_t>(box.begin + block_scan(sum, warp_sums, total));
#pragma unroll
  for (int k = 0; k < kItems; ++k) {
    if (mine + k < number) {
      const int32_t here = counter[mine + k];
      counter[mine + k] = cell_begin[box.first_cell + mine + k] = running;
      running += here;
    }
  }
  if (blockIdx.x == gridDim.x - 1 && threadIdx.x == 0) cell_begin[num_cells] = static_cast<int32_t>(box.end);
  __syncthreads();
  for (int64_t i = box.begin + threadIdx.x; i < box.end; i += blockDim.x) {
    const int32_t c = cell_index<D>(box, positions + i * D), p = atomicAdd(&counter[c], 1);
    order[p] = static_cast<int32_t>(i);
    cell_of[p] = c;
    put<D>(positions, i, p, sorted);
  }
}

template <int D>
__global__ void __launch_bounds__(kThreads)
    bin_count_kernel(const Box<D>* boxes, int64_t num_graphs, const double* positions, int64_t num_nodes,
                     int32_t* cell_count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= num_nodes) return;
  const Box<D>& box = boxes[graph_of(boxes, num_graphs, i)];
  atomicAdd(&cell_count[box.first_cell + cell_index<D>(box, positions + i * D)], 1);
}

// Takes the places of a cell from its end: the counts of bin_count_kernel end at 0.
template <int D>
__global__ void __launch_bounds__(kThreads)
    bin_place_kernel(const Box<D>* boxes, int64_t num_graphs, const double* positions, int64_t num_nodes,
                     const int32_t* cell_begin, int32_t* cell_count, int32_t* order, int32_t* cell_of, double* sorted) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= num_nodes) return;
  const Box<D>& box = boxes[graph_of(boxes, num_graphs, i)];
  const int32_t c = cell_index<D>(box, positions + i * D), all = box.first_cell + c;
  const int32_t p = cell_begin[all] + atomicAdd(&cell_count[all], -1) - 1;
  order[p] = static_cast<int32_t>(i);
  cell_of[p] = c;
  put<D>(positions, i, p, sorted);
}

// ---- candidates ---------------------------------------------------------------------------------------------

// Cells along one axis that hold neighbours of cell c: c - 1, c, c + 1 around the axis, no cell twice.
__device__ __forceinline__ int axis_cells(int n) { return n < 3 ? n : 3; }
__device__ __forceinline__ int axis_cell(int c, int n, int k) { return n < 3 ? k : (c - 1 + k + n) % n; }

// Fills the runs of a cell and returns the number of candidates; the whole warp.
template <int D>
__device__ __forceinline__ int32_t find_runs(const Box<D>& box, const int32_t* cell_begin, int32_t cell, Runs& runs) {
  const int lane = lane_id();
  const int n0 = box.count[0], n1 = box.count[1], n2 = box.count[2];
  const int c0 = cell / (n1 * n2), c1 = cell / n2 % n1, c2 = cell % n2;
  const int middles = axis_cells(n1);
  const int fasts = n2 >= 3 && (c2 == 0 || c2 == n2 - 1) ? 2 : 1;  // runs along the last axis
  const int number = axis_cells(n0) * middles * fasts;
  int32_t begin = 0, length = 0;
  if (lane < number) {
    const int a = axis_cell(c0, n0, lane / (middles * fasts)), b = axis_cell(c1, n1, lane / fasts % middles);
    int from = c2 - 1, to = c2 + 2;
    if (n2 < 3) {
      from = 0, to = n2;
    } else if (fasts == 2) {
      const bool wrapped = lane % 2 == 1;
      if (c2 == 0) {
        from = wrapped ? n2 - 1 : 0, to = wrapped ? n2 : 2;
      } else {
        from = wrapped ? n2 - 2 : 0, to = wrapped ? n2 : 1;
      }
    }
    const int32_t* line = cell_begin + box.first_cell + (static_cast<int64_t>(a) * n1 + b) * n2;
    begin = line[from];
    length = line[to] - begin;
  }
  const int32_t sum = warp_scan(length);
  if (lane < number) runs.shift[lane] = begin - (sum - length), runs.end[lane] = sum;
  const int32_t total = __shfl_sync(kFullMask, sum, kWarpSize - 1);
  __syncwarp();
  return total;
}

template <int D, bool kDiagonal>
__device__ __forceinline__ double image_of(const Box<D>& box, const double* here, const double* there, double (&d)[D],
                                           double (&shift)[D]) {
#pragma unroll
  for (int b = 0; b < D; ++b) d[b] = here[b] - there[b];
  // The correction of half a box length changes no edge of a wider box: one kernel serves both.
  return box.cell.template image<kDiagonal, kDiagonal>(d, shift);
}

// Calls visit(q, valid, d . d) for the candidates q, places in cell order, of the one at p: 32 at a time, all lanes of
// the warp together, `valid` false where a lane has none.
template <int D, bool kBrute, bool kDiagonal, class Visit>
__device__ __forceinline__ void for_candidates(const Search<D>& s, const Box<D>& box, int64_t p, Runs& runs,
                                               const Visit& visit) {
  const int32_t lane = static_cast<int32_t>(threadIdx.x % kWarpSize);
  double here[D];
#pragma unroll
  for (int b = 0; b < D; ++b) here[b] = s.sorted[p * D + b];
  int32_t total = static_cast<int32_t>(box.end - box.begin), run = 0;
  if constexpr (!kBrute) total = find_runs<D>(box, s.cell_begin, s.cell_of[p], runs);
  for (int32_t first = 0; first < total; first += kWarpSize) {
    const int32_t t = first + lane;
    const bool valid = t < total;
    int64_t q = box.begin + t;
    double squared = 0;
    if (valid) {
      if constexpr (!kBrute) {
        while (t >= runs.end[run]) ++run;
        q = t + runs.shift[run];
      }
      double d[D], shift[D];
      squared = image_of<D, kDiagonal>(box, here, s.sorted + q * D, d, shift);
    }
    visit(q, valid, squared);
  }
}

}  // namespace
}  // namespace botan_fast::cuda
