// The neighbour list: searches the cells of a grid in float32, decides in float64, and fills what is asked for.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "botan_fast.h"
#include "cpu/geometry/cell_grid.h"
#include "cpu/geometry/neighbor_kernels.h"
#include "cpu/runtime/text.h"
#include "cpu/runtime/thread_pool.h"
#include "periodic.h"

namespace botan_fast {

namespace {

constexpr int64_t kTask = 128;         // particles of one task, about
constexpr int64_t kAhead = 8;          // rows whose pointers are asked for early
constexpr int64_t kRowsAhead = 4;      // rows that are asked for before they are written
constexpr int64_t kCursorsAhead = 48;  // edges whose cursors are asked for early
constexpr int64_t kMaxCursors = 8;     // tables of next edges; see fill_reverse
constexpr int64_t kCursorTask = 4096;  // receivers of one task

// Memory for rows whose number is not known in advance.
class Arena {
 public:
  explicit Arena(int64_t block) : block_(block) {}

  // Room for n numbers, of which keep() takes the first ones.
  int32_t* room(int64_t n) {
    if (left_ < n) {
      left_ = std::max(n, block_);
      blocks_.emplace_back(left_);
      next_ = blocks_.back().get();
    }
    return next_;
  }
  void keep(int64_t n) { next_ += n, left_ -= n; }

 private:
  int64_t block_, left_ = 0;
  int32_t* next_ = nullptr;
  std::vector<Pooled<int32_t>> blocks_;
};

// Asks for the cache lines of an array that will be written soon.
template <class T>
void prefetch(T* begin, T* end) {
  const auto line = [](T* p) { return reinterpret_cast<uintptr_t>(p) & ~uintptr_t{63}; };
  for (uintptr_t p = line(begin); p < reinterpret_cast<uintptr_t>(end); p += 64)
    __builtin_prefetch(reinterpret_cast<void*>(p), 1);
}

// Orders places by index.
void sort_row(const int32_t* indices, const int32_t* places, int64_t n, int32_t* out) {
  std::vector<std::pair<int32_t, int32_t>> row(n);
  for (int64_t a = 0; a < n; ++a) row[a] = {indices[a], places[a]};
  std::sort(row.begin(), row.end());
  for (int64_t a = 0; a < n; ++a) out[a] = row[a].second;
}

}  // namespace

// ---- search and fill -----------------------------------------------------------------------------------------

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
  Pooled<int32_t> order;        // indices of the particles in cell order
  Pooled<Place> places;         // their positions
  Pooled<const int32_t*> rows;  // for each place the places of its neighbours, ordered by index
  Pooled<int32_t> row_ptr;
  std::vector<Arena> arenas;

  // The sender's image as the definition has it. Returns d . d.
  template <int D, bool kDiagonal, bool kTight>
  static double difference(const Cell<D>& box, const Place& receiver, const Place& sender, double (&d)[D],
                           double (&shift)[D]) {
    for (int b = 0; b < D; ++b) d[b] = receiver.at[b] - sender.at[b];
    return box.template image<kDiagonal, kTight>(d, shift);
  }

