// Minimum image of one difference vector. The neighbour list and the targets share it, on the CPU and, compiled
// without contraction of products and sums, on CUDA: all of them decide alike, bit for bit.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>

#ifdef __CUDACC__
#define BOTAN_HOST_DEVICE __host__ __device__
#else
#define BOTAN_HOST_DEVICE
#endif

namespace botan_fast {

// Box lengths from the origin; beyond them float64 holds less than seven digits of the image.
constexpr double kFar = 1 << 30;

// The smallest number whose square root is not below the cutoff: d2 < it exactly when sqrt(d2) < cutoff.
inline double squared_threshold(double cutoff) {
  double squared = cutoff * cutoff;
  while (std::sqrt(std::nextafter(squared, 0.0)) >= cutoff) squared = std::nextafter(squared, 0.0);
  while (std::sqrt(squared) < cutoff) squared = std::nextafter(squared, std::numeric_limits<double>::infinity());
  return squared;
}

// Round to the nearest integer, ties to even, for |x| < 2^51. Unlike std::nearbyint it vectorises for every
// x86-64; it is odd in x, as the symmetry of the graph needs.
BOTAN_HOST_DEVICE inline double round_even(double x) {
  constexpr double kMagic = 6755399441055744.0;  // 1.5 * 2^52
  return (x + kMagic) - kMagic;
}

template <int D>
struct Cell {
  double rows[D][D];     // row vectors
  double inverse[D][D];  // position @ inverse = fractional coordinates
  double heights[D];     // distance between opposite faces
  bool diagonal;

  Cell() = default;
  explicit Cell(const double* cell) : diagonal(true) {
    for (int a = 0; a < D; ++a)
      for (int b = 0; b < D; ++b) {
        rows[a][b] = cell[a * D + b];
        if (a == b ? !(rows[a][b] > 0) : rows[a][b] != 0) diagonal = false;
      }
    double volume = 0;
    if constexpr (D == 2) {
      inverse[0][0] = rows[1][1], inverse[0][1] = -rows[0][1];
      inverse[1][0] = -rows[1][0], inverse[1][1] = rows[0][0];
    } else {
      for (int a = 0; a < D; ++a)
        for (int b = 0; b < D; ++b) {
          const int i = (b + 1) % 3, j = (b + 2) % 3, k = (a + 1) % 3, l = (a + 2) % 3;
          inverse[a][b] = rows[i][k] * rows[j][l] - rows[i][l] * rows[j][k];
        }
    }
    for (int a = 0; a < D; ++a) volume += rows[0][a] * inverse[a][0];
    if (!(std::fabs(volume) > 0) || !std::isfinite(volume))
      throw std::invalid_argument("box has no volume; give linearly independent, finite cell vectors");
    for (int b = 0; b < D; ++b) {
      double norm = 0;
      for (int a = 0; a < D; ++a) {
        inverse[a][b] = diagonal ? (a == b ? 1.0 / rows[a][a] : 0.0) : inverse[a][b] / volume;
        norm += inverse[a][b] * inverse[a][b];
      }
      heights[b] = diagonal ? rows[b][b] : 1.0 / std::sqrt(norm);
    }
  }

  // d -= shift @ rows with shift = rint(d @ inverse): within half of every height this is the minimum image.
  // kTight (diagonal cells alone) corrects an edge of exactly half a box length, where the division may round to
  // the wrong side; without it a box of exactly 2 * cutoff could lose a pair. Returns d . d.
  template <bool kDiagonal, bool kTight = false>
  BOTAN_HOST_DEVICE double image(double (&d)[D], double (&shift)[D]) const {
    for (int b = 0; b < D; ++b) {
      double s;
      if constexpr (kDiagonal) {
        s = d[b] * inverse[b][b];
      } else {
        s = d[0] * inverse[0][b];
        for (int a = 1; a < D; ++a) s += d[a] * inverse[a][b];
      }
      shift[b] = round_even(s);
    }
    for (int b = 0; b < D; ++b) {
      if constexpr (kDiagonal) {
        d[b] -= shift[b] * rows[b][b];
        if constexpr (kTight) {
          const double step = d[b] > 0.5 * rows[b][b] ? 1.0 : d[b] < -0.5 * rows[b][b] ? -1.0 : 0.0;
          d[b] -= step * rows[b][b];
          shift[b] += step;
        }
      } else {
        for (int a = 0; a < D; ++a) d[b] -= shift[a] * rows[a][b];
      }
    }
    double squared = d[0] * d[0];
    for (int b = 1; b < D; ++b) squared += d[b] * d[b];
    return squared;
  }

  // The smallest squared length of d + n @ rows over n in {-1, 0, 1}^D. Beyond half of the smallest height the nearest
  // image need not be the one that rounding gives; in a reduced cell it is one of its neighbours.
  BOTAN_HOST_DEVICE double nearest_squared(const double (&d)[D]) const {
    double best = 0;
    for (int code = 0; code < (D == 2 ? 9 : 27); ++code) {
      const int step[3] = {code % 3 - 1, code / 3 % 3 - 1, code / 9 - 1};
      double squared = 0;
      for (int b = 0; b < D; ++b) {
        double component = d[b];
        for (int a = 0; a < D; ++a) component += step[a] * rows[a][b];
        squared += component * component;
      }
      best = code == 0 || squared < best ? squared : best;
    }
    return best;
  }

  // The length of the minimum image of a - b in a reduced cell; images shorter than sqrt(safe_squared) are the nearest.
  template <bool kDiagonal>
  BOTAN_HOST_DEVICE double image_distance(double safe_squared, const double* a, const double* b, int stride) const {
    double d[D], shift[D];
    for (int k = 0; k < D; ++k) d[k] = a[k * stride] - b[k * stride];
    const double squared = image<kDiagonal>(d, shift);
    return std::sqrt(kDiagonal || squared <= safe_squared ? squared : nearest_squared(d));
  }
};

// Whether half an edge of the box is about the cutoff, so that pairs need the correction kTight of Cell::image.
template <int D>
bool is_tight(const Cell<D>& box, double cutoff) {
  for (int b = 0; b < D; ++b)
    if (box.heights[b] < 2 * cutoff * (1 + 1e-9)) return true;
  return false;
}

// An image shorter than this is the nearest one: half of the smallest height.
template <int D>
double safe_length(const Cell<D>& box) {
  double height = box.heights[0];
  for (int b = 1; b < D; ++b) height = box.heights[b] < height ? box.heights[b] : height;
  return 0.5 * height * (1 - 1e-9);
}

}  // namespace botan_fast
