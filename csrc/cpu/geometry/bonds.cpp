// How many bonds of each particle survive.
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "botan_fast.h"
#include "cpu/runtime/thread_pool.h"

namespace botan_fast {
namespace {

constexpr int64_t kNodes = 128;  // particles of one task

template <int D, class T>
void count_bonds(const double* initial, const T* trajectories, int64_t num_runs, int64_t num_nodes,
                 const int64_t* row_ptr, const int64_t* neighbors, const double* bonds, const double* limits,
                 int32_t* kept, int num_threads) {
  const int64_t num_parts = (num_nodes + kNodes - 1) / kNodes;
  parallel_for(num_parts * num_runs, num_threads, [&](int64_t task) {
    const int64_t run = task / num_parts, part = task % num_parts;
    const T* frame = trajectories + run * num_nodes * D;
    for (int64_t i = part * kNodes; i < std::min(num_nodes, (part + 1) * kNodes); ++i) {
      double moved[D];
      for (int b = 0; b < D; ++b) moved[b] = static_cast<double>(frame[i * D + b]) - initial[i * D + b];
      int32_t count = 0;
      for (int64_t k = row_ptr[i]; k < row_ptr[i + 1]; ++k) {
        const int64_t j = neighbors[k];
        double squared = 0;
        for (int b = 0; b < D; ++b) {
          // Both directions of a pair round alike: the difference of displacements is odd, and so is the bond.
          const double other = static_cast<double>(frame[j * D + b]) - initial[j * D + b];
          const double d = bonds[k * D + b] + (other - moved[b]);
          squared += d * d;
        }
        count += std::sqrt(squared) < limits[k];
      }
      kept[run * num_nodes + i] = count;
    }
  });
}

}  // namespace

template <class T>
void surviving_bonds(const double* initial_positions, const T* trajectories, int64_t num_runs, int64_t num_nodes,
                     int dimensions, const int64_t* row_ptr, const int64_t* neighbors, const double* bonds,
                     const double* limits, int32_t* kept, int num_threads) {
  if (dimensions != 2 && dimensions != 3)
    throw std::invalid_argument("positions have " + std::to_string(dimensions) + " dimensions; give 2 or 3");
  (dimensions == 2 ? count_bonds<2, T> : count_bonds<3, T>)(initial_positions, trajectories, num_runs, num_nodes,
                                                            row_ptr, neighbors, bonds, limits, kept, num_threads);
}

template void surviving_bonds<float>(const double*, const float*, int64_t, int64_t, int, const int64_t*, const int64_t*,
                                     const double*, const double*, int32_t*, int);
template void surviving_bonds<double>(const double*, const double*, int64_t, int64_t, int, const int64_t*,
                                      const int64_t*, const double*, const double*, int32_t*, int);

}  // namespace botan_fast
