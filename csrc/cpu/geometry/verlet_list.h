// The pairs that may come within the cutoff while no particle moves far: found once, used for many steps.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "cpu/geometry/cell_grid.h"
#include "cpu/geometry/neighbor_kernels.h"
#include "cpu/runtime/buffer_pool.h"
#include "cpu/runtime/thread_pool.h"
#include "periodic.h"

namespace botan_fast {

// Every particle has a row of all its neighbours, so each pair is in two rows, and a thread writes what belongs to its
// own particles alone. Particles are kept in cell order, where neighbours are near each other in memory; tasks are cut
// by numbers of cells, never of threads.
template <int D>
class VerletList {
 public:
  // A neighbour is a place in cell order and one of 3^D images, in one number.
  static constexpr int kImageBits = 5;
  static constexpr int64_t kMost = int64_t{1} << (32 - kImageBits);  // particles

  struct Task {
    int64_t begin, end;               // places
    std::vector<uint32_t> neighbors;  // of all its rows
    std::vector<int64_t> row_end;     // in `neighbors`, for each row
  };

  // reach: the largest distance of a pair in the list. The heights of the box must be at least twice as large.
  VerletList(const Cell<D>& box, int64_t num_nodes, double reach, int num_threads)
      : box_(box), num_nodes_(num_nodes), reach_(reach), num_threads_(num_threads) {
    for (int code = 0; code < (D == 2 ? 9 : 27); ++code) {
      const int step[3] = {code % 3 - 1, code / 3 % 3 - 1, code / 9 - 1};
      Place offset = {};
      for (int b = 0; b < D; ++b)
        for (int a = 0; a < D; ++a) offset.at[b] += step[a] * box.rows[a][b];
      offsets.push_back(offset);
    }
  }

  // positions (N, D), finite; they may lie outside the box. Refuses two particles at one point.
  void build(const double* positions) {
    wrap(positions);
    const CellGrid<D> grid(box_, wrapped_.get(), num_nodes_, reach_, num_threads_);
    order.assign(grid.order.get(), grid.order.get() + num_nodes_);
    const int64_t cells_per_task = std::max<int64_t>(1, kTask * grid.num_cells() / std::max<int64_t>(1, num_nodes_));
    tasks.resize((grid.num_cells() + cells_per_task - 1) / cells_per_task);
    std::vector<int64_t> twins(tasks.size(), num_nodes_);
    parallel_for(static_cast<int64_t>(tasks.size()), num_threads_, [&](int64_t task) {
      const int64_t first = task * cells_per_task, last = std::min(grid.num_cells(), first + cells_per_task);
      if (box_.diagonal) {
        twins[task] = find<true>(grid, first, last, tasks[task]);
      } else {
        twins[task] = find<false>(grid, first, last, tasks[task]);
      }
    });
    refuse_twin(*std::min_element(twins.begin(), twins.end()));
  }

  std::vector<int32_t> order;  // index of the particle at each place
  std::vector<Place> shifts;   // (N,) position - shift is inside of the box when the list is built
  std::vector<Task> tasks;
  std::vector<Place> offsets;  // by image: neighbour + offset is the image that counts

 private:
  static constexpr int64_t kTask = 128;    // particles of one task, about
  static constexpr int64_t kChunk = 4096;  // particles of one task of what is done for each alone

  void wrap(const double* positions) {
    if (wrapped_.get() == nullptr) wrapped_ = Pooled<double>(num_nodes_ * D);
    shifts.resize(num_nodes_);
    parallel_for((num_nodes_ + kChunk - 1) / kChunk, num_threads_, [&](int64_t chunk) {
      for (int64_t i = chunk * kChunk; i < std::min(num_nodes_, (chunk + 1) * kChunk); ++i) {
        Place shift = {};
        for (int a = 0; a < D; ++a) {
          double fraction = 0;
          for (int b = 0; b < D; ++b) fraction += positions[i * D + b] * box_.inverse[b][a];
          const double boxes = std::floor(fraction);
          for (int b = 0; b < D; ++b) shift.at[b] += boxes * box_.rows[a][b];
        }
        for (int b = 0; b < D; ++b) wrapped_[i * D + b] = positions[i * D + b] - shift.at[b];
        shifts[i] = shift;
      }
    });
  }

