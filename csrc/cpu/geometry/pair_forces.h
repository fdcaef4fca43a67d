// Energies and forces of a Lennard-Jones mixture, from a Verlet list that follows the particles.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "botan_fast.h"
#include "cpu/geometry/verlet_list.h"
#include "cpu/runtime/text.h"
#include "cpu/runtime/thread_pool.h"
#include "periodic.h"

namespace botan_fast {

template <int D>
class PairForces {
 public:
  PairForces(const PairSystem& system, int num_threads)
      : box_(system.cell),
        types_(system.types),
        num_nodes_(system.num_nodes),
        num_species_(system.potential.num_species),
        num_threads_(num_threads),
        longest_(longest_of(system.potential)),
        skin_(skin_of(longest_)),
        list_(box_, num_nodes_, longest_ + skin_, num_threads) {
    if (num_nodes_ >= VerletList<D>::kMost)
      throw std::invalid_argument("positions hold " + std::to_string(num_nodes_) +
                                  " particles; a list of pairs holds " + std::to_string(VerletList<D>::kMost - 1) +
                                  ", use a smaller system");
    const PairPotential& table = system.potential;
    for (int k = 0; k < num_species_ * num_species_; ++k) {
      const double epsilon = table.epsilon[k], sigma = table.sigma[k], cutoff = table.cutoff[k];
      const double s2 = sigma * sigma, s6 = s2 * s2 * s2, c2 = cutoff * cutoff, r6 = 1 / (c2 * c2 * c2);
      Pair pair{};
      pair.cutoff_squared = c2;
      pair.repulsion = 4 * epsilon * s6 * s6, pair.attraction = 4 * epsilon * s6;
      if (table.truncation != Truncation::plain) pair.shift = (pair.repulsion * r6 - pair.attraction) * r6;
      if (table.truncation == Truncation::force_shifted)
        pair.slope = -(12 * pair.repulsion * r6 - 6 * pair.attraction) * r6 / cutoff;
      pair.shift -= pair.slope * cutoff;
      pairs_.push_back(pair);
    }
  }

  // Of positions (N, D), which may lie outside of the box: energy (N,), half of each pair, and forces (N, D). Both sums
  // of a particle are taken in the order of its row, which depends on the positions since the list was built.
  void evaluate(const double* positions, double* energy, double* forces) {
    follow(positions);
    for_rows([&](int64_t i, const Place& me, const uint32_t* neighbors, int64_t number, Row& row) {
      add_row(me, neighbors, number, row, energy[i], forces + i * D);
    });
  }

  // virial (N,), half of - sum r V'(r) of each particle's pairs, and hessian (N, D, D), the second derivatives of the
  // energy by the position of each particle alone.
  void curvature(const double* positions, double* virial, double* hessian) {
    follow(positions);
    for_rows([&](int64_t i, const Place& me, const uint32_t* neighbors, int64_t number, Row& row) {
      curve_row(me, neighbors, number, row, virial[i], hessian + i * D * D);
    });
  }

 private:
  static constexpr double kSkin = 0.12;    // of the longest cutoff: how much farther the list reaches
  static constexpr int64_t kChunk = 4096;  // particles of one task of what is done for each alone

  // V(r) = repulsion r^-12 - attraction r^-6 - shift - slope r below the cutoff
  struct Pair {
    double cutoff_squared, repulsion, attraction, shift, slope;
  };

  // The neighbours of one particle that are within the cutoff, side by side.
  struct Row {
    std::vector<double> d[D], squared;
    std::vector<int32_t> pair;
    void reserve(int64_t n) {
      if (static_cast<int64_t>(pair.size()) >= n) return;
      for (int b = 0; b < D; ++b) d[b].resize(n);
      squared.resize(n), pair.resize(n);
    }
  };

  // The list of these positions, and the particles in its order.
  void follow(const double* positions) {
    if (built_.empty() || moved(positions)) {
      list_.build(positions);
      built_.assign(positions, positions + num_nodes_ * D);
      here_.resize(num_nodes_);
    }
    for_places([&](int64_t p) {
      const int64_t i = list_.order[p];
      Place place = {};
      for (int b = 0; b < D; ++b) place.at[b] = positions[i * D + b] - list_.shifts[i].at[b];
      place.at[3] = types_[i];
      here_[p] = place;
    });
  }

  // body(particle, its place, its neighbours, how many, room for a row), in tasks of the list.
  template <class Body>
  void for_rows(const Body& body) const {
    parallel_for(static_cast<int64_t>(list_.tasks.size()), num_threads_, [&](int64_t t) {
      const typename VerletList<D>::Task& task = list_.tasks[t];
      Row row;
      int64_t begin = 0;
      for (int64_t p = task.begin; p < task.end; ++p) {
        const int64_t end = task.row_end[p - task.begin];
        row.reserve(end - begin);
        body(list_.order[p], here_[p], task.neighbors.data() + begin, end - begin, row);
        begin = end;
      }
    });
  }

  static double longest_of(const PairPotential& table) {
    return *std::max_element(table.cutoff, table.cutoff + table.num_species * table.num_species);
  }

  // What the box leaves, at most: in a box of twice the cutoff the list is made for every step.
  double skin_of(double cutoff) const { return std::clamp(safe_length(box_) - cutoff, 0.0, kSkin * cutoff); }

