// The inner loops of the descriptors for one instruction set; see descriptor_kernels.h. As in neighbor_kernels.cpp,
// everything but the entry table has internal linkage and no inline function of a header is instantiated.
#include "cpu/geometry/descriptor_kernels.h"

namespace botan_fast {
namespace {

// Native vectors; g++ takes wider ones apart number by number where it compares or chooses.
#if defined(__AVX512F__)
constexpr int kWidth = 8;
#elif defined(__AVX2__)
constexpr int kWidth = 4;
#else
constexpr int kWidth = 2;
#endif
typedef double Native __attribute__((vector_size(8 * kWidth)));
typedef double UnalignedNative __attribute__((vector_size(8 * kWidth), aligned(8), may_alias));
typedef int64_t NativeLongs __attribute__((vector_size(8 * kWidth)));
typedef float NativeFloats __attribute__((vector_size(4 * kWidth)));
typedef float UnalignedFloats __attribute__((vector_size(4 * kWidth), aligned(4), may_alias));

#define BOTAN_FAST_EACH for (int part = 0; part < kLanes / kWidth; ++part)
#define BOTAN_FAST_INLINE inline __attribute__((always_inline))

// Eight numbers side by side.
struct Doubles {
  Native v[kLanes / kWidth];
  BOTAN_FAST_INLINE double operator[](int k) const { return v[k / kWidth][k % kWidth]; }
};
#define BOTAN_FAST_OPERATOR(op)                                                                \
  [[maybe_unused]] BOTAN_FAST_INLINE Doubles operator op(const Doubles& a, const Doubles& b) { \
    Doubles c;                                                                                 \
    BOTAN_FAST_EACH c.v[part] = a.v[part] op b.v[part];                                        \
    return c;                                                                                  \
  }                                                                                            \
  [[maybe_unused]] BOTAN_FAST_INLINE Doubles operator op(const Doubles& a, double b) {         \
    Doubles c;                                                                                 \
    BOTAN_FAST_EACH c.v[part] = a.v[part] op b;                                                \
    return c;                                                                                  \
  }
BOTAN_FAST_OPERATOR(+)
BOTAN_FAST_OPERATOR(-)
BOTAN_FAST_OPERATOR(*)
BOTAN_FAST_OPERATOR(/)
#undef BOTAN_FAST_OPERATOR

BOTAN_FAST_INLINE Doubles load(const double* p) {
  Doubles c;
  BOTAN_FAST_EACH c.v[part] = *reinterpret_cast<const UnalignedNative*>(p + part * kWidth);
  return c;
}
BOTAN_FAST_INLINE Doubles load(const float* p) {
  Doubles c;
  BOTAN_FAST_EACH {
    const NativeFloats f = *reinterpret_cast<const UnalignedFloats*>(p + part * kWidth);
    c.v[part] = __builtin_convertvector(f, Native);
  }
  return c;
}
BOTAN_FAST_INLINE void store(double* p, const Doubles& a) {
  BOTAN_FAST_EACH* reinterpret_cast<UnalignedNative*>(p + part * kWidth) = a.v[part];
}
BOTAN_FAST_INLINE Doubles all(double x) {
  Doubles c;
  BOTAN_FAST_EACH c.v[part] = Native{} + x;
  return c;
}
BOTAN_FAST_INLINE double sum(const Doubles& a) {
  alignas(64) double v[kLanes];
  store(v, a);
  return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}
BOTAN_FAST_INLINE Doubles root(const Doubles& a) {
  Doubles c;
  BOTAN_FAST_EACH for (int k = 0; k < kWidth; ++k) c.v[part][k] = __builtin_sqrt(a.v[part][k]);
  return c;
}
// a < limit ? x : 0
BOTAN_FAST_INLINE Doubles below(const Doubles& a, double limit, const Doubles& x) {
  Doubles c;
  BOTAN_FAST_EACH c.v[part] = (Native)((NativeLongs)x.v[part] & (a.v[part] < limit));
  return c;
}

constexpr double kMagic = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer

// e^y for y in [-700, 700], to 2e-10: 2^n times a polynomial on |f| < ln 2 / 2.
BOTAN_FAST_INLINE Doubles exponential(const Doubles& y) {
  const Doubles shifted = y * 1.4426950408889634 + kMagic;
  const Doubles n = shifted - kMagic;
  const Doubles f = (y - n * 0.693145751953125) - n * 1.4286068203094173e-06;
  Doubles p = f * (1.0 / 40320) + 1.0 / 5040;
  p = p * f + 1.0 / 720;
  p = p * f + 1.0 / 120;
  p = p * f + 1.0 / 24;
  p = p * f + 1.0 / 6;
  p = p * f + 0.5;
  p = p * f + 1.0;
  p = p * f + 1.0;
  BOTAN_FAST_EACH p.v[part] = (Native)((NativeLongs)p.v[part] + ((NativeLongs)shifted.v[part] << 52));
  return p;
}

// ---- minimum images ------------------------------------------------------------------------------------------

BOTAN_FAST_INLINE Doubles round_lanes(const Doubles& x) { return (x + kMagic) - kMagic; }

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
        d[b] = d[b] - round_lanes(d[b] * s.inverse[b][b]) * length;
        if (s.tight) {
          const Doubles up = below(d[b] * -1.0, -0.5 * length, all(1)), down = below(d[b], -0.5 * length, all(1));
          d[b] = d[b] - (up - down) * length;
        }
      }
    } else {
      Doubles shift[3];
      for (int b = 0; b < 3; ++b)
        shift[b] = round_lanes(d[0] * s.inverse[0][b] + d[1] * s.inverse[1][b] + d[2] * s.inverse[2][b]);
      for (int b = 0; b < 3; ++b)
        for (int a = 0; a < 3; ++a) d[a] = d[a] - shift[b] * s.rows[b][a];
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
  return below(squared, kTail * kTail, exponential(below(squared, kTail * kTail, squared) * -0.5));
}

