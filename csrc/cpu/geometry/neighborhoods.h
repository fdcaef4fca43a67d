// The neighbours of each particle, met one particle after another and never stored: what sums over neighbours need,
// linear in N in time and memory whatever the cutoff.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "cpu/geometry/cell_grid.h"
#include "cpu/geometry/descriptor_kernels.h"
#include "cpu/geometry/neighbor_kernels.h"
#include "cpu/runtime/buffer_pool.h"
#include "cpu/runtime/thread_pool.h"
#include "periodic.h"

namespace botan_fast {

// The particles within the cutoff of one particle by species, those of one species about by distance: bin after bin.
// The arrays are padded after each species to a multiple of kLanes with distance kNone, vector 0 and the place of the
// particle itself.
struct Neighborhood {
  int64_t particle, place;          // index, and place in cell order
  std::vector<double> distance;     // |r_ij|
  std::vector<double> vector[3];    // r_j - r_i, minimum image; left out where the particle itself is a neighbour
  std::vector<int32_t> places;      // in cell order
  std::vector<int64_t> begin, end;  // (species,): its neighbours, padding left out
  std::vector<int64_t> bin_end;     // (species, bins)
  double bins_per_length;
  int64_t num_bins;

  // The neighbours of a species that may be nearer than `distance` are begin[species]:this.
  int64_t end_within(int64_t species, double length) const {
    const int64_t bin = std::min(num_bins - 1, static_cast<int64_t>(length * bins_per_length));
    return bin_end[species * num_bins + bin];
  }
};

template <int D>
class Neighborhoods {
 public:
  Neighborhoods(const Cell<D>& box, const double* positions, const int32_t* types, int64_t num_nodes, int num_species,
                double cutoff, bool with_self, int num_threads)
      : box_(box),
        positions_(positions),
        num_nodes_(num_nodes),
        num_species_(num_species),
        cutoff_(cutoff),
        with_self_(with_self),
        num_threads_(num_threads),
        grid_(box, positions, num_nodes, cutoff, num_threads),
        species_(num_nodes) {
    for (int64_t p = 0; p < num_nodes; ++p) species_[p] = num_species > 1 ? types[grid_.order[p]] : 0;
  }

  const int32_t* order() const { return grid_.order.get(); }  // indices of the particles in cell order

  // make() returns the body of one worker, which is called with each Neighborhood of some particles.
  template <class Make>
  void for_each(const Make& make) const {
    const int64_t cells_per_task = std::max<int64_t>(1, kTask * grid_.num_cells() / std::max<int64_t>(1, num_nodes_));
    const int64_t num_tasks = (grid_.num_cells() + cells_per_task - 1) / cells_per_task;
    std::atomic<int64_t> next_task{0};
    std::atomic<int32_t> coincident{std::numeric_limits<int32_t>::max()};  // the smallest such particle
    parallel_for(std::min<int64_t>(num_threads_, num_tasks), num_threads_, [&](int64_t) {
      auto body = make();
      Worker worker;
      grid_.prepare(worker.search);
      start(worker.found);
      for (int64_t task; (task = next_task.fetch_add(1, std::memory_order_relaxed)) < num_tasks;)
        for (int64_t c = task * cells_per_task; c < std::min(grid_.num_cells(), (task + 1) * cells_per_task); ++c) {
          if (grid_.begin(c) == grid_.begin(c + 1)) continue;
          grid_.find_runs(c, worker.runs);
          worker.make_room();
          for (int64_t p = grid_.begin(c); p < grid_.begin(c + 1); ++p) {
            if (gather(worker, p)) {
              int32_t before = coincident;
              while (grid_.order[p] < before && !coincident.compare_exchange_weak(before, grid_.order[p])) {
              }
            }
            body(static_cast<const Neighborhood&>(worker.found));
          }
        }
    });
    if (coincident < num_nodes_) refuse_twins(coincident);
  }

 private:
  static constexpr int64_t kTask = 64;  // particles of one task, about
  static constexpr int64_t kBins = 32;  // of the distances of one species

  struct Worker {
    RowSearch search;
    std::vector<Run> runs;
    std::vector<int32_t> indices, near, unsure, keys;
    std::vector<double> distance, vector[3];
    Neighborhood found;

    void make_room() {
      int64_t most = kSearchPadding;
      for (const Run& run : runs) most += run.end - run.begin;
      if (static_cast<int64_t>(near.size()) < most) {
        for (auto* array : {&indices, &near, &unsure, &keys}) array->resize(most);
        for (auto* array : {&distance, &vector[0], &vector[1], &vector[2]}) array->resize(most + kLanes);
      }
      search.runs = runs.data(), search.num_runs = static_cast<int64_t>(runs.size());
      search.indices = indices.data(), search.places = near.data(), search.unsure = unsure.data();
    }
  };