  // The rows of the particles in some cells. Returns the first particle that lies where another does, N without one.
  template <bool kDiagonal>
  int64_t find(const CellGrid<D>& grid, int64_t first, int64_t last, Task& task) {
    const NeighborKernels& kernels = neighbor_kernels();
    RowSearch search;
    grid.prepare(search);
    std::vector<Run> runs;
    std::vector<int32_t> indices, near, unsure;
    int64_t twin = num_nodes_;
    task.begin = grid.begin(first), task.end = grid.begin(last);
    task.neighbors.clear(), task.row_end.clear();
    for (int64_t cell = first; cell < last; ++cell) {
      if (grid.begin(cell) == grid.begin(cell + 1)) continue;
      grid.find_runs(cell, runs);
      size_t most = kSearchPadding;
      for (const Run& run : runs) most += run.end - run.begin;
      if (indices.size() < most) indices.resize(most), near.resize(most), unsure.resize(most);
      search.runs = runs.data(), search.num_runs = static_cast<int64_t>(runs.size());
      search.indices = indices.data(), search.places = near.data(), search.unsure = unsure.data();
      for (int64_t p = grid.begin(cell); p < grid.begin(cell + 1); ++p) {
        search.particle = p;
        int64_t found = 0;
        if (grid.has_bounds()) {
          found = kernels.search_row(search);
        } else {
          search.num_unsure = 0;
          for (const Run& run : runs)
            for (int32_t q = run.begin; q < run.end; ++q) unsure[search.num_unsure++] = q;
        }
        for (int64_t k = 0; k < found; ++k) add<kDiagonal>(grid, p, near[k], task, twin);
        for (int64_t k = 0; k < search.num_unsure; ++k)
          if (unsure[k] != p) add<kDiagonal>(grid, p, unsure[k], task, twin);
        task.row_end.push_back(static_cast<int64_t>(task.neighbors.size()));
      }
    }
    return twin;
  }

  // Names the particle at the same point as particle `twin`; beyond all particles there is none.
  void refuse_twin(int64_t twin) const {
    for (int64_t j = 0; twin < num_nodes_ && j < num_nodes_; ++j) {
      double d[D], shift[D];
      for (int b = 0; b < D; ++b) d[b] = wrapped_[twin * D + b] - wrapped_[j * D + b];
      if (j != twin && box_.template image<false>(d, shift) == 0)
        throw std::invalid_argument("positions[" + std::to_string(std::min(twin, j)) + "] and positions[" +
                                    std::to_string(std::max(twin, j)) +
                                    "] are the same point of the periodic box; remove or move one of the two "
                                    "particles");
    }
  }

  template <bool kDiagonal>
  void add(const CellGrid<D>& grid, int64_t p, int32_t q, Task& task, int64_t& twin) const {
    double d[D], shift[D];
    for (int b = 0; b < D; ++b) d[b] = grid.places[p].at[b] - grid.places[q].at[b];
    const double squared = box_.template image<kDiagonal, kDiagonal>(d, shift);
    if (squared == 0) twin = std::min<int64_t>(twin, grid.order[p]);
    if (!(squared < reach_ * reach_)) return;
    int code = 0;
    for (int b = D - 1; b >= 0; --b) code = 3 * code + 1 + static_cast<int>(shift[b]);
    task.neighbors.push_back(static_cast<uint32_t>(q) << kImageBits | static_cast<uint32_t>(code));
  }

  const Cell<D> box_;
  int64_t num_nodes_;
  double reach_;
  int num_threads_;
  Pooled<double> wrapped_;  // (N, D) positions inside of the box
};

}  // namespace botan_fast
