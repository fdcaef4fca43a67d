// The inner loops of the descriptors for one instruction set; see descriptor_kernels.h. As in neighbor_kernels.cpp,
// everything but the entry table has internal linkage and no inline function of a header is instantiated.
#include "cpu/geometry/descriptor_kernels.h"

namespace botan_fast {
namespace {

typedef double Doubles __attribute__((vector_size(8 * kLanes)));
typedef double UnalignedDoubles __attribute__((vector_size(8 * kLanes), aligned(8), may_alias));
typedef int64_t Longs __attribute__((vector_size(8 * kLanes)));
typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef float UnalignedFloats __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

inline Doubles load(const double* p) { return *reinterpret_cast<const UnalignedDoubles*>(p); }
inline void store(double* p, Doubles v) { *reinterpret_cast<UnalignedDoubles*>(p) = v; }
inline Doubles load(const float* p) {
  return __builtin_convertvector(static_cast<Floats>(*reinterpret_cast<const UnalignedFloats*>(p)), Doubles);
}
inline Doubles all(double x) { return Doubles{} + x; }
inline double sum(Doubles v) { return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7])); }
inline Doubles root(Doubles v) {
  Doubles out;
  for (int k = 0; k < kLanes; ++k) out[k] = __builtin_sqrt(v[k]);
  return out;
}

// e^y for y in [-700, 700], to 1e-12: 2^n times a polynomial on |f| < ln 2 / 2.
inline Doubles exponential(Doubles y) {
  constexpr double kMagic = 6755399441055744.0;  // 1.5 * 2^52
  const Doubles shifted = y * 1.4426950408889634 + kMagic;
  const Doubles n = shifted - kMagic;
  const Doubles f = (y - n * 0.693145751953125) - n * 1.4286068203094173e-06;
  Doubles p = f * (1.0 / 3628800) + 1.0 / 362880;
  p = p * f + 1.0 / 40320;
  p = p * f + 1.0 / 5040;
  p = p * f + 1.0 / 720;
  p = p * f + 1.0 / 120;
  p = p * f + 1.0 / 24;
  p = p * f + 1.0 / 6;
  p = p * f + 0.5;
  p = p * f + 1.0;
  p = p * f + 1.0;
  return (Doubles)((Longs)p + ((Longs)shifted << 52));
}

// ---- minimum images ------------------------------------------------------------------------------------------

inline Doubles round_lanes(Doubles x) {
  constexpr double kMagic = 6755399441055744.0;
  return (x + kMagic) - kMagic;
}

void images(const ImageRow& s) {
  const int64_t padded = (s.num + kLanes - 1) / kLanes * kLanes;
  for (int64_t k = 0; k < s.num; ++k) {
    const Place& place = s.places[s.row[k]];
    for (int b = 0; b < 3; ++b) s.vector[b][k] = place.at[b] - s.here.at[b];
  }
  for (int64_t k = s.num; k < padded; ++k)
    for (int b = 0; b < 3; ++b) s.vector[b][k] = 0;
  for (int64_t k = 0; k < padded; k += kLanes) {
    Doubles d[3];
    for (int b = 0; b < 3; ++b) d[b] = load(s.vector[b] + k);
    if (s.diagonal) {
      for (int b = 0; b < 3; ++b) {
        const double length = s.rows[b][b];
        d[b] -= round_lanes(d[b] * s.inverse[b][b]) * length;
        if (s.tight) {
          const Doubles step = d[b] > 0.5 * length ? all(1) : d[b] < -0.5 * length ? all(-1) : all(0);
          d[b] -= step * length;
        }
      }
    } else {
      Doubles shift[3];
      for (int b = 0; b < 3; ++b)
        shift[b] = round_lanes(d[0] * s.inverse[0][b] + d[1] * s.inverse[1][b] + d[2] * s.inverse[2][b]);
      for (int b = 0; b < 3; ++b)
        for (int a = 0; a < 3; ++a) d[a] -= shift[b] * s.rows[b][a];
    }
    for (int b = 0; b < 3; ++b) store(s.vector[b] + k, d[b]);
    store(s.distance + k, root(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]));
  }
}

// ---- radial densities and bond order -------------------------------------------------------------------------

// The Gaussian of (r - centre) / width, which ends at kTail widths.
inline Doubles gaussian(Doubles r, double centre, double inverse_width) {
  const Doubles x = (r - centre) * inverse_width;
  const Doubles squared = x * x;
  const Doubles inside = squared < kTail * kTail ? squared : all(0);
  return squared < kTail * kTail ? exponential(inside * -0.5) : all(0);
}

