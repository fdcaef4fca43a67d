// Isoconfigurational targets on the device, with the bits of the CPU: one thread per particle and one per edge walk the
// runs in their order and add in float64. Runs may come in parts; the sums are the state between them. The files of
// this folder are compiled with -fmad=false.
#include <cfloat>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "cuda/runtime/launch.cuh"
#include "periodic.h"

namespace botan_fast::cuda {
namespace {

constexpr int kThreads = 256;

// ---- kernels ------------------------------------------------------------------------------------------------

// node_sum[i] += |r_i(t) - r_i(0)| for each run.
template <int D, class T>
__global__ void __launch_bounds__(kThreads)
    node_sums_kernel(const double* initial, int64_t num_nodes, const T* trajectories, int64_t num_runs, bool first,
                     double* node_sum, int32_t* status) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= num_nodes) return;
  double start[D], sum = first ? 0.0 : node_sum[i];
  bool finite = true;
#pragma unroll
  for (int b = 0; b < D; ++b) {
    start[b] = initial[i * D + b];
    finite = finite && fabs(start[b]) <= DBL_MAX;
  }
#pragma unroll 4
  for (int64_t run = 0; run < num_runs; ++run) {
    const T* position = trajectories + (run * num_nodes + i) * D;
    double squared = 0;
#pragma unroll
    for (int b = 0; b < D; ++b) {
      const double x = static_cast<double>(position[b]), moved = x - start[b];
      finite = finite && fabs(x) <= DBL_MAX;
      squared += moved * moved;
    }
    sum += sqrt(squared);
  }
  node_sum[i] = sum;
  if (!finite) atomicOr(&status[0], 1);
}

template <int D, class T, bool kDiagonal>
__device__ __forceinline__ double add_distances(const Cell<D>& cell, double safe_squared, const T* trajectories,
                                                int64_t num_runs, int64_t num_nodes, int64_t i, int64_t j, double sum) {
#pragma unroll 4
  for (int64_t run = 0; run < num_runs; ++run) {
    const T* frame = trajectories + run * num_nodes * D;
    double here[D], there[D];
#pragma unroll
    for (int b = 0; b < D; ++b) {
      here[b] = static_cast<double>(frame[i * D + b]);
      there[b] = static_cast<double>(frame[j * D + b]);
    }
    sum += cell.template image_distance<kDiagonal>(safe_squared, here, there, 1);
  }
  return sum;
}

// edge_sum[k] += |r_ij(t)| for each run; of the two directions of a pair the one with the smaller sender.
template <int D, class T>
__global__ void __launch_bounds__(kThreads)
    edge_sums_kernel(Cell<D> cell, double safe_squared, int64_t num_nodes, const int32_t* senders,
                     const int32_t* receivers, int64_t num_edges, const T* trajectories, int64_t num_runs, bool first,
                     double* edge_sum) {
  const int64_t k = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (k >= num_edges) return;
  const int64_t i = receivers[k], j = senders[k];
  if (j >= i) return;
  const double sum = first ? 0.0 : edge_sum[k];
  edge_sum[k] = cell.diagonal
                    ? add_distances<D, T, true>(cell, safe_squared, trajectories, num_runs, num_nodes, i, j, sum)
                    : add_distances<D, T, false>(cell, safe_squared, trajectories, num_runs, num_nodes, i, j, sum);
}

__global__ void __launch_bounds__(kThreads)
    finish_nodes_kernel(int64_t num_nodes, double num_runs, const double* node_sum, float* propensity) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < num_nodes) propensity[i] = static_cast<float>(node_sum[i] / num_runs);
}

