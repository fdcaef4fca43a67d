// Particles sorted into the cells of a periodic box: what makes the neighbour list linear in N.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "cpu/geometry/neighbor_kernels.h"
#include "cpu/runtime/buffer_pool.h"
#include "cpu/runtime/text.h"
#include "cpu/runtime/thread_pool.h"
#include "periodic.h"

namespace botan_fast {

// Cells are at least the cutoff wide, so neighbours lie in the cell itself and the next ones. Along the last axis,
// in which cells follow each other in memory, they are divided further: the candidates of a particle are then runs of
// the cell order that reach hardly farther than the cutoff.
template <int D>
class CellGrid {
 public:
  CellGrid(const Cell<D>& box, const double* positions, int64_t num_nodes, double cutoff, int num_threads)
      : box_(box), positions_(positions), num_nodes_(num_nodes), cutoff_(cutoff), num_threads_(num_threads) {
    find_reach();
    choose_counts();
    choose_bounds();
    sort();
    gather();
  }

  int64_t num_cells() const { return num_cells_; }
  int64_t begin(int64_t cell) const { return cell_begin_[cell]; }

  // Particles that may be neighbours of those in one cell.
  void find_runs(int64_t cell, std::vector<Run>& runs) const {
    const int64_t n1 = count_[1], n2 = count_[2];
    Range slow[2], middle[2], fast[2];
    const int slows = ranges(cell / (n1 * n2), count_[0], 1, slow);
    const int middles = ranges(cell / n2 % n1, n1, 1, middle);
    const int fasts = ranges(cell % n2, n2, divisions_, fast);
    runs.clear();
    for (int s = 0; s < slows; ++s)
      for (int64_t a = slow[s].begin; a < slow[s].end; ++a)
        for (int m = 0; m < middles; ++m)
          for (int64_t b = middle[m].begin; b < middle[m].end; ++b)
            for (int f = 0; f < fasts; ++f) {
              const int64_t line = (a * n1 + b) * n2;
              Run run{cell_begin_[line + fast[f].begin], cell_begin_[line + fast[f].end], {0, 0, 0}};
              if (run.begin == run.end) continue;
              const int images[3] = {slow[s].image, middle[m].image, fast[f].image};
              for (int c = 0; c < D; ++c)
                for (int d = 0; d < D; ++d) run.shift[d] += static_cast<float>(images[3 - D + c]) * edge_[c][d];
              runs.push_back(run);
            }
  }

  // False where float32 cannot tell anything: every candidate needs the test in float64.
  bool has_bounds() const { return has_bounds_; }

  // The part of a search that is the same for all rows.
  void prepare(RowSearch& search) const {
    for (int b = 0; b < 3; ++b) search.coordinate[b] = coordinates_.get() + b * stride_;
    search.order = order.get();
    search.zero = zero_, search.near = near_, search.far = far_;
    search.images = images_;
    for (int b = 0; b < 3; ++b) {
      const bool several = b < D && images_ && count_[3 - D + b] < 3;
      search.length[b] = several ? edge_[b][b] : 0;
      search.inverse[b] = several ? 1 / edge_[b][b] : 0;
    }
  }

  Pooled<int32_t> order;  // indices of the particles in cell order, (N,)
  Pooled<Place> places;   // positions in cell order, (N,)

 private:
  static constexpr int64_t kChunk = 1024;  // particles of one task
  static constexpr int kDivisions = 4;     // of a cell along the last axis
  static constexpr int64_t kAhead = 16;    // particles whose random memory is asked for early
  static constexpr int kMaxParts = 8;      // of the counting sort: each has a histogram of its own

  struct Range {
    int64_t begin, end;  // cells along one axis
    int image;           // the image that meets them lies this many boxes from the particle itself
  };

  // Cells along one axis within `reach` of cell c: at most two ranges, no cell twice.
  static int ranges(int64_t c, int64_t n, int reach, Range (&range)[2]) {
    const int64_t begin = c - reach, end = c + reach + 1;
    if (n < 2 * reach + 1) return range[0] = {0, n, 0}, 1;
    if (begin < 0) return range[0] = {0, end, 0}, range[1] = {n + begin, n, 1}, 2;
    if (end > n) return range[0] = {begin, n, 0}, range[1] = {0, end - n, -1}, 2;
    return range[0] = {begin, end, 0}, 1;
  }

  int64_t num_chunks() const { return (num_nodes_ + kChunk - 1) / kChunk; }

