// Sums over segments of rows, and their transpose.
//
// A row of F numbers is spread over `per_row` lanes, 16 bytes each where F and the addresses allow; the 32 lanes
// of a warp hold several rows side by side and walk the segment with kUnroll loads in flight. The order of a sum
// follows from the sizes alone, so results repeat bit for bit.
//
//   ordinary segments   one warp each
//   long ones (more than kLong rows) are left to the end of the block and taken by all of its warps together
//   few segments (they alone would not fill the device): each is cut into `num_parts` parts, whose float64 sums a
//   second kernel adds in order
#include "cuda/runtime/launch.cuh"
#include "cuda/runtime/warp.cuh"

namespace botan_fast::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kUnroll = 4;
constexpr int64_t kLong = 512;
constexpr int64_t kRowsPerPart = 256;   // a part is not worth a block below this
constexpr int64_t kFewSegments = 1024;  // a device of 132 multiprocessors holds 8448 warps
constexpr int64_t kMaxParts = 512;

// ---- rows ---------------------------------------------------------------------------------------------------

// How rows lie in a warp: lane = row_in_warp * per_row + lane_in_row.
struct RowLanes {
  int per_row;    // a power of two
  int64_t width;  // F
};

RowLanes row_lanes_of(int64_t width, int numbers_per_lane) {
  int per_row = 1;
  while (per_row < kWarpSize && static_cast<int64_t>(per_row) * numbers_per_lane < width) per_row *= 2;
  return {per_row, width};
}

template <class T, int N>
__device__ __forceinline__ Vec<T, N> load(const T* address) {
  if constexpr (sizeof(T) * N == 16) {
    return load_once(reinterpret_cast<const Vec<T, N>*>(address));
  } else {
    return *reinterpret_cast<const Vec<T, N>*>(address);
  }
}

// The warp's sum over rows begin + first, begin + first + step, ... < end of columns column..column+N of every lane; on
// return all lanes of one column hold the same total. `first` counts rows of the whole group of warps.
template <class T, class I, int N, bool ordered>
__device__ __forceinline__ void sum_rows(const T* values, int64_t num_rows, const I* order, int64_t begin, int64_t end,
                                         int first, int step, RowLanes lanes, int64_t column, double (&total)[N]) {
#pragma unroll
  for (int n = 0; n < N; ++n) total[n] = 0;
  if (column < lanes.width) {
    for (int64_t k = begin + first; k < end; k += static_cast<int64_t>(kUnroll) * step) {
      Vec<T, N> rows[kUnroll];
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        const int64_t at = k + static_cast<int64_t>(u) * step;
        if (at < end) {
          int64_t row = at;
          if constexpr (ordered) {
            row = order[at];
            BOTAN_DEVICE_CHECK(row >= 0 && row < num_rows, "every number in order is a row of values");
          }
          rows[u] = load<T, N>(values + row * lanes.width + column);
        } else {
#pragma unroll
          for (int n = 0; n < N; ++n) rows[u].v[n] = 0;
        }
      }
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
#pragma unroll
        for (int n = 0; n < N; ++n) total[n] += static_cast<double>(rows[u].v[n]);
      }
    }
  }
  warp_sum(total, lanes.per_row);
}

template <class T, int N>
__device__ __forceinline__ void store(T* address, const double (&total)[N]) {
  Vec<T, N> rounded;
#pragma unroll
  for (int n = 0; n < N; ++n) rounded.v[n] = static_cast<T>(total[n]);
  *reinterpret_cast<Vec<T, N>*>(address) = rounded;
}

template <class I>
__device__ __forceinline__ void check_segment(int64_t begin, int64_t end, int64_t num_rows) {
  BOTAN_DEVICE_CHECK(begin >= 0 && begin <= end && end <= num_rows, "row_ptr rises from 0 to the number of rows");
}

// ---- sums ---------------------------------------------------------------------------------------------------

