// Kernels over rows that message passing and multilayer perceptrons share: packing weights, rows times weights, sums
// over rows of A^T B, and the second stage of such sums.
#pragma once

#include "cuda/network/outer.cuh"
#include "cuda/runtime/launch.cuh"

namespace botan_fast::cuda {

constexpr int kMaxJobs = 24;  // a kernel's parameters may have 4096 bytes
template <class Job>
struct Jobs {
  Job job[kMaxJobs];
  int count = 0;
  void add(const Job& j) { job[count++] = j; }
};

// ---- weights ------------------------------------------------------------------------------------------------

// B (K, H) of a weight matrix W (out, in) in rows of `pitch` numbers, from column `offset`:
//   rows times W^T:  B[k][n] = W[n][offset + k], k < columns
//   gradients times W (`backward`): B[k][n] = W[k][offset + n], n < columns
// and 0 where k or n is beyond.
struct PackJob {
  const float* weight;
  int pitch, offset, columns;
  bool backward;
  int k;  // a multiple of 16
  Bits4* out;
};

template <Precision P, int H>
__global__ void __launch_bounds__(kThreads) pack_kernel(Jobs<PackJob> jobs) {
  const PackJob& job = jobs.job[blockIdx.y];
  const int index = static_cast<int>(blockIdx.x * kThreads + threadIdx.x), lane = index % kWarpSize;
  const int i = index / kWarpSize % kSteps<P>, r = index / kWarpSize / kSteps<P> % (H / 16);
  const int q = index / kWarpSize / kSteps<P> / (H / 16), t = lane % 4;
  if (16 * q >= job.k) return;
  const auto weight = [&](int k, int n) {
    const int row = job.backward ? k : n, column = job.backward ? n : k;
    return column < job.columns && row < H ? job.weight[static_cast<int64_t>(row) * job.pitch + job.offset + column]
                                           : 0.0f;
  };
  Bits4 packed;
  for (int j = 0; j < 2; ++j) {
    const int n = packed_column(r, j, lane);
    for (int s = 0; s < 2; ++s) {
      uint32_t& bits = packed.v[2 * j + s];
      if constexpr (P == Precision::bf16) {
        const int k = 16 * q + 4 * t + 2 * s;
        bits = pack_bf16(weight(k, n), weight(k + 1, n));
      } else {
        const float x = weight(16 * q + 4 * t + 2 * i + s, n);
        bits = P == Precision::tf32 ? to_tf32(x) : __float_as_uint(x);
      }
    }
  }
  job.out[index] = packed;
}

// Columns block H .. of a weight (H, blocks H), to be multiplied by rows, or by gradients (`backward`).
template <int H>
PackJob square_job(const float* weight, int blocks, int block, bool backward, Bits4* out) {
  PackJob job{};
  job.weight = weight;
  job.pitch = blocks * H;
  job.offset = block * H;
  job.columns = H;
  job.backward = backward;
  job.k = H;
  job.out = out;
  return job;
}

template <Precision P, int H>
void pack(Stream stream, const Jobs<PackJob>& jobs) {
  int k = 0;
  for (int j = 0; j < jobs.count; ++j) k = std::max(k, jobs.job[j].k);
  const int threads = k / 16 * (H / 16) * kSteps<P> * kWarpSize;
  if (threads == 0) return;
  launch("pack", pack_kernel<P, H>, dim3(static_cast<unsigned>(ceil_div(threads, kThreads)), jobs.count),
         dim3(kThreads), 0, stream, jobs);
}

// ---- rows times weights -------------------------------------------------------------------------------------

// out = bias + add + sum over sources of in B, rows of H numbers; it may be a source's `in`. Where row_ptr is given,
// only its last entry counts as rows, and the rows from there to `rows` become zeros. Beside that, where copy is not
// null, copy = copied, rounded to Stored<P>.
struct LinearJob {
  struct Source {
    const void* in;
    bool stored;  // in is Stored<P>, else float
    const Bits4* packed;
  } source[3];
  const float *bias, *add;
  void* out;  // float, or Stored<P> with out_stored; or null
  int64_t rows;
  const int32_t* row_ptr;
  int64_t num_nodes;
  const float* copied = nullptr;
  void* copy = nullptr;
  bool out_stored = false;
};

constexpr int kLinearWarps = 4;

template <Precision P, int H>
__global__ void __launch_bounds__(kLinearWarps* kWarpSize) linear_kernel(Jobs<LinearJob> jobs) {
  const LinearJob& job = jobs.job[blockIdx.y];
  const int64_t present = job.row_ptr ? job.row_ptr[job.num_nodes] : job.rows;
  BOTAN_DEVICE_CHECK(present >= 0 && present <= job.rows, "row_ptr rises from 0 to the number of edges");
  const int64_t step = 16 * kLinearWarps * static_cast<int64_t>(gridDim.x);
  for (int64_t first = 16 * (static_cast<int64_t>(blockIdx.x) * kLinearWarps + warp_id()); first < job.rows;
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
      for (int s = 0; s < 3; ++s) {
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

// `grid`: blocks for each job
template <Precision P, int H>
void linear(Stream stream, const Jobs<LinearJob>& jobs, unsigned grid) {
  launch("linear", linear_kernel<P, H>, dim3(grid, jobs.count), dim3(kLinearWarps * kWarpSize),
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

template <Precision P, int H, int tile_rows = kTile>
size_t outer_shared_bytes() {
  return sizeof(Stored<P>) * 2 * tile_rows * H + sizeof(float) * 4 * kThreads;
}
// Whether there is a kernel with tiles of half as many rows, for GPUs with 99 KB of shared memory.
template <Precision P, int H>
constexpr bool kHalfTiles = H == 128 && P != Precision::bf16;

template <Precision P, int H, int tile_rows>
__global__ void __launch_bounds__(kThreads) outer_kernel(Jobs<OuterJob> jobs) {
  using T = Stored<P>;
  constexpr int kLanes = H / 4, kStep = kThreads / kLanes;
  const OuterJob& job = jobs.job[blockIdx.y];
  T* a_tile = dynamic_shared<T>();
  T* b_tile = a_tile + tile_rows * H;
  float* sums = reinterpret_cast<float*>(b_tile + tile_rows * H);
  const int thread = static_cast<int>(threadIdx.x), column = 4 * (thread % kLanes), row = thread / kLanes;
  const int64_t rows = job.row_ptr ? job.row_ptr[job.num_nodes] : job.rows;
  const int64_t begin = rows * blockIdx.x / gridDim.x, end = rows * (blockIdx.x + 1) / gridDim.x;
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
  store_outers<H, kWarps>(job.partial + blockIdx.x * static_cast<int64_t>(OuterShape<H>::kParts * H * H), out, job.add);
  if (!job.vector) return;
  store4(sums + row * H + column, sum);
  __syncthreads();
  if (thread >= H) return;
  float total = job.add ? job.vector[blockIdx.x * H + thread] : 0.0f;
  for (int k = 0; k < kStep; ++k) total += sums[k * H + thread];
  job.vector[blockIdx.x * H + thread] = total;
}

template <Precision P, int H>
void outer(Stream stream, const Jobs<OuterJob>& jobs, unsigned grid) {
  if constexpr (kHalfTiles<P, H>) {
    if (outer_shared_bytes<P, H>() > max_shared_bytes(stream)) {
      launch("outer", outer_kernel<P, H, kTile / 2>, dim3(grid, jobs.count), dim3(kThreads),
             outer_shared_bytes<P, H, kTile / 2>(), stream, jobs);
      return;
    }
  }
  launch("outer", outer_kernel<P, H, kTile>, dim3(grid, jobs.count), dim3(kThreads), outer_shared_bytes<P, H>(), stream,
         jobs);
}

// ---- second stage -------------------------------------------------------------------------------------------

// out = sum of the partial sums 0 .. slots - 1, in this order, in float64.
struct ReduceJob {
  const float* partial;
  int64_t stride;  // numbers between two partial sums
  int slots;
  bool matrix;  // (H, H) as store_outers leaves it, else a vector of `columns`
  float* out;   // matrix: rows of `pitch`, from column `offset`, `columns` of them
  int pitch, offset, columns;
};

template <Precision P, int H>
__global__ void __launch_bounds__(kThreads) reduce_kernel(Jobs<ReduceJob> jobs) {
  const ReduceJob& job = jobs.job[blockIdx.y];
  const int index = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  int64_t to = index;
  if (job.matrix) {
    if (index >= H * H) return;
    const int block = index / 1024, v = index % 1024 / 128, lane = index % 128 / 4, e = index % 4;
    const int row = 32 * (block / OuterShape<H>::kSide) + outer_row<P>(v, e, lane);
    const int column = 32 * (block % OuterShape<H>::kSide) + outer_column<P>(v, e, lane);
    if (column >= job.columns) return;
    to = static_cast<int64_t>(row) * job.pitch + job.offset + column;
  } else if (index >= job.columns) {
    return;
  }
  double sum = 0;
#pragma unroll 8
  for (int s = 0; s < job.slots; ++s) sum += static_cast<double>(job.partial[s * job.stride + index]);
  job.out[to] = static_cast<float>(sum);
}

template <Precision P, int H>
void reduce(Stream stream, const Jobs<ReduceJob>& jobs) {
  launch("reduce", reduce_kernel<P, H>, dim3(static_cast<unsigned>(ceil_div(H * H, kThreads)), jobs.count),
         dim3(kThreads), 0, stream, jobs);
}

template <int H>
ReduceJob matrix_sum(const float* partial, unsigned blocks, float* out, int pitch, int offset, int columns) {
  ReduceJob job{};
  job.partial = partial;
  job.stride = H * H;
  job.slots = static_cast<int>(blocks) * OuterShape<H>::kParts;
  job.matrix = true;
  job.out = out;
  job.pitch = pitch;
  job.offset = offset;
  job.columns = columns;
  return job;
}
inline ReduceJob vector_sum(const float* partial, int64_t stride, unsigned blocks, float* out, int columns) {
  ReduceJob job{};
  job.partial = partial;
  job.stride = stride;
  job.slots = static_cast<int>(blocks);
  job.out = out;
  job.columns = columns;
  return job;
}

}  // namespace botan_fast::cuda
