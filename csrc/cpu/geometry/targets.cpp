// Averages over the runs of how far particles move and how their distances change.
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "botan_fast.h"
#include "cpu/geometry/mismatch.h"
#include "cpu/geometry/neighbor_kernels.h"
#include "cpu/runtime/buffer_pool.h"
#include "cpu/runtime/text.h"
#include "cpu/runtime/thread_pool.h"
#include "periodic.h"

namespace botan_fast {
namespace {

constexpr int kRuns = kTargetRuns;
constexpr int64_t kNodes = 64;  // receivers of one task

template <int D, bool kDiagonal, class T>
void targets(const Cell<D>& box, const double* initial, const T* trajectories, int64_t num_runs, int64_t num_nodes,
             const int32_t* senders, const int32_t* row_ptr, const int32_t* reverse, const float* vectors,
             float* propensity, float* pair_change, int num_threads) {
  const int64_t num_tasks = (num_nodes + kNodes - 1) / kNodes;
  const double safe = safe_length(box);
  const auto for_nodes = [&](const auto& body) {
    parallel_for(num_tasks, num_threads, [&](int64_t task) {
      for (int64_t i = task * kNodes; i < std::min(num_nodes, (task + 1) * kNodes); ++i) body(i);
    });
  };
  const Pooled<double> node_sum(num_nodes), edge_sum(row_ptr[num_nodes]);
  const Pooled<double> block(num_nodes * D * kRuns);  // (N, D, kRuns): the runs of a coordinate lie together

  for (int64_t first = 0; first < num_runs; first += kRuns) {
    const int lanes = static_cast<int>(std::min<int64_t>(kRuns, num_runs - first));
    for_nodes([&](int64_t i) {
      double* mine = block.get() + i * D * kRuns;
      if (first == 0) std::fill(edge_sum.get() + row_ptr[i], edge_sum.get() + row_ptr[i + 1], 0.0);
      double sum = first > 0 ? node_sum[i] : 0.0;
      for (int run = 0; run < kRuns; ++run) {
        // The last block repeats its last run in idle lanes; they are computed and not counted.
        const T* row = trajectories + ((first + std::min(run, lanes - 1)) * num_nodes + i) * D;
        double squared = 0;
        for (int b = 0; b < D; ++b) {
          const double x = static_cast<double>(row[b]);
          const double moved = x - initial[i * D + b];
          mine[b * kRuns + run] = x;
          squared += moved * moved;
        }
        if (run < lanes) sum += std::sqrt(squared);
      }
      node_sum[i] = sum;
    });
    if constexpr (kDiagonal) {
      PairSums pairs{block.get(), senders, 0, 0, 0, lanes, {}, {}, edge_sum.get()};
      for (int b = 0; b < D; ++b) pairs.lengths[b] = box.rows[b][b], pairs.inverse[b] = box.inverse[b][b];
      const auto add_distances = D == 2 ? neighbor_kernels().add_distances_2d : neighbor_kernels().add_distances_3d;
      for_nodes([&](int64_t i) {
        PairSums row = pairs;
        row.receiver = i;
        row.begin = row_ptr[i];  // each pair once: from the larger index
        row.end = std::lower_bound(senders + row_ptr[i], senders + row_ptr[i + 1], i) - senders;
        add_distances(row);
      });
      continue;
    }
    for_nodes([&](int64_t i) {
      const Cell<D> local = box;
      const double* here = block.get() + i * D * kRuns;
      for (int64_t k = row_ptr[i]; k < row_ptr[i + 1] && senders[k] < i; ++k) {  // each pair once
        const double* there = block.get() + static_cast<int64_t>(senders[k]) * D * kRuns;
        double distance[kRuns], farthest = 0;
        for (int run = 0; run < kRuns; ++run) {  // vectorised over the runs
          double d[D], shift[D];
          for (int b = 0; b < D; ++b) d[b] = here[b * kRuns + run] - there[b * kRuns + run];
          distance[run] = std::sqrt(local.template image<kDiagonal>(d, shift));
        }
        for (int run = 0; run < kRuns; ++run) farthest = std::max(farthest, distance[run]);
        if (!kDiagonal && farthest > safe)
          for (int run = 0; run < kRuns; ++run)
            distance[run] = local.template image_distance<kDiagonal>(safe * safe, here + run, there + run, kRuns);
        double sum = edge_sum[k];
        for (int run = 0; run < lanes; ++run) sum += distance[run];
        edge_sum[k] = sum;
      }
    });
  }

  Mismatches mismatches(num_tasks);
  for_nodes([&](int64_t i) {
    propensity[i] = static_cast<float>(node_sum[i] / static_cast<double>(num_runs));
    for (int64_t k = row_ptr[i]; k < row_ptr[i + 1] && senders[k] <= i; ++k) {
      double squared = 0;
      for (int b = 0; b < D; ++b) squared += static_cast<double>(vectors[k * D + b]) * vectors[k * D + b];
      const double* sender = initial + static_cast<int64_t>(senders[k]) * D;
      const double before = box.template image_distance<kDiagonal>(safe * safe, initial + i * D, sender, 1);
      if (!(std::fabs(before - std::sqrt(squared)) < kMismatch))
        mismatches.note(i / kNodes, [&] {
          return "edge " + std::to_string(k) + " has length " + text_of(before, 6) + ", in the graph " +
                 text_of(std::sqrt(squared), 6);
        });
      const float change =
          senders[k] == i ? 0.0f : static_cast<float>(edge_sum[k] / static_cast<double>(num_runs) - before);
      pair_change[k] = change;
      pair_change[reverse[k]] = change;
    }
  });
  mismatches.refuse();
}

}  // namespace

template <class T>
void isoconfigurational_targets(const double* initial_positions, const T* trajectories, int64_t num_runs,
                                int64_t num_nodes, int dimensions, const double* cell, const int32_t* senders,
                                const int32_t* row_ptr, const int32_t* reverse, const float* vectors, float* propensity,
                                float* pair_change, int num_threads) {
  const auto run = [&](const auto& box, auto diagonal) {
    constexpr int D = sizeof(box.heights) / sizeof(double);
    targets<D, decltype(diagonal)::value, T>(box, initial_positions, trajectories, num_runs, num_nodes, senders,
                                             row_ptr, reverse, vectors, propensity, pair_change, num_threads);
  };
  const auto choose = [&](const auto& box) { box.diagonal ? run(box, std::true_type{}) : run(box, std::false_type{}); };
  if (num_runs < 1) throw std::invalid_argument("trajectories hold no run; give at least one");
  if (dimensions == 2) return choose(Cell<2>(cell));
  if (dimensions == 3) return choose(Cell<3>(cell));
  throw std::invalid_argument("positions have " + std::to_string(dimensions) + " dimensions; give 2 or 3");
}

template void isoconfigurational_targets<float>(const double*, const float*, int64_t, int64_t, int, const double*,
                                                const int32_t*, const int32_t*, const int32_t*, const float*, float*,
                                                float*, int);
template void isoconfigurational_targets<double>(const double*, const double*, int64_t, int64_t, int, const double*,
                                                 const int32_t*, const int32_t*, const int32_t*, const float*, float*,
                                                 float*, int);

}  // namespace botan_fast
