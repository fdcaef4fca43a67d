// Descriptors of the structure around each particle, and weighted means over its neighbours.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "botan_fast.h"
#include "cpu/geometry/descriptor_kernels.h"
#include "cpu/geometry/neighborhoods.h"
#include "cpu/runtime/buffer_pool.h"
#include "cpu/runtime/chunks.h"
#include "periodic.h"

namespace botan_fast {
namespace {

Harmonics make_harmonics() {
  Harmonics h{};
  for (int l = 1; l <= kMaxOrder; ++l)
    for (int k = 0; k <= 2 * l; ++k) {
      const int m = (k + 1) / 2;
      h.seed[l][k] = m == l;
      if (m < l) h.beta[l][k] = ((l - 1) * (l - 1) - m * m) / (4.0 * (l - 1) * (l - 1) - 1);
      double norm = m ? 2 : 1;  // squared: 2 (2 l - 1)!!^2 / ((l - m)! (l + m)!)
      for (int n = 1; n < 2 * l; n += 2) norm *= n * n;
      for (int n = 2; n <= l - m; ++n) norm /= n;
      for (int n = 2; n <= l + m; ++n) norm /= n;
      h.norm[l][k] = std::sqrt(norm);
    }
  return h;
}

// Numbers at a multiple of 64 bytes.
class Work {
 public:
  explicit Work(int64_t num) : memory_(num + 8) {}
  double* get() {
    const auto address = reinterpret_cast<uintptr_t>(memory_.data());
    return memory_.data() + (64 - address % 64) % 64 / sizeof(double);
  }

