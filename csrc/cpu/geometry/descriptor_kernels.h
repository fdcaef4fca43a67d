// What the instruction-set-specific objects (descriptor_kernels.cpp, compiled several times) offer to the descriptors.
// Every result is the same bit for bit for each set: eight numbers side by side whatever the width of a vector, and no
// fused multiply and add.
#pragma once

#include <cstdint>

#include "cpu/geometry/neighbor_kernels.h"

namespace botan_fast {

constexpr int kLanes = 8;       // arrays of neighbours are padded to a multiple of it
constexpr int kMaxOrder = 16;   // l of the bond order
constexpr int kAngular = 40;    // components of one l at most, 2 l + 1, padded
constexpr int kFew = 4;         // columns that are added up across neighbours
constexpr double kTail = 5;     // Gaussians end at so many widths
constexpr double kNone = 1e30;  // the distance of padding

// Minimum images of one particle and the particles of a row of places.
struct ImageRow {
  const Place* places;
  const int32_t* row;
  int64_t num;  // the arrays have room for the next multiple of kLanes
  Place here;
  double rows[3][3], inverse[3][3];  // of the cell; zero where there is no third axis
  bool diagonal, tight;              // as in Cell::image
  double* vector[3];                 // out: to the neighbour
  double* distance;                  // out
};

// Real spherical harmonics with norm sum_m Y_lm(u) Y_lm(v) = P_l(u . v), the components of one l side by side: m = 0,
// then cos and sin of m = 1, 2, ... They are norm_l q_l times those of |(x + i y)^m|, where q_l is the polynomial in z
// with leading coefficient 1: q_l = z q_(l-1) - beta_l q_(l-2) + seed_l, seed_l = 1 for m = l.
struct Harmonics {
  double beta[kMaxOrder + 1][kAngular], seed[kMaxOrder + 1][kAngular], norm[kMaxOrder + 1][kAngular];
};

// Sums over the neighbours of one particle.
struct LocalRow {
  int dimensions, num_species;
  const double* distance;
  const double* vector[3];
  const int64_t* begin;  // neighbours of species s are begin[s]:end[s], padding follows up to a multiple of kLanes
  const int64_t* end;
  const double* centres;  // of the radial densities
  int64_t num_centres;
  double inverse_width;
  const double* shells;  // (num_shells, 2): centre and inverse width
  int64_t num_shells;
  bool by_species;        // of the bond order
  const int32_t* orders;  // (num_orders,) rising
  int64_t num_orders;
  const int64_t* offsets;  // (num_orders + 1,): the components of each order in a row, in vectors of kLanes
  const Harmonics* harmonics;
  double* work;  // local_work() numbers, aligned to 64 bytes
  float* out;    // (species, centres), (shells, species or 1, orders)
};

struct DescriptorKernels {
  void (*images)(const ImageRow&);
  void (*local_sums)(const LocalRow&);
  // out[k] = exp(-distance[k] * inverse_length) below the cutoff, else 0; returns their sum. num: multiple of kLanes
  double (*weights)(const double* distance, int64_t num, double inverse_length, double cutoff, double* out);
  // sums (lengths, blocks * kLanes) += sum over k of weights[length * stride + k] * values[rows[k]]; values has rows of
  // blocks * kLanes numbers
  void (*add_rows)(const float* values, int64_t blocks, const int32_t* rows, int64_t num, const double* weights,
                   int64_t stride, int64_t num_lengths, double* sums);
  // The same of few columns: values (N, width), sums (lengths, width), width <= kFew; num: multiple of kLanes
  void (*add_few)(const float* values, int64_t width, const int32_t* rows, int64_t num, const double* weights,
                  int64_t stride, int64_t num_lengths, double* sums);
};

const DescriptorKernels& descriptor_kernels_generic();
const DescriptorKernels& descriptor_kernels_avx2();
const DescriptorKernels& descriptor_kernels_avx512();
// The best set that this machine runs.
const DescriptorKernels& descriptor_kernels();

}  // namespace botan_fast