template <int D>
__global__ void __launch_bounds__(kThreads)
    finish_edges_kernel(Cell<D> cell, double safe_squared, const double* initial, const int32_t* senders,
                        const int32_t* receivers, const int32_t* reverse, const float* vectors, int64_t num_edges,
                        double num_runs, const double* edge_sum, float* pair_change, int32_t* status) {
  const int64_t k = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (k >= num_edges) return;
  const int64_t i = receivers[k], j = senders[k];
  if (j > i) return;
  double squared = 0;
#pragma unroll
  for (int b = 0; b < D; ++b) squared += static_cast<double>(vectors[k * D + b]) * vectors[k * D + b];
  const double* here = initial + i * D;
  const double* there = initial + j * D;
  const double before = cell.diagonal ? cell.template image_distance<true>(safe_squared, here, there, 1)
                                      : cell.template image_distance<false>(safe_squared, here, there, 1);
  if (!(fabs(before - sqrt(squared)) < 1e-4)) atomicOr(&status[1], 1);
  const float change = j == i ? 0.0f : static_cast<float>(edge_sum[k] / num_runs - before);
  pair_change[k] = change;
  pair_change[reverse[k]] = change;
}

// ---- launches -----------------------------------------------------------------------------------------------

dim3 grid_of(int64_t number) { return dim3(static_cast<unsigned>(ceil_div<int64_t>(number, kThreads))); }

void check_dimensions(const TargetInput& in) {
  if (in.dimensions != 2 && in.dimensions != 3)
    throw std::invalid_argument("targets: dimensions = " + std::to_string(in.dimensions) + "; give 2 or 3");
}

template <int D, class T>
void accumulate(Stream stream, const TargetInput& in, const T* trajectories, int64_t num_runs, bool first,
                double* node_sum, double* edge_sum, int32_t* status) {
  const Cell<D> cell(in.cell);
  const double safe = safe_length(cell);
  const DeviceGuard guard(stream);
  if (in.num_nodes)
    launch("targets node_sums", node_sums_kernel<D, T>, grid_of(in.num_nodes), kThreads, 0, stream,
           in.initial_positions, in.num_nodes, trajectories, num_runs, first, node_sum, status);
  if (in.num_edges)
    launch("targets edge_sums", edge_sums_kernel<D, T>, grid_of(in.num_edges), kThreads, 0, stream, cell, safe * safe,
           in.num_nodes, in.senders, in.receivers, in.num_edges, trajectories, num_runs, first, edge_sum);
}

template <int D>
void finish(Stream stream, const TargetInput& in, int64_t num_runs, const double* node_sum, const double* edge_sum,
            float* propensity, float* pair_change, int32_t* status) {
  const Cell<D> cell(in.cell);
  const double safe = safe_length(cell), runs = static_cast<double>(num_runs);
  const DeviceGuard guard(stream);
  if (in.num_nodes)
    launch("targets finish_nodes", finish_nodes_kernel, grid_of(in.num_nodes), kThreads, 0, stream, in.num_nodes, runs,
           node_sum, propensity);
  if (in.num_edges)
    launch("targets finish_edges", finish_edges_kernel<D>, grid_of(in.num_edges), kThreads, 0, stream, cell,
           safe * safe, in.initial_positions, in.senders, in.receivers, in.reverse, in.vectors, in.num_edges, runs,
           edge_sum, pair_change, status);
}

}  // namespace

template <class T>
void targets_accumulate(Stream stream, const TargetInput& in, const T* trajectories, int64_t num_runs, bool first,
                        double* node_sum, double* edge_sum, int32_t* status) {
  check_dimensions(in);
  in.dimensions == 2 ? accumulate<2, T>(stream, in, trajectories, num_runs, first, node_sum, edge_sum, status)
                     : accumulate<3, T>(stream, in, trajectories, num_runs, first, node_sum, edge_sum, status);
}

void targets_finish(Stream stream, const TargetInput& in, int64_t num_runs, const double* node_sum,
                    const double* edge_sum, float* propensity, float* pair_change, int32_t* status) {
  check_dimensions(in);
  if (num_runs < 1)
    throw std::invalid_argument("targets: num_runs = " + std::to_string(num_runs) + "; give at least 1");
  in.dimensions == 2 ? finish<2>(stream, in, num_runs, node_sum, edge_sum, propensity, pair_change, status)
                     : finish<3>(stream, in, num_runs, node_sum, edge_sum, propensity, pair_change, status);
}

template void targets_accumulate<float>(Stream, const TargetInput&, const float*, int64_t, bool, double*, double*,
                                        int32_t*);
template void targets_accumulate<double>(Stream, const TargetInput&, const double*, int64_t, bool, double*, double*,
                                         int32_t*);

}  // namespace botan_fast::cuda
