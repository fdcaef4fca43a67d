// The inner loops of the neighbour list for one instruction set; see neighbor_kernels.h. As with the kernels of the
// network, everything but the entry table has internal linkage and no inline function of a header is instantiated, so
// that the linker cannot hand AVX-512 code to a machine without it.
#include "cpu/geometry/neighbor_kernels.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace botan_fast {
namespace {

#if defined(__AVX512F__)
constexpr int kWidth = 16;
#elif defined(__AVX2__)
constexpr int kWidth = 8;
#else
constexpr int kWidth = 4;
#endif

typedef float Floats __attribute__((vector_size(4 * kWidth)));
typedef float UnalignedFloats __attribute__((vector_size(4 * kWidth), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(4 * kWidth)));
typedef int32_t UnalignedInts __attribute__((vector_size(4 * kWidth), aligned(4), may_alias));
typedef double Doubles __attribute__((vector_size(32)));
typedef float Rounded __attribute__((vector_size(16)));
typedef float UnalignedRounded __attribute__((vector_size(16), aligned(4), may_alias));

inline Floats load(const float* p) { return *reinterpret_cast<const UnalignedFloats*>(p); }
inline Ints load(const int32_t* p) { return *reinterpret_cast<const UnalignedInts*>(p); }
inline void store(int32_t* p, Ints v) { *reinterpret_cast<UnalignedInts*>(p) = v; }

[[maybe_unused]] inline Ints iota() {  // not in the generic build
  Ints v;
  for (int i = 0; i < kWidth; ++i) v[i] = i;
  return v;
}

// ---- search --------------------------------------------------------------------------------------------------

template <bool kImages>
inline Floats squared_distance(const RowSearch& s, const float (&here)[3], int64_t q) {
  constexpr float kMagic = 12582912;  // 1.5 * 2^23, as round_even of periodic.h
  Floats squared = {};
  for (int b = 0; b < 3; ++b) {
    Floats d = here[b] - load(s.coordinate[b] + q);
    if (kImages) d -= ((d * s.inverse[b] + kMagic) - kMagic) * s.length[b];
    squared += d * d;
  }
  return squared;
}

// A set of lanes, one bit each, and how the chosen lanes of a vector are stored next to each other. The stores write
// a whole vector: what follows the chosen lanes is overwritten later.
#if defined(__AVX512F__)
inline unsigned less(Floats a, Floats b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ); }
inline void compress(int32_t* out, unsigned lanes, Ints v) {
  store(out, (Ints)_mm512_maskz_compress_epi32(static_cast<__mmask16>(lanes), (__m512i)v));
}
#elif defined(__AVX2__)
inline unsigned less(Floats a, Floats b) {
  return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_LT_OQ)));
}
struct CompressTable {
  uint8_t lane[256][8];
  constexpr CompressTable() : lane() {
    for (int lanes = 0; lanes < 256; ++lanes)
      for (int bit = 0, n = 0; bit < 8; ++bit)
        if (lanes >> bit & 1) lane[lanes][n++] = static_cast<uint8_t>(bit);
  }
};
constexpr CompressTable kCompress;
inline void compress(int32_t* out, unsigned lanes, Ints v) {
  const __m128i chosen = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kCompress.lane[lanes]));
  store(out, (Ints)_mm256_permutevar8x32_epi32((__m256i)v, _mm256_cvtepu8_epi32(chosen)));
}
#endif

template <bool kImages>
int64_t search_runs(RowSearch& s) {
  const int64_t p = s.particle;
  int64_t n = 0, unsure = 0;
  for (int64_t r = 0; r < s.num_runs; ++r) {
    const Run run = s.runs[r];
    float here[3];
    for (int b = 0; b < 3; ++b) here[b] = s.coordinate[b][p] + run.shift[b];
    for (int64_t q = run.begin; q < run.end; q += kWidth) {
      const Floats squared = squared_distance<kImages>(s, here, q);
#if defined(__AVX2__)
      const int64_t left = run.end - q;
      const unsigned exist = left >= kWidth ? (1u << kWidth) - 1 : (1u << left) - 1;
      const unsigned sure = less(squared, Floats{} + s.near) & less(Floats{} + s.zero, squared) & exist;
      const unsigned others = less(squared, Floats{} + s.far) & ~sure & exist;
      compress(s.indices + n, sure, load(s.order + q));
      compress(s.places + n, sure, iota() + static_cast<int32_t>(q));
      n += __builtin_popcount(sure);
      for (unsigned rest = others; rest != 0; rest &= rest - 1)
        s.unsure[unsure++] = static_cast<int32_t>(q + __builtin_ctz(rest));
#else
      // Without a way to get at the lanes as bits: no branch, one in five candidates is a neighbour.
      const int count = run.end - q < kWidth ? static_cast<int>(run.end - q) : kWidth;
      for (int lane = 0; lane < count; ++lane) {
        const float value = squared[lane];
        const bool sure = (value < s.near) & (s.zero < value);
        s.indices[n] = s.order[q + lane];
        s.places[n] = static_cast<int32_t>(q + lane);
        n += sure;
        s.unsure[unsure] = static_cast<int32_t>(q + lane);
        unsure += !sure & (value < s.far);
      }
#endif
    }
  }
  s.num_unsure = unsure;
  return n;
}

