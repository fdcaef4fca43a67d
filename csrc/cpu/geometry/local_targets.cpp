// Targets that compare the displacement of a particle with those of its neighbours.
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "botan_fast.h"
#include "cpu/geometry/mismatch.h"
#include "cpu/runtime/text.h"
#include "cpu/runtime/thread_pool.h"
#include "periodic.h"

namespace botan_fast {
namespace {

constexpr int kRuns = 8;         // runs side by side in memory, so that the compiler vectorises over them
constexpr int64_t kNodes = 128;  // receivers of one task

// Bonds this close to a common line or plane (ratio of the squared singular values) do not determine the gradient
// across it: the noise would be amplified a thousandfold.
constexpr double kRankTolerance = 1e-6;

// ---- neighbourhoods at time 0 --------------------------------------------------------------------------------

// Pseudo-inverse of a symmetric positive semidefinite matrix by cyclic Jacobi rotations: tiny, and without a branch
// that depends on anything but the numbers.
template <int D>
void pseudo_inverse(const double (&matrix)[D][D], double* out) {
  double a[D][D], v[D][D];
  for (int i = 0; i < D; ++i)
    for (int j = 0; j < D; ++j) a[i][j] = matrix[i][j], v[i][j] = i == j;
  for (int sweep = 0; sweep < 30; ++sweep) {
    double off = 0, all = 0;
    for (int i = 0; i < D; ++i)
      for (int j = 0; j < D; ++j) {
        all += a[i][j] * a[i][j];
        if (i != j) off += a[i][j] * a[i][j];
      }
    if (!(off > 1e-32 * all)) break;
    for (int p = 0; p < D; ++p)
      for (int q = p + 1; q < D; ++q) {
        if (a[p][q] == 0) continue;
        const double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        const double t = (theta < 0 ? -1.0 : 1.0) / (std::fabs(theta) + std::sqrt(theta * theta + 1));
        const double c = 1 / std::sqrt(t * t + 1), s = t * c;
        for (int k = 0; k < D; ++k) {
          const double kp = a[k][p], kq = a[k][q];
          a[k][p] = c * kp - s * kq, a[k][q] = s * kp + c * kq;
        }
        for (int k = 0; k < D; ++k) {
          const double pk = a[p][k], qk = a[q][k];
          a[p][k] = c * pk - s * qk, a[q][k] = s * pk + c * qk;
          const double kp = v[k][p], kq = v[k][q];
          v[k][p] = c * kp - s * kq, v[k][q] = s * kp + c * kq;
        }
      }
  }
  double largest = 0;
  for (int k = 0; k < D; ++k) largest = std::max(largest, a[k][k]);
  std::fill(out, out + D * D, 0.0);
  for (int k = 0; k < D; ++k)
    if (a[k][k] > kRankTolerance * largest)
      for (int i = 0; i < D; ++i)
        for (int j = 0; j < D; ++j) out[i * D + j] += v[i][k] * v[j][k] / a[k][k];
}

// The neighbours of each particle within the two radii, packed at the start of its row of the graph.
template <int D>
struct Neighborhoods {
  std::vector<int32_t> shell, shell_count;  // within `radius`
  std::vector<int32_t> fit, fit_count;      // within `strain_radius`
  std::vector<double> bonds;                // (E, D) r_j(0) - r_i(0) of `fit`
  std::vector<double> inverse;              // (N, D, D) pseudo-inverse of the sum of bond (x) bond
};

template <int D>
Neighborhoods<D> neighborhoods(const Cell<D>& box, const double* initial, int64_t num_nodes, const int32_t* senders,
                               const int32_t* row_ptr, const float* vectors, double radius, double strain_radius,
                               bool with_shell, bool with_fit, int num_threads) {
  const int64_t num_edges = row_ptr[num_nodes], num_tasks = (num_nodes + kNodes - 1) / kNodes;
  Neighborhoods<D> all;
  if (with_shell) all.shell.resize(num_edges), all.shell_count.resize(num_nodes);
  if (with_fit) {
    all.fit.resize(num_edges), all.fit_count.resize(num_nodes);
    all.bonds.resize(num_edges * D), all.inverse.resize(num_nodes * D * D);
  }
  Mismatches mismatches(num_tasks);
  parallel_for(num_tasks, num_threads, [&](int64_t task) {
    for (int64_t i = task * kNodes; i < std::min(num_nodes, (task + 1) * kNodes); ++i) {
      int32_t num_shell = 0, num_fit = 0;
      double gram[D][D] = {};
      for (int64_t k = row_ptr[i]; k < row_ptr[i + 1]; ++k) {
        const int64_t j = senders[k];
        if (j == i) continue;
        // The graph knows the image to float32; the float64 difference is moved to that image, in any cell.
        double bond[D], excess[D], shift[D];
        for (int b = 0; b < D; ++b) {
          bond[b] = initial[j * D + b] - initial[i * D + b];
          excess[b] = bond[b] + static_cast<double>(vectors[k * D + b]);
        }
        const double error = std::sqrt(box.template image<false>(excess, shift));
        if (!(error < kMismatch))
          mismatches.note(
              task, [&] { return "the vector of edge " + std::to_string(k) + " differs by " + text_of(error, 3); });
        double squared = 0;
        for (int b = 0; b < D; ++b) {
          for (int a = 0; a < D; ++a) bond[b] -= shift[a] * box.rows[a][b];
          squared += bond[b] * bond[b];
        }
        const double distance = std::sqrt(squared);
        if (with_shell && distance < radius) all.shell[row_ptr[i] + num_shell++] = static_cast<int32_t>(j);
        if (with_fit && distance < strain_radius) {
          const int64_t slot = row_ptr[i] + num_fit++;
          all.fit[slot] = static_cast<int32_t>(j);
          for (int a = 0; a < D; ++a) {
            all.bonds[slot * D + a] = bond[a];
            for (int b = 0; b < D; ++b) gram[a][b] += bond[a] * bond[b];
          }
        }
      }
      if (with_shell) all.shell_count[i] = num_shell;
      if (with_fit) {
        all.fit_count[i] = num_fit;
        pseudo_inverse<D>(gram, all.inverse.data() + i * D * D);
      }
    }
  });
  mismatches.refuse();
  return all;
}

// ---- one block of runs ---------------------------------------------------------------------------------------

// u_i - U_i and U_i, where U_i is the mean displacement of the neighbours (u_i itself without any).
template <int D>
void cage(const double* block, const Neighborhoods<D>& near, const int32_t* row_ptr, int64_t i,
          double (&mean)[D][kRuns], double (&relative)[kRuns], double (&local)[kRuns]) {
  const double* mine = block + i * D * kRuns;
  const int32_t count = near.shell_count[i];
  for (int b = 0; b < D; ++b)
    for (int run = 0; run < kRuns; ++run) mean[b][run] = count ? 0.0 : mine[b * kRuns + run];
  for (int32_t m = 0; m < count; ++m) {
    const double* other = block + static_cast<int64_t>(near.shell[row_ptr[i] + m]) * D * kRuns;
    for (int b = 0; b < D; ++b)
      for (int run = 0; run < kRuns; ++run) mean[b][run] += other[b * kRuns + run];
  }
  const double number = std::max(count, 1);
  for (int run = 0; run < kRuns; ++run) relative[run] = local[run] = 0;
  for (int b = 0; b < D; ++b)
    for (int run = 0; run < kRuns; ++run) {
      mean[b][run] /= number;
      const double away = mine[b * kRuns + run] - mean[b][run];
      relative[run] += away * away;
      local[run] += mean[b][run] * mean[b][run];
    }
  for (int run = 0; run < kRuns; ++run) relative[run] = std::sqrt(relative[run]), local[run] = std::sqrt(local[run]);
}

// The affine fit: what it leaves of each neighbour's motion, as the length of the mean and as the root mean square, and
// the von Mises strain of the fitted gradient.
template <int D>
void affine_fit(const double* block, const Neighborhoods<D>& near, const int32_t* row_ptr, int64_t i,
                double (&drift)[kRuns], double (&residual)[kRuns], double (&strain)[kRuns]) {
  const double* mine = block + i * D * kRuns;
  const int32_t count = near.fit_count[i];
  const double* inverse = near.inverse.data() + i * D * D;
  double moment[D][D][kRuns] = {}, gradient[D][D][kRuns] = {};
  for (int32_t m = 0; m < count; ++m) {
    const double* other = block + static_cast<int64_t>(near.fit[row_ptr[i] + m]) * D * kRuns;
    const double* bond = near.bonds.data() + (row_ptr[i] + m) * static_cast<int64_t>(D);
    for (int a = 0; a < D; ++a)
      for (int b = 0; b < D; ++b)
        for (int run = 0; run < kRuns; ++run)
          moment[a][b][run] += (other[a * kRuns + run] - mine[a * kRuns + run]) * bond[b];
  }
  for (int a = 0; a < D; ++a)
    for (int b = 0; b < D; ++b)
      for (int c = 0; c < D; ++c)
        for (int run = 0; run < kRuns; ++run) gradient[a][b][run] += moment[a][c][run] * inverse[c * D + b];

  // The residual itself, not the difference of two sums of squares: an affine motion gives rounding errors only.
  double squared[kRuns] = {}, mean[D][kRuns] = {};
  for (int32_t m = 0; m < count; ++m) {
    const double* other = block + static_cast<int64_t>(near.fit[row_ptr[i] + m]) * D * kRuns;
    const double* bond = near.bonds.data() + (row_ptr[i] + m) * static_cast<int64_t>(D);
    for (int a = 0; a < D; ++a)
      for (int run = 0; run < kRuns; ++run) {
        double rest = other[a * kRuns + run] - mine[a * kRuns + run];
        for (int b = 0; b < D; ++b) rest -= gradient[a][b][run] * bond[b];
        squared[run] += rest * rest;
        mean[a][run] += rest;
      }
  }
  const double number = std::max(count, 1);
  for (int run = 0; run < kRuns; ++run) {
    residual[run] = std::sqrt(squared[run] / number);
    double length = 0;
    for (int a = 0; a < D; ++a) length += (mean[a][run] / number) * (mean[a][run] / number);
    drift[run] = std::sqrt(length);
    double green[D][D], trace = 0, deviatoric = 0;  // (F^T F - 1) / 2 with F = 1 + gradient
    for (int a = 0; a < D; ++a)
      for (int b = 0; b < D; ++b) {
        double sum = gradient[a][b][run] + gradient[b][a][run];
        for (int c = 0; c < D; ++c) sum += gradient[c][a][run] * gradient[c][b][run];
        green[a][b] = 0.5 * sum;
      }
    for (int a = 0; a < D; ++a) trace += green[a][a];
    for (int a = 0; a < D; ++a)
      for (int b = 0; b < D; ++b) {
        const double entry = green[a][b] - (a == b ? trace / D : 0.0);
        deviatoric += entry * entry;
      }
    strain[run] = std::sqrt(0.5 * deviatoric);
  }
}

// ---- averages over the runs ----------------------------------------------------------------------------------

template <int D, class T>
void targets(const Cell<D>& box, const double* initial, const T* trajectories, int64_t num_runs, int64_t num_nodes,
             const int32_t* senders, const int32_t* row_ptr, const float* vectors, double radius, double strain_radius,
             const LocalTargets& out, int num_threads) {
  const bool with_shell = out.relative_propensity || out.local_displacement || out.local_field;
  const bool with_fit = out.strain_relative_propensity || out.nonaffine_displacement || out.local_strain;
  const Neighborhoods<D> near = neighborhoods<D>(box, initial, num_nodes, senders, row_ptr, vectors, radius,
                                                 strain_radius, with_shell, with_fit, num_threads);
  const int64_t num_tasks = (num_nodes + kNodes - 1) / kNodes;
  const auto for_nodes = [&](const auto& body) {
    parallel_for(num_tasks, num_threads, [&](int64_t task) {
      for (int64_t i = task * kNodes; i < std::min(num_nodes, (task + 1) * kNodes); ++i) body(i);
    });
  };
  std::vector<double> sums(num_nodes * 5, 0.0);      // relative, local, drift, residual, strain
  std::vector<double> block(num_nodes * D * kRuns);  // (N, D, kRuns) displacements
  for (int64_t first = 0; first < num_runs; first += kRuns) {
    const int lanes = static_cast<int>(std::min<int64_t>(kRuns, num_runs - first));
    for_nodes([&](int64_t i) {
      for (int run = 0; run < kRuns; ++run) {
        // The last block repeats its last run in idle lanes; they are computed and not counted.
        const T* row = trajectories + ((first + std::min(run, lanes - 1)) * num_nodes + i) * D;
        for (int b = 0; b < D; ++b) block[(i * D + b) * kRuns + run] = static_cast<double>(row[b]) - initial[i * D + b];
      }
    });
    for_nodes([&](int64_t i) {
      double* sum = sums.data() + i * 5;
      double one[kRuns], other[kRuns], third[kRuns];
      if (with_shell) {
        double mean[D][kRuns];
        cage<D>(block.data(), near, row_ptr, i, mean, one, other);
        for (int run = 0; run < lanes; ++run) {
          sum[0] += one[run], sum[1] += other[run];
          if (out.local_field)
            for (int b = 0; b < D; ++b)
              out.local_field[((first + run) * num_nodes + i) * D + b] = static_cast<float>(mean[b][run]);
        }
      }
      if (with_fit) {
        affine_fit<D>(block.data(), near, row_ptr, i, one, other, third);
        for (int run = 0; run < lanes; ++run) sum[2] += one[run], sum[3] += other[run], sum[4] += third[run];
      }
    });
  }
  float* const columns[5] = {out.relative_propensity, out.local_displacement, out.strain_relative_propensity,
                             out.nonaffine_displacement, out.local_strain};
  for (int column = 0; column < 5; ++column)
    if (columns[column])
      for (int64_t i = 0; i < num_nodes; ++i)
        columns[column][i] = static_cast<float>(sums[i * 5 + column] / static_cast<double>(num_runs));
}

}  // namespace

template <class T>
void local_targets(const double* initial_positions, const T* trajectories, int64_t num_runs, int64_t num_nodes,
                   int dimensions, const double* cell, const int32_t* senders, const int32_t* row_ptr,
                   const float* vectors, double radius, double strain_radius, const LocalTargets& out,
                   int num_threads) {
  const auto run = [&](const auto& box) {
    constexpr int D = sizeof(box.heights) / sizeof(double);
    targets<D, T>(box, initial_positions, trajectories, num_runs, num_nodes, senders, row_ptr, vectors, radius,
                  strain_radius, out, num_threads);
  };
  if (num_runs < 1) throw std::invalid_argument("trajectories hold no run; give at least one");
  if (dimensions == 2) return run(Cell<2>(cell));
  if (dimensions == 3) return run(Cell<3>(cell));
  throw std::invalid_argument("positions have " + std::to_string(dimensions) + " dimensions; give 2 or 3");
}

template void local_targets<float>(const double*, const float*, int64_t, int64_t, int, const double*, const int32_t*,
                                   const int32_t*, const float*, double, double, const LocalTargets&, int);
template void local_targets<double>(const double*, const double*, int64_t, int64_t, int, const double*, const int32_t*,
                                    const int32_t*, const float*, double, double, const LocalTargets&, int);

}  // namespace botan_fast
