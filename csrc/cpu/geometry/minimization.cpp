// Downhill to a minimum of the potential energy: limited-memory BFGS (Nocedal, Math. Comp. 35, 773 (1980)), no particle
// moving far in a step.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "botan_fast.h"
#include "cpu/geometry/pair_forces.h"
#include "cpu/runtime/text.h"
#include "cpu/runtime/thread_pool.h"

namespace botan_fast {
namespace {

constexpr int kHistory = 8;          // steps whose curvature is remembered
constexpr int64_t kChunk = 16384;    // numbers of one task
constexpr double kArmijo = 1e-4;     // of the decrease that the slope promises, the part that a step must keep
constexpr double kRounding = 1e-13;  // of an energy: what its sum may be off by
constexpr double kShorter = 0.3;     // a step that goes up is tried again so much shorter
constexpr double kShortest = 1e-10;  // steps shorter than that do not help
constexpr double kSteep = 20;  // from such forces on, in those that ask for the longest step, nothing is remembered
constexpr double kLargest = 1e140;  // forces whose squares can be added

// The sum of term(k) for begin <= k < end, in eight sums side by side, so that it vectorises.
template <class Term>
double sum_of(int64_t begin, int64_t end, const Term& term) {
  double lanes[8] = {};
  int64_t k = begin;
  for (; k + 8 <= end; k += 8)
    for (int lane = 0; lane < 8; ++lane) lanes[lane] += term(k + lane);
  for (; k < end; ++k) lanes[(k - begin) & 7] += term(k);
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

void pair_forces(const PairSystem& system, double* energy, double* forces, int num_threads) {
  evaluate_of(system, num_threads)(system.positions, energy, forces);
}

void pair_curvature(const PairSystem& system, double* virial, double* hessian, int num_threads) {
  if (system.dimensions == 3)
    PairForces<3>(system, num_threads).curvature(system.positions, virial, hessian);
  else
    PairForces<2>(system, num_threads).curvature(system.positions, virial, hessian);
}

struct Minimization::State {
  Evaluate evaluate;
  int64_t num_nodes, size;  // N, N D
  double largest_move, curvature;
  int num_threads;

  int64_t num_steps = 0, num_evaluations = 0;
  double total = 0, largest_force = 0;
  std::vector<double> x, force, energy;                       // (N, D) (N, D) (N,)
  std::vector<double> next_x, next_force, next_energy, move;  // of a step
  struct Pair {
    std::vector<double> moved, turned;  // (N, D) change of x and of -force
    double product;                     // moved . turned
  };
  std::vector<Pair> history;  // from the latest step to the first

  // The sum of part(begin, end) over chunks of [0, number), always the same ones and in their order.
  template <class Part>
  double over(int64_t number, const Part& part) const {
    const int64_t chunks = (number + kChunk - 1) / kChunk;
    std::vector<double> parts(chunks);
    parallel_for(chunks, num_threads,
                 [&](int64_t chunk) { parts[chunk] = part(chunk * kChunk, std::min(number, (chunk + 1) * kChunk)); });
    double sum = 0;
    for (const double each : parts) sum += each;
    return sum;
  }

  template <class Number>
  double largest(const Number& number) const {
    const int64_t chunks = (size + kChunk - 1) / kChunk;
    std::vector<double> parts(chunks);
    parallel_for(chunks, num_threads, [&](int64_t chunk) {
      double most = 0;
      for (int64_t k = chunk * kChunk; k < std::min(size, (chunk + 1) * kChunk); ++k) {
        const double each = std::fabs(number(k));
        most = each <= most ? most : each;  // keeps NaN
      }
      parts[chunk] = most;
    });
    double most = 0;
    for (const double each : parts) most = each <= most ? most : each;
    return most;
  }

  double energy_at(const std::vector<double>& where, std::vector<double>& energies, std::vector<double>& forces) {
    evaluate(where.data(), energies.data(), forces.data());
    ++num_evaluations;
    const double* e = energies.data();
    return over(num_nodes,
                [=](int64_t begin, int64_t end) { return sum_of(begin, end, [=](int64_t k) { return e[k]; }); });
  }

  double dot(const std::vector<double>& a, const std::vector<double>& b) const {
    const double *one = a.data(), *other = b.data();
    return over(size, [=](int64_t begin, int64_t end) {
      return sum_of(begin, end, [=](int64_t k) { return one[k] * other[k]; });
    });
  }

  // to += factor * by, and the product of the result with another vector in the same pass.
  double add(std::vector<double>& to, double factor, const std::vector<double>& by, const std::vector<double>& other) {
    double* sum = to.data();
    const double *term = by.data(), *with = other.data();
    return over(size, [=](int64_t begin, int64_t end) {
      return sum_of(begin, end, [=](int64_t k) { return (sum[k] += factor * term[k]) * with[k]; });
    });
  }

  void scale(std::vector<double>& vector, double factor) const {
    double* numbers = vector.data();
    over(size, [=](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) numbers[k] *= factor;
      return 0.0;
    });
  }

  // The step that the remembered curvature proposes, made shorter as a whole where it is longer than allowed; else
  // along the force, made shorter coordinate by coordinate, so that particles that overlap do not hold up the others.
  // Returns its product with the force.
  double propose() {
    if (largest_force > kSteep * curvature * largest_move) history.clear();
    move = force;
    double slope = 0;
    if (!history.empty()) {
      std::array<double, kHistory> weight{};
      double product = dot(history[0].moved, move);
      for (size_t k = 0; k < history.size(); ++k) {
        weight[k] = product / history[k].product;
        product =
            add(move, -weight[k], history[k].turned, k + 1 < history.size() ? history[k + 1].moved : history[k].turned);
      }
      // product is now the last turned . move, before it is scaled
      const double factor = history[0].product / dot(history[0].turned, history[0].turned);
      scale(move, factor);
      product *= factor;
      for (size_t k = history.size(); k-- > 0;)
        product = add(move, weight[k] - product / history[k].product, history[k].moved,
                      k > 0 ? history[k - 1].turned : force);
      slope = product;
    }
    if (!(slope > 0)) {
      history.clear();
      const double *f = force.data(), most = largest_move, softness = 1 / curvature;
      double* to = move.data();
      return over(size, [=](int64_t begin, int64_t end) {
        return sum_of(begin, end, [=](int64_t k) {
          to[k] = std::min(std::max(softness * f[k], -most), most);
          return to[k] * f[k];
        });
      });
    }
    const double* each = move.data();
    const double longest = largest([=](int64_t k) { return each[k]; });
    if (longest > largest_move) {
      scale(move, largest_move / longest);
      slope *= largest_move / longest;
    }
    return slope;
  }

  // One step down. False where none is found.
  bool step() {
    const double slope = propose();
    for (double part = 1; part > kShortest; part *= kShorter) {
      const double *from = x.data(), *by = move.data();
      double* to = next_x.data();
      over(size, [=](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) to[k] = from[k] + part * by[k];
        return 0.0;
      });
      const double next = energy_at(next_x, next_energy, next_force);
      if (!(next <= total - kArmijo * part * slope + kRounding * std::fabs(total))) continue;
      remember();
      total = next;
      x.swap(next_x), force.swap(next_force), energy.swap(next_energy);
      measure();
      ++num_steps;
      return true;
    }
    return false;
  }

