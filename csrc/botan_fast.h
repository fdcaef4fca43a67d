// The core of botan_fast: plain structs and functions on raw pointers. No torch, no Python.
//
// This header is the specification of every operation; headings name the file of csrc/cpu that does it on the CPU.
// Arrays are dense and row-major, without padding. Names, shapes and dtypes follow one table:
//
//   N, E, H       particles, directed edges, feature width
//   positions     (N, D) float64, D = 2 or 3
//   senders       (E,)   int32     edge k goes senders[k] -> receivers[k]
//   receivers     (E,)   int32     edges are sorted by (receiver, sender)
//   row_ptr       (N+1,) int32     edges of receiver i are row_ptr[i]:row_ptr[i+1]
//   reverse       (E,)   int32     index of the opposite edge
//   vectors       (E, D) float32   r[receiver] - r[sender], minimum image
//
// A function reports bad input with std::invalid_argument; its message names the argument, the value and the
// remedy. Results do not depend on num_threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace botan_fast {

// ---- build ------------------------------------------------------------------------------------------------

// The instruction set that the kernels use on this machine: "avx512_bf16", "avx512", "avx2" or "generic". The first
// differs from the second in precision bf16 only.
// The environment variable BOTAN_FAST_SIMD forces a narrower one.
const char* simd_level();

// ---- neighbour list (neighbor_list.cpp) ---------------------------------------------------------------------

// Edges between all pairs with 0 < |r_ij| < cutoff under periodic boundary conditions, decided in float64:
//
//   d = r[receiver] - r[sender];  d -= cell^T rint(cell^-T d);  edge when 0 < sqrt(d . d) < cutoff
//
// on the positions as given: they may lie outside the box. Every operation is odd in d, hence both directions of
// a pair are decided alike and their vectors are exact negatives. Perpendicular heights of at least 2 * cutoff
// (the caller checks) make the image unique. Two particles at the same point (d . d == 0) are refused.
// O(N) for a bounded density: cells of at least the cutoff, counting sort, no sort beyond that of one row. Candidates
// are sorted out in float32 with bounds on its rounding; wherever these leave a doubt, the formula decides.
// The search runs in the constructor; the caller then allocates num_edges() entries and calls a fill function.
class NeighborSearch {
 public:
  // positions (N, D) finite, cell (D, D) row vectors; both must outlive the object. cutoff > 0 and finite.
  // self_edges adds the edge i -> i with the zero vector for every particle.
  NeighborSearch(const double* positions, int64_t num_nodes, int dimensions, const double* cell, double cutoff,
                 bool self_edges, int64_t max_edges, int num_threads);
  ~NeighborSearch();
  NeighborSearch(const NeighborSearch&) = delete;
  NeighborSearch& operator=(const NeighborSearch&) = delete;

  int64_t num_edges() const;

  // senders, receivers, reverse (E,), row_ptr (N+1,), vectors (E, D)
  void fill_graph(int32_t* senders, int32_t* receivers, int32_t* row_ptr, int32_t* reverse, float* vectors) const;

