// Whether the index arrays of a graph belong together, before anything follows them.
#include <algorithm>
#include <atomic>

#include "botan_fast.h"
#include "cpu/runtime/thread_pool.h"

namespace botan_fast {

bool are_edges_of_graph(const int32_t* senders, const int32_t* receivers, const int32_t* row_ptr,
                        const int32_t* reverse, int64_t num_nodes, int64_t num_edges, int num_threads) {
  constexpr int64_t kPart = 8192;  // nodes or edges of one task
  std::atomic<bool> good{row_ptr[0] == 0 && row_ptr[num_nodes] == num_edges};
  parallel_for((num_nodes + kPart - 1) / kPart, num_threads, [&](int64_t task) {
    bool fine = true;
    for (int64_t i = task * kPart; i < std::min(num_nodes, (task + 1) * kPart); ++i)
      fine = fine & (row_ptr[i] <= row_ptr[i + 1]);
    if (!fine) good = false;
  });
  const uint32_t edges = static_cast<uint32_t>(num_edges), nodes = static_cast<uint32_t>(num_nodes);
  parallel_for((num_edges + kPart - 1) / kPart, num_threads, [&](int64_t task) {
    bool fine = true;
    for (int64_t k = task * kPart; k < std::min(num_edges, (task + 1) * kPart); ++k) {
      const uint32_t opposite = static_cast<uint32_t>(reverse[k]);  // a negative number is a large one
      const bool inside = opposite < edges;
      const int64_t there = inside ? opposite : 0;
      fine = fine & inside & (static_cast<uint32_t>(senders[k]) < nodes);
      fine = fine & (reverse[there] == k) & (senders[there] == receivers[k]);
    }
    if (!fine) good = false;
  });
  return good;
}

}  // namespace botan_fast