  template <class Body>
  void for_places(const Body& body) const {
    parallel_for((num_nodes_ + kChunk - 1) / kChunk, num_threads_, [&](int64_t chunk) {
      for (int64_t p = chunk * kChunk; p < std::min(num_nodes_, (chunk + 1) * kChunk); ++p) body(p);
    });
  }

  // Whether a particle has moved by half of the skin since the list was made.
  bool moved(const double* positions) const {
    const double limit = 0.25 * skin_ * skin_ * (1 - 1e-9);
    std::vector<char> found((num_nodes_ + kChunk - 1) / kChunk, 0);
    for_places([&](int64_t i) {
      double squared = 0;
      for (int b = 0; b < D; ++b) {
        const double d = positions[i * D + b] - built_[i * D + b];
        squared += d * d;
      }
      if (!(squared < limit) && squared != 0) found[i / kChunk] = 1;
    });
    return std::any_of(found.begin(), found.end(), [](char each) { return each; });
  }

  // The neighbours within the cutoff, into the row; how many they are.
  int64_t find_row(const Place& me, const uint32_t* neighbors, int64_t number, Row& row) const {
    constexpr uint32_t kImage = (1u << VerletList<D>::kImageBits) - 1;
    const int32_t species = static_cast<int32_t>(me.at[3]) * num_species_;
    const Place *here = here_.data(), *offsets = list_.offsets.data();
    const Pair* pairs = pairs_.data();
    int64_t n = 0;
    for (int64_t k = 0; k < number; ++k) {
      const Place &other = here[neighbors[k] >> VerletList<D>::kImageBits], &offset = offsets[neighbors[k] & kImage];
      double squared = 0;
      for (int b = 0; b < D; ++b) {
        const double d = other.at[b] + offset.at[b] - me.at[b];
        row.d[b][n] = d;
        squared += d * d;
      }
      const int32_t pair = species + static_cast<int32_t>(other.at[3]);
      row.squared[n] = squared, row.pair[n] = pair;
      n += squared < pairs[pair].cutoff_squared;
    }
    return n;
  }

  void curve_row(const Place& me, const uint32_t* neighbors, int64_t number, Row& row, double& virial,
                 double* hessian) const {
    const int64_t n = find_row(me, neighbors, number, row);
    double sum = 0, second[D * D] = {};
    for (int64_t k = 0; k < n; ++k) {
      const Pair& pair = pairs_[row.pair[k]];
      const double inverse = 1 / row.squared[k], r6 = inverse * inverse * inverse;
      const double repulsion = pair.repulsion * r6 * r6, attraction = pair.attraction * r6;
      const double factor = (6 * attraction - 12 * repulsion) * inverse - pair.slope * std::sqrt(inverse);  // V'(r) / r
      const double bend = (156 * repulsion - 42 * attraction) * inverse - factor;  // V'' - V' / r
      sum -= factor * row.squared[k];
      for (int a = 0; a < D; ++a) {
        for (int b = 0; b < D; ++b) second[a * D + b] += bend * inverse * row.d[a][k] * row.d[b][k];
        second[a * D + a] += factor;
      }
    }
    virial = 0.5 * sum;
    std::copy(second, second + D * D, hessian);
  }

  void add_row(const Place& me, const uint32_t* neighbors, int64_t number, Row& row, double& energy,
               double* force) const {
    const int64_t n = find_row(me, neighbors, number, row);
    const Pair* pairs = pairs_.data();
    double sum = 0, pull[D] = {};
    for (int64_t k = 0; k < n; ++k) {
      const Pair& pair = pairs[row.pair[k]];
      const double inverse = 1 / row.squared[k], root = std::sqrt(inverse), r = row.squared[k] * root;
      const double r6 = inverse * inverse * inverse;
      const double repulsion = pair.repulsion * r6 * r6, attraction = pair.attraction * r6;
      sum += repulsion - attraction - pair.shift - pair.slope * r;
      const double factor = (6 * attraction - 12 * repulsion) * inverse - pair.slope * root;  // V'(r) / r
      for (int b = 0; b < D; ++b) pull[b] += factor * row.d[b][k];
    }
    energy = 0.5 * sum;
    for (int b = 0; b < D; ++b) force[b] = pull[b];
  }

  const Cell<D> box_;
  const int32_t* types_;
  const int64_t num_nodes_;
  const int num_species_, num_threads_;
  const double longest_, skin_;
  VerletList<D> list_;
  std::vector<Pair> pairs_;    // (S, S)
  std::vector<double> built_;  // (N, D) positions of the list
  std::vector<Place> here_;    // by place: positions in the box of the list, and the species
};

// PairForces of as many dimensions as the system has.
using Evaluate = std::function<void(const double* positions, double* energy, double* forces)>;

template <int D>
Evaluate evaluate_with(const PairSystem& system, int num_threads) {
  auto forces = std::make_shared<PairForces<D>>(system, num_threads);
  return [forces](const double* positions, double* energy, double* out) { forces->evaluate(positions, energy, out); };
}

inline Evaluate evaluate_of(const PairSystem& system, int num_threads) {
  if (system.dimensions == 2) return evaluate_with<2>(system, num_threads);
  if (system.dimensions == 3) return evaluate_with<3>(system, num_threads);
  throw std::invalid_argument("positions have " + std::to_string(system.dimensions) + " dimensions; give 2 or 3");
}

}  // namespace botan_fast