  double fractional(int64_t i, int b) const {
    double s = 0;
    for (int a = 0; a < D; ++a) s += positions_[i * D + a] * box_.inverse[a][b];
    return s;
  }

  // The fractional coordinates of particle i wrapped into the box, and its cell.
  int64_t locate(int64_t i, double (&fraction)[D]) const {
    int64_t cell = 0;
    for (int b = 0; b < D; ++b) {
      const double s = fractional(i, b);
      fraction[b] = s - std::floor(s);
      const int64_t n = count_[3 - D + b];  // a fraction of a tiny negative number rounds to 1: the last cell
      cell = cell * n + std::min(static_cast<int64_t>(fraction[b] * static_cast<double>(n)), n - 1);
    }
    return cell;
  }

  // The largest terms of the fractional coordinates, hence the rounding error of the binning.
  void find_reach() {
    std::vector<double> found(num_chunks() * D, 0.0);
    std::vector<int64_t> lost(num_chunks(), num_nodes_);
    parallel_for(num_chunks(), num_threads_, [&](int64_t chunk) {
      double reach[D] = {};
      bool good = true;
      const int64_t first = chunk * kChunk, last = std::min(num_nodes_, first + kChunk);
      for (int64_t i = first; i < last; ++i)
        for (int b = 0; b < D; ++b) {
          double terms = 0;
          for (int a = 0; a < D; ++a) terms += std::fabs(positions_[i * D + a] * box_.inverse[a][b]);
          reach[b] = terms > reach[b] ? terms : reach[b];
          good = good & (std::fabs(fractional(i, b)) < kFar);
        }
      for (int b = 0; b < D; ++b) found[chunk * D + b] = reach[b];
      if (!good) lost[chunk] = first;
    });
    if (num_nodes_ > 0) refuse_far(*std::min_element(lost.begin(), lost.end()));
    for (size_t k = 0; k < found.size(); ++k) reach_[k % D] = std::max(reach_[k % D], found[k]);
  }

  // Names the first particle, from `first` on, that is too far away.
  void refuse_far(int64_t first) const {
    for (int64_t i = first; i < num_nodes_; ++i)
      for (int b = 0; b < D; ++b)
        if (const double s = std::fabs(fractional(i, b)); !(s < kFar))
          throw std::invalid_argument("positions[" + std::to_string(i) + "] lies " + shortest_text(s) +
                                      " box lengths from the origin along axis " + std::to_string(b) +
                                      "; wrap the positions into the box");
  }

  void choose_counts() {
    double width[D];
    int64_t* count = count_ + 3 - D;
    for (int b = 0; b < D; ++b) {
      // A little wider than the cutoff, so that no pair is lost to the rounding of the fractions.
      width[b] = cutoff_ * (1 + 1e-9) + box_.heights[b] * 1e-14 * (1 + reach_[b]);
      count[b] = static_cast<int64_t>(std::min(std::max(1.0, box_.heights[b] / width[b]), 1e6));
    }
    // Dilute systems: no more cells than about two for each particle.
    const int64_t most = std::clamp<int64_t>(2 * num_nodes_, 64, std::numeric_limits<int32_t>::max() - 1);
    const auto total = [&] { return count[0] * count[1] * (D == 3 ? count[2] : 1); };
    while (total() > most) {
      int64_t* largest = std::max_element(count, count + D);
      *largest = (*largest + 1) / 2;
    }
    const int64_t whole = count[D - 1];
    for (divisions_ = kDivisions; divisions_ > 1; --divisions_) {
      // The cells that the dilute case made wider are divided into as many.
      count[D - 1] = static_cast<int64_t>(
          std::min(box_.heights[D - 1] / width[D - 1], static_cast<double>(whole + 1) * (1 - 1e-9)) * divisions_);
      if (total() <= most && count[D - 1] >= 2 * divisions_ + 1) break;
      count[D - 1] = whole;
    }
    num_cells_ = total();
  }

  // When a squared distance in float32 decides. Each coordinate and the sum with a shift are rounded to 2^-24 of at
  // most three box lengths, and the binning adds its own error; the bounds allow for several times as much.
  void choose_bounds() {
    double extent = 0, reach = 0;
    for (int b = 0; b < D; ++b) {
      double sum = 0;
      for (int a = 0; a < D; ++a) {
        edge_[a][b] = static_cast<float>(box_.rows[a][b] / cutoff_);
        sum += std::fabs(box_.rows[a][b] / cutoff_);
      }
      extent = std::max(extent, sum);
      reach = std::max(reach, reach_[b]);
    }
    const double margin = extent * (2e-6 + 4e-14 * (1 + reach));
    zero_ = static_cast<float>(margin * margin * (1 + 1e-5));
    near_ = margin < 1 ? static_cast<float>((1 - margin) * (1 - margin) * (1 - 1e-5)) : 0;
    far_ = static_cast<float>((1 + margin) * (1 + margin) * (1 + 1e-5));
    for (int b = 3 - D; b < 3; ++b) images_ = images_ || count_[b] < 3;
    has_bounds_ = extent < 1e12 && margin < 1 && (!images_ || box_.diagonal);
  }

