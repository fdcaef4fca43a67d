// Minimum image of one difference vector. The neighbour list and the targets share it.
#pragma once

#include <cmath>
#include <cstdint>
#include <stdexcept>

namespace botan_fast {

// Round to the nearest integer, ties to even, for |x| < 2^51. Unlike std::nearbyint it vectorises for every
// x86-64; it is odd in x, as the symmetry of the graph needs.
inline double round_even(double x) {
  constexpr double kMagic = 6755399441055744.0;  // 1.5 * 2^52
  return (x + kMagic) - kMagic;
}

template <int D>
struct Cell {
  double rows[D][D];     // row vectors
  double inverse[D][D];  // position @ inverse = fractional coordinates
  double heights[D];     // distance between opposite faces
  bool diagonal;

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
  double image(double (&d)[D], double (&shift)[D]) const {
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
};

}  // namespace botan_fast