  // The same edges as pairs (first, second) = (receiver, sender), hence sorted by (first, second):
  // first, second (E,), vectors (E, D) = r[second] - r[first] + shifts @ cell, distances (E,), shifts (E, D).
  // A null pointer leaves an array out.
  void fill_pairs(int64_t* first, int64_t* second, double* vectors, double* distances, int64_t* shifts) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// ---- graphs from pair lists (pairs.cpp) ---------------------------------------------------------------------

// The graph that NeighborSearch gives, bit for bit, from its undirected pairs: first, second (P,) with
// first < second, sorted by (first, second). E = 2 P, or 2 P + N with self_edges. One pass, no search.
// Pairs out of range or order, and pairs that are not closer than the cutoff, are refused.
void graph_from_pairs(const int32_t* first, const int32_t* second, int64_t num_pairs, const double* positions,
                      int64_t num_nodes, int dimensions, const double* cell, double cutoff, bool self_edges,
                      int32_t* senders, int32_t* receivers, int32_t* row_ptr, int32_t* reverse, float* vectors);

// ---- edges of graphs (edges.cpp) -----------------------------------------------------------------------------

// Whether row_ptr (N+1,) rises from 0 to E and never falls, senders (E,) name nodes, and reverse (E,) names the
// opposite edge of each: reverse[reverse[k]] == k and senders[reverse[k]] == receivers[k].
bool are_edges_of_graph(const int32_t* senders, const int32_t* receivers, const int32_t* row_ptr,
                        const int32_t* reverse, int64_t num_nodes, int64_t num_edges, int num_threads);

// ---- positions from a graph (unfolding.cpp) ------------------------------------------------------------------

// positions (N, D) with r[receiver] - r[sender] = vectors along a tree of edges of each connected part, which begins at
// the origin with its first particle; parts (N,) numbers the parts in the order of these. Along other edges it holds up
// to rounding and to a lattice vector. Returns the number of parts. Offsets row_ptr must be good; others are refused.
int64_t unfold_graph(const int32_t* senders, const float* vectors, const int32_t* row_ptr, int64_t num_nodes,
                     int dimensions, double* positions, int32_t* parts);

// ---- targets (targets.cpp) ----------------------------------------------------------------------------------

// Averages over R runs from one configuration, trajectories (R, N, D) unwrapped, T = float or double:
//
//   propensity[i]  = < |r_i(t) - r_i(0)| >                                                     (N,) float32
//   pair_change[k] = < |r_ij(t)| > - |r_ij(0)|, minimum image, k the edge j -> i; self edges 0  (E,) float32
//
// Sums are taken in float64 in the order of the runs; each pair is computed once and written to both directions.
// cell (D, D) must be Minkowski-reduced unless it is diagonal. An edge whose vector in the graph differs in
// length by more than 1e-4 from that of initial_positions is refused: the graph belongs to other positions.
template <class T>
void isoconfigurational_targets(const double* initial_positions, const T* trajectories, int64_t num_runs,
                                int64_t num_nodes, int dimensions, const double* cell, const int32_t* senders,
                                const int32_t* row_ptr, const int32_t* reverse, const float* vectors, float* propensity,
                                float* pair_change, int num_threads);

// ---- local targets (local_targets.cpp) ----------------------------------------------------------------------

// Averages over R runs of what distinguishes the displacement u_i = r_i(t) - r_i(0) from that of the neighbours of i
// at time 0. w_j = u_j - u_i and d_j = r_j(0) - r_i(0) (minimum image) for the n neighbours j of i:
//
//   U_i = mean of u_j over |d_j| < radius (u_i itself without a neighbour)           local_field  (R, N, D) float32
//   relative_propensity[i]    = < |u_i - U_i| >                                                  (C)
//   local_displacement[i]     = < |U_i| >
//   J_i = (sum w_j d_j^T) (sum d_j d_j^T)^+ over |d_j| < strain_radius, ^+ the pseudo-inverse
//   strain_relative_propensity[i] = < |sum (w_j - J_i d_j) / n| >, 0 without a neighbour          (R of the paper)
//   nonaffine_displacement[i] = < sqrt(sum |w_j - J_i d_j|^2 / n) >, 0 without a neighbour
//   local_strain[i]           = < sqrt(tr(dev(G)^2) / 2) >, G = (J + J^T + J^T J) / 2, dev(G) = G - tr(G) / D
//
// Null pointers leave arrays out; all but the field are (N,) float32. Sums are in float64 in the order of the runs.
// Self edges are ignored. Refuses a graph whose vectors differ by more than 1e-4 from initial_positions.
struct LocalTargets {
  float *relative_propensity, *local_displacement, *strain_relative_propensity, *nonaffine_displacement, *local_strain,
      *local_field;
};
template <class T>
void local_targets(const double* initial_positions, const T* trajectories, int64_t num_runs, int64_t num_nodes,
                   int dimensions, const double* cell, const int32_t* senders, const int32_t* row_ptr,
                   const float* vectors, double radius, double strain_radius, const LocalTargets& out, int num_threads);

// ---- bonds (bonds.cpp) --------------------------------------------------------------------------------------

// kept[run, i] = number of bonds k in row_ptr[i]:row_ptr[i+1] with |bonds[k] + u_j - u_i| < limits[k],
// where j = neighbors[k].
// row_ptr (N+1,), neighbors (P,) int64; bonds (P, D) = r_j(0) - r_i(0), limits (P,) float64; kept (R, N) int32
template <class T>
void surviving_bonds(const double* initial_positions, const T* trajectories, int64_t num_runs, int64_t num_nodes,
                     int dimensions, const int64_t* row_ptr, const int64_t* neighbors, const double* bonds,
                     const double* limits, int32_t* kept, int num_threads);

// ---- energy and its minimum (minimization.cpp) ----------------------------------------------------------------

// A mixture of Lennard-Jones particles; for species a, b with phi(r) = 4 epsilon [(sigma / r)^12 - (sigma / r)^6]:
//
//   plain          V(r) = phi(r)                                                   for r < cutoff, else 0
//   shifted        V(r) = phi(r) - phi(cutoff)
//   force_shifted  V(r) = phi(r) - phi(cutoff) - (r - cutoff) phi'(cutoff)
enum class Truncation : int { plain = 0, shifted = 1, force_shifted = 2 };
struct PairPotential {
  int num_species;                         // S
  const double *epsilon, *sigma, *cutoff;  // (S, S) symmetric; the cutoff is a distance
  Truncation truncation;
};

// One configuration; all of it must outlive what is made from it.
struct PairSystem {
  int64_t num_nodes;
  int dimensions;
  const double* positions;  // (N, D) finite; they may lie outside of the box
  const int32_t* types;     // (N,) in [0, S)
  const double* cell;       // (D, D) row vectors; its heights hold the longest cutoff twice
  PairPotential potential;
};

// energy (N,) of each particle, half of that of its pairs, and forces (N, D). Two particles at one point are refused.
void pair_forces(const PairSystem& system, double* energy, double* forces, int num_threads);

// virial (N,), half of - r V'(r) of each pair to each end, and hessian (N, D, D), d^2 U / dr_i dr_i of each particle i
// alone, all others held fast.
void pair_curvature(const PairSystem& system, double* virial, double* hessian, int num_threads);

// Downhill from the positions to the minimum of the sum of the energies.
class Minimization {
 public:
  Minimization(const PairSystem& system, double largest_move, int num_threads);
  ~Minimization();
  Minimization(const Minimization&) = delete;
  Minimization& operator=(const Minimization&) = delete;