// One warp per segment, then all warps of the block for each long one.
template <class T, class I, int N, bool ordered>
__global__ void __launch_bounds__(kThreads)
    segment_sum_kernel(const T* values, int64_t num_rows, const I* row_ptr, int64_t num_segments, const I* order,
                       int64_t num_order, T* out, RowLanes lanes) {
  __shared__ double partial[kWarps][kWarpSize * N];
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int lane_in_row = lane & (lanes.per_row - 1), row_in_warp = lane / lanes.per_row;
  const int rows_per_warp = kWarpSize / lanes.per_row;
  const int64_t first_segment = static_cast<int64_t>(blockIdx.x) * kWarps, segment = first_segment + warp;
  const int64_t columns = static_cast<int64_t>(lanes.per_row) * N;
  double total[N];
  bool is_long = false;
  if (segment < num_segments) {
    const int64_t begin = row_ptr[segment], end = row_ptr[segment + 1];
    check_segment<I>(begin, end, num_order);
    is_long = end - begin > kLong;
    if (!is_long) {
      for (int64_t tile = 0; tile < lanes.width; tile += columns) {
        const int64_t column = tile + lane_in_row * N;
        sum_rows<T, I, N, ordered>(values, num_rows, order, begin, end, row_in_warp, rows_per_warp, lanes, column,
                                   total);
        if (row_in_warp == 0 && column < lanes.width) store<T, N>(out + segment * lanes.width + column, total);
      }
    }
  }
  if (!__syncthreads_or(is_long)) return;
  for (int s = 0; s < kWarps && first_segment + s < num_segments; ++s) {
    const int64_t begin = row_ptr[first_segment + s], end = row_ptr[first_segment + s + 1];
    if (end - begin <= kLong) continue;
    for (int64_t tile = 0; tile < lanes.width; tile += columns) {
      const int64_t column = tile + lane_in_row * N;
      sum_rows<T, I, N, ordered>(values, num_rows, order, begin, end, warp * rows_per_warp + row_in_warp,
                                 kWarps * rows_per_warp, lanes, column, total);
      if (row_in_warp == 0) {
#pragma unroll
        for (int n = 0; n < N; ++n) partial[warp][lane * N + n] = total[n];
      }
      __syncthreads();
      if (warp == 0 && row_in_warp == 0 && column < lanes.width) {
        for (int w = 1; w < kWarps; ++w) {
#pragma unroll
          for (int n = 0; n < N; ++n) total[n] += partial[w][lane * N + n];
        }
        store<T, N>(out + (first_segment + s) * lanes.width + column, total);
      }
      __syncthreads();  // before the next tile overwrites the partial sums
    }
  }
}

// partial[part, segment, f]: the sum over the part's share of the segment's rows. Block (part, segment).
template <class T, class I, int N, bool ordered>
__global__ void __launch_bounds__(kThreads)
    segment_parts_kernel(const T* values, int64_t num_rows, const I* row_ptr, int64_t num_segments, const I* order,
                         int64_t num_order, double* parts, RowLanes lanes) {
  __shared__ double partial[kWarps][kWarpSize * N];
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int lane_in_row = lane & (lanes.per_row - 1), row_in_warp = lane / lanes.per_row;
  const int rows_per_warp = kWarpSize / lanes.per_row;
  const int64_t num_parts = gridDim.x, part = blockIdx.x, segment = blockIdx.y;
  const int64_t begin = row_ptr[segment], end = row_ptr[segment + 1];
  check_segment<I>(begin, end, num_order);
  const int64_t share = (end - begin + num_parts - 1) / num_parts;
  const int64_t from = min(begin + part * share, end), to = min(from + share, end);
  double total[N];
  for (int64_t tile = 0; tile < lanes.width; tile += static_cast<int64_t>(lanes.per_row) * N) {
    const int64_t column = tile + lane_in_row * N;
    sum_rows<T, I, N, ordered>(values, num_rows, order, from, to, warp * rows_per_warp + row_in_warp,
                               kWarps * rows_per_warp, lanes, column, total);
    if (row_in_warp == 0) {
#pragma unroll
      for (int n = 0; n < N; ++n) partial[warp][lane * N + n] = total[n];
    }
    __syncthreads();
    if (warp == 0 && row_in_warp == 0 && column < lanes.width) {
      for (int w = 1; w < kWarps; ++w) {
#pragma unroll
        for (int n = 0; n < N; ++n) total[n] += partial[w][lane * N + n];
      }
      store<double, N>(parts + (part * num_segments + segment) * lanes.width + column, total);
    }
    __syncthreads();
  }
}

// out[j] = sum of parts[p, j] in the order of p, j over all numbers of the result
template <class T>
__global__ void __launch_bounds__(kThreads)
    add_parts_kernel(const double* parts, int64_t num_parts, int64_t num_numbers, T* out) {
  const int64_t j = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (j >= num_numbers) return;
  double sum = 0;
  for (int64_t p = 0; p < num_parts; ++p) sum += parts[p * num_numbers + j];
  out[j] = static_cast<T>(sum);
}

