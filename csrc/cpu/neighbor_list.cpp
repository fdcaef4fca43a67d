#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "botan_fast.h"
#include "cpu/periodic.h"
#include "cpu/thread_pool.h"

namespace botan_fast {
namespace {

constexpr int64_t kTask = 256;       // particles of one task
constexpr int64_t kBlock = 128;      // candidates whose distances are computed at once
constexpr int64_t kRankLimit = 128;  // rows up to this length are ordered by ranks
constexpr double kFar = 1 << 30;     // box lengths; beyond them float64 holds less than seven digits of the image

// The shortest text that reads back as the same number.
std::string text(double value) {
  char buffer[32];
  for (int digits = 1; digits <= 17; ++digits) {
    std::snprintf(buffer, sizeof buffer, "%.*g", digits, value);
    if (std::strtod(buffer, nullptr) == value) break;
  }
  return buffer;
}

// The smallest number whose square root is not below the cutoff: d2 < it exactly when sqrt(d2) < cutoff.
double squared_threshold(double cutoff) {
  double squared = cutoff * cutoff;
  while (std::sqrt(std::nextafter(squared, 0.0)) >= cutoff) squared = std::nextafter(squared, 0.0);
  while (std::sqrt(squared) < cutoff) squared = std::nextafter(squared, std::numeric_limits<double>::infinity());
  return squared;
}

// Orders n distinct numbers. A row has about 40: counting the smaller ones of each vectorises and never branches.
void order_row(const int32_t* row, int64_t n, int32_t* out) {
  if (n > kRankLimit) {
    std::copy(row, row + n, out);
    std::sort(out, out + n);
    return;
  }
  for (int64_t a = 0; a < n; ++a) {
    const int32_t value = row[a];
    int32_t rank = 0;
    for (int64_t b = 0; b < n; ++b) rank += row[b] < value;
    out[rank] = value;
  }
}

struct Run {
  int64_t begin, end;  // consecutive particles in cell order
};

// Cells along one axis that hold neighbours of cell c: at most two ranges [begin, end), no cell twice.
int neighbor_ranges(int64_t c, int64_t n, Run (&range)[2]) {
  if (n < 3) return range[0] = {0, n}, 1;
  if (c == 0) return range[0] = {0, 2}, range[1] = {n - 1, n}, 2;
  if (c == n - 1) return range[0] = {0, 1}, range[1] = {n - 2, n}, 2;
  return range[0] = {c - 1, c + 2}, 1;
}

}  // namespace

struct NeighborSearch::State {
  const double* positions;
  const double* cell;
  int64_t num_nodes;
  int dimensions;
  double cutoff, threshold;
  bool self_edges, tight = false;
  int64_t max_edges;
  int num_threads;

  int64_t num_edges = 0;
  std::vector<int32_t> order;               // particles in cell order
  std::vector<std::vector<int32_t>> lists;  // for each task: the ordered rows of its particles, one after another
  std::vector<int32_t> row_ptr;

  template <int D>
  struct Bins {
    int64_t count[3] = {1, 1, 1};      // cells along each axis, the last one fastest; axis 0 is idle in 2D
    std::vector<int32_t> cell_of;      // cell of each particle, in cell order
    std::vector<int32_t> cell_begin;   // first particle of each cell
    std::vector<double> coordinate[D];  // positions in cell order
  };

