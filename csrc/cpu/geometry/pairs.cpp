// A graph from the pairs that a file or another program gives.
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "botan_fast.h"
#include "periodic.h"

namespace botan_fast {
namespace {

[[noreturn]] void refuse(int64_t p, const std::string& reason) {
  throw std::invalid_argument("pairs[:, " + std::to_string(p) + "] " + reason);
}

template <int D, bool kDiagonal, bool kTight>
void fill(const Cell<D>& box, const int32_t* first, const int32_t* second, int64_t num_pairs, const double* positions,
          double cutoff, std::vector<int32_t>& lower, std::vector<int32_t>& upper, int32_t* senders, int32_t* receivers,
          int32_t* reverse, float* vectors) {
  for (int64_t p = 0; p < num_pairs; ++p) {
    const int64_t i = first[p], j = second[p];
    double d[D], shift[D];
    for (int b = 0; b < D; ++b) d[b] = positions[i * D + b] - positions[j * D + b];
    const double squared = box.template image<kDiagonal, kTight>(d, shift);
    if (!(squared > 0 && std::sqrt(squared) < cutoff)) refuse(p, "is not closer than the cutoff");
    // Pairs come by (first, second): both rows are met in the order of their senders.
    const int32_t into_first = upper[i]++, into_second = lower[j]++;
    senders[into_first] = receivers[into_second] = static_cast<int32_t>(j);
    receivers[into_first] = senders[into_second] = static_cast<int32_t>(i);
    reverse[into_first] = into_second;
    reverse[into_second] = into_first;
    for (int b = 0; b < D; ++b) {
      vectors[int64_t{into_first} * D + b] = static_cast<float>(d[b]);
      vectors[int64_t{into_second} * D + b] = static_cast<float>(0.0 - d[b]);  // no negative zeros
    }
  }
}

template <int D>
void build(const int32_t* first, const int32_t* second, int64_t num_pairs, const double* positions, int64_t num_nodes,
           const double* cell, double cutoff, bool self_edges, int32_t* senders, int32_t* receivers, int32_t* row_ptr,
           int32_t* reverse, float* vectors) {
  // Next free edge of each row: first the senders below the receiver, then itself, then those above.
  std::vector<int32_t> lower(num_nodes), upper(num_nodes);
  for (int64_t p = 0; p < num_pairs; ++p) {
    const int64_t i = first[p], j = second[p];
    if (!(0 <= i && i < j && j < num_nodes)) refuse(p, "must be two particles i < j of the configuration");
    if (p > 0 && !(first[p - 1] < i || (first[p - 1] == i && second[p - 1] < j))) refuse(p, "is not in order");
    ++upper[i];
    ++lower[j];
  }
  int32_t next = 0;
  for (int64_t i = 0; i < num_nodes; ++i) {
    row_ptr[i] = next;
    const int32_t middle = next + lower[i], after = middle + (self_edges ? 1 : 0);
    if (self_edges) {
      senders[middle] = receivers[middle] = static_cast<int32_t>(i);
      reverse[middle] = middle;
      for (int b = 0; b < D; ++b) vectors[int64_t{middle} * D + b] = 0;
    }
    next = after + upper[i];
    lower[i] = row_ptr[i];
    upper[i] = after;
  }
  row_ptr[num_nodes] = next;

  const Cell<D> box(cell);
  // As in the neighbour search, whose vectors these are bit for bit.
  const bool tight = is_tight(box, cutoff);
  const auto run = !box.diagonal ? fill<D, false, false> : tight ? fill<D, true, true> : fill<D, true, false>;
  run(box, first, second, num_pairs, positions, cutoff, lower, upper, senders, receivers, reverse, vectors);
}

}  // namespace

void graph_from_pairs(const int32_t* first, const int32_t* second, int64_t num_pairs, const double* positions,
                      int64_t num_nodes, int dimensions, const double* cell, double cutoff, bool self_edges,
                      int32_t* senders, int32_t* receivers, int32_t* row_ptr, int32_t* reverse, float* vectors) {
  if (dimensions != 2 && dimensions != 3)
    throw std::invalid_argument("positions have " + std::to_string(dimensions) + " dimensions; give 2 or 3");
  if (2 * num_pairs + (self_edges ? num_nodes : 0) > std::numeric_limits<int32_t>::max())
    throw std::invalid_argument("pairs hold " + std::to_string(num_pairs) + " pairs, too many for one graph");
  const auto run = dimensions == 2 ? build<2> : build<3>;
  run(first, second, num_pairs, positions, num_nodes, cell, cutoff, self_edges, senders, receivers, row_ptr, reverse,
      vectors);
}

}  // namespace botan_fast