// Components of all orders for the neighbours k, k + 1, ... of one group: out (num, blocks * kLanes).
inline void harmonics_3d(const LocalRow& s, int64_t k, int num, int64_t blocks, double* out) {
  const int highest = s.orders[s.num_orders - 1];
  const Doubles r = load(s.distance + k);
  const Doubles x = load(s.vector[0] + k) / r, y = load(s.vector[1] + k) / r, z = load(s.vector[2] + k) / r;
  alignas(64) double powers[kLanes][kAngular] = {};  // of x + i y
  Doubles re = all(1), im = all(0);
  for (int g = 0; g < kLanes; ++g) powers[g][0] = 1;
  for (int m = 1; m <= highest; ++m) {
    const Doubles next = re * x - im * y;
    im = re * y + im * x;
    re = next;
    for (int g = 0; g < kLanes; ++g) powers[g][2 * m - 1] = re[g], powers[g][2 * m] = im[g];
  }
  for (int g = 0; g < num; ++g) {
    Doubles one[kAngular / kLanes] = {}, two[kAngular / kLanes] = {};  // q of l - 1 and l - 2
    one[0][0] = 1;
    double* row = out + g * blocks * kLanes;
    int64_t wanted = 0;
    for (int l = 1; l <= highest; ++l) {
      const bool kept = s.orders[wanted] == l;
      double* components = row + s.offsets[wanted] * kLanes;
      for (int v = 0; v < (2 * l + kLanes) / kLanes; ++v) {
        const Doubles q = load(s.harmonics->alpha[l] + v * kLanes) * z[g] * one[v] -
                          load(s.harmonics->beta[l] + v * kLanes) * two[v] + load(s.harmonics->seed[l] + v * kLanes);
        two[v] = one[v];
        one[v] = q;
        if (kept) store(components + v * kLanes, q * load(powers[g] + v * kLanes));
      }
      wanted += kept;
    }
  }
}

inline void harmonics_2d(const LocalRow& s, int64_t k, int num, int64_t blocks, double* out) {
  const Doubles r = load(s.distance + k);
  const Doubles x = load(s.vector[0] + k) / r, y = load(s.vector[1] + k) / r;
  for (int g = 0; g < num; ++g)
    for (int64_t c = 0; c < blocks * kLanes; ++c) out[g * blocks * kLanes + c] = 0;
  Doubles re = all(1), im = all(0);
  int64_t wanted = 0;
  for (int l = 1; wanted < s.num_orders; ++l) {
    const Doubles next = re * x - im * y;
    im = re * y + im * x;
    re = next;
    if (s.orders[wanted] != l) continue;
    for (int g = 0; g < num; ++g) {
      out[g * blocks * kLanes + s.offsets[wanted] * kLanes] = re[g];
      out[g * blocks * kLanes + s.offsets[wanted] * kLanes + 1] = im[g];
    }
    ++wanted;
  }
}

// sums += weight of each neighbour times its components, V blocks
template <int V>
inline void add_components(const double* components, int64_t row, const double* weight, int num, double* sums) {
  Doubles a[V];
  for (int v = 0; v < V; ++v) a[v] = load(sums + v * kLanes);
  for (int g = 0; g < num; ++g)
    for (int v = 0; v < V; ++v) a[v] += load(components + g * row + v * kLanes) * weight[g];
  for (int v = 0; v < V; ++v) store(sums + v * kLanes, a[v]);
}

void local_sums(const LocalRow& s) {
  const int64_t species = s.by_species ? s.num_species : 1;
  const int64_t blocks = s.num_orders ? s.offsets[s.num_orders] : 0;
  double* radial = s.work;                                               // (species, centres, kLanes)
  double* norms = radial + s.num_species * s.num_centres * kLanes;       // (shells, species, kLanes)
  double* sums = norms + s.num_shells * species * kLanes;                // (shells, species, blocks * kLanes)
  double* components = sums + s.num_shells * species * blocks * kLanes;  // (kLanes, blocks * kLanes)
  for (double* p = radial; p < components; ++p) *p = 0;
  for (int64_t type = 0; type < s.num_species; ++type)
    for (int64_t k = s.begin[type]; k < s.end[type]; k += kLanes) {
      const int num = s.end[type] - k < kLanes ? static_cast<int>(s.end[type] - k) : kLanes;
      const Doubles r = load(s.distance + k);
      double nearest = r[0], farthest = r[0];
      for (int g = 1; g < num; ++g) {
        nearest = s.distance[k + g] < nearest ? s.distance[k + g] : nearest;
        farthest = s.distance[k + g] > farthest ? s.distance[k + g] : farthest;
      }
      const auto reached = [&](double centre, double inverse_width) {
        return (nearest - centre) * inverse_width < kTail && (centre - farthest) * inverse_width < kTail;
      };
      for (int64_t c = 0; c < s.num_centres; ++c) {
        if (!reached(s.centres[c], s.inverse_width)) continue;
        double* to = radial + (type * s.num_centres + c) * kLanes;
        store(to, load(to) + gaussian(r, s.centres[c], s.inverse_width));
      }
      bool known = false;
      for (int64_t t = 0; t < s.num_shells; ++t) {
        if (!reached(s.shells[2 * t], s.shells[2 * t + 1])) continue;
        if (!known) (s.dimensions == 2 ? harmonics_2d : harmonics_3d)(s, k, num, blocks, components);
        known = true;
        alignas(64) double weight[kLanes];
        const Doubles w = gaussian(r, s.shells[2 * t], s.shells[2 * t + 1]);
        store(weight, w);
        const int64_t slot = t * species + (s.by_species ? type : 0);
        store(norms + slot * kLanes, load(norms + slot * kLanes) + w);
        double* to = sums + slot * blocks * kLanes;
        int64_t v = 0;
        for (; v + 4 <= blocks; v += 4)
          add_components<4>(components + v * kLanes, blocks * kLanes, weight, num, to + v * kLanes);
        for (; v < blocks; ++v)
          add_components<1>(components + v * kLanes, blocks * kLanes, weight, num, to + v * kLanes);
      }
    }
  float* out = s.out;
  for (int64_t c = 0; c < s.num_species * s.num_centres; ++c)
    *out++ = static_cast<float>(sum(load(radial + c * kLanes)));
  for (int64_t slot = 0; slot < s.num_shells * species; ++slot) {
    const double norm = sum(load(norms + slot * kLanes));
    for (int64_t o = 0; o < s.num_orders; ++o) {
      Doubles squared = all(0);
      for (int64_t v = s.offsets[o]; v < s.offsets[o + 1]; ++v) {
        const Doubles q = load(sums + (slot * blocks + v) * kLanes);
        squared += q * q;
      }
      *out++ = norm > 0 ? static_cast<float>(__builtin_sqrt(sum(squared)) / norm) : 0.0f;
    }
  }
}