  template <int D>
  Bins<D> make_bins(const Cell<D>& box) {
    double reach[D] = {};  // largest |fractional coordinate|, hence the rounding error of the binning
    std::vector<double> fraction(num_nodes * D);
    for (int64_t i = 0; i < num_nodes; ++i)
      for (int b = 0; b < D; ++b) {
        double s = 0;
        for (int a = 0; a < D; ++a) s += positions[i * D + a] * box.inverse[a][b];
        if (!(std::fabs(s) < kFar))
          throw std::invalid_argument("positions[" + std::to_string(i) + "] lies " + text(std::fabs(s)) +
                                      " box lengths from the origin along axis " + std::to_string(b) +
                                      "; wrap the positions into the box");
        reach[b] = std::max(reach[b], std::fabs(s));
        fraction[i * D + b] = s - std::floor(s);
      }
    Bins<D> bins;
    int64_t* count = bins.count + 3 - D;
    for (int b = 0; b < D; ++b) {
      // A little wider than the cutoff, so that no pair is lost to the rounding of the fractions.
      const double width = cutoff * (1 + 1e-9) + box.heights[b] * 1e-14 * (1 + reach[b]);
      count[b] = static_cast<int64_t>(std::min(std::max(1.0, box.heights[b] / width), 1e6));
    }
    // Dilute systems: no more cells than about two for each particle.
    while (count[0] * count[1] * (D == 3 ? count[2] : 1) > std::max<int64_t>(64, 2 * num_nodes)) {
      int64_t* largest = std::max_element(count, count + D);
      *largest = (*largest + 1) / 2;
    }
    const int64_t num_cells = bins.count[0] * bins.count[1] * bins.count[2];
    std::vector<int32_t> cell_index(num_nodes);
    bins.cell_begin.assign(num_cells + 1, 0);
    for (int64_t i = 0; i < num_nodes; ++i) {
      int64_t c = 0;
      for (int b = 0; b < D; ++b)  // a fraction of a tiny negative number rounds to 1: the last cell
        c = c * count[b] + std::min(static_cast<int64_t>(fraction[i * D + b] * count[b]), count[b] - 1);
      cell_index[i] = static_cast<int32_t>(c);
      ++bins.cell_begin[c + 1];
    }
    for (int64_t c = 0; c < num_cells; ++c) bins.cell_begin[c + 1] += bins.cell_begin[c];
    std::vector<int32_t> cursor(bins.cell_begin.begin(), bins.cell_begin.end() - 1);
    order.resize(num_nodes);
    bins.cell_of.resize(num_nodes);
    for (int b = 0; b < D; ++b) bins.coordinate[b].resize(num_nodes);
    for (int64_t i = 0; i < num_nodes; ++i) {
      const int64_t p = cursor[cell_index[i]]++;
      order[p] = static_cast<int32_t>(i);
      bins.cell_of[p] = cell_index[i];
      for (int b = 0; b < D; ++b) bins.coordinate[b][p] = positions[i * D + b];
    }
    return bins;
  }

  // Particles that may be neighbours of those in one cell, as runs of the cell order.
  template <int D>
  static void find_runs(const Bins<D>& bins, int64_t cell, std::vector<Run>& runs) {
    const int64_t n1 = bins.count[1], n2 = bins.count[2];
    Run slow[2], middle[2], fast[2];
    const int slows = neighbor_ranges(cell / (n1 * n2), bins.count[0], slow);
    const int middles = neighbor_ranges(cell / n2 % n1, n1, middle);
    const int fasts = neighbor_ranges(cell % n2, n2, fast);
    runs.clear();
    for (int s = 0; s < slows; ++s)
      for (int64_t a = slow[s].begin; a < slow[s].end; ++a)
        for (int m = 0; m < middles; ++m)
          for (int64_t b = middle[m].begin; b < middle[m].end; ++b)
            for (int f = 0; f < fasts; ++f) {
              const int64_t line = (a * n1 + b) * n2;
              const Run run{bins.cell_begin[line + fast[f].begin], bins.cell_begin[line + fast[f].end]};
              if (run.begin < run.end) runs.push_back(run);
            }
  }