  template <int D, bool kDiagonal, bool kTight>
  void search_with(const Cell<D>& box) {
    CellGrid<D> grid(box, positions, num_nodes, cutoff, num_threads);
    const NeighborKernels& kernels = neighbor_kernels();
    const int64_t cells_per_task = std::max<int64_t>(1, kTask * grid.num_cells() / std::max<int64_t>(1, num_nodes));
    const int64_t num_tasks = (grid.num_cells() + cells_per_task - 1) / cells_per_task;
    const int64_t num_workers = std::min<int64_t>(num_threads, num_tasks);
    // Some 64 edges for each particle, or blocks of 2 MB one after another.
    const int64_t block = std::clamp<int64_t>(num_nodes * 64 / num_workers, 1 << 10, 1 << 19);
    for (int64_t worker = 0; worker < num_workers; ++worker) arenas.emplace_back(block);
    rows = Pooled<const int32_t*>(num_nodes);
    row_ptr = Pooled<int32_t>(num_nodes + 1);
    row_ptr[0] = 0;
    std::atomic<int64_t> next_task{0}, total{0};
    std::atomic<int32_t> coincident{std::numeric_limits<int32_t>::max()};  // the smallest such particle

    parallel_for(num_workers, num_threads, [&](int64_t worker) {
      Arena& arena = arenas[worker];
      RowSearch search;
      grid.prepare(search);
      std::vector<Run> runs;
      std::vector<int32_t> indices, near, unsure;
      for (int64_t task; (task = next_task.fetch_add(1, std::memory_order_relaxed)) < num_tasks;) {
        int64_t found = 0;
        for (int64_t c = task * cells_per_task; c < std::min(grid.num_cells(), (task + 1) * cells_per_task); ++c) {
          if (grid.begin(c) == grid.begin(c + 1)) continue;
          grid.find_runs(c, runs);
          int64_t most = kSearchPadding;
          for (const Run& run : runs) most += run.end - run.begin;
          if (static_cast<int64_t>(indices.size()) < most) indices.resize(most), near.resize(most), unsure.resize(most);
          search.runs = runs.data(), search.num_runs = static_cast<int64_t>(runs.size());
          search.indices = indices.data(), search.places = near.data(), search.unsure = unsure.data();
          for (int64_t p = grid.begin(c); p < grid.begin(c + 1); ++p) {
            search.particle = p;
            // Random memory, to be here when the row is known: what the next row reads would wait for this store.
            __builtin_prefetch(row_ptr.get() + grid.order[p] + 1, 1);
            int64_t n = 0;
            if (grid.has_bounds()) {
              n = kernels.search_row(search);
            } else {
              search.num_unsure = 0;
              for (const Run& run : runs)
                for (int32_t q = run.begin; q < run.end; ++q) unsure[search.num_unsure++] = q;
            }
            for (int64_t u = 0; u < search.num_unsure; ++u) {
              const int32_t q = unsure[u];
              bool edge = self_edges;
              if (q != p) {
                double d[D], shift[D];
                const double squared = difference<D, kDiagonal, kTight>(box, grid.places[p], grid.places[q], d, shift);
                edge = squared < threshold;
                if (squared == 0) lower(coincident, grid.order[p]);
              }
              indices[n] = grid.order[q], near[n] = q, n += edge;
            }
            int32_t* row = arena.room(n);
            arena.keep(n);
            (n <= kRankLimit ? kernels.order_row : sort_row)(indices.data(), near.data(), n, row);
            rows[p] = row;
            row_ptr[grid.order[p] + 1] = static_cast<int32_t>(n);
            found += n;
          }
        }
        if (total.fetch_add(found, std::memory_order_relaxed) + found > max_edges)
          throw std::invalid_argument("cutoff = " + shortest_text(cutoff) + " gives more than " +
                                      std::to_string(max_edges) +
                                      " edges, the most that one graph holds; use a smaller cutoff or system");
      }
    });
    refuse_twins<D, kDiagonal, kTight>(box, coincident);
    num_edges = total;
    for (int64_t i = 0; i < num_nodes; ++i) row_ptr[i + 1] += row_ptr[i];
    order = std::move(grid.order);
    places = std::move(grid.places);
  }

  static void lower(std::atomic<int32_t>& smallest, int32_t value) {
    int32_t before = smallest;
    while (value < before && !smallest.compare_exchange_weak(before, value)) {
    }
  }

