// pybind11 only: addresses and sizes in, nothing else. No torch and no logic; the callers in Python check
// shapes and dtypes, own the memory, and keep it alive during the call. The GIL is released in every call.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#ifdef BOTAN_FAST_HAVE_CUDA
#include "bindings/cuda.h"
#endif
#include "botan_fast.h"

namespace py = pybind11;
using namespace botan_fast;

namespace {

using Address = std::uintptr_t;

template <class T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

using Release = py::call_guard<py::gil_scoped_release>;

void bind_build(py::module_& m) {
  m.attr("__version__") = BOTAN_FAST_VERSION;
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

template <class T>
void bind_targets_of(py::module_& m, const char* name) {
  m.def(
      name,
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
}

void bind_targets(py::module_& m) {
  bind_targets_of<float>(m, "isoconfigurational_targets_f32");
  bind_targets_of<double>(m, "isoconfigurational_targets_f64");
}

template <class T>
void bind_local_targets_of(py::module_& m, const std::string& suffix) {
  m.def(("local_targets_" + suffix).c_str(),
        [](Address initial_positions, Address trajectories, std::int64_t num_runs, std::int64_t num_nodes,
           int dimensions, Address cell, Address senders, Address row_ptr, Address vectors, double radius,
           double strain_radius, Address relative_propensity, Address local_displacement,
           Address nonaffine_displacement, Address local_strain, Address local_field, int num_threads) {
          local_targets<T>(at<const double>(initial_positions), at<const T>(trajectories), num_runs, num_nodes,
                           dimensions, at<const double>(cell), at<const std::int32_t>(senders),
                           at<const std::int32_t>(row_ptr), at<const float>(vectors), radius, strain_radius,
                           {at<float>(relative_propensity), at<float>(local_displacement),
                            at<float>(nonaffine_displacement), at<float>(local_strain), at<float>(local_field)},
                           num_threads);
        },
        Release());
  m.def(
      ("surviving_bonds_" + suffix).c_str(),
      [](Address initial_positions, Address trajectories, std::int64_t num_runs, std::int64_t num_nodes, int dimensions,
         Address row_ptr, Address neighbors, Address bonds, Address limits, Address kept, int num_threads) {
        surviving_bonds<T>(at<const double>(initial_positions), at<const T>(trajectories), num_runs, num_nodes,
                           dimensions, at<const std::int64_t>(row_ptr), at<const std::int64_t>(neighbors),
                           at<const double>(bonds), at<const double>(limits), at<std::int32_t>(kept), num_threads);
      },
      Release());
}

void bind_local_targets(py::module_& m) {
  bind_local_targets_of<float>(m, "f32");
  bind_local_targets_of<double>(m, "f64");
}

// Names end in the dtype of the values and of row_ptr: segment_sum_f32_i64.
template <class T, class I>
void bind_segment_sums(py::module_& m, const std::string& suffix) {
  m.def(("segment_sum_" + suffix).c_str(),
        [](Address values, std::int64_t num_rows, std::int64_t width, Address row_ptr, std::int64_t num_segments,
           Address out, int num_threads) {
          segment_sum<T, I>(at<const T>(values), num_rows, width, at<const I>(row_ptr), num_segments, at<T>(out),
                            num_threads);
        },
        Release());
  m.def(("segment_expand_" + suffix).c_str(),
        [](Address values, std::int64_t num_segments, std::int64_t width, Address row_ptr, std::int64_t num_rows,
           Address out, int num_threads) {
          segment_expand<T, I>(at<const T>(values), num_segments, width, at<const I>(row_ptr), num_rows, at<T>(out),
                               num_threads);
        },
        Release());
}

template <class T>
void bind_scatter_sum(py::module_& m, const char* name) {
  m.def(
      name,
      [](Address values, std::int64_t num_rows, std::int64_t width, Address index, std::int64_t dim_size, Address out,
         int num_threads) {
        scatter_sum<T>(at<const T>(values), num_rows, width, at<const std::int64_t>(index), dim_size, at<T>(out),
                       num_threads);
      },
      Release());
}

void bind_sums(py::module_& m) {
  bind_segment_sums<float, std::int32_t>(m, "f32_i32");
  bind_segment_sums<float, std::int64_t>(m, "f32_i64");
  bind_segment_sums<double, std::int32_t>(m, "f64_i32");
  bind_segment_sums<double, std::int64_t>(m, "f64_i64");
  bind_scatter_sum<float>(m, "scatter_sum_f32");
  bind_scatter_sum<double>(m, "scatter_sum_f64");
}

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

using Addresses = std::vector<Address>;

MlpWeights mlp_weights(const Addresses& w) {
  if (w.size() == 4) return {at<float>(w[0]), at<float>(w[1]), at<float>(w[2]), at<float>(w[3]), nullptr, nullptr};
  return {at<float>(w[0]), at<float>(w[1]), at<float>(w[2]), at<float>(w[3]), at<float>(w[4]), at<float>(w[5])};
}

ProcessorWeights processor_weights(const Addresses& w, bool edge_node_skip) {
  return {at<float>(w[0]), at<float>(w[1]), at<float>(w[2]), at<float>(w[3]), at<float>(w[4]),
          at<float>(w[5]), at<float>(w[6]), at<float>(w[7]), edge_node_skip};
}

Topology topology(int64_t num_nodes, int64_t num_edges, const Addresses& t) {
  return {num_nodes,         num_edges,         at<int32_t>(t[0]), at<int32_t>(t[1]),
          at<int32_t>(t[2]), at<int32_t>(t[3]), at<int32_t>(t[4])};
}

ProcessorHistory history(const Addresses& h, bool save_memory) {
  return {at<float>(h[0]), at<void>(h[1]), at<float>(h[2]), at<void>(h[3]), save_memory};
}

void bind_model(py::module_& m) {
  m.def("has_fast_path", &has_fast_path);
  m.def(
      "mlp_forward",
      [](int64_t num_rows, int64_t num_inputs, int hidden_size, const Addresses& weights, Address x, Address y,
         int precision, int num_threads) {
        mlp_forward(num_rows, num_inputs, hidden_size, mlp_weights(weights), at<float>(x), at<float>(y),
                    static_cast<Precision>(precision), num_threads);
      },
      Release());
  m.def(
      "mlp_backward",
      [](int64_t num_rows, int64_t num_inputs, int hidden_size, const Addresses& weights, Address x, Address y,
         Address grad_y, Address grad_x, const Addresses& gradients, int precision, int num_threads) {
        const MlpWeights g = mlp_weights(gradients);
        const auto writable = [](const float* p) { return const_cast<float*>(p); };
        mlp_backward(num_rows, num_inputs, hidden_size, mlp_weights(weights), at<float>(x), at<float>(y),
                     at<float>(grad_y), at<float>(grad_x),
                     {writable(g.w1), writable(g.b1), writable(g.w2), writable(g.b2), writable(g.w3), writable(g.b3)},
                     static_cast<Precision>(precision), num_threads);
      },
      Release());
  m.def(
      "processor_forward",
      [](int64_t num_nodes, int64_t num_edges, const Addresses& graph, int hidden_size, int num_steps,
         bool edge_node_skip, const Addresses& weights, Address x, Address e, Address x0, Address e0, Address x_out,
         Address e_out, const Addresses& kept, bool save_memory, int precision, int num_threads) {
        processor_forward(topology(num_nodes, num_edges, graph), hidden_size, num_steps,
                          processor_weights(weights, edge_node_skip), at<float>(x), at<float>(e), at<float>(x0),
                          at<float>(e0), at<float>(x_out), at<float>(e_out), history(kept, save_memory),
                          static_cast<Precision>(precision), num_threads);
      },
      Release());
  m.def(
      "processor_backward",
      [](int64_t num_nodes, int64_t num_edges, const Addresses& graph, int hidden_size, int num_steps,
         bool edge_node_skip, const Addresses& weights, Address x, Address e, Address x0, Address e0, Address x_out,
         const Addresses& kept, bool save_memory, Address grad_x_out, Address grad_e_out, Address grad_x,
         Address grad_e, Address grad_x0, Address grad_e0, const Addresses& gradients, int precision, int num_threads) {
        processor_backward(
            topology(num_nodes, num_edges, graph), hidden_size, num_steps, processor_weights(weights, edge_node_skip),
            at<float>(x), at<float>(e), at<float>(x0), at<float>(e0), at<float>(x_out), history(kept, save_memory),
            at<float>(grad_x_out), at<float>(grad_e_out), at<float>(grad_x), at<float>(grad_e), at<float>(grad_x0),
            at<float>(grad_e0),
            {at<float>(gradients[0]), at<float>(gradients[1]), at<float>(gradients[2]), at<float>(gradients[3]),
             at<float>(gradients[4]), at<float>(gradients[5]), at<float>(gradients[6]), at<float>(gradients[7])},
            static_cast<Precision>(precision), num_threads);
      },
      Release());
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "Compiled core of botan_fast; use the public functions of the package instead.";
  bind_build(m);
  bind_neighbor_list(m);
  bind_pairs(m);
  bind_targets(m);
  bind_local_targets(m);
  bind_sums(m);
  bind_memory(m);
  bind_model(m);
#ifdef BOTAN_FAST_HAVE_CUDA
  py::module_ cuda = m.def_submodule("cuda", "The CUDA kernels; absent from a build without them.");
  bind_cuda(cuda);
#endif
}
