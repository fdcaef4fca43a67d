// A graph that belongs to other positions than those it comes with.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace botan_fast {

// Vectors of a graph are float32: from those of its own positions they differ by less.
constexpr double kMismatch = 1e-4;

// The first mismatch of each task, so that which one is named does not depend on the number of threads.
class Mismatches {
 public:
  explicit Mismatches(int64_t num_tasks) : found_(num_tasks) {}

  // description(): "edge 3 has length ..."
  template <class Description>
  void note(int64_t task, const Description& description) {
    if (found_[task].empty()) found_[task] = description();
  }

  void refuse() const {
    for (const std::string& description : found_)
      if (!description.empty())
        throw std::invalid_argument("initial_positions do not belong to graph: " + description +
                                    "; build the graph from the same positions and box");
  }

 private:
  std::vector<std::string> found_;
};

}  // namespace botan_fast