  // Names the particle at the same point as particle `twin`; beyond all particles there is none.
  template <int D, bool kDiagonal, bool kTight>
  void refuse_twins(const Cell<D>& box, int64_t twin) const {
    for (int64_t j = twin + 1; j < num_nodes; ++j) {
      double d[D], shift[D];
      for (int b = 0; b < D; ++b) d[b] = positions[twin * D + b] - positions[j * D + b];
      if (box.template image<kDiagonal, kTight>(d, shift) == 0)
        throw std::invalid_argument("positions[" + std::to_string(twin) + "] and positions[" + std::to_string(j) +
                                    "] are the same point of the periodic box; remove or move one of the two "
                                    "particles");
    }
  }

  template <int D>
  void search() {
    const Cell<D> box(cell);
    tight = is_tight(box, cutoff);
    if (!box.diagonal) return search_with<D, false, false>(box);
    return tight ? search_with<D, true, true>(box) : search_with<D, true, false>(box);
  }

  // Calls row(p, i, k): the row of the particle at place p, of index i, whose first edge is k. Particles that are near
  // each other come one after another, so what is read stays in the cache; where they write may lie anywhere, so those
  // lines are asked for some rows ahead, by ahead(first edge, last edge).
  template <class Row, class Ahead>
  void for_rows(const Row& row, const Ahead& ahead) const {
    parallel_for((num_nodes + kTask - 1) / kTask, num_threads, [&](int64_t task) {
      const int64_t end = std::min(num_nodes, (task + 1) * kTask);
      for (int64_t p = task * kTask; p < end; ++p) {
        if (p + kAhead < num_nodes) __builtin_prefetch(row_ptr.get() + order[p + kAhead]);
        if (p + kRowsAhead < end) {
          const int32_t* soon = row_ptr.get() + order[p + kRowsAhead];
          ahead(int64_t{soon[0]}, int64_t{soon[1]});
        }
        row(p, int64_t{order[p]}, int64_t{row_ptr[order[p]]});
      }
    });
  }

  // Calls write(k, receiver, sender, d, shift, d . d) for each edge k, d = r[receiver] - r[sender] - shift @ cell.
  template <int D, bool kDiagonal, bool kTight, class Write>
  void for_edges_with(const Write& write) const {
    const Cell<D> box(cell);
    for_rows(
        [&](int64_t p, int64_t i, int64_t k) {
          const Cell<D> local = box;  // a copy of its own lives in registers
          for (const int32_t* q = rows[p]; k < row_ptr[i + 1]; ++k, ++q) {
            double d[D], shift[D];
            const double squared = difference<D, kDiagonal, kTight>(local, places[p], places[*q], d, shift);
            write(k, i, int64_t{order[*q]}, d, shift, squared);
          }
        },
        [](int64_t, int64_t) {});
  }

  template <int D, class Write>
  void for_edges(const Write& write) const {
    if (!Cell<D>(cell).diagonal) return for_edges_with<D, false, false>(write);
    return tight ? for_edges_with<D, true, true>(write) : for_edges_with<D, true, false>(write);
  }

  // Senders and vectors.
  template <int D>
  void fill_rows(int32_t* senders, float* vectors) const {
    const Cell<D> box(cell);
    if (!box.diagonal || tight)
      return for_edges<D>([=](int64_t k, int64_t, int64_t j, const double* d, const double*, double) {
        senders[k] = static_cast<int32_t>(j);
        for (int b = 0; b < D; ++b) vectors[k * D + b] = static_cast<float>(d[b]);
      });
    RowFill fill{places.get(), order.get(), {}, {}};
    for (int b = 0; b < D; ++b) fill.lengths.at[b] = box.rows[b][b], fill.inverse.at[b] = box.inverse[b][b];
    const auto fill_row = D == 2 ? neighbor_kernels().fill_row_2d : neighbor_kernels().fill_row_3d;
    for_rows([&](int64_t p, int64_t i,
                 int64_t k) { fill_row(fill, p, rows[p], row_ptr[i + 1] - k, senders + k, vectors + k * D); },
             [=](int64_t begin, int64_t end) {
               prefetch(senders + begin, senders + end);
               prefetch(vectors + begin * D, vectors + end * D);
             });
  }

