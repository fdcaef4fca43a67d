// Langevin dynamics of particles that springs tie to given points: where each is on average while none leaves its cage.
// BAOAB: Leimkuhler and Matthews, Appl. Math. Res. Express 2013, 34. Noise by Philox: Salmon et al., SC11 (2011).
#include <algorithm>
#include <cmath>
#include <vector>

#include "botan_fast.h"
#include "cpu/geometry/pair_forces.h"
#include "cpu/runtime/thread_pool.h"
#include "periodic.h"

namespace botan_fast {
namespace {

constexpr int64_t kChunk = 512;  // particles of one task

// Philox4x32-10: 128 random bits of each counter.
struct Bits {
  uint32_t word[4];
};

Bits philox(uint64_t seed, uint64_t step, uint64_t particle) {
  uint32_t key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
  uint32_t c0 = static_cast<uint32_t>(step), c1 = static_cast<uint32_t>(step >> 32);
  uint32_t c2 = static_cast<uint32_t>(particle), c3 = static_cast<uint32_t>(particle >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c0, b = uint64_t{0xCD9E8D57} * c2;
    const uint32_t n0 = static_cast<uint32_t>(b >> 32) ^ c1 ^ key0, n2 = static_cast<uint32_t>(a >> 32) ^ c3 ^ key1;
    c1 = static_cast<uint32_t>(b), c3 = static_cast<uint32_t>(a);
    c0 = n0, c2 = n2;
    key0 += 0x9E3779B9, key1 += 0xBB67AE85;
  }
  return {{c0, c1, c2, c3}};
}

// Four numbers of the normal distribution (Box-Muller), of which D are used.
void normal(uint64_t seed, uint64_t step, uint64_t particle, int number, double* out) {
  constexpr double kPart = 1.0 / 4294967296.0, kTurn = 6.283185307179586;
  const Bits bits = philox(seed, step, particle);
  for (int k = 0; k < number; k += 2) {
    const double radius = std::sqrt(-2 * std::log((bits.word[k] + 0.5) * kPart));
    const double angle = kTurn * (bits.word[k + 1] * kPart);
    out[k] = radius * std::cos(angle), out[k + 1] = radius * std::sin(angle);
  }
}

// position = around + the shortest vector from it to an image of the position
template <int D>
void start_near(const PairSystem& system, const double* around, double* out) {
  const Cell<D> box(system.cell);
  for (int64_t i = 0; i < system.num_nodes; ++i) {
    double d[D], shift[D];
    for (int b = 0; b < D; ++b) d[b] = system.positions[i * D + b] - around[i * D + b];
    box.template image<false>(d, shift);
    for (int b = 0; b < D; ++b) out[i * D + b] = around[i * D + b] + d[b];
  }
}

}  // namespace

struct ConfinedDynamics::State {
  Confinement settings;
  Evaluate evaluate;
  int64_t num_nodes;
  int dimensions, num_threads;
  double keep, noise;  // of a velocity in one step: keep v + noise * normal

  int64_t num_steps = 0, num_samples = 0;
  double sum_squares = 0;                                 // of velocities
  std::vector<double> around, x, v, force, energy, sums;  // (N, D), energy (N,)
  std::vector<double> squares;                            // (N,) sums of |u|^2

  template <class Body>
  void for_chunks(const Body& body) const {
    parallel_for((num_nodes + kChunk - 1) / kChunk, num_threads,
                 [&](int64_t chunk) { body(chunk, chunk * kChunk, std::min(num_nodes, (chunk + 1) * kChunk)); });
  }
  int64_t num_chunks() const { return (num_nodes + kChunk - 1) / kChunk; }

  // Half a kick, half a drift, friction and noise, half a drift. The first particle that moves too far, or N.
  int64_t move() {
    const double half = 0.5 * settings.time_step, most = settings.largest_move * settings.largest_move;
    const int D = dimensions;
    std::vector<int64_t> runaway(num_chunks(), num_nodes);
    for_chunks([&](int64_t chunk, int64_t begin, int64_t end) {
      double random[4];
      for (int64_t i = begin; i < end; ++i) {
        normal(settings.seed, num_steps + 1, i, D, random);
        double squared = 0;
        for (int b = 0; b < D; ++b) {
          const int64_t k = i * D + b;
          const double kicked = v[k] + half * force[k];
          v[k] = keep * kicked + noise * random[b];
          const double moved = half * kicked + half * v[k];
          squared += moved * moved;
          x[k] += moved;
        }
        if (!(squared <= most)) runaway[chunk] = std::min(runaway[chunk], i);
      }
    });
    int64_t first = num_nodes;
    for (const int64_t each : runaway) first = std::min(first, each);
    return first;
  }

