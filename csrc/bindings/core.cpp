// pybind11 only: addresses and sizes in, nothing else. No torch and no logic; the callers in Python check
// shapes and dtypes, own the memory, and keep it alive during the call. The GIL is released in every call.
#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <string>

#include "bindings/addresses.h"
#ifdef BOTAN_FAST_HAVE_CUDA
#include "bindings/cuda.h"
#endif
#include "botan_fast.h"

namespace py = pybind11;
using namespace botan_fast;

namespace {

// Functions of several types are bound once for each, under names that end in the types: segment_sum_f32_i64.
template <class T>
const char* const kSuffix = "";
template <>
const char* const kSuffix<float> = "_f32";
template <>
const char* const kSuffix<double> = "_f64";
template <>
const char* const kSuffix<std::int32_t> = "_i32";
template <>
const char* const kSuffix<std::int64_t> = "_i64";

template <class... Types>
std::string name_of(const char* function) {
  return (std::string(function) + ... + kSuffix<Types>);
}

// ---- build ---------------------------------------------------------------------------------------------------

void bind_build(py::module_& m) {
  m.attr("__version__") = BOTAN_FAST_VERSION;
  m.attr("cuda_absent") = BOTAN_FAST_CUDA_ABSENT;  // why there is no m.cuda; "" where there is one
  m.def("simd_level", &simd_level);
  m.def("set_kernel_timers", &set_kernel_timers);
  m.def("kernel_times", [] {  // name: (seconds, calls)
    py::dict times;
    for (int i = 0; i < num_kernel_timers(); ++i) {
      const KernelTime t = kernel_time(i);
      times[t.name] = py::make_tuple(t.seconds, t.calls);
    }
    return times;
  });
}

// ---- geometry ------------------------------------------------------------------------------------------------

void bind_neighbor_list(py::module_& m) {
  py::class_<NeighborSearch>(m, "NeighborSearch")
      .def(py::init([](Address positions, std::int64_t num_nodes, int dimensions, Address cell, double cutoff,
                       bool self_edges, std::int64_t max_edges, int num_threads) {
             return std::make_unique<NeighborSearch>(at<const double>(positions), num_nodes, dimensions,
                                                     at<const double>(cell), cutoff, self_edges, max_edges,
                                                     num_threads);
           }),
           Release())
      .def_property_readonly("num_edges", &NeighborSearch::num_edges)
      .def(
          "fill_graph",
          [](const NeighborSearch& self, Address senders, Address receivers, Address row_ptr, Address reverse,
             Address vectors) {
            self.fill_graph(at<std::int32_t>(senders), at<std::int32_t>(receivers), at<std::int32_t>(row_ptr),
                            at<std::int32_t>(reverse), at<float>(vectors));
          },
          Release())
      .def(
          "fill_pairs",
          [](const NeighborSearch& self, Address first, Address second, Address vectors, Address distances,
             Address shifts) {
            self.fill_pairs(at<std::int64_t>(first), at<std::int64_t>(second), at<double>(vectors),
                            at<double>(distances), at<std::int64_t>(shifts));
          },
          Release());
}

void bind_pairs(py::module_& m) {
  m.def(
      "graph_from_pairs",
      [](Address first, Address second, std::int64_t num_pairs, Address positions, std::int64_t num_nodes,
         int dimensions, Address cell, double cutoff, bool self_edges, Address senders, Address receivers,
         Address row_ptr, Address reverse, Address vectors) {
        graph_from_pairs(at<const std::int32_t>(first), at<const std::int32_t>(second), num_pairs,
                         at<const double>(positions), num_nodes, dimensions, at<const double>(cell), cutoff, self_edges,
                         at<std::int32_t>(senders), at<std::int32_t>(receivers), at<std::int32_t>(row_ptr),
                         at<std::int32_t>(reverse), at<float>(vectors));
      },
      Release());
}

void bind_edges(py::module_& m) {
  m.def(
      "are_edges_of_graph",
      [](Address senders, Address receivers, Address row_ptr, Address reverse, std::int64_t num_nodes,
         std::int64_t num_edges, int num_threads) {
        return are_edges_of_graph(at<const std::int32_t>(senders), at<const std::int32_t>(receivers),
                                  at<const std::int32_t>(row_ptr), at<const std::int32_t>(reverse), num_nodes,
                                  num_edges, num_threads);
      },
      Release());
}

void bind_unfolding(py::module_& m) {
  m.def(
      "unfold_graph",
      [](Address senders, Address vectors, Address row_ptr, std::int64_t num_nodes, int dimensions, Address positions,
         Address parts) {
        return unfold_graph(at<const std::int32_t>(senders), at<const float>(vectors), at<const std::int32_t>(row_ptr),
                            num_nodes, dimensions, at<double>(positions), at<std::int32_t>(parts));
      },
      Release());
}

template <class T>
void bind_targets(py::module_& m) {
  m.def(
      name_of<T>("isoconfigurational_targets").c_str(),
      [](Address initial_positions, Address trajectories, std::int64_t num_runs, std::int64_t num_nodes, int dimensions,
         Address cell, Address senders, Address row_ptr, Address reverse, Address vectors, Address propensity,
         Address pair_change, int num_threads) {
        isoconfigurational_targets<T>(at<const double>(initial_positions), at<const T>(trajectories), num_runs,
                                      num_nodes, dimensions, at<const double>(cell), at<const std::int32_t>(senders),
                                      at<const std::int32_t>(row_ptr), at<const std::int32_t>(reverse),
                                      at<const float>(vectors), at<float>(propensity), at<float>(pair_change),
                                      num_threads);
      },
      Release());
  m.def(
      name_of<T>("local_targets").c_str(),
      [](Address initial_positions, Address trajectories, std::int64_t num_runs, std::int64_t num_nodes, int dimensions,
         Address cell, Address senders, Address row_ptr, Address vectors, double radius, double strain_radius,
         Address relative_propensity, Address local_displacement, Address strain_relative_propensity,
         Address nonaffine_displacement, Address local_strain, Address local_field, int num_threads) {
        LocalTargets out{};
        out.relative_propensity = at<float>(relative_propensity);
        out.local_displacement = at<float>(local_displacement);
        out.strain_relative_propensity = at<float>(strain_relative_propensity);
        out.nonaffine_displacement = at<float>(nonaffine_displacement);
        out.local_strain = at<float>(local_strain);
        out.local_field = at<float>(local_field);
        local_targets<T>(at<const double>(initial_positions), at<const T>(trajectories), num_runs, num_nodes,
                         dimensions, at<const double>(cell), at<const std::int32_t>(senders),
                         at<const std::int32_t>(row_ptr), at<const float>(vectors), radius, strain_radius, out,
                         num_threads);
      },
      Release());
  m.def(
      name_of<T>("surviving_bonds").c_str(),
      [](Address initial_positions, Address trajectories, std::int64_t num_runs, std::int64_t num_nodes, int dimensions,
         Address row_ptr, Address neighbors, Address bonds, Address limits, Address kept, int num_threads) {
        surviving_bonds<T>(at<const double>(initial_positions), at<const T>(trajectories), num_runs, num_nodes,
                           dimensions, at<const std::int64_t>(row_ptr), at<const std::int64_t>(neighbors),
                           at<const double>(bonds), at<const double>(limits), at<std::int32_t>(kept), num_threads);
      },
      Release());
}

void bind_minimization(py::module_& m) {
  // system: num_nodes, dimensions, positions, types, cell; potential: num_species, epsilon, sigma, cutoff, truncation
  m.def(
      "pair_forces",
      [](const System& system, const Potential& potential, Address energy, Address forces, int num_threads) {
        pair_forces(pair_system(system, potential), at<double>(energy), at<double>(forces), num_threads);
      },
      Release());
  m.def(
      "pair_curvature",
      [](const System& system, const Potential& potential, Address virial, Address hessian, int num_threads) {
        pair_curvature(pair_system(system, potential), at<double>(virial), at<double>(hessian), num_threads);
      },
      Release());
  py::class_<Minimization>(m, "Minimization")
      .def(py::init([](const System& system, const Potential& potential, double largest_move, int num_threads) {
             return std::make_unique<Minimization>(pair_system(system, potential), largest_move, num_threads);
           }),
           Release())
      .def("run", &Minimization::run, Release())
      .def_property_readonly("num_steps", &Minimization::num_steps)
      .def_property_readonly("num_evaluations", &Minimization::num_evaluations)
      .def_property_readonly("largest_force", &Minimization::largest_force)
      .def(
          "fill",
          [](const Minimization& self, Address positions, Address energy) {
            self.fill(at<double>(positions), at<double>(energy));
          },
          Release());
}

void bind_confined_dynamics(py::module_& m) {
  py::class_<ConfinedDynamics>(m, "ConfinedDynamics")
      .def(py::init([](const System& system, const Potential& potential, Address around, double spring,
                       double temperature, double friction, double time_step, std::uint64_t seed,
                       std::int64_t equilibration, std::int64_t sample_every, double largest_move, int num_threads) {
             const Confinement confinement{at<const double>(around),
                                           spring,
                                           temperature,
                                           friction,
                                           time_step,
                                           seed,
                                           equilibration,
                                           sample_every,
                                           largest_move};
             return std::make_unique<ConfinedDynamics>(pair_system(system, potential), confinement, num_threads);
           }),
           Release())
      .def("run", &ConfinedDynamics::run, Release())
      .def_property_readonly("num_steps", &ConfinedDynamics::num_steps)
      .def_property_readonly("num_samples", &ConfinedDynamics::num_samples)
      .def_property_readonly("temperature", &ConfinedDynamics::temperature)
      .def(
          "fill",
          [](const ConfinedDynamics& self, Address positions, Address fluctuation) {
            self.fill(at<double>(positions), at<double>(fluctuation));
          },
          Release());
}

void bind_descriptors(py::module_& m) {
  m.def(
      "local_structure",
      [](Address positions, Address types, std::int64_t num_nodes, int dimensions, Address cell, int num_species,
         Address centres, std::int64_t num_centres, double width, Address shells, std::int64_t num_shells,
         Address orders, std::int64_t num_orders, bool by_species, Address out, std::int64_t stride, int num_threads) {
        const LocalStructure settings{
            num_species, at<const double>(centres),      num_centres, width,     at<const double>(shells),
            num_shells,  at<const std::int32_t>(orders), num_orders,  by_species};
        local_structure(at<const double>(positions), at<const std::int32_t>(types), num_nodes, dimensions,
                        at<const double>(cell), settings, at<float>(out), stride, num_threads);
      },
      Release());
  m.def(
      "weighted_means",
      [](Address positions, Address types, std::int64_t num_nodes, int dimensions, Address cell, int num_species,
         Address lengths, Address cutoffs, std::int64_t num_lengths, Address values, std::int64_t num_values,
         std::int64_t values_stride, Address out, std::int64_t stride, int num_threads) {
        const WeightedMeans settings{num_species, at<const double>(lengths), at<const double>(cutoffs), num_lengths,
                                     num_values};
        weighted_means(at<const double>(positions), at<const std::int32_t>(types), num_nodes, dimensions,
                       at<const double>(cell), settings, at<const float>(values), values_stride, at<float>(out), stride,
                       num_threads);
      },
      Release());
}

// ---- sums ----------------------------------------------------------------------------------------------------

template <class T, class I>
void bind_segment_sums(py::module_& m) {
  m.def(
      name_of<T, I>("segment_sum").c_str(),
      [](Address values, std::int64_t num_rows, std::int64_t width, Address row_ptr, std::int64_t num_segments,
         Address out, int num_threads) {
        segment_sum<T, I>(at<const T>(values), num_rows, width, at<const I>(row_ptr), num_segments, at<T>(out),
                          num_threads);
      },
      Release());
  m.def(
      name_of<T, I>("segment_expand").c_str(),
      [](Address values, std::int64_t num_segments, std::int64_t width, Address row_ptr, std::int64_t num_rows,
         Address out, int num_threads) {
        segment_expand<T, I>(at<const T>(values), num_segments, width, at<const I>(row_ptr), num_rows, at<T>(out),
                             num_threads);
      },
      Release());
}

template <class T>
void bind_sums(py::module_& m) {
  bind_segment_sums<T, std::int32_t>(m);
  bind_segment_sums<T, std::int64_t>(m);
  m.def(
      name_of<T>("scatter_sum").c_str(),
      [](Address values, std::int64_t num_rows, std::int64_t width, Address index, std::int64_t dim_size, Address out,
         int num_threads) {
        scatter_sum<T>(at<const T>(values), num_rows, width, at<const std::int64_t>(index), dim_size, at<T>(out),
                       num_threads);
      },
      Release());
}

// ---- memory --------------------------------------------------------------------------------------------------

void bind_memory(py::module_& m) {
  // A block of the pool as a Python buffer: the tensor made from it keeps it alive, its end gives it back.
  struct PooledBuffer {
    explicit PooledBuffer(size_t num_bytes) : num_bytes(num_bytes), data(pool_acquire(num_bytes)) {}
    ~PooledBuffer() { pool_release(data); }
    PooledBuffer(const PooledBuffer&) = delete;
    size_t num_bytes;
    void* data;
  };
  py::class_<PooledBuffer>(m, "PooledBuffer", py::buffer_protocol())
      .def(py::init<size_t>())
      .def_buffer([](PooledBuffer& b) {
        return py::buffer_info(static_cast<uint8_t*>(b.data), static_cast<py::ssize_t>(b.num_bytes));
      });
  m.def("pool_trim", &pool_trim, Release());
}

// ---- network -------------------------------------------------------------------------------------------------

void bind_mlp(py::module_& m) {
  m.def("has_fast_path", &has_fast_path);
  m.def(
      "mlp_forward",
      [](std::int64_t num_rows, std::int64_t num_inputs, int hidden_size, const Addresses& weights, Address x,
         Address y, int precision, int num_threads) {
        auto mlp = mlp_of<MlpForward>(num_rows, num_inputs, hidden_size, weights, x, precision);
        mlp.y = at<float>(y);
        mlp_forward(mlp, num_threads);
      },
      Release());
  m.def(
      "mlp_backward",
      [](std::int64_t num_rows, std::int64_t num_inputs, int hidden_size, const Addresses& weights, Address x,
         Address y, Address grad_y, Address grad_x, const Addresses& gradients, int precision, int num_threads) {
        auto mlp = mlp_of<MlpBackward>(num_rows, num_inputs, hidden_size, weights, x, precision);
        mlp.y = at<const float>(y);
        mlp.grad_y = at<const float>(grad_y);
        mlp.grad_x = at<float>(grad_x);
        mlp.gradients = mlp_arrays<float>(gradients);
        mlp_backward(mlp, num_threads);
      },
      Release());
}

void bind_processor(py::module_& m) {
  m.attr("SAVED_STEPS") = kSavedSteps;
  // shape: num_nodes, num_edges, hidden_size, num_steps, edge_node_skip, save_memory
  // state: x, e, x0, e0; results: x_out, e_out
  m.def(
      "processor_forward",
      [](const Shape& shape, const Addresses& graph, const Addresses& weights, const Addresses& state,
         const Addresses& results, const Addresses& history, bool keep, int precision, int num_threads) {
        processor_forward(processor_forward_of(shape, graph, weights, state, results, history, keep, precision),
                          num_threads);
      },
      Release());
  // state: x, e, x0, e0, x_out; grads: of x_out, e_out, x, e, x0, e0; gradients: of the weights
  m.def(
      "processor_backward",
      [](const Shape& shape, const Addresses& graph, const Addresses& weights, const Addresses& state,
         const Addresses& history, const Addresses& grads, const Addresses& gradients, int precision, int num_threads) {
        processor_backward(processor_backward_of(shape, graph, weights, state, history, grads, gradients, precision),
                           num_threads);
      },
      Release());
}

// nodes: M, then addresses of x and constants; edges: F, then addresses of senders, receivers, row_ptr, e and c
using NodesOfSlab = std::tuple<std::int64_t, Address, Address>;
using EdgesOfSlab = std::tuple<std::int64_t, Address, Address, Address, Address, Address>;

SlabNodes slab_nodes(const NodesOfSlab& n) {
  return {std::get<0>(n), at<float>(std::get<1>(n)), at<float>(std::get<2>(n))};
}

void bind_slab_processor(py::module_& m) {
  py::class_<SlabProcessor>(m, "SlabProcessor")
      .def(py::init([](int hidden_size, bool edge_node_skip, int precision, const Addresses& weights) {
             return std::make_unique<SlabProcessor>(hidden_size, edge_node_skip, static_cast<Precision>(precision),
                                                    processor_arrays<const float>(weights));
           }),
           Release())
      .def(
          "begin_nodes",
          [](const SlabProcessor& self, const NodesOfSlab& nodes, Address p_sender, int num_threads) {
            self.begin_nodes(slab_nodes(nodes), at<float>(p_sender), num_threads);
          },
          Release())
      .def(
          "begin_edges",
          [](const SlabProcessor& self, std::int64_t num_edges, Address e0, Address e, Address c, int num_threads) {
            self.begin_edges(num_edges, at<const float>(e0), at<void>(e), at<void>(c), num_threads);
          },
          Release())
      .def(
          "step",
          [](const SlabProcessor& self, const NodesOfSlab& nodes, const EdgesOfSlab& edges, Address p_sender,
             Address e_last, Address next_p_sender, int num_threads) {
            const auto& [num_edges, senders, receivers, row_ptr, e, c] = edges;
            const SlabEdges slab{num_edges,
                                 at<const std::int32_t>(senders),
                                 at<const std::int32_t>(receivers),
                                 at<const std::int32_t>(row_ptr),
                                 at<void>(e),
                                 at<const void>(c)};
            self.step(slab_nodes(nodes), slab, at<const float>(p_sender), at<float>(e_last), at<float>(next_p_sender),
                      num_threads);
          },
          Release());
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "Compiled core of botan_fast; use the public functions of the package instead.";
  bind_build(m);
  bind_neighbor_list(m);
  bind_pairs(m);
  bind_edges(m);
  bind_unfolding(m);
  bind_targets<float>(m);
  bind_targets<double>(m);
  bind_minimization(m);
  bind_confined_dynamics(m);
  bind_descriptors(m);
  bind_sums<float>(m);
  bind_sums<double>(m);
  bind_memory(m);
  bind_mlp(m);
  bind_processor(m);
  bind_slab_processor(m);
#ifdef BOTAN_FAST_HAVE_CUDA
  py::module_ cuda = m.def_submodule("cuda", "The CUDA kernels; absent from a build without them.");
  bind_cuda(cuda);
#endif
}