// ---- the transpose, and row_ptr -----------------------------------------------------------------------------

// Each warp fills 32 consecutive rows, whatever their segments: every lane looks for the segment of one row.
template <class T, class I, int N>
__global__ void __launch_bounds__(kThreads)
    segment_expand_kernel(const T* values, int64_t num_segments, const I* row_ptr, int64_t num_rows, T* out,
                          RowLanes lanes) {
  const int lane = lane_id();
  const int lane_in_row = lane & (lanes.per_row - 1), row_in_warp = lane / lanes.per_row;
  const int rows_per_warp = kWarpSize / lanes.per_row;
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * kWarps + warp_id()) * kWarpSize;
  if (first >= num_rows) return;
  // the last segment that begins at or before this row: row_ptr[low] <= row < row_ptr[high]
  const int64_t mine = first + lane < num_rows ? first + lane : num_rows - 1;
  int64_t low = 0, high = num_segments;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    if (row_ptr[middle] <= mine) {
      low = middle;
    } else {
      high = middle;
    }
  }
  BOTAN_DEVICE_CHECK(num_segments > 0 && row_ptr[low] <= mine && mine < row_ptr[low + 1],
                     "row_ptr rises from 0 to the number of rows");
  const int count = static_cast<int>(min(static_cast<int64_t>(kWarpSize), num_rows - first));
  for (int r = 0; r < kWarpSize; r += rows_per_warp) {
    const int row = r + row_in_warp;
    const int64_t segment = __shfl_sync(kFullMask, low, row);
    if (row >= count) continue;
    for (int64_t column = lane_in_row * N; column < lanes.width; column += lanes.per_row * N) {
      *reinterpret_cast<Vec<T, N>*>(out + (first + row) * lanes.width + column) =
          *reinterpret_cast<const Vec<T, N>*>(values + segment * lanes.width + column);
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    row_ptr_kernel(const int64_t* index, int64_t num_rows, int64_t num_segments, int64_t* row_ptr) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i > num_segments) return;
  int64_t low = 0, high = num_rows;  // index[low - 1] < i <= index[high]
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (index[middle] < i) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  row_ptr[i] = low;
  BOTAN_DEVICE_CHECK(i != 0 || low == 0, "index is not negative");
  BOTAN_DEVICE_CHECK(i != num_segments || low == num_rows, "index is smaller than dim_size");
}

// ---- launches -----------------------------------------------------------------------------------------------

void check_sizes(const char* function, int64_t num_rows, int64_t width, int64_t num_segments) {
  if (num_rows >= 0 && width >= 0 && num_segments >= 0) return;
  throw std::invalid_argument(std::string(function) + ": num_rows = " + std::to_string(num_rows) +
                              ", width = " + std::to_string(width) +
                              ", num_segments = " + std::to_string(num_segments) + "; none may be negative");
}

unsigned num_blocks(const char* function, int64_t items, int64_t per_block) {
  const int64_t blocks = ceil_div(items, per_block);
  if (blocks > 2147483647) {
    throw std::invalid_argument(std::string(function) + ": " + std::to_string(items) + " are too many for one launch");
  }
  return static_cast<unsigned>(blocks);
}

bool is_aligned(const void* address, size_t bytes) { return reinterpret_cast<uintptr_t>(address) % bytes == 0; }

// Parts that each segment is cut into; 1: none. From sizes alone, so that the workspace can be asked for beforehand.
int64_t num_parts_of(int64_t num_order, int64_t num_segments) {
  if (num_segments == 0 || num_segments > kFewSegments) return 1;
  const int64_t mean = num_order / num_segments;
  return mean <= kLong ? 1 : std::min(ceil_div(mean, kRowsPerPart), std::max<int64_t>(1, kMaxParts * 4 / num_segments));
}