  // A counting sort. Particles of one cell keep the order of their indices.
  void sort() {
    const int64_t parts = num_nodes_ < 4 * kChunk ? 1 : std::min(num_threads_, kMaxParts);
    Pooled<int32_t> cell_of(num_nodes_), cursor(parts * num_cells_);
    parallel_for(parts, num_threads_, [&](int64_t part) {
      int32_t* count = cursor.get() + part * num_cells_;
      std::fill(count, count + num_cells_, 0);
      const int64_t end = part_begin(num_nodes_, parts, part + 1);
      for (int64_t i = part_begin(num_nodes_, parts, part); i < end; ++i) {
        double fraction[D];
        const int64_t cell = locate(i, fraction);
        cell_of[i] = static_cast<int32_t>(cell);
        ++count[cell];
      }
    });
    cell_begin_ = Pooled<int32_t>(num_cells_ + 1);
    int32_t next = 0;
    for (int64_t cell = 0; cell < num_cells_; ++cell) {
      cell_begin_[cell] = next;
      for (int64_t part = 0; part < parts; ++part) {
        int32_t& count = cursor[part * num_cells_ + cell];
        const int32_t begin = next;
        next += count;
        count = begin;
      }
    }
    cell_begin_[num_cells_] = next;
    order = Pooled<int32_t>(num_nodes_ + kSearchPadding);
    parallel_for(parts, num_threads_, [&](int64_t part) {
      int32_t* next_place = cursor.get() + part * num_cells_;
      const int64_t end = part_begin(num_nodes_, parts, part + 1);
      for (int64_t i = part_begin(num_nodes_, parts, part); i < end; ++i) {
        if (i + kAhead < end) __builtin_prefetch(next_place + cell_of[i + kAhead], 1);
        order[next_place[cell_of[i]]++] = static_cast<int32_t>(i);
      }
    });
    std::fill(order.get() + num_nodes_, order.get() + num_nodes_ + kSearchPadding, 0);
  }

  // Positions in cell order: as given, and wrapped into the box in float32.
  void gather() {
    stride_ = num_nodes_ + kSearchPadding;
    places = Pooled<Place>(num_nodes_);
    coordinates_ = Pooled<float>(3 * stride_);
    for (int b = 0; b < 3; ++b)
      std::fill(coordinates_.get() + b * stride_ + num_nodes_, coordinates_.get() + (b + 1) * stride_, 0.0f);
    parallel_for(num_chunks(), num_threads_, [&](int64_t chunk) {
      for (int64_t p = chunk * kChunk; p < std::min(num_nodes_, (chunk + 1) * kChunk); ++p) {
        const int64_t i = order[p];
        __builtin_prefetch(positions_ + D * int64_t{order[p + kAhead]});
        double fraction[D];
        locate(i, fraction);
        Place place = {};
        for (int b = 0; b < D; ++b) place.at[b] = positions_[i * D + b];
        places[p] = place;
        for (int b = 0; b < 3; ++b) {
          double x = 0;
          for (int a = 0; a < D && b < D; ++a) x += fraction[a] * box_.rows[a][b];
          coordinates_[b * stride_ + p] = static_cast<float>(x / cutoff_);
        }
      }
    });
  }

  const Cell<D>& box_;
  const double* positions_;
  int64_t num_nodes_;
  double cutoff_;
  int num_threads_;

  double reach_[D] = {};
  int64_t count_[3] = {1, 1, 1};  // cells along each axis, the last one fastest; axis 0 is idle in 2D
  int divisions_ = 1;             // cells along the last axis that together are as wide as the cutoff
  int64_t num_cells_ = 1;
  float edge_[D][D];  // box in cutoffs
  float zero_, near_, far_;
  bool images_ = false, has_bounds_ = false;
  Pooled<int32_t> cell_begin_;  // (num_cells + 1,)
  int64_t stride_ = 0;
  Pooled<float> coordinates_;  // (3, N + padding)
};

}  // namespace botan_fast
