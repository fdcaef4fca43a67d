// What the instruction-set-specific objects (neighbor_kernels.cpp, compiled several times) offer to the neighbour
// list and the targets. Every result is the same bit for bit for each set: no fused multiply and add, and nothing
// that depends on the width of a vector.
#pragma once

#include <cstdint>

namespace botan_fast {

// Consecutive particles in cell order, all to be compared with one image of a particle.
struct Run {
  int32_t begin, end;
  float shift[3];  // where that image lies, in cutoffs
};

// One particle of the cell order against the particles in `runs`, in float32 with bounds on the rounding:
// `sure` below near and above zero, `unsure` where only float64 can tell. The particle itself is always unsure.
struct RowSearch {
  const float* coordinate[3];  // positions wrapped into the box, in cutoffs and cell order
  const int32_t* order;        // indices of the particles in cell order
  const Run* runs;
  int64_t num_runs, particle;
  float zero, near, far;  // squared
  // Edge lengths along axes whose cells hold several images of a particle: the nearest one counts. Else 0.
  bool images;
  float length[3], inverse[3];
  int32_t *indices, *places;  // out: those that are sure, with their place in the cell order
  int32_t* unsure;            // out: places of the others
  int64_t num_unsure;         // out
};
// The arrays that a search reads and writes have room for this many entries more than it needs.
constexpr int64_t kSearchPadding = 32;

// A position in cell order, aligned to its size. In two dimensions the third coordinate is zero, as is the fourth.
struct alignas(32) Place {
  double at[4];
};

// What the rows of a graph in an orthorhombic box have in common; their edges are as NeighborSearch defines them. It is
// written once and read in every row: a struct of one row, written piecewise and read back in whole vectors, would wait
// until all stores before it, those of the last row's edges, have left for memory.
struct RowFill {
  const Place* places;
  const int32_t* order;
  Place lengths, inverse;  // edge lengths of the box and what differences are multiplied with to count boxes; else 0
};

// Pair distances of kTargetRuns runs side by side, added to one number for each pair in the order of the runs.
constexpr int kTargetRuns = 8;  // one cache line for each coordinate
struct PairSums {
  const double* block;  // (N, D, kTargetRuns) positions
  const int32_t* senders;
  int64_t receiver, begin, end;   // edges
  int num_runs;                   // how many of the runs count
  double lengths[3], inverse[3];  // of the orthorhombic box
  double* sums;                   // (E,)
};

struct NeighborKernels {
  // Returns the number of sure ones.
  int64_t (*search_row)(RowSearch&);
  // out = places ordered by index, at most kRankLimit of them; the indices are distinct.
  void (*order_row)(const int32_t* indices, const int32_t* places, int64_t n, int32_t* out);
  // The n edges from a row of places to the particle at place p: senders (n,), vectors (n, D) float32
  void (*fill_row_2d)(const RowFill&, int64_t p, const int32_t* row, int64_t n, int32_t* senders, float* vectors);
  void (*fill_row_3d)(const RowFill&, int64_t p, const int32_t* row, int64_t n, int32_t* senders, float* vectors);
  void (*add_distances_2d)(const PairSums&);
  void (*add_distances_3d)(const PairSums&);
};
constexpr int64_t kRankLimit = 256;  // longer rows are ordered by a sort

const NeighborKernels& neighbor_kernels_generic();
const NeighborKernels& neighbor_kernels_avx2();
const NeighborKernels& neighbor_kernels_avx512();
// The best set that this machine runs.
const NeighborKernels& neighbor_kernels();

}  // namespace botan_fast