// Components of block v of all orders for kTogether neighbours, without their norms.
constexpr int kTogether = 4;
inline void harmonics_block(const LocalRow& s, int v, const double* z, const double (*powers)[kAngular], int64_t row,
                            double* out) {
  const int first = v == 0 ? 1 : 4 * v, highest = s.orders[s.num_orders - 1];  // l < first has no component here
  Doubles one[kTogether] = {}, two[kTogether] = {}, power[kTogether];          // q of l - 1 and l - 2
  for (int g = 0; g < kTogether; ++g) power[g] = load(powers[g] + v * kLanes);
  if (v == 0)
    for (int g = 0; g < kTogether; ++g) one[g].v[0][0] = 1;
  int64_t wanted = 0;
  while (s.orders[wanted] < first) ++wanted;
  for (int l = first; l <= highest; ++l) {
    const Doubles beta = load(s.harmonics->beta[l] + v * kLanes), seed = load(s.harmonics->seed[l] + v * kLanes);
    for (int g = 0; g < kTogether; ++g) {
      const Doubles q = one[g] * z[g] - two[g] * beta;
      two[g] = one[g];
      one[g] = q;
    }
    if (l <= 4 * v + 4)
      for (int g = 0; g < kTogether; ++g) one[g] = one[g] + seed;
    if (s.orders[wanted] != l) continue;
    double* to = out + (s.offsets[wanted] + v) * kLanes;
    for (int g = 0; g < kTogether; ++g) store(to + g * row, one[g] * power[g]);
    ++wanted;
  }
}