  // Rows are ordered by sender. Walking the receivers upwards therefore meets the edges that leave a node in the order
  // of that node's own row, whose next entry is the opposite edge. A walk that starts at a later receiver starts each
  // row at its first sender from there on. The receivers are written on the way: here rows come in the order of memory.
  void fill_reverse(const int32_t* senders, int32_t* receivers, int32_t* reverse) const {
    const int64_t parts = num_edges < 1 << 15 ? 1 : std::min<int64_t>(num_threads, kMaxCursors);
    int64_t begin[kMaxCursors + 1];  // receivers
    for (int64_t part = 0; part <= parts; ++part) {
      const int32_t edge = static_cast<int32_t>(part_begin(num_edges, parts, part));
      begin[part] = std::lower_bound(row_ptr.get(), row_ptr.get() + num_nodes, edge) - row_ptr.get();
    }
    begin[0] = 0, begin[parts] = num_nodes;
    Pooled<int32_t> cursors(parts * num_nodes);
    parallel_for((num_nodes + kCursorTask - 1) / kCursorTask, num_threads, [&](int64_t task) {
      for (int64_t i = task * kCursorTask; i < std::min(num_nodes, (task + 1) * kCursorTask); ++i) {
        cursors[i] = row_ptr[i];
        for (int64_t part = 1; part < parts; ++part)
          cursors[part * num_nodes + i] = static_cast<int32_t>(
              std::lower_bound(senders + row_ptr[i], senders + row_ptr[i + 1], begin[part]) - senders);
      }
    });
    parallel_for(parts, num_threads, [&](int64_t part) {
      int32_t* cursor = cursors.get() + part * num_nodes;
      int64_t k = row_ptr[begin[part]];
      const int64_t last = std::max<int64_t>(k, row_ptr[begin[part + 1]] - kCursorsAhead);
      for (int64_t i = begin[part]; i < begin[part + 1]; ++i)
        for (const int64_t end = row_ptr[i + 1]; k < end; ++k) {
          __builtin_prefetch(cursor + senders[k < last ? k + kCursorsAhead : k], 1);
          receivers[k] = static_cast<int32_t>(i);
          reverse[k] = cursor[senders[k]]++;
        }
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

// ---- the interface -------------------------------------------------------------------------------------------

NeighborSearch::NeighborSearch(const double* positions, int64_t num_nodes, int dimensions, const double* cell,
                               double cutoff, bool self_edges, int64_t max_edges, int num_threads)
    : state_(std::make_unique<State>()) {
  if (dimensions != 2 && dimensions != 3)
    throw std::invalid_argument("positions have " + std::to_string(dimensions) + " dimensions; give 2 or 3");
  if (num_nodes > std::numeric_limits<int32_t>::max() || max_edges > std::numeric_limits<int32_t>::max())
    throw std::invalid_argument("positions hold " + std::to_string(num_nodes) +
                                " particles, more than int32 counts; use a smaller system");
  if (!(cutoff > 0) || !std::isfinite(cutoff))
    throw std::invalid_argument("cutoff = " + shortest_text(cutoff) + " must be positive and finite");
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
  s.dimensions == 2 ? s.fill_rows<2>(senders, vectors) : s.fill_rows<3>(senders, vectors);
  std::copy(s.row_ptr.get(), s.row_ptr.get() + s.num_nodes + 1, row_ptr);
  s.fill_reverse(senders, receivers, reverse);
}

void NeighborSearch::fill_pairs(int64_t* first, int64_t* second, double* vectors, double* distances,
                                int64_t* shifts) const {
  const State& s = *state_;
  s.dimensions == 2 ? s.fill_pairs<2>(first, second, vectors, distances, shifts)
                    : s.fill_pairs<3>(first, second, vectors, distances, shifts);
}

}  // namespace botan_fast