  void add_springs() {
    for_chunks([&](int64_t, int64_t begin, int64_t end) {
      for (int64_t k = begin * dimensions; k < end * dimensions; ++k) force[k] -= settings.spring * (x[k] - around[k]);
    });
  }

  // Springs and half a kick, and a sample of the result where one is due.
  void finish(bool sample) {
    const double half = 0.5 * settings.time_step;
    const int D = dimensions;
    std::vector<double> parts(num_chunks());
    for_chunks([&](int64_t chunk, int64_t begin, int64_t end) {
      double part = 0;
      for (int64_t i = begin; i < end; ++i) {
        double squared = 0;
        for (int b = 0; b < D; ++b) {
          const int64_t k = i * D + b;
          const double u = x[k] - around[k];
          force[k] -= settings.spring * u;
          v[k] += half * force[k];
          part += v[k] * v[k];
          squared += u * u;
          if (sample) sums[k] += u;
        }
        if (sample) squares[i] += squared;
      }
      parts[chunk] = part;
    });
    if (!sample) return;
    ++num_samples;
    for (const double part : parts) sum_squares += part;
  }
};

ConfinedDynamics::ConfinedDynamics(const PairSystem& system, const Confinement& confinement, int num_threads)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.evaluate = evaluate_of(system, num_threads);
  s.settings = confinement;
  s.num_nodes = system.num_nodes, s.dimensions = system.dimensions, s.num_threads = num_threads;
  s.keep = std::exp(-confinement.friction * confinement.time_step);
  s.noise = std::sqrt(confinement.temperature * (1 - s.keep * s.keep));
  const int64_t size = system.num_nodes * system.dimensions;
  s.around.assign(confinement.around, confinement.around + size);
  s.x.resize(size), s.v.resize(size), s.force.resize(size), s.energy.resize(system.num_nodes);
  s.sums.assign(size, 0.0), s.squares.assign(system.num_nodes, 0.0);
  if (s.dimensions == 2) start_near<2>(system, s.around.data(), s.x.data());
  if (s.dimensions == 3) start_near<3>(system, s.around.data(), s.x.data());
  const double speed = std::sqrt(confinement.temperature);
  for (int64_t i = 0; i < s.num_nodes; ++i) {
    double random[4];
    normal(confinement.seed, 0, i, s.dimensions, random);
    for (int b = 0; b < s.dimensions; ++b) s.v[i * s.dimensions + b] = speed * random[b];
  }
  s.evaluate(s.x.data(), s.energy.data(), s.force.data());
  s.add_springs();
}

ConfinedDynamics::~ConfinedDynamics() = default;

int64_t ConfinedDynamics::run(int64_t steps) {
  State& s = *state_;
  for (int64_t k = 0; k < steps; ++k) {
    const int64_t runaway = s.move();
    if (runaway < s.num_nodes) return runaway;
    s.evaluate(s.x.data(), s.energy.data(), s.force.data());
    ++s.num_steps;
    const int64_t sampled = s.num_steps - s.settings.equilibration;
    s.finish(sampled > 0 && sampled % s.settings.sample_every == 0);
  }
  return -1;
}

int64_t ConfinedDynamics::num_steps() const { return state_->num_steps; }
int64_t ConfinedDynamics::num_samples() const { return state_->num_samples; }

double ConfinedDynamics::temperature() const {
  const State& s = *state_;
  return s.sum_squares / static_cast<double>(std::max<int64_t>(1, s.num_samples * s.num_nodes * s.dimensions));
}

void ConfinedDynamics::fill(double* positions, double* fluctuation) const {
  const State& s = *state_;
  const int D = s.dimensions;
  const double part = 1.0 / static_cast<double>(std::max<int64_t>(1, s.num_samples));
  for (int64_t i = 0; i < s.num_nodes; ++i) {
    double squared = 0;
    for (int b = 0; b < D; ++b) {
      const double mean = part * s.sums[i * D + b];
      positions[i * D + b] = s.around[i * D + b] + mean;
      squared += mean * mean;
    }
    fluctuation[i] = std::max(0.0, part * s.squares[i] - squared);
  }
}

}  // namespace botan_fast