// ---- weighted means ------------------------------------------------------------------------------------------

double weights(const double* distance, int64_t num, double inverse_length, double cutoff, double* out) {
  Doubles total = all(0);
  for (int64_t k = 0; k < num; k += kLanes) {
    const Doubles r = load(distance + k);
    const Doubles inside = r < cutoff ? r : all(0);
    const Doubles w = r < cutoff ? exponential(inside * -inverse_length) : all(0);
    store(out + k, w);
    total += w;
  }
  return sum(total);
}

// V blocks of L lengths: all sums stay in registers
template <int V, int L>
inline void add_block(const float* values, int64_t row, const int32_t* rows, int64_t num, const double* weights,
                      int64_t stride, double* sums) {
  Doubles a[L][V];
  for (int m = 0; m < L; ++m)
    for (int v = 0; v < V; ++v) a[m][v] = load(sums + m * row + v * kLanes);
  for (int64_t k = 0; k < num; ++k) {
    const float* value = values + rows[k] * row;
    for (int v = 0; v < V; ++v) {
      const Doubles x = load(value + v * kLanes);
      for (int m = 0; m < L; ++m) a[m][v] += x * weights[m * stride + k];
    }
  }
  for (int m = 0; m < L; ++m)
    for (int v = 0; v < V; ++v) store(sums + m * row + v * kLanes, a[m][v]);
}

template <int L>
inline void add_lengths(const float* values, int64_t blocks, const int32_t* rows, int64_t num, const double* weights,
                        int64_t stride, double* sums) {
  constexpr int V = L == 1 ? 4 : L == 2 ? 2 : 1;
  int64_t v = 0;
  for (; v + V <= blocks; v += V)
    add_block<V, L>(values + v * kLanes, blocks * kLanes, rows, num, weights, stride, sums + v * kLanes);
  for (; v < blocks; ++v)
    add_block<1, L>(values + v * kLanes, blocks * kLanes, rows, num, weights, stride, sums + v * kLanes);
}

void add_rows(const float* values, int64_t blocks, const int32_t* rows, int64_t num, const double* weights,
              int64_t stride, int64_t num_lengths, double* sums) {
  const int64_t width = blocks * kLanes;
  int64_t m = 0;
  for (; m + 4 <= num_lengths; m += 4)
    add_lengths<4>(values, blocks, rows, num, weights + m * stride, stride, sums + m * width);
  for (; m + 2 <= num_lengths; m += 2)
    add_lengths<2>(values, blocks, rows, num, weights + m * stride, stride, sums + m * width);
  for (; m < num_lengths; ++m)
    add_lengths<1>(values, blocks, rows, num, weights + m * stride, stride, sums + m * width);
}

const DescriptorKernels kKernels = {images, local_sums, weights, add_rows};

}  // namespace

#define BOTAN_FAST_JOIN_(a, b) a##b
#define BOTAN_FAST_JOIN(a, b) BOTAN_FAST_JOIN_(a, b)
const DescriptorKernels& BOTAN_FAST_JOIN(descriptor_kernels_, BOTAN_FAST_SIMD)() { return kKernels; }

}  // namespace botan_fast