template <class T, class I, int N, bool ordered>
void sum_with(Stream stream, const T* values, int64_t num_rows, int64_t width, const I* row_ptr, int64_t num_segments,
              const I* order, int64_t num_order, T* out, double* parts, int64_t num_parts) {
  const RowLanes lanes = row_lanes_of(width, N);
  if (num_parts == 1) {
    launch("segment_sum", segment_sum_kernel<T, I, N, ordered>, dim3(num_blocks("segment_sum", num_segments, kWarps)),
           dim3(kThreads), 0, stream, values, num_rows, row_ptr, num_segments, order, num_order, out, lanes);
    return;
  }
  launch("segment_parts", segment_parts_kernel<T, I, N, ordered>,
         dim3(static_cast<unsigned>(num_parts), static_cast<unsigned>(num_segments)), dim3(kThreads), 0, stream, values,
         num_rows, row_ptr, num_segments, order, num_order, parts, lanes);
  launch("add_parts", add_parts_kernel<T>, dim3(num_blocks("segment_sum", num_segments * width, kThreads)),
         dim3(kThreads), 0, stream, static_cast<const double*>(parts), num_parts, num_segments * width, out);
}

}  // namespace

size_t segment_sum_workspace_bytes(int64_t num_order, int64_t width, int64_t num_segments) {
  const int64_t num_parts = num_parts_of(num_order, num_segments);
  return num_parts == 1 ? 0 : sizeof(double) * static_cast<size_t>(num_parts * num_segments * width);
}

template <class T, class I>
void segment_sum(Stream stream, const T* values, int64_t num_rows, int64_t width, const I* row_ptr,
                 int64_t num_segments, const I* order, int64_t num_order, T* out, Workspace workspace) {
  check_sizes("segment_sum", num_rows, width, num_segments);
  if (!order && num_order != num_rows) {
    throw std::invalid_argument("segment_sum: num_order = " + std::to_string(num_order) + " without an order; pass " +
                                std::to_string(num_rows) + ", the number of rows");
  }
  check_workspace("segment_sum", segment_sum_workspace_bytes(num_order, width, num_segments), workspace);
  if (width == 0 || num_segments == 0) return;
  const DeviceGuard guard(stream);
  const int64_t num_parts = num_parts_of(num_order, num_segments);
  double* parts = static_cast<double*>(workspace.data);
  constexpr int wide = 16 / sizeof(T);
  const bool vector = width % wide == 0 && is_aligned(values, 16) && is_aligned(out, 16);
  const auto with = [&](auto sum) {
    sum(stream, values, num_rows, width, row_ptr, num_segments, order, num_order, out, parts, num_parts);
  };
  if (vector) {
    order ? with(sum_with<T, I, wide, true>) : with(sum_with<T, I, wide, false>);
  } else {
    order ? with(sum_with<T, I, 1, true>) : with(sum_with<T, I, 1, false>);
  }
}

template <class T, class I>
void segment_expand(Stream stream, const T* values, int64_t num_segments, int64_t width, const I* row_ptr,
                    int64_t num_rows, T* out) {
  check_sizes("segment_expand", num_rows, width, num_segments);
  if (width == 0 || num_rows == 0) return;
  const DeviceGuard guard(stream);
  constexpr int wide = 16 / sizeof(T);
  const bool vector = width % wide == 0 && is_aligned(values, 16) && is_aligned(out, 16);
  const dim3 grid(num_blocks("segment_expand", num_rows, kThreads));
  const auto kernel = vector ? segment_expand_kernel<T, I, wide> : segment_expand_kernel<T, I, 1>;
  launch("segment_expand", kernel, grid, dim3(kThreads), 0, stream, values, num_segments, row_ptr, num_rows, out,
         row_lanes_of(width, vector ? wide : 1));
}

void row_ptr_of_sorted(Stream stream, const int64_t* index, int64_t num_rows, int64_t num_segments, int64_t* row_ptr) {
  check_sizes("row_ptr_of_sorted", num_rows, 0, num_segments);
  const DeviceGuard guard(stream);
  launch("row_ptr_of_sorted", row_ptr_kernel, dim3(num_blocks("row_ptr_of_sorted", num_segments + 1, kThreads)),
         dim3(kThreads), 0, stream, index, num_rows, num_segments, row_ptr);
}

#define BOTAN_SUMS(T, I)                                                                                        \
  template void segment_sum<T, I>(Stream, const T*, int64_t, int64_t, const I*, int64_t, const I*, int64_t, T*, \
                                  Workspace);                                                                   \
  template void segment_expand<T, I>(Stream, const T*, int64_t, int64_t, const I*, int64_t, T*);
BOTAN_SUMS(float, int32_t)
BOTAN_SUMS(float, int64_t)
BOTAN_SUMS(double, int32_t)
BOTAN_SUMS(double, int64_t)

}  // namespace botan_fast::cuda