  // At most `steps` more, until no component of a force is larger than `tolerance`. Whether it got there.
  bool run(int64_t steps, double tolerance);

  int64_t num_steps() const;
  int64_t num_evaluations() const;
  double largest_force() const;  // component
  // positions (N, D) go on from those given, across the borders of the box; energy (N,)
  void fill(double* positions, double* energy) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// ---- motion in the cage (confined_dynamics.cpp) ---------------------------------------------------------------

// Langevin dynamics of mass 1, k_B = 1, in the energy of the pairs plus spring / 2 |r_i - around_i|^2.
struct Confinement {
  const double* around;  // (N, D); the particles start at the image of positions that is nearest to it
  double spring, temperature, friction, time_step;
  uint64_t seed;
  int64_t equilibration, sample_every;  // steps: samples are taken after equilibration + k sample_every, k = 1, 2, ...
  double largest_move;                  // of a particle in one step; more is a runaway
};

// The noise depends on (seed, step, particle) alone: the bits do not depend on the number of threads.
class ConfinedDynamics {
 public:
  ConfinedDynamics(const PairSystem& system, const Confinement& confinement, int num_threads);
  ~ConfinedDynamics();
  ConfinedDynamics(const ConfinedDynamics&) = delete;
  ConfinedDynamics& operator=(const ConfinedDynamics&) = delete;

  // `steps` more. The first particle that runs away, where it stops, or -1.
  int64_t run(int64_t steps);