  template <int D, bool kDiagonal, bool kTight>
  void search_with(const Cell<D>& box) {
    const Bins<D> bins = make_bins<D>(box);
    const int64_t num_tasks = (num_nodes + kTask - 1) / kTask;
    lists.resize(num_tasks);
    std::vector<int32_t> degree(num_nodes);
    std::vector<int32_t> coincident(num_tasks, std::numeric_limits<int32_t>::max());
    std::atomic<int64_t> total{0};

    parallel_for(num_tasks, num_threads, [&](int64_t task) {
      const Cell<D> local = box;  // a copy of its own lives in registers
      std::vector<Run> runs;
      std::vector<int32_t> row, &list = lists[task];
      double squared[kBlock];
      int64_t cell_before = -1;
      list.reserve(kTask * 48);
      for (int64_t p = task * kTask; p < std::min(num_nodes, (task + 1) * kTask); ++p) {
        if (bins.cell_of[p] != cell_before) find_runs(bins, cell_before = bins.cell_of[p], runs);
        double here[D];
        for (int b = 0; b < D; ++b) here[b] = bins.coordinate[b][p];
        int64_t n = 0, zeros = 0;
        for (const Run& run : runs) {
          if (static_cast<int64_t>(row.size()) < n + run.end - run.begin) row.resize(2 * (n + run.end - run.begin));
          for (int64_t begin = run.begin; begin < run.end; begin += kBlock) {
            const int64_t length = std::min(kBlock, run.end - begin);
            const double* there[D];
            for (int b = 0; b < D; ++b) there[b] = bins.coordinate[b].data() + begin;
            for (int64_t q = 0; q < length; ++q) {
              double d[D], shift[D];
              for (int b = 0; b < D; ++b) d[b] = here[b] - there[b][q];
              squared[q] = local.template image<kDiagonal, kTight>(d, shift);
            }
            const int32_t* name = order.data() + begin;
            for (int64_t q = 0; q < length; ++q) {  // no branch: one in eight candidates is a neighbour
              row[n] = name[q];
              n += squared[q] < threshold;
              zeros += squared[q] == 0;
            }
          }
        }
        const int32_t self = order[p];
        if (zeros > 1) coincident[task] = std::min(coincident[task], self);
        if (!self_edges) *std::find(row.begin(), row.begin() + n, self) = row[n - 1], --n;
        degree[self] = static_cast<int32_t>(n);
        if (total.fetch_add(n, std::memory_order_relaxed) + n > max_edges)
          throw std::invalid_argument("cutoff = " + text(cutoff) + " gives more than " + std::to_string(max_edges) +
                                      " edges, the most that one graph holds; use a smaller cutoff or system");
        const int64_t size = static_cast<int64_t>(list.size());
        list.resize(size + n);
        order_row(row.data(), n, list.data() + size);
      }
    });

    int64_t twin = num_nodes;  // the smallest coincident particle, whatever the order of the tasks
    for (const int32_t candidate : coincident) twin = std::min<int64_t>(twin, candidate);
    for (int64_t j = twin + 1; j < num_nodes; ++j) {
      double d[D], shift[D];
      for (int b = 0; b < D; ++b) d[b] = positions[twin * D + b] - positions[j * D + b];
      if (box.template image<kDiagonal, kTight>(d, shift) == 0)
        throw std::invalid_argument("positions[" + std::to_string(twin) + "] and positions[" + std::to_string(j) +
                                    "] are the same point of the periodic box; remove or move one of the two particles");
    }
    num_edges = total;
    row_ptr.assign(num_nodes + 1, 0);
    for (int64_t i = 0; i < num_nodes; ++i) row_ptr[i + 1] = row_ptr[i] + degree[i];
  }

  template <int D>
  void search() {
    const Cell<D> box(cell);
    for (int b = 0; b < D; ++b) tight = tight || box.heights[b] < 2 * cutoff * (1 + 1e-9);
    if (!box.diagonal) return search_with<D, false, false>(box);
    return tight ? search_with<D, true, true>(box) : search_with<D, true, false>(box);
  }

  // Calls write(k, receiver, sender, d, shift, d . d) for each edge k, d = r[receiver] - r[sender] - shift @ cell.
  template <int D, bool kDiagonal, bool kTight, class Write>
  void for_edges_with(const Write& write) const {
    const Cell<D> box(cell);
    parallel_for(static_cast<int64_t>(lists.size()), num_threads, [&](int64_t task) {
      const int32_t* sender = lists[task].data();
      for (int64_t p = task * kTask; p < std::min(num_nodes, (task + 1) * kTask); ++p) {
        const int64_t i = order[p];
        for (int64_t k = row_ptr[i]; k < row_ptr[i + 1]; ++k, ++sender) {
          const int64_t j = *sender;
          double d[D], shift[D];
          for (int b = 0; b < D; ++b) d[b] = positions[i * D + b] - positions[j * D + b];
          const double squared = box.template image<kDiagonal, kTight>(d, shift);
          write(k, i, j, d, shift, squared);
        }
      }
    });
  }

