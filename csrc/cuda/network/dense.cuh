// Kernels over rows that message passing and multilayer perceptrons share: rows times weights, and sums over rows of
// A^T B.
#pragma once

#include "cuda/network/jobs.cuh"
#include "cuda/network/outer.cuh"

namespace botan_fast::cuda {

// ---- rows times weights -------------------------------------------------------------------------------------

// out = bias + add + sum over sources of in B, rows of H numbers; it may be a source's `in`. Where row_ptr is given,
// only its last entry counts as rows, and the rows from there to `rows` become zeros. Beside that, where copy is not
// null, copy = copied, rounded to Stored<P>.
struct LinearJob {
  static constexpr int kSources = 5;
  struct Source {
    const void* in;
    bool stored;  // in is Stored<P>, else float
    const Bits4* packed;
  } source[kSources];
  const float *bias, *add;
  void* out;  // float, or Stored<P> with out_stored; or null
  int64_t rows;
  const int32_t* row_ptr;
  int64_t num_nodes;
  const float* copied = nullptr;
  void* copy = nullptr;
  bool out_stored = false;
};

using LinearJobs = Jobs<LinearJob, 8>;

constexpr int kLinearWarps = 4;

template <Precision P, int H>
__global__ void __launch_bounds__(kLinearWarps* kWarpSize) linear_kernel(LinearJobs jobs) {
  const JobBlock place = job_block(jobs);
  const LinearJob& job = jobs.job[place.job];
  wait_for_earlier_kernels();
  let_later_kernels_begin();
  const int64_t present = job.row_ptr ? job.row_ptr[job.num_nodes] : job.rows;
  BOTAN_DEVICE_CHECK(present >= 0 && present <= job.rows, "row_ptr rises from 0 to the number of edges");
  const int64_t step = 16 * kLinearWarps * static_cast<int64_t>(place.blocks);
  for (int64_t first = 16 * (static_cast<int64_t>(place.block) * kLinearWarps + warp_id()); first < job.rows;
       first += step) {
    const Rows rows(first, present), all(first, job.rows);
    if (job.source[0].in && !(P == Precision::bf16 && job.source[0].stored)) {
      prefetch_rows<H>(static_cast<const float*>(job.source[0].in), first + step, present);
    }
    Fragment<H> out;
    if (job.copy && first < present) {
      load_rows(out, job.copied, rows);
      store_rows(static_cast<Stored<P>*>(job.copy), out, rows);
    }
    if (!job.out) continue;
    set_zero(out);
    if (first < present) {
      set_bias(out, job.bias);
      if (job.add) add_rows<H>(out, job.add, rows.row, rows.valid);
#pragma unroll 1
      for (int s = 0; s < LinearJob::kSources; ++s) {
        const auto& source = job.source[s];
        if (!source.in) break;
        if (P == Precision::bf16 && source.stored) {
          multiply_rows<P>(out, static_cast<const Stored<P>*>(source.in), rows, source.packed, dynamic_shared<float>());
        } else {
          multiply_rows<P>(out, static_cast<const float*>(source.in), rows, source.packed, dynamic_shared<float>());
        }
      }
      if (!rows.valid[0] || !rows.valid[1]) {  // the bias is not of rows that are absent
        for_each<H>([&](int q, int h, int m) { out.at(q, h, m) = rows.valid[h] ? out.at(q, h, m) : 0.0f; });
      }
    }
    if (P == Precision::bf16 && job.out_stored) {
      store_rows(static_cast<Stored<P>*>(job.out), out, all);
    } else {
      store_rows(static_cast<float*>(job.out), out, all);
    }
  }
}

template <Precision P, int H>
void linear(Stream stream, const LinearJobs& jobs) {
  launch_early("linear", linear_kernel<P, H>, dim3(jobs.blocks()), dim3(kLinearWarps * kWarpSize),
               kStaged<H> ? scratch_bytes<H>(kLinearWarps) : 0, stream, jobs);
}

// ---- sums over rows -----------------------------------------------------------------------------------------

// Partial sums over rows of a^T b (H, H) and of a (H,), one of each per block.
struct OuterJob {
  const void* a;         // (rows, H)
  bool a_stored;         // Stored<P>, else float; likewise b
  const float* b_first;  // rows before first_rows of b, if any
  int64_t first_rows;
  const void* b;  // (rows - first_rows, b_columns); columns beyond count as zeros
  bool b_stored;
  int b_columns, b_pitch;  // numbers from row to row of a float b; 0: b_columns
  int64_t rows;            // where row_ptr is given, its last entry is the number of rows
  const int32_t* row_ptr;
  int64_t num_nodes;
  float *partial, *vector;  // vector may be null
  bool add;                 // to what partial and vector hold
};
using OuterJobs = Jobs<OuterJob, 16>;

template <Precision P, int H, int tile_rows = kTile>
size_t outer_shared_bytes() {
  return sizeof(Stored<P>) * 2 * tile_rows * H + sizeof(float) * 4 * kThreads;
}
// Whether there is a kernel with tiles of half as many rows, for GPUs with 99 KB of shared memory.
template <Precision P, int H>
constexpr bool kHalfTiles = H == 128 && P != Precision::bf16;

template <Precision P, int H, int tile_rows>
__global__ void __launch_bounds__(kThreads) outer_kernel(OuterJobs jobs) {
  using T = Stored<P>;
  constexpr int kLanes = H / 4, kStep = kThreads / kLanes;
  const JobBlock place = job_block(jobs);
  const OuterJob& job = jobs.job[place.job];
  wait_for_earlier_kernels();
  let_later_kernels_begin();
  T* a_tile = dynamic_shared<T>();
  T* b_tile = a_tile + tile_rows * H;
  float* sums = reinterpret_cast<float*>(b_tile + tile_rows * H);
  const int thread = static_cast<int>(threadIdx.x), column = 4 * (thread % kLanes), row = thread / kLanes;
  const int64_t rows = job.row_ptr ? job.row_ptr[job.num_nodes] : job.rows;
  const int64_t begin = rows * place.block / place.blocks, end = rows * (place.block + 1) / place.blocks;
  Outer out[OuterShape<H>::kOuters];
#pragma unroll
  for (int o = 0; o < OuterShape<H>::kOuters; ++o) set_zero(out[o]);
  Float4 sum{};
  for (int64_t tile = begin; tile < end; tile += tile_rows) {
    for (int k = row; k < tile_rows; k += kStep) {
      const int64_t at = tile + k;
      Float4 a{}, b{};
      if (at < end) {
        a = P == Precision::bf16 && job.a_stored ? load4<false>(static_cast<const T*>(job.a) + at * H + column)
                                                 : load4<false>(static_cast<const float*>(job.a) + at * H + column);
        if (at < job.first_rows) {
          b = load4<false>(job.b_first + at * H + column);
        } else if (job.b_columns == H && job.b_pitch == 0) {
          const int64_t from = (at - job.first_rows) * H + column;
          b = P == Precision::bf16 && job.b_stored ? load4<false>(static_cast<const T*>(job.b) + from)
                                                   : load4<false>(static_cast<const float*>(job.b) + from);
        } else {
          const float* from = static_cast<const float*>(job.b) + at * (job.b_pitch ? job.b_pitch : job.b_columns);
          for (int m = 0; m < 4; ++m) {
            if (column + m < job.b_columns) b.v[m] = from[column + m];
          }
        }
      }
      for (int m = 0; m < 4; ++m) sum.v[m] += a.v[m];
      store4(a_tile + Swizzle<T, H>::place(k, column), a);
      store4(b_tile + Swizzle<T, H>::place(k, column), b);
    }
    __syncthreads();
    add_outers<P, H, kWarps, tile_rows>(out, a_tile, b_tile);
    __syncthreads();
  }
  store_outers<H, kWarps>(job.partial + place.block * static_cast<int64_t>(OuterShape<H>::kParts * H * H), out,
                          job.add);
  if (!job.vector) return;
  store4(sums + row * H + column, sum);
  __syncthreads();
  if (thread >= H) return;
  float total = job.add ? job.vector[place.block * H + thread] : 0.0f;
  for (int k = 0; k < kStep; ++k) total += sums[k * H + thread];
  job.vector[place.block * H + thread] = total;
}

template <Precision P, int H>
void outer(Stream stream, const OuterJobs& jobs) {
  if constexpr (kHalfTiles<P, H>) {
    if (outer_shared_bytes<P, H>() > max_shared_bytes(stream)) {
      launch_early("outer", outer_kernel<P, H, kTile / 2>, dim3(jobs.blocks()), dim3(kThreads),
                   outer_shared_bytes<P, H, kTile / 2>(), stream, jobs);
      return;
    }
  }
  launch_early("outer", outer_kernel<P, H, kTile>, dim3(jobs.blocks()), dim3(kThreads), outer_shared_bytes<P, H>(),
               stream, jobs);
}

}  // namespace botan_fast::cuda
