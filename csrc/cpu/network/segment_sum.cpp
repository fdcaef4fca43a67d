// Sums of rows that belong together, by segments or by index.
#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "botan_fast.h"
#include "cpu/runtime/thread_pool.h"

namespace botan_fast {
namespace {

constexpr int64_t kColumns = 64;        // columns summed at once, in registers and L1
constexpr int64_t kElements = 1 << 15;  // elements of one task: less is not worth a thread

template <class I>
void check_row_ptr(const I* row_ptr, int64_t num_segments, int64_t num_rows) {
  if (row_ptr[0] != 0)
    throw std::invalid_argument("row_ptr[0] = " + std::to_string(row_ptr[0]) + " must be 0; give running offsets");
  for (int64_t i = 0; i < num_segments; ++i)
    if (row_ptr[i + 1] < row_ptr[i])
      throw std::invalid_argument("row_ptr[" + std::to_string(i + 1) + "] = " + std::to_string(row_ptr[i + 1]) +
                                  " is smaller than row_ptr[" + std::to_string(i) +
                                  "] = " + std::to_string(row_ptr[i]) + "; give non-decreasing offsets");
  if (row_ptr[num_segments] != num_rows)
    throw std::invalid_argument("row_ptr[-1] = " + std::to_string(row_ptr[num_segments]) + " must equal the " +
                                std::to_string(num_rows) + " rows of values; give one offset past the last row");
}

// Cuts segments into tasks of about kElements elements. A segment is never cut: its order of summation is fixed.
template <class I>
std::vector<int64_t> cut_segments(const I* row_ptr, int64_t num_segments, int64_t width) {
  std::vector<int64_t> begin{0};
  int64_t elements = 0;
  for (int64_t i = 0; i < num_segments; ++i) {
    elements += (static_cast<int64_t>(row_ptr[i + 1] - row_ptr[i]) + 1) * width;
    if (elements >= kElements || i + 1 == num_segments) {
      begin.push_back(i + 1);
      elements = 0;
    }
  }
  return begin;
}

// Calls body(segment_begin, segment_end, column_begin, column_end) for blocks that cover the output.
template <class I, class Body>
void for_blocks(const I* row_ptr, int64_t num_segments, int64_t width, int num_threads, const Body& body) {
  const std::vector<int64_t> begin = cut_segments(row_ptr, num_segments, width);
  const int64_t column_blocks = (width + kColumns - 1) / kColumns;
  parallel_for((static_cast<int64_t>(begin.size()) - 1) * column_blocks, num_threads, [&](int64_t task) {
    const int64_t block = task / column_blocks;
    const int64_t column = task % column_blocks * kColumns;
    body(begin[block], begin[block + 1], column, std::min(width, column + kColumns));
  });
}

// The sum of one segment's columns [c0, c1); row(e) is the address of the e-th row that belongs to the segment.
template <class T, class Row>
void sum_rows(int64_t first, int64_t last, int64_t c0, int64_t c1, const Row& row, T* out) {
  double sum[kColumns] = {};
  const int64_t columns = c1 - c0;
  for (int64_t e = first; e < last; ++e) {
    const T* value = row(e) + c0;
    if (columns == kColumns) {  // a constant trip count keeps the sums in registers
      for (int64_t f = 0; f < kColumns; ++f) sum[f] += static_cast<double>(value[f]);
    } else {
      for (int64_t f = 0; f < columns; ++f) sum[f] += static_cast<double>(value[f]);
    }
  }
  for (int64_t f = 0; f < columns; ++f) out[c0 + f] = static_cast<T>(sum[f]);
}

}  // namespace

// ---- the interface -------------------------------------------------------------------------------------------

template <class T, class I>
void segment_sum(const T* values, int64_t num_rows, int64_t width, const I* row_ptr, int64_t num_segments, T* out,
                 int num_threads) {
  check_row_ptr(row_ptr, num_segments, num_rows);
  for_blocks(row_ptr, num_segments, width, num_threads, [&](int64_t s0, int64_t s1, int64_t c0, int64_t c1) {
    for (int64_t i = s0; i < s1; ++i)
      sum_rows<T>(row_ptr[i], row_ptr[i + 1], c0, c1, [&](int64_t e) { return values + e * width; }, out + i * width);
  });
}

template <class T, class I>
void segment_expand(const T* values, int64_t num_segments, int64_t width, const I* row_ptr, int64_t num_rows, T* out,
                    int num_threads) {
  check_row_ptr(row_ptr, num_segments, num_rows);
  for_blocks(row_ptr, num_segments, width, num_threads, [&](int64_t s0, int64_t s1, int64_t c0, int64_t c1) {
    for (int64_t i = s0; i < s1; ++i)
      for (int64_t e = row_ptr[i]; e < row_ptr[i + 1]; ++e)
        std::copy(values + i * width + c0, values + i * width + c1, out + e * width + c0);
  });
}

template <class T>
void scatter_sum(const T* values, int64_t num_rows, int64_t width, const int64_t* index, int64_t dim_size, T* out,
                 int num_threads) {
  // A stable counting sort by destination makes segments, each in the order of the rows.
  std::vector<int64_t> row_ptr(dim_size + 1, 0);
  for (int64_t e = 0; e < num_rows; ++e) {
    if (index[e] < 0 || index[e] >= dim_size)
      throw std::invalid_argument("index[" + std::to_string(e) + "] = " + std::to_string(index[e]) +
                                  " is outside [0, " + std::to_string(dim_size) +
                                  "); correct the index or give a larger dim_size");
    ++row_ptr[index[e] + 1];
  }
  for (int64_t i = 0; i < dim_size; ++i) row_ptr[i + 1] += row_ptr[i];
  std::vector<int64_t> order(num_rows);
  std::vector<int64_t> cursor(row_ptr.begin(), row_ptr.end() - 1);
  for (int64_t e = 0; e < num_rows; ++e) order[cursor[index[e]]++] = e;
  for_blocks(row_ptr.data(), dim_size, width, num_threads, [&](int64_t s0, int64_t s1, int64_t c0, int64_t c1) {
    for (int64_t i = s0; i < s1; ++i)
      sum_rows<T>(
          row_ptr[i], row_ptr[i + 1], c0, c1, [&](int64_t k) { return values + order[k] * width; }, out + i * width);
  });
}

#define BOTAN_FAST_SEGMENT(T, I)                                                           \
  template void segment_sum<T, I>(const T*, int64_t, int64_t, const I*, int64_t, T*, int); \
  template void segment_expand<T, I>(const T*, int64_t, int64_t, const I*, int64_t, T*, int);
BOTAN_FAST_SEGMENT(float, int32_t)
BOTAN_FAST_SEGMENT(float, int64_t)
BOTAN_FAST_SEGMENT(double, int32_t)
BOTAN_FAST_SEGMENT(double, int64_t)
#undef BOTAN_FAST_SEGMENT
template void scatter_sum<float>(const float*, int64_t, int64_t, const int64_t*, int64_t, float*, int);
template void scatter_sum<double>(const double*, int64_t, int64_t, const int64_t*, int64_t, double*, int);

}  // namespace botan_fast
