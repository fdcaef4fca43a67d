// How work is cut: the cut depends on sizes alone, never on the number of threads, so that sums over chunks
// come out bit for bit the same for any number of threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpu/runtime/thread_pool.h"

namespace botan_fast {

constexpr int64_t kMaxChunks = 64;

// Boundaries of at most kMaxChunks parts of [0, num_rows), of at least min_rows rows each where possible.
inline std::vector<int64_t> chunk_rows(int64_t num_rows, int64_t min_rows = 64) {
  const int64_t count = std::clamp<int64_t>(num_rows / min_rows, 1, kMaxChunks);
  std::vector<int64_t> bounds(count + 1);
  for (int64_t i = 0; i <= count; ++i) bounds[i] = part_begin(num_rows, count, i);
  return bounds;
}

// Boundaries in rows of parts with about the same number of edges, where row i has row_ptr[i]:row_ptr[i + 1].
inline std::vector<int64_t> chunk_receivers(const int32_t* row_ptr, int64_t num_nodes, int64_t num_edges,
                                            int64_t min_edges = 1024) {
  const int64_t count = std::clamp<int64_t>(num_edges / min_edges, 1, kMaxChunks);
  std::vector<int64_t> bounds(count + 1);
  for (int64_t i = 0; i < count; ++i) {
    const int32_t edge = static_cast<int32_t>(part_begin(num_edges, count, i));
    bounds[i] = i == 0 ? 0 : std::lower_bound(row_ptr, row_ptr + num_nodes, edge) - row_ptr;
  }
  bounds[count] = num_nodes;
  return bounds;
}

// body(chunk, begin, end) for each part.
template <class Body>
void for_chunks(const std::vector<int64_t>& bounds, int num_threads, const Body& body) {
  parallel_for(static_cast<int64_t>(bounds.size()) - 1, num_threads,
               [&](int64_t chunk) { body(chunk, bounds[chunk], bounds[chunk + 1]); });
}

}  // namespace botan_fast