  int64_t num_steps() const;
  int64_t num_samples() const;
  double temperature() const;  // mean of v^2 / D over particles and samples
  // Over the samples: positions (N, D) = around + <u>, fluctuation (N,) = <|u|^2> - |<u>|^2, with u = r - around.
  void fill(double* positions, double* fluctuation) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// ---- descriptors (descriptors.cpp) ---------------------------------------------------------------------------

// What surrounds each particle, with w(x) = exp(-x^2 / 2) for |x| < 5, else 0, and sums over r_ij > 0, minimum image:
//
//   g_i(c, s)    = sum over j of species s of w((r_ij - centres[c]) / width)
//   q_i(t, s, l) = | sum_j w_t Y_l(u_ij) | / sum_j w_t,  w_t = w((r_ij - shells[t][0]) / shells[t][1]),  0 without a j
//
// Y_l are the 2 l + 1 real spherical harmonics with |Y_l(u)| = 1, so that q is sqrt(4 pi / (2 l + 1) sum_m |q_lm|^2);
// in two dimensions the cosine and sine of l theta. j goes over species s with by_species, else over all.
// types (N,) in [0, num_species); orders rise. A row of out holds g (species, centres), then q (shells, species or 1,
// orders); rows are stride numbers apart. Sums are in float64. The box must hold twice the largest centre + 5 widths.
struct LocalStructure {
  int num_species;
  const double* centres;
  int64_t num_centres;
  double width;
  const double* shells;  // (num_shells, 2): centre and width
  int64_t num_shells;
  const int32_t* orders;
  int64_t num_orders;
  bool by_species;
};
void local_structure(const double* positions, const int32_t* types, int64_t num_nodes, int dimensions,
                     const double* cell, const LocalStructure& settings, float* out, int64_t stride, int num_threads);

// out[i, m, s, f] = sum of e_ij values[j, f] / sum of e_ij, e_ij = exp(-r_ij / lengths[m]), over the j of species s, i
// itself among them, with r_ij < cutoffs[m]; 0 without a j. values (N, num_values), rows values_stride apart, out
// (N, num_lengths, num_species, num_values), rows stride apart. With num_species = 1 all particles count, types unread.
// Memory O(N num_values), whatever the cutoffs; the box must hold each twice.
struct WeightedMeans {
  int num_species;
  const double *lengths, *cutoffs;
  int64_t num_lengths, num_values;
};
void weighted_means(const double* positions, const int32_t* types, int64_t num_nodes, int dimensions,
                    const double* cell, const WeightedMeans& settings, const float* values, int64_t values_stride,
                    float* out, int64_t stride, int num_threads);

// ---- sums (segment_sum.cpp) ---------------------------------------------------------------------------------

// T = float or double, I = int32_t or int64_t. Every sum is taken in float64 in the order of the rows and rounded
// once, so scatter_sum of a sorted index equals segment_sum bit for bit. Empty segments give zeros.

// out[i, f] = sum of values[e, f] for row_ptr[i] <= e < row_ptr[i + 1]; values (E, F), row_ptr (N+1,), out (N, F)
template <class T, class I>
void segment_sum(const T* values, int64_t num_rows, int64_t width, const I* row_ptr, int64_t num_segments, T* out,
                 int num_threads);

// The transpose, which is the gradient of segment_sum: out[e, f] = values[i, f] for row_ptr[i] <= e < row_ptr[i + 1];
// values (N, F), out (E, F)
template <class T, class I>
void segment_expand(const T* values, int64_t num_segments, int64_t width, const I* row_ptr, int64_t num_rows, T* out,
                    int num_threads);

// out[i, f] = sum of values[e, f] for index[e] == i; values (E, F), index (E,) in any order, out (dim_size, F)
template <class T>
void scatter_sum(const T* values, int64_t num_rows, int64_t width, const int64_t* index, int64_t dim_size, T* out,
                 int num_threads);

// ---- multilayer perceptrons (mlp.cpp) -----------------------------------------------------------------------

// Feature widths H with kernels. The operators pad others to the next one, and above the last run in plain torch.
bool has_fast_path(int hidden_size);

// How matrix products are computed; everything else is float32, weights and gradients included.
//   fp32  float32
//   bf16  both factors rounded to bfloat16 (to nearest, ties to even), products added up in float32. Edge features,
//         c = W0 e0 + b1 and dz (the gradient of z) stay between steps as bfloat16; AVX512-BF16 takes denormal factors
//         as zero.
//   tf32  on CUDA both factors rounded to 10 fraction bits, products added up in float32; the CPU has fp32 instead
enum class Precision : int { fp32 = 0, bf16 = 1, tf32 = 2 };

// Weights as torch.nn.Linear keeps them, (out, in) row-major, float32 (T = const float), or their gradients, which are
// overwritten (T = float).
template <class T>
struct MlpArrays {
  T *w1, *b1;  // (H, K) (H,)
  T *w2, *b2;  // (H, H) (H,)
  T *w3, *b3;  // (1, H) (1,), or null: no third layer
};
using MlpWeights = MlpArrays<const float>;
using MlpGradients = MlpArrays<float>;

// y = relu(W2 relu(W1 x + b1) + b2); with a third layer y = w3 . that + b3.
struct MlpForward {
  int64_t num_rows, num_inputs;  // M, K
  int hidden_size;               // H
  Precision precision;
  MlpWeights weights;
  const float* x;  // (M, K)
  float* y;        // (M, H); with a third layer (M,)
};

// Gradients for grad_y; the hidden layers are computed again.
struct MlpBackward {
  int64_t num_rows, num_inputs;  // M, K
  int hidden_size;               // H
  Precision precision;
  MlpWeights weights;
  const float* x;       // (M, K)
  const float* y;       // (M, H), read on the CPU and without a third layer only
  const float* grad_y;  // of the shape of y
  float* grad_x;        // (M, K) or null
  MlpGradients gradients;
};

void mlp_forward(const MlpForward& mlp, int num_threads);
void mlp_backward(const MlpBackward& mlp, int num_threads);

// ---- message passing (message_passing.cpp) ------------------------------------------------------------------

// Any directed graph with edges sorted by receiver. Edges that leave node i are
// sender_order[sender_ptr[i]:sender_ptr[i+1]]; in a symmetric graph that is `reverse` with `row_ptr`.
struct Topology {
  const int32_t *senders, *receivers;        // (E,) (E,)
  const int32_t* row_ptr;                    // (N+1,)
  const int32_t *sender_order, *sender_ptr;  // (E,) (N+1,)
};

// MLP_e reads [x_sender, x_receiver, e, e0] (4 H) and, with edge_node_skip, also [x0_sender, x0_receiver] (6 H).
// MLP_n reads [x, x0, sum of incoming e] (3 H). Weights (T = const float) or their gradients (T = float), as above.
template <class T>
struct ProcessorArrays {
  T *edge_w1, *edge_b1, *edge_w2, *edge_b2;
  T *node_w1, *node_b1, *node_w2, *node_b2;
};
using ProcessorWeights = ProcessorArrays<const float>;
using ProcessorGradients = ProcessorArrays<float>;

// What the backward pass needs of the forward pass.
struct ProcessorHistory {
  float* x;    // (num_steps - 1, N, H) x after each step but the last
  void* e;     // fp32: (num_steps - 1, E, H) e after each step but the last
               // bf16: (num_steps, E, H) bfloat16, e before each step
  float* sum;  // (num_steps, N, H)     incoming sums
  void* c;     // (E, H)                W0 e0 + b1, float32 or bfloat16 like e
};
constexpr int kSavedSteps = 4;

// What both directions of the processor have in common.
struct ProcessorShape {
  int64_t num_nodes, num_edges;  // N, E
  int hidden_size, num_steps;    // H, n
  bool edge_node_skip;
  // Less memory for more time: history.c is null and history.e holds only e before the steps kSavedSteps,
  // 2 kSavedSteps, ... ((num_steps - 1) / kSavedSteps, E, H), in the type above; the backward pass computes the
  // others again.
  bool save_memory;
};

// num_steps times, with the same weights:
//   e <- relu(W2 relu(W1 [x_sender, x_receiver, e, e0] + b1) + b2)
//   x <- relu(V2 relu(V1 [x, x0, sum over incoming edges e] + a1) + a2)
struct ProcessorForward {
  ProcessorShape shape;
  Precision precision;
  Topology topology;
  ProcessorWeights weights;
  const float *x, *e;    // (N, H), (E, H); null: starts from x0 (e0)
  const float *x0, *e0;  // (N, H), (E, H)
  float *x_out, *e_out;  // (N, H), (E, H)
  bool keep;             // history is filled; otherwise its members are null
  ProcessorHistory history;
};

// Gradients of everything. The result of the last step is computed again for its sign, so that the caller need not
// keep e_out.
struct ProcessorBackward {
  ProcessorShape shape;
  Precision precision;
  Topology topology;
  ProcessorWeights weights;
  const float *x, *e, *x0, *e0;          // as in the forward pass
  const float* x_out;                    // (N, H), its result
  ProcessorHistory history;              // of the forward pass
  const float *grad_x_out, *grad_e_out;  // (N, H), (E, H); null: zero
  float *grad_x, *grad_e;                // (N, H), (E, H); null exactly where x (e) is: then added to grad_x0 (grad_e0)
  float *grad_x0, *grad_e0;              // (N, H), (E, H)
  ProcessorGradients gradients;
};

void processor_forward(const ProcessorForward& processor, int num_threads);
void processor_backward(const ProcessorBackward& processor, int num_threads);

// ---- message passing by slabs (slab_processor.cpp) ------------------------------------------------------------

// The nodes of a slab, any subset of those of a graph, between steps.
struct SlabNodes {
  int64_t num_nodes;  // M
  float* x;           // (M, H)
  float* constants;   // (M, H), with edge_node_skip (3, M, H): what follows from x0 alone
};

// The edges whose receivers are the nodes of a slab, between steps.
struct SlabEdges {
  int64_t num_edges;         // F
  const int32_t* senders;    // (F,) rows of the table p_sender
  const int32_t* receivers;  // (F,) 0 ... M - 1, rising
  const int32_t* row_ptr;    // (M+1,)
  void* e;                   // (F, H) float32, in bf16 bfloat16
  const void* c;             // (F, H) like e
};

// processor_forward without history, with the same bits, one slab and one step at a time: for graphs whose edge
// features do not fit into memory together. A step of a slab needs that step's p_sender = Ws x of all senders of its
// edges, in one table, and leaves that of the next step for its own nodes. The order of the steps is up to the caller.
// Weights are packed once, but biases are read from where they are. Every call may run beside others on other slabs.
class SlabProcessor {
 public:
  SlabProcessor(int hidden_size, bool edge_node_skip, Precision precision, const ProcessorWeights& weights);
  ~SlabProcessor();
  // From nodes.x = x0: the constants, and p_sender (M, H) of the first step.
  void begin_nodes(const SlabNodes& nodes, float* p_sender, int num_threads) const;
  // c = W0 e0 + b1 and, in bf16, e = e0 rounded; in fp32 the array e0 (F, H) is e, and e is not read.
  void begin_edges(int64_t num_edges, const float* e0, void* e, void* c, int num_threads) const;
  // x and e of a slab after one more step, in their place. In the last step e goes to e_last (F, H) float32, which in
  // fp32 may be its own array, and next_p_sender is null; else e_last is null, and next_p_sender (M, H) is Ws x.
  void step(const SlabNodes& nodes, const SlabEdges& edges, const float* p_sender, float* e_last, float* next_p_sender,
            int num_threads) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// ---- memory (buffer_pool.cpp) -------------------------------------------------------------------------------

// Large arrays come from a pool that keeps freed blocks for the next call: the page faults of a fresh 42 MB
// array cost more than the arithmetic done on it. Blocks are aligned to 64 bytes and not cleared.
void* pool_acquire(size_t num_bytes);
void pool_release(void* block);
// Gives every unused block back to the system; returns the number of bytes.
size_t pool_trim();

// ---- kernel timers (kernel_timers.cpp) ------------------------------------------------------------------------

// Where the time of the network goes. While the timers are on, each kernel adds the duration of its calls, summed over
// threads. Switching (on or off) sets them to zero. Off, the default, they cost nothing.
void set_kernel_timers(bool enable);
struct KernelTime {
  const char* name;
  double seconds;
  int64_t calls;
};
int num_kernel_timers();
KernelTime kernel_time(int timer);  // 0 <= timer < num_kernel_timers()

}  // namespace botan_fast