  void start(Neighborhood& found) const {
    found.begin.resize(num_species_), found.end.resize(num_species_);
    found.num_bins = kBins;
    found.bins_per_length = kBins / cutoff_;
    found.bin_end.resize(num_species_ * kBins);
  }

  // Fills worker.found for the particle at place p; true if another one is at the same point.
  bool gather(Worker& worker, int64_t p) const {
    RowSearch& search = worker.search;
    search.particle = p;
    int64_t n = 0;
    if (grid_.has_bounds()) {
      n = neighbor_kernels().search_row(search);
    } else {
      search.num_unsure = 0;
      for (const Run& run : worker.runs)
        for (int32_t q = run.begin; q < run.end; ++q) worker.unsure[search.num_unsure++] = q;
    }
    for (int64_t u = 0; u < search.num_unsure; ++u) worker.near[n++] = worker.unsure[u];
    ImageRow row{};
    row.places = grid_.places.get(), row.row = worker.near.data(), row.num = n, row.here = grid_.places[p];
    for (int a = 0; a < D; ++a)
      for (int b = 0; b < D; ++b) row.rows[a][b] = box_.rows[a][b], row.inverse[a][b] = box_.inverse[a][b];
    row.diagonal = box_.diagonal, row.tight = is_tight(box_, cutoff_);
    for (int b = 0; b < 3; ++b) row.vector[b] = worker.vector[b].data();
    row.distance = worker.distance.data();
    descriptor_kernels().images(row);
    return pack(worker, p, n);
  }

  // A counting sort of the candidates by species and bin.
  bool pack(Worker& worker, int64_t p, int64_t n) const {
    Neighborhood& found = worker.found;
    found.particle = grid_.order[p], found.place = p;
    std::vector<int64_t>& cursor = found.bin_end;
    std::fill(cursor.begin(), cursor.end(), 0);
    bool twin = false;
    for (int64_t k = 0; k < n; ++k) {
      const int32_t q = worker.near[k];
      const double r = worker.distance[k];
      if (!(r < cutoff_) || (q == p && !with_self_)) {
        worker.keys[k] = -1;
        continue;
      }
      twin = twin | (r == 0 && q != p);
      const int64_t bin = std::min(kBins - 1, static_cast<int64_t>(r * found.bins_per_length));
      worker.keys[k] = static_cast<int32_t>(species_[q] * kBins + bin);
      ++cursor[worker.keys[k]];
    }
    int64_t next = 0;
    for (int64_t s = 0; s < num_species_; ++s) {
      found.begin[s] = next;
      for (int64_t bin = 0; bin < kBins; ++bin) {
        const int64_t count = cursor[s * kBins + bin];
        cursor[s * kBins + bin] = next;
        next += count;
      }
      found.end[s] = next;
      next = (next + kLanes - 1) / kLanes * kLanes;
    }
    if (static_cast<int64_t>(found.places.size()) < next) {
      found.places.resize(next), found.distance.resize(next);
      for (auto& component : found.vector) component.resize(next);
    }
    for (int64_t k = 0; k < n; ++k) {
      if (worker.keys[k] < 0) continue;
      const int64_t to = cursor[worker.keys[k]]++;
      found.places[to] = worker.near[k];
      found.distance[to] = worker.distance[k];
      if (with_self_) continue;
      for (int b = 0; b < 3; ++b) found.vector[b][to] = worker.vector[b][k];
    }
    for (int64_t s = 0; s < num_species_; ++s)
      for (int64_t k = found.end[s]; k % kLanes != 0; ++k) {
        found.places[k] = static_cast<int32_t>(p);
        found.distance[k] = kNone;
        for (auto& component : found.vector) component[k] = 0;
      }
    return twin;
  }

  void refuse_twins(int64_t twin) const {
    const auto distance = [&](int64_t j) {
      double d[D], shift[D];
      for (int b = 0; b < D; ++b) d[b] = positions_[twin * D + b] - positions_[j * D + b];
      return box_.template image<false>(d, shift);
    };
    int64_t nearest = twin + 1;
    for (int64_t j = twin + 1; j < num_nodes_; ++j)
      if (distance(j) < distance(nearest)) nearest = j;
    throw std::invalid_argument("positions[" + std::to_string(twin) + "] and positions[" + std::to_string(nearest) +
                                "] are the same point of the periodic box; remove or move one of the two particles");
  }

  const Cell<D> box_;
  const double* positions_;
  int64_t num_nodes_, num_species_;
  double cutoff_;
  bool with_self_;
  int num_threads_;
  CellGrid<D> grid_;
  Pooled<int32_t> species_;  // in cell order
};

}  // namespace botan_fast