 private:
  std::vector<double> memory_;
};

template <int D>
void structure_of(const double* positions, const int32_t* types, int64_t num_nodes, const Cell<D>& box,
                  const LocalStructure& s, float* out, int64_t stride, int num_threads) {
  static const Harmonics harmonics = make_harmonics();
  double cutoff = 0;
  for (int64_t c = 0; c < s.num_centres; ++c) cutoff = std::max(cutoff, s.centres[c] + kTail * s.width);
  std::vector<double> shells(2 * s.num_shells);
  for (int64_t t = 0; t < s.num_shells; ++t) {
    shells[2 * t] = s.shells[2 * t], shells[2 * t + 1] = 1 / s.shells[2 * t + 1];
    cutoff = std::max(cutoff, s.shells[2 * t] + kTail * s.shells[2 * t + 1]);
  }
  if (!(cutoff > 0)) return;
  std::vector<int64_t> offsets(s.num_orders + 1);
  for (int64_t o = 0; o < s.num_orders; ++o) {
    if (s.orders[o] < 1 || s.orders[o] > kMaxOrder || (o && s.orders[o] <= s.orders[o - 1]))
      throw std::invalid_argument("orders must rise from 1 to at most " + std::to_string(kMaxOrder));
    offsets[o + 1] = offsets[o] + (D == 2 ? 1 : (2 * s.orders[o] + kLanes) / kLanes);
  }
  const int64_t num_shells = s.num_orders ? s.num_shells : 0;
  const int64_t slots = num_shells * (s.by_species ? s.num_species : 1), blocks = offsets[s.num_orders];
  const int64_t room = kLanes * (s.num_species * s.num_centres + slots * (1 + blocks) + kLanes * blocks);
  const Neighborhoods<D> all(box, positions, types, num_nodes, s.num_species, cutoff, false, num_threads);
  all.for_each([&] {
    return [&, work = Work(room)](const Neighborhood& near) mutable {
      LocalRow row{};
      row.dimensions = D, row.num_species = s.num_species;
      row.distance = near.distance.data();
      for (int b = 0; b < 3; ++b) row.vector[b] = near.vector[b].data();
      row.begin = near.begin.data(), row.end = near.end.data();
      row.centres = s.centres, row.num_centres = s.num_centres, row.inverse_width = 1 / s.width;
      row.shells = shells.data(), row.num_shells = num_shells, row.by_species = s.by_species;
      row.orders = s.orders, row.num_orders = s.num_orders, row.offsets = offsets.data();
      row.harmonics = &harmonics;
      row.work = work.get();
      row.out = out + near.particle * stride;
      descriptor_kernels().local_sums(row);
    };
  });
}

template <int D>
void means_of(const double* positions, const int32_t* types, int64_t num_nodes, const Cell<D>& box,
              const WeightedMeans& s, const float* values, int64_t values_stride, float* out, int64_t stride,
              int num_threads) {
  constexpr int64_t kRows = 1024;  // of one task
  const int64_t blocks = (s.num_values + kLanes - 1) / kLanes;
  const bool few = s.num_values <= kFew;
  const int64_t width = few ? s.num_values : blocks * kLanes;
  const double cutoff = *std::max_element(s.cutoffs, s.cutoffs + s.num_lengths);
  const Neighborhoods<D> all(box, positions, types, num_nodes, s.num_species, cutoff, true, num_threads);
  Pooled<float> sorted(num_nodes * width);  // in cell order: neighbours are near in memory
  parallel_for((num_nodes + kRows - 1) / kRows, num_threads, [&](int64_t task) {
    for (int64_t p = task * kRows; p < std::min(num_nodes, (task + 1) * kRows); ++p) {
      std::copy_n(values + all.order()[p] * values_stride, s.num_values, sorted.get() + p * width);
      std::fill_n(sorted.get() + p * width + s.num_values, width - s.num_values, 0.0f);
    }
  });
  const DescriptorKernels& kernels = descriptor_kernels();
  all.for_each([&] {
    return [&, sums = Work(s.num_lengths * width), weights = std::vector<double>(),
            totals = std::vector<double>(s.num_lengths)](const Neighborhood& near) mutable {
      float* row = out + near.particle * stride;
      for (int64_t type = 0; type < s.num_species; ++type) {
        const int64_t begin = near.begin[type];
        const int64_t num = near.end_within(type, cutoff) - begin, room = (num + kLanes - 1) / kLanes * kLanes;
        if (static_cast<int64_t>(weights.size()) < s.num_lengths * room) weights.resize(s.num_lengths * room);
        std::fill_n(sums.get(), s.num_lengths * width, 0.0);
        // Lengths of one cutoff are added up together, over the neighbours that may be within it.
        for (int64_t m = 0, last; m < s.num_lengths; m = last) {
          const int64_t within = near.end_within(type, s.cutoffs[m]) - begin;
          const int64_t padded = (within + kLanes - 1) / kLanes * kLanes;
          for (last = m; last < s.num_lengths && s.cutoffs[last] == s.cutoffs[m]; ++last)
            totals[last] = kernels.weights(near.distance.data() + begin, padded, 1 / s.lengths[last], s.cutoffs[last],
                                           weights.data() + last * room);
          if (few)
            kernels.add_few(sorted.get(), width, near.places.data() + begin, padded, weights.data() + m * room, room,
                            last - m, sums.get() + m * width);
          else
            kernels.add_rows(sorted.get(), blocks, near.places.data() + begin, within, weights.data() + m * room, room,
                             last - m, sums.get() + m * width);
        }
        for (int64_t m = 0; m < s.num_lengths; ++m)
          for (int64_t f = 0; f < s.num_values; ++f)
            row[(m * s.num_species + type) * s.num_values + f] =
                totals[m] > 0 ? static_cast<float>(sums.get()[m * width + f] / totals[m]) : 0.0f;
      }
    };
  });
}

template <class Body>
void in_dimensions(int dimensions, const double* cell, const Body& body) {
  if (dimensions == 2) return body(Cell<2>(cell));
  if (dimensions == 3) return body(Cell<3>(cell));
  throw std::invalid_argument("positions have " + std::to_string(dimensions) + " dimensions; give 2 or 3");
}

}  // namespace

void local_structure(const double* positions, const int32_t* types, int64_t num_nodes, int dimensions,
                     const double* cell, const LocalStructure& settings, float* out, int64_t stride, int num_threads) {
  in_dimensions(dimensions, cell, [&](const auto& box) {
    structure_of(positions, types, num_nodes, box, settings, out, stride, num_threads);
  });
}

void weighted_means(const double* positions, const int32_t* types, int64_t num_nodes, int dimensions,
                    const double* cell, const WeightedMeans& settings, const float* values, int64_t values_stride,
                    float* out, int64_t stride, int num_threads) {
  if (settings.num_lengths < 1 || settings.num_values < 1) return;
  in_dimensions(dimensions, cell, [&](const auto& box) {
    means_of(positions, types, num_nodes, box, settings, values, values_stride, out, stride, num_threads);
  });
}

}  // namespace botan_fast
