// Where the particles of a graph lie, up to a shift of each connected part, from the vectors of its edges alone.
#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "botan_fast.h"

namespace botan_fast {

int64_t unfold_graph(const int32_t* senders, const float* vectors, const int32_t* row_ptr, int64_t num_nodes,
                     int dimensions, double* positions, int32_t* parts) {
  std::fill_n(parts, num_nodes, int32_t{-1});
  std::vector<int32_t> queue(num_nodes);  // breadth first: paths are short, and rounding errors small
  int64_t num_parts = 0, filled = 0;
  for (int64_t start = 0; start < num_nodes; ++start) {
    if (parts[start] >= 0) continue;
    std::fill_n(positions + start * dimensions, dimensions, 0.0);
    parts[start] = static_cast<int32_t>(num_parts);
    int64_t next = filled;
    queue[filled++] = static_cast<int32_t>(start);
    for (; next < filled; ++next) {
      const int64_t i = queue[next];
      for (int64_t k = row_ptr[i]; k < row_ptr[i + 1]; ++k) {
        const int64_t j = senders[k];
        if (j < 0 || j >= num_nodes)
          throw std::invalid_argument("senders[" + std::to_string(k) + "] = " + std::to_string(j) + " is outside [0, " +
                                      std::to_string(num_nodes) + "); the graph is damaged: build it again");
        if (parts[j] >= 0) continue;
        for (int b = 0; b < dimensions; ++b)  // vectors are r[receiver] - r[sender]
          positions[j * dimensions + b] = positions[i * dimensions + b] - double{vectors[k * dimensions + b]};
        parts[j] = static_cast<int32_t>(num_parts);
        queue[filled++] = static_cast<int32_t>(j);
      }
    }
    ++num_parts;
  }
  return num_parts;
}

}  // namespace botan_fast
