// Neighbour lists on the device: the edges, order and bits of NeighborSearch (botan_fast.h).
//
//   init     boxes, which are kernel arguments, go to the workspace; status and counters are cleared
//   bin      particles into cells at least a cutoff wide, by counting: one block per graph with the counters in shared
//            memory, or (graphs of more than kShared particles) counts, two scan kernels and a scatter over the grid.
//            Graphs of up to kBrute particles have no cells: all of a graph are candidates
//   count    one warp per particle in cell order, so that warps side by side read the same candidates from
//            L1; the last block turns the degrees into row_ptr (two kernels for more than kScanAtOnce particles)
//   fill     the same search again; the warp collects its neighbours in shared memory, orders them by rank, and writes
//            the row. Rows of more than kRow are collected and sorted in global memory
//   reverse  one thread per edge: a binary search in the row of the sender
//
// Cells are filled by atomic counters, so the order within a cell is arbitrary; nothing depends on it, since rows are
// sorted. The files of this folder are compiled with -fmad=false: the distance test rounds as on the CPU.
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/geometry/neighbor_rows.cuh"
#include "cuda/runtime/arena.cuh"
#include "cuda/runtime/launch.cuh"

namespace botan_fast::cuda {
namespace {

// ---- workspace ----------------------------------------------------------------------------------------------

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
Memory<D> memory_of(const NeighborInput& in, Workspace workspace) {
  check_workspace("neighbor_list", workspace_bytes_of<D>(in.num_nodes, in.num_graphs), workspace);
  Arena arena(workspace.data);
  return Memory<D>(arena, in.num_nodes, in.num_graphs);
}

// ---- plan ---------------------------------------------------------------------------------------------------

int64_t cell_bound(int64_t num_nodes) { return std::max<int64_t>(64, 2 * num_nodes); }

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

// ---- launches -----------------------------------------------------------------------------------------------

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
           Workspace workspace) {
  const Memory<D> memory = memory_of<D>(in, workspace);
  const DeviceGuard guard(stream);
  const Plan<D> plan(in);
  for (int64_t first = 0; first < in.num_graphs; first += kBoxesPerLaunch) {
    BoxArguments<D> given{};
    const int number = static_cast<int>(std::min<int64_t>(kBoxesPerLaunch, in.num_graphs - first));
    std::copy_n(plan.boxes.begin() + first, number, given.box);
    launch("neighbor_list init", init_kernel<D>, 1, kWarpSize, 0, stream, given, first, number, memory.boxes,
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
void fill(Stream stream, const NeighborInput& in, const int32_t* row_ptr, const Writer& writer, Workspace workspace) {
  const Memory<D> memory = memory_of<D>(in, workspace);
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
                         Workspace workspace) {
  check_sizes(in);
  if (max_edges < 0 || max_edges > std::numeric_limits<int32_t>::max())
    throw std::invalid_argument("neighbor_list: max_edges = " + std::to_string(max_edges) + "; give 0 to 2**31 - 1");
  in.dimensions == 2 ? count<2>(stream, in, max_edges, row_ptr, status, workspace)
                     : count<3>(stream, in, max_edges, row_ptr, status, workspace);
}

void neighbor_list_fill_graph(Stream stream, const NeighborInput& in, const int32_t* row_ptr, int64_t max_edges,
                              int32_t* senders, int32_t* receivers, int32_t* reverse, float* vectors,
                              Workspace workspace) {
  check_sizes(in);
  const GraphWriter writer{senders, receivers, vectors};
  in.dimensions == 2 ? fill<2>(stream, in, row_ptr, writer, workspace)
                     : fill<3>(stream, in, row_ptr, writer, workspace);
  if (max_edges == 0) return;
  const DeviceGuard guard(stream);
  launch("neighbor_list reverse", in.dimensions == 2 ? reverse_kernel<2> : reverse_kernel<3>,
         grid_of(max_edges, kThreads), kThreads, 0, stream, in.num_nodes, row_ptr, max_edges, senders, receivers,
         reverse, vectors);
}

void neighbor_list_fill_pairs(Stream stream, const NeighborInput& in, const int32_t* row_ptr, int64_t* first,
                              int64_t* second, double* vectors, double* distances, int64_t* shifts,
                              Workspace workspace) {
  check_sizes(in);
  const PairWriter writer{first, second, vectors, distances, shifts};
  in.dimensions == 2 ? fill<2>(stream, in, row_ptr, writer, workspace)
                     : fill<3>(stream, in, row_ptr, writer, workspace);
}

}  // namespace botan_fast::cuda