  template <int D, class Write>
  void for_edges(const Write& write) const {
    if (!Cell<D>(cell).diagonal) return for_edges_with<D, false, false>(write);
    return tight ? for_edges_with<D, true, true>(write) : for_edges_with<D, true, false>(write);
  }

  template <int D>
  void fill_graph(int32_t* senders, int32_t* receivers, float* vectors) const {
    for_edges<D>([=](int64_t k, int64_t i, int64_t j, const double* d, const double*, double) {
      senders[k] = static_cast<int32_t>(j);
      receivers[k] = static_cast<int32_t>(i);
      for (int b = 0; b < D; ++b) vectors[k * D + b] = static_cast<float>(d[b]);
    });
  }

  template <int D>
  void fill_pairs(int64_t* first, int64_t* second, double* vectors, double* distances, int64_t* shifts) const {
    for_edges<D>([=](int64_t k, int64_t i, int64_t j, const double* d, const double* shift, double squared) {
      if (first) first[k] = i;
      if (second) second[k] = j;
      if (distances) distances[k] = std::sqrt(squared);
      for (int b = 0; b < D; ++b) {
        if (vectors) vectors[k * D + b] = 0.0 - d[b];  // no negative zeros
        if (shifts) shifts[k * D + b] = static_cast<int64_t>(shift[b]);
      }
    });
  }
};

NeighborSearch::NeighborSearch(const double* positions, int64_t num_nodes, int dimensions, const double* cell,
                               double cutoff, bool self_edges, int64_t max_edges, int num_threads)
    : state_(std::make_unique<State>()) {
  if (dimensions != 2 && dimensions != 3)
    throw std::invalid_argument("positions have " + std::to_string(dimensions) + " dimensions; give 2 or 3");
  if (num_nodes > std::numeric_limits<int32_t>::max() || max_edges > std::numeric_limits<int32_t>::max())
    throw std::invalid_argument("positions hold " + std::to_string(num_nodes) +
                                " particles, more than int32 counts; use a smaller system");
  if (!(cutoff > 0) || !std::isfinite(cutoff))
    throw std::invalid_argument("cutoff = " + text(cutoff) + " must be positive and finite");
  State& s = *state_;
  s.positions = positions;
  s.cell = cell;
  s.num_nodes = num_nodes;
  s.dimensions = dimensions;
  s.cutoff = cutoff;
  s.threshold = squared_threshold(cutoff);
  s.self_edges = self_edges;
  s.max_edges = max_edges;
  s.num_threads = num_threads;
  dimensions == 2 ? s.search<2>() : s.search<3>();
}

NeighborSearch::~NeighborSearch() = default;

int64_t NeighborSearch::num_edges() const { return state_->num_edges; }

void NeighborSearch::fill_graph(int32_t* senders, int32_t* receivers, int32_t* row_ptr, int32_t* reverse,
                                float* vectors) const {
  const State& s = *state_;
  s.dimensions == 2 ? s.fill_graph<2>(senders, receivers, vectors) : s.fill_graph<3>(senders, receivers, vectors);
  std::copy(s.row_ptr.begin(), s.row_ptr.end(), row_ptr);
  // Rows are ordered by sender. Walking the receivers upwards therefore meets the edges that leave a node in the
  // order of that node's own row, whose next entry is the opposite edge.
  std::vector<int32_t> cursor(s.row_ptr.begin(), s.row_ptr.end() - 1);
  for (int64_t k = 0; k < s.num_edges; ++k) reverse[k] = cursor[senders[k]]++;
}

void NeighborSearch::fill_pairs(int64_t* first, int64_t* second, double* vectors, double* distances,
                                int64_t* shifts) const {
  const State& s = *state_;
  s.dimensions == 2 ? s.fill_pairs<2>(first, second, vectors, distances, shifts)
                    : s.fill_pairs<3>(first, second, vectors, distances, shifts);
}

}  // namespace botan_fast