int64_t search_row(RowSearch& s) { return s.images ? search_runs<true>(s) : search_runs<false>(s); }

// A row has about 40: counting the smaller indices of each vectorises and never branches.
void order_row(const int32_t* indices, const int32_t* places, int64_t n, int32_t* out) {
  int32_t rank[kRankLimit];
  for (int64_t a = 0; a < n; a += 2 * kWidth) {
    const Ints first = load(indices + a), second = load(indices + a + kWidth);
    Ints first_rank = {}, second_rank = {};
    for (int64_t b = 0; b < n; ++b) {
      const Ints index = Ints{} + indices[b];
      first_rank -= index < first;  // a true comparison is -1
      second_rank -= index < second;
    }
    store(rank + a, first_rank);
    store(rank + a + kWidth, second_rank);
  }
  for (int64_t a = 0; a < n; ++a) out[rank[a]] = places[a];
}

// ---- fill and targets ----------------------------------------------------------------------------------------

inline Doubles load(const Place& p) { return *reinterpret_cast<const Doubles*>(p.at); }

// Cell::image of periodic.h for a diagonal cell, all coordinates at once.
template <int D>
void fill_row(const RowFill& f, int64_t p, const int32_t* row, int64_t n, int32_t* senders, float* vectors) {
  constexpr double kMagic = 6755399441055744.0;
  // Copies, because the compiler must assume that the stores change f.
  const Place* places = f.places;
  const int32_t* order = f.order;
  const Doubles here = load(places[p]), lengths = load(f.lengths), inverse = load(f.inverse);
  for (int64_t k = 0; k < n; ++k) {
    const int32_t place = row[k];
    senders[k] = order[place];
    Doubles d = here - load(places[place]);
    const Doubles shift = (d * inverse + kMagic) - kMagic;
    d -= shift * lengths;
    const Rounded v = __builtin_convertvector(d, Rounded);
    if (D == 3 && k + 1 < n) {
      *reinterpret_cast<UnalignedRounded*>(vectors + k * D) = v;  // the next edge overwrites the fourth number
    } else {
      for (int b = 0; b < D; ++b) vectors[k * D + b] = v[b];
    }
  }
}

// The same image for the runs of one pair.
template <int D>
void add_distances(const PairSums& s) {
  constexpr double kMagic = 6755399441055744.0;
  typedef double Runs __attribute__((vector_size(8 * kTargetRuns)));
  typedef double UnalignedRuns __attribute__((vector_size(8 * kTargetRuns), aligned(8), may_alias));
  const auto runs = [&](int64_t node, int b) -> Runs {
    return *reinterpret_cast<const UnalignedRuns*>(s.block + (node * D + b) * kTargetRuns);
  };
  Runs here[D];
  for (int b = 0; b < D; ++b) here[b] = runs(s.receiver, b);
  for (int64_t k = s.begin; k < s.end; ++k) {
    Runs squared = {};
    for (int b = 0; b < D; ++b) {
      Runs d = here[b] - runs(s.senders[k], b);
      d -= ((d * s.inverse[b] + kMagic) - kMagic) * s.lengths[b];
      squared = b == 0 ? d * d : squared + d * d;
    }
    alignas(64) double distance[kTargetRuns];
    for (int run = 0; run < kTargetRuns; ++run) distance[run] = __builtin_sqrt(squared[run]);
    double sum = s.sums[k];
    for (int run = 0; run < s.num_runs; ++run) sum += distance[run];
    s.sums[k] = sum;
  }
}

const NeighborKernels kKernels = {search_row, order_row, fill_row<2>, fill_row<3>, add_distances<2>, add_distances<3>};

}  // namespace

#define BOTAN_FAST_JOIN_(a, b) a##b
#define BOTAN_FAST_JOIN(a, b) BOTAN_FAST_JOIN_(a, b)
const NeighborKernels& BOTAN_FAST_JOIN(neighbor_kernels_, BOTAN_FAST_SIMD)() { return kKernels; }

}  // namespace botan_fast