// Components of all orders for the neighbours k, k + 1, ... of one group: out (kLanes, blocks * kLanes).
inline void harmonics_3d(const LocalRow& s, int64_t k, int num, int64_t blocks, double* out) {
  const int highest = s.orders[s.num_orders - 1];
  const Doubles r = load(s.distance + k);
  const Doubles x = load(s.vector[0] + k) / r, y = load(s.vector[1] + k) / r;
  alignas(64) double z[kLanes], powers[kLanes][kAngular] = {};  // of x + i y
  store(z, load(s.vector[2] + k) / r);
  Doubles re = all(1), im = all(0);
  for (int g = 0; g < kLanes; ++g) powers[g][0] = 1;
  for (int m = 1; m <= highest; ++m) {
    const Doubles next = re * x - im * y;
    im = re * y + im * x;
    re = next;
    alignas(64) double c[kLanes], d[kLanes];
    store(c, re);
    store(d, im);
    for (int g = 0; g < kLanes; ++g) powers[g][2 * m - 1] = c[g], powers[g][2 * m] = d[g];
  }
  for (int g = 0; g < num; g += kTogether)
    for (int v = 0; v <= 2 * highest / kLanes; ++v)
      harmonics_block(s, v, z + g, powers + g, blocks * kLanes, out + g * blocks * kLanes);
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
    for (int v = 0; v < V; ++v) a[v] = a[v] + load(components + g * row + v * kLanes) * weight[g];
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
        const double* from = components;
        int64_t left = blocks;
        for (; left >= 6; left -= 6, from += 6 * kLanes, to += 6 * kLanes)
          add_components<6>(from, blocks * kLanes, weight, num, to);
        for (; left >= 3; left -= 3, from += 3 * kLanes, to += 3 * kLanes)
          add_components<3>(from, blocks * kLanes, weight, num, to);
        for (; left > 0; --left, from += kLanes, to += kLanes)
          add_components<1>(from, blocks * kLanes, weight, num, to);
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
        Doubles q = load(sums + (slot * blocks + v) * kLanes);
        if (s.dimensions == 3) q = q * load(s.harmonics->norm[s.orders[o]] + (v - s.offsets[o]) * kLanes);
        squared = squared + q * q;
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
    const Doubles w = below(r, cutoff, exponential(below(r, cutoff, r) * -inverse_length));
    store(out + k, w);
    total = total + w;
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
      for (int m = 0; m < L; ++m) a[m][v] = a[m][v] + x * weights[m * stride + k];
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

// F columns of L lengths, across neighbours.
template <int F, int L>
inline void add_columns(const float* values, const int32_t* rows, int64_t num, const double* weights, int64_t stride,
                        double* sums) {
  Doubles a[L][F] = {};
  for (int64_t k = 0; k < num; k += kLanes) {
    Doubles x[F];
    for (int f = 0; f < F; ++f)
      for (int g = 0; g < kLanes; ++g) x[f].v[g / kWidth][g % kWidth] = values[rows[k + g] * int64_t{F} + f];
    for (int m = 0; m < L; ++m) {
      const Doubles w = load(weights + m * stride + k);
      for (int f = 0; f < F; ++f) a[m][f] = a[m][f] + x[f] * w;
    }
  }
  for (int m = 0; m < L; ++m)
    for (int f = 0; f < F; ++f) sums[m * F + f] += sum(a[m][f]);
}

template <int F>
inline void add_few_columns(const float* values, const int32_t* rows, int64_t num, const double* weights,
                            int64_t stride, int64_t num_lengths, double* sums) {
  int64_t m = 0;
  for (; m + 3 <= num_lengths; m += 3) add_columns<F, 3>(values, rows, num, weights + m * stride, stride, sums + m * F);
  for (; m < num_lengths; ++m) add_columns<F, 1>(values, rows, num, weights + m * stride, stride, sums + m * F);
}

void add_few(const float* values, int64_t width, const int32_t* rows, int64_t num, const double* weights,
             int64_t stride, int64_t num_lengths, double* sums) {
  constexpr auto kChoice = [](int64_t w) {
    return w == 1 ? add_few_columns<1> : w == 2 ? add_few_columns<2> : w == 3 ? add_few_columns<3> : add_few_columns<4>;
  };
  kChoice(width)(values, rows, num, weights, stride, num_lengths, sums);
}

const DescriptorKernels kKernels = {images, local_sums, weights, add_rows, add_few};

}  // namespace

#define BOTAN_FAST_JOIN_(a, b) a##b
#define BOTAN_FAST_JOIN(a, b) BOTAN_FAST_JOIN_(a, b)
const DescriptorKernels& BOTAN_FAST_JOIN(descriptor_kernels_, BOTAN_FAST_SIMD)() { return kKernels; }

}  // namespace botan_fast