  void remember() {
    Pair pair;
    if (history.size() == kHistory) {
      pair = std::move(history.back());
      history.pop_back();
    }
    pair.moved.resize(size), pair.turned.resize(size);
    double *moved = pair.moved.data(), *turned = pair.turned.data();
    const double *from = x.data(), *to = next_x.data(), *before = force.data(), *after = next_force.data();
    pair.product = over(size, [=](int64_t begin, int64_t end) {
      return sum_of(begin, end, [=](int64_t k) {
        moved[k] = to[k] - from[k], turned[k] = before[k] - after[k];
        return moved[k] * turned[k];
      });
    });
    if (pair.product > 0) history.insert(history.begin(), std::move(pair));  // else curved downwards: no use
  }

  void measure() {
    const double* f = force.data();
    largest_force = largest([=](int64_t k) { return f[k]; });
  }

  void start(const PairSystem& system) {
    x.assign(system.positions, system.positions + size);
    for (auto* each : {&force, &next_x, &next_force, &move}) each->resize(size);
    energy.resize(num_nodes), next_energy.resize(num_nodes);
    total = energy_at(x, energy, force);
    measure();
    if (largest_force < kLargest && std::isfinite(total)) return;
    for (int64_t k = 0; k < size; ++k)
      if (!(std::fabs(force[k]) < kLargest))
        throw std::invalid_argument("positions[" + std::to_string(k / system.dimensions) +
                                    "] is so close to another particle that their force is " + text_of(force[k], 3) +
                                    "; remove or move one of the two particles");
  }
};

Minimization::Minimization(const PairSystem& system, double largest_move, int num_threads)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.evaluate = evaluate_of(system, num_threads);
  s.num_nodes = system.num_nodes, s.size = system.num_nodes * system.dimensions;
  s.largest_move = largest_move, s.num_threads = num_threads;
  // About the stiffness of a particle in its cage, for the first step.
  const double sigma = system.potential.sigma[0];
  s.curvature = 500 * system.potential.epsilon[0] / (sigma * sigma);
  s.start(system);
}

Minimization::~Minimization() = default;

bool Minimization::run(int64_t steps, double tolerance) {
  State& s = *state_;
  for (int64_t k = 0; k < steps && s.largest_force > tolerance; ++k) {
    if (s.step()) continue;
    // Along the remembered curvature it goes down no more: from here once more along the force alone.
    const bool again = !s.history.empty();
    s.history.clear();
    if (!again || !s.step()) break;
  }
  return s.largest_force <= tolerance;
}

int64_t Minimization::num_steps() const { return state_->num_steps; }
int64_t Minimization::num_evaluations() const { return state_->num_evaluations; }
double Minimization::largest_force() const { return state_->largest_force; }

void Minimization::fill(double* positions, double* energy) const {
  std::copy(state_->x.begin(), state_->x.end(), positions);
  std::copy(state_->energy.begin(), state_->energy.end(), energy);
}

}  // namespace botan_fast
