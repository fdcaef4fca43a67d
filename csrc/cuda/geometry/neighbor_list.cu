// Neighbour lists on the device: the edges, order and bits of NeighborSearch (botan_fast.h).
//
//   init     boxes, which are kernel arguments, go to the workspace; status and counters are cleared
//   bin      particles into cells at least a cutoff wide, by counting: one block per graph with the counters in shared
//            memory, or (graphs of more than kShared particles) counts, two scan kernels and a scatter over the grid.
//            Graphs of up to kBrute particles have no cells: all of a graph are candidates
//   count    one warp per particle in cell order, so that warps side by side read the same candidates from the first
//            cache; the last block turns the degrees into row_ptr (two kernels for more than kScanAtOnce particles)
//   fill     the same search again; the warp collects its neighbours in shared memory, orders them by rank, and writes
//            the row. Rows of more than kRow are collected and sorted in global memory
//   reverse  one thread per edge: a binary search in the row of the sender
//
// Cells are filled by atomic counters, so the order within a cell is arbitrary; nothing depends on it, since rows are
// sorted. This file is compiled with -fmad=false: the distance test rounds as on the CPU.
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "cuda/runtime/arena.cuh"
#include "cuda/runtime/launch.cuh"
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
__global__ void init_kernel(const __grid_constant__ BoxArguments<D> some, int64_t first, int number, Box<D>* boxes,
                            Control* control, int64_t* status) {
  if (static_cast<int>(threadIdx.x) < number) boxes[first + threadIdx.x] = some.box[threadIdx.x];
  if (first == 0 && threadIdx.x == 0) {
    *control = Control{0, 0, 0};
    status[0] = status[1] = 0;
  }
}

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
  int32_t *names, *receivers;  // names are the senders
  float* vectors;
  template <int D>
  __device__ __forceinline__ void operator()(int64_t k, int64_t i, int64_t j, const double (&d)[D], const double (&)[D],
                                             double) const {
    names[k] = static_cast<int32_t>(j);
    receivers[k] = static_cast<int32_t>(i);
#pragma unroll
    for (int b = 0; b < D; ++b) vectors[k * D + b] = static_cast<float>(d[b]);
  }
};

struct PairWriter {
  int64_t *first, *names;  // names are the second particles
  double *vectors, *distances;
  int64_t* shifts;
  template <int D>
  __device__ __forceinline__ void operator()(int64_t k, int64_t i, int64_t j, const double (&d)[D],
                                             const double (&shift)[D], double squared) const {
    names[k] = j;
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
  int32_t name[kRow], place[kRow];  // particle, and place in cell order
};

// Orders n <= kMost neighbours by name: the rank of each is the number of smaller ones. The whole warp.
template <int kMost>
__device__ __forceinline__ void order_row(Row& row, int n) {
  constexpr int kItems = kMost / kWarpSize;
  const int lane = lane_id();
  int32_t name[kItems], place[kItems], rank[kItems];
#pragma unroll
  for (int m = 0; m < kItems; ++m) {
    const int e = lane + m * kWarpSize;
    name[m] = e < n ? row.name[e] : 0, place[m] = e < n ? row.place[e] : 0, rank[m] = 0;
  }
  for (int e = 0; e < n; ++e) {
    const int32_t other = row.name[e];
#pragma unroll
    for (int m = 0; m < kItems; ++m) rank[m] += other < name[m];
  }
  __syncwarp();
#pragma unroll
  for (int m = 0; m < kItems; ++m) {
    if (lane + m * kWarpSize < n) row.name[rank[m]] = name[m], row.place[rank[m]] = place[m];
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
        write.names[begin + slot] = j;
      } else {
        row.name[slot] = j;
        row.place[slot] = static_cast<int32_t>(q);
      }
    }
    found += __popc(hits);
  });
  // Never, unless the positions changed since the count: then the particle itself stands in for what is missing.
  for (int32_t e = found + lane; e < n; e += kWarpSize) {
    if (is_long) {
      write.names[begin + e] = static_cast<int32_t>(i);
    } else {
      row.name[e] = static_cast<int32_t>(i);
      row.place[e] = static_cast<int32_t>(p);
    }
  }
  __syncwarp();
  double here[D];
#pragma unroll
  for (int b = 0; b < D; ++b) here[b] = s.sorted[p * D + b];
  if (is_long) {
    if (!kBrute) sort_row(write.names + begin, n);  // by brute force candidates come in order
    for (int32_t e = lane; e < n; e += kWarpSize) {
      const int64_t j = write.names[begin + e];
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
    write(begin + e, i, row.name[e], d, shift, squared);
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

// ---- host ---------------------------------------------------------------------------------------------------

int64_t cell_bound(int64_t num_nodes) { return std::max<int64_t>(64, 2 * num_nodes); }

// The parts of the workspace; sizes depend on the numbers of particles and graphs alone.
template <int D>
struct Memory {
  Box<D>* boxes;
  Control* control;
  int32_t *degree, *order, *cell_of;
  double* sorted;
  int32_t *cell_begin, *cell_count;
  int64_t *tile_sum, *tile_begin;
  Memory(Arena& arena, int64_t num_nodes, int64_t num_graphs) {
    const int64_t cells = 64 * num_graphs + 2 * num_nodes + 1;
    const int64_t tiles = ceil_div(cells, kScanTile);
    boxes = arena.take<Box<D>>(num_graphs);
    control = arena.take<Control>(1);
    degree = arena.take<int32_t>(num_nodes);
    order = arena.take<int32_t>(num_nodes);
    cell_of = arena.take<int32_t>(num_nodes);
    sorted = arena.take<double>(num_nodes * D);
    cell_begin = arena.take<int32_t>(cells);
    cell_count = arena.take<int32_t>(cells);
    tile_sum = arena.take<int64_t>(tiles);
    tile_begin = arena.take<int64_t>(tiles);
  }
};

template <int D>
size_t workspace_bytes_of(int64_t num_nodes, int64_t num_graphs) {
  Arena arena(nullptr);
  const Memory<D> memory(arena, num_nodes, num_graphs);
  return arena.used();
}

// In a workspace that was given, if it is large enough.
template <int D>
Memory<D> memory_of(const NeighborInput& in, void* workspace, size_t workspace_bytes) {
  check_workspace("neighbor_list", workspace_bytes_of<D>(in.num_nodes, in.num_graphs), workspace, workspace_bytes);
  Arena arena(workspace);
  return Memory<D>(arena, in.num_nodes, in.num_graphs);
}

void check_sizes(const NeighborInput& in) {
  const auto refuse = [](const std::string& text) { throw std::invalid_argument("neighbor_list: " + text); };
  const auto wrong = [&](const char* name, int64_t value, const char* remedy) {
    refuse(std::string(name) + " = " + std::to_string(value) + "; give " + remedy);
  };
  if (in.dimensions != 2 && in.dimensions != 3) wrong("dimensions", in.dimensions, "2 or 3");
  if (in.num_nodes < 0 || in.num_nodes > (1 << 30)) wrong("num_nodes", in.num_nodes, "at most 2**30");
  if (in.num_graphs < 1) wrong("num_graphs", in.num_graphs, "at least 1");
  if (!(in.cutoff > 0) || !std::isfinite(in.cutoff)) refuse("cutoff must be positive and finite");
  bool rises = in.graph_ptr[0] == 0 && in.graph_ptr[in.num_graphs] == in.num_nodes;
  for (int64_t g = 0; g < in.num_graphs; ++g) rises = rises && in.graph_ptr[g] <= in.graph_ptr[g + 1];
  if (!rises) refuse("graph_ptr must rise from 0 to num_nodes");
}

template <int D>
struct Plan {
  std::vector<Box<D>> boxes;
  bool brute, in_block;
  int64_t num_cells = 0;

  explicit Plan(const NeighborInput& in) {
    int64_t largest = 0;
    for (int64_t g = 0; g < in.num_graphs; ++g) largest = std::max(largest, in.graph_ptr[g + 1] - in.graph_ptr[g]);
    const bool automatic = in.path == NeighborPath::automatic;
    brute = automatic ? largest <= kBrute : in.path == NeighborPath::brute_force;
    in_block = automatic ? largest <= kShared : in.path == NeighborPath::cells_by_block;
    if (in.path == NeighborPath::cells_by_block && largest > kShared)
      throw std::invalid_argument("neighbor_list: a graph of " + std::to_string(largest) +
                                  " particles is too large for cells_by_block; let the path be automatic");
    for (int64_t g = 0; g < in.num_graphs; ++g) {
      Box<D> box{Cell<D>(in.cells + g * D * D), in.graph_ptr[g], in.graph_ptr[g + 1], {1, 1, 1}, 0};
      int64_t count[D], bound = cell_bound(box.end - box.begin), product = 1;
      if (in_block) bound = std::min(bound, kShared);
      for (int b = 0; b < D; ++b) {
        // A little wider than the cutoff, so that no pair is lost to the rounding of the fractions, which may be up
        // to kFar and carry that rounding error.
        const double width = in.cutoff * (1 + 1e-9) + box.cell.heights[b] * 1e-14 * (1 + kFar);
        count[b] = brute ? 1 : static_cast<int64_t>(std::min(std::max(1.0, box.cell.heights[b] / width), 1e6));
        product *= count[b];
      }
      while (product > bound) {
        int64_t* most = std::max_element(count, count + D);
        *most = (*most + 1) / 2;
        product = 1;
        for (int b = 0; b < D; ++b) product *= count[b];
      }
      for (int b = 0; b < D; ++b) box.count[3 - D + b] = static_cast<int32_t>(count[b]);
      box.first_cell = static_cast<int32_t>(num_cells);
      num_cells += product;
      boxes.push_back(box);
    }
  }
};

template <int D>
Search<D> search_of(const NeighborInput& in, const Memory<D>& memory, bool brute) {
  Search<D> search{};
  search.boxes = memory.boxes;
  search.num_graphs = in.num_graphs;
  search.num_nodes = in.num_nodes;
  search.positions = in.positions;
  search.sorted = brute ? in.positions : memory.sorted;
  search.order = memory.order;
  search.cell_of = memory.cell_of;
  search.cell_begin = memory.cell_begin;
  search.threshold = squared_threshold(in.cutoff);
  search.self_edges = in.self_edges;
  return search;
}

dim3 grid_of(int64_t number, int64_t per_block) { return dim3(static_cast<unsigned>(ceil_div(number, per_block))); }

template <class Finish, class Use>
void scan(Stream stream, const int32_t* in, int64_t n, int64_t* tile_sum, int64_t* tile_begin, int32_t* done,
          int32_t* out, Finish finish, Use usable) {
  launch("scan_tiles", scan_tiles_kernel<Finish>, grid_of(n, kScanTile), kScanThreads, 0, stream, in, n, tile_sum,
         tile_begin, done, finish);
  launch("scan_apply", scan_apply_kernel<Use>, grid_of(n, kScanTile), kScanThreads, 0, stream, in, n, tile_begin, out,
         usable);
}

template <int D>
void count(Stream stream, const NeighborInput& in, int64_t max_edges, int32_t* row_ptr, int64_t* status,
           void* workspace, size_t workspace_bytes) {
  const Memory<D> memory = memory_of<D>(in, workspace, workspace_bytes);
  const DeviceGuard guard(stream);
  const Plan<D> plan(in);
  for (int64_t first = 0; first < in.num_graphs; first += kBoxesPerLaunch) {
    BoxArguments<D> some{};
    const int number = static_cast<int>(std::min<int64_t>(kBoxesPerLaunch, in.num_graphs - first));
    std::copy_n(plan.boxes.begin() + first, number, some.box);
    launch("neighbor_list init", init_kernel<D>, 1, kWarpSize, 0, stream, some, first, number, memory.boxes,
           memory.control, status);
  }
  if (in.num_nodes == 0) return fill_zero(stream, row_ptr, sizeof(int32_t));
  if (!plan.brute && plan.in_block) {
    launch("neighbor_list bin_in_block", bin_in_block_kernel<D>, dim3(static_cast<unsigned>(in.num_graphs)),
           kBinWarps * kWarpSize, 0, stream, memory.boxes, in.positions, plan.num_cells, memory.cell_begin,
           memory.order, memory.cell_of, memory.sorted);
  } else if (!plan.brute) {
    fill_zero(stream, memory.cell_count, plan.num_cells * sizeof(int32_t));
    launch("neighbor_list bin_count", bin_count_kernel<D>, grid_of(in.num_nodes, kThreads), kThreads, 0, stream,
           memory.boxes, in.num_graphs, in.positions, in.num_nodes, memory.cell_count);
    scan(stream, memory.cell_count, plan.num_cells, memory.tile_sum, memory.tile_begin, &memory.control->cells_done,
         memory.cell_begin, FinishCells{}, Always{});
    launch("neighbor_list bin_place", bin_place_kernel<D>, grid_of(in.num_nodes, kThreads), kThreads, 0, stream,
           memory.boxes, in.num_graphs, in.positions, in.num_nodes, memory.cell_begin, memory.cell_count, memory.order,
           memory.cell_of, memory.sorted);
  }
  const bool scan_here = in.num_nodes <= kScanAtOnce && in.path != NeighborPath::cells_by_grid;
  const FinishRows finish{memory.control, status, max_edges};
  launch("neighbor_list count", plan.brute ? count_kernel<D, true> : count_kernel<D, false>,
         grid_of(in.num_nodes, kWarps), kThreads, 0, stream, search_of<D>(in, memory, plan.brute), memory.degree,
         scan_here, row_ptr, memory.control, finish);
  if (!scan_here) {
    scan(stream, memory.degree, in.num_nodes, memory.tile_sum, memory.tile_begin, &memory.control->rows_done, row_ptr,
         finish, Usable{status});
  }
}

template <int D, class Writer>
void fill(Stream stream, const NeighborInput& in, const int32_t* row_ptr, const Writer& writer, void* workspace,
          size_t workspace_bytes) {
  const Memory<D> memory = memory_of<D>(in, workspace, workspace_bytes);
  if (in.num_nodes == 0) return;
  const DeviceGuard guard(stream);
  const bool brute = Plan<D>(in).brute;
  launch("neighbor_list fill", brute ? fill_kernel<D, true, Writer> : fill_kernel<D, false, Writer>,
         grid_of(in.num_nodes, kWarps), kThreads, 0, stream, search_of<D>(in, memory, brute), row_ptr, writer);
}

}  // namespace

size_t neighbor_list_workspace_bytes(int64_t num_nodes, int64_t num_graphs, int dimensions) {
  return dimensions == 2 ? workspace_bytes_of<2>(num_nodes, num_graphs) : workspace_bytes_of<3>(num_nodes, num_graphs);
}

void neighbor_list_count(Stream stream, const NeighborInput& in, int64_t max_edges, int32_t* row_ptr, int64_t* status,
                         void* workspace, size_t workspace_bytes) {
  check_sizes(in);
  if (max_edges < 0 || max_edges > std::numeric_limits<int32_t>::max())
    throw std::invalid_argument("neighbor_list: max_edges = " + std::to_string(max_edges) + "; give 0 to 2**31 - 1");
  in.dimensions == 2 ? count<2>(stream, in, max_edges, row_ptr, status, workspace, workspace_bytes)
                     : count<3>(stream, in, max_edges, row_ptr, status, workspace, workspace_bytes);
}

void neighbor_list_fill_graph(Stream stream, const NeighborInput& in, const int32_t* row_ptr, int64_t max_edges,
                              int32_t* senders, int32_t* receivers, int32_t* reverse, float* vectors, void* workspace,
                              size_t workspace_bytes) {
  check_sizes(in);
  const GraphWriter writer{senders, receivers, vectors};
  in.dimensions == 2 ? fill<2>(stream, in, row_ptr, writer, workspace, workspace_bytes)
                     : fill<3>(stream, in, row_ptr, writer, workspace, workspace_bytes);
  if (max_edges == 0) return;
  const DeviceGuard guard(stream);
  launch("neighbor_list reverse", in.dimensions == 2 ? reverse_kernel<2> : reverse_kernel<3>,
         grid_of(max_edges, kThreads), kThreads, 0, stream, in.num_nodes, row_ptr, max_edges, senders, receivers,
         reverse, vectors);
}

void neighbor_list_fill_pairs(Stream stream, const NeighborInput& in, const int32_t* row_ptr, int64_t* first,
                              int64_t* second, double* vectors, double* distances, int64_t* shifts, void* workspace,
                              size_t workspace_bytes) {
  check_sizes(in);
  const PairWriter writer{first, second, vectors, distances, shifts};
  in.dimensions == 2 ? fill<2>(stream, in, row_ptr, writer, workspace, workspace_bytes)
                     : fill<3>(stream, in, row_ptr, writer, workspace, workspace_bytes);
}

}  // namespace botan_fast::cuda
