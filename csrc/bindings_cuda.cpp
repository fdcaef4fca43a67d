// pybind11 only, as in bindings.cpp, for the functions of botan_fast_cuda.h: device addresses, sizes, and the stream as
// its device index and handle. The same bindings serve the compiled core and the host emulation of the tests.
#include "bindings_cuda.h"

#include <cstdint>
#include <string>

#include "botan_fast_cuda.h"

namespace py = pybind11;
using namespace botan_fast::cuda;

namespace {

using Address = std::uintptr_t;
using Release = py::call_guard<py::gil_scoped_release>;

template <class T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

Stream stream_of(int device, Address handle) { return {device, at<void>(handle)}; }

void bind_build(py::module_& m) {
  m.attr("architectures") = architectures();
  m.attr("toolkit_version") = toolkit_version();
}

// Names end in the dtype of the values and of row_ptr: segment_sum_f32_i64.
template <class T, class I>
void bind_segment_sums(py::module_& m, const std::string& suffix) {
  m.def(
      ("segment_sum_" + suffix).c_str(),
      [](int device, Address stream, Address values, std::int64_t num_rows, std::int64_t width, Address row_ptr,
         std::int64_t num_segments, Address order, std::int64_t num_order, Address out, Address workspace,
         std::size_t workspace_bytes) {
        segment_sum<T, I>(stream_of(device, stream), at<const T>(values), num_rows, width, at<const I>(row_ptr),
                          num_segments, at<const I>(order), num_order, at<T>(out), at<void>(workspace),
                          workspace_bytes);
      },
      Release());
  m.def(
      ("segment_expand_" + suffix).c_str(),
      [](int device, Address stream, Address values, std::int64_t num_segments, std::int64_t width, Address row_ptr,
         std::int64_t num_rows, Address out) {
        segment_expand<T, I>(stream_of(device, stream), at<const T>(values), num_segments, width,
                             at<const I>(row_ptr), num_rows, at<T>(out));
      },
      Release());
}

void bind_sums(py::module_& m) {
  m.def("segment_sum_workspace_bytes", &segment_sum_workspace_bytes);
  bind_segment_sums<float, std::int32_t>(m, "f32_i32");
  bind_segment_sums<float, std::int64_t>(m, "f32_i64");
  bind_segment_sums<double, std::int32_t>(m, "f64_i32");
  bind_segment_sums<double, std::int64_t>(m, "f64_i64");
  m.def(
      "row_ptr_of_sorted",
      [](int device, Address stream, Address index, std::int64_t num_rows, std::int64_t num_segments,
         Address row_ptr) {
        row_ptr_of_sorted(stream_of(device, stream), at<const std::int64_t>(index), num_rows, num_segments,
                          at<std::int64_t>(row_ptr));
      },
      Release());
}

// Types are local to the module: the core and the host emulation live in one process.
void bind_neighbor_list(py::module_& m) {
  py::class_<NeighborInput>(m, "NeighborInput", py::module_local())
      .def(py::init([](Address positions, std::int64_t num_nodes, int dimensions, Address graph_ptr, Address cells,
                       std::int64_t num_graphs, double cutoff, bool self_edges, int path) {
        return NeighborInput{at<const double>(positions),
                             num_nodes,
                             dimensions,
                             at<const std::int64_t>(graph_ptr),
                             at<const double>(cells),
                             num_graphs,
                             cutoff,
                             self_edges,
                             static_cast<NeighborPath>(path)};
      }));
  m.def("neighbor_list_workspace_bytes", &neighbor_list_workspace_bytes);
  m.def(
      "neighbor_list_count",
      [](int device, Address stream, const NeighborInput& input, std::int64_t max_edges, Address row_ptr,
         Address status, Address workspace, std::size_t workspace_bytes) {
        neighbor_list_count(stream_of(device, stream), input, max_edges, at<std::int32_t>(row_ptr),
                            at<std::int64_t>(status), at<void>(workspace), workspace_bytes);
      },
      Release());
  m.def(
      "neighbor_list_fill_graph",
      [](int device, Address stream, const NeighborInput& input, Address row_ptr, std::int64_t max_edges,
         Address senders, Address receivers, Address reverse, Address vectors, Address workspace,
         std::size_t workspace_bytes) {
        neighbor_list_fill_graph(stream_of(device, stream), input, at<const std::int32_t>(row_ptr), max_edges,
                                 at<std::int32_t>(senders), at<std::int32_t>(receivers), at<std::int32_t>(reverse),
                                 at<float>(vectors), at<void>(workspace), workspace_bytes);
      },
      Release());
  m.def(
      "neighbor_list_fill_pairs",
      [](int device, Address stream, const NeighborInput& input, Address row_ptr, Address first, Address second,
         Address vectors, Address distances, Address shifts, Address workspace, std::size_t workspace_bytes) {
        neighbor_list_fill_pairs(stream_of(device, stream), input, at<const std::int32_t>(row_ptr),
                                 at<std::int64_t>(first), at<std::int64_t>(second), at<double>(vectors),
                                 at<double>(distances), at<std::int64_t>(shifts), at<void>(workspace),
                                 workspace_bytes);
      },
      Release());
}

template <class T>
void bind_targets_of(py::module_& m, const char* name) {
  m.def(
      name,
      [](int device, Address stream, const TargetInput& input, Address trajectories, std::int64_t num_runs, bool first,
         Address node_sum, Address edge_sum, Address status) {
        targets_accumulate<T>(stream_of(device, stream), input, at<const T>(trajectories), num_runs, first,
                              at<double>(node_sum), at<double>(edge_sum), at<std::int32_t>(status));
      },
      Release());
}

void bind_targets(py::module_& m) {
  py::class_<TargetInput>(m, "TargetInput", py::module_local())
      .def(py::init([](Address initial_positions, std::int64_t num_nodes, std::int64_t num_edges, int dimensions,
                       Address cell, Address senders, Address receivers, Address reverse, Address vectors) {
        return TargetInput{at<const double>(initial_positions),
                           num_nodes,
                           num_edges,
                           dimensions,
                           at<const double>(cell),
                           at<const std::int32_t>(senders),
                           at<const std::int32_t>(receivers),
                           at<const std::int32_t>(reverse),
                           at<const float>(vectors)};
      }));
  bind_targets_of<float>(m, "targets_accumulate_f32");
  bind_targets_of<double>(m, "targets_accumulate_f64");
  m.def(
      "targets_finish",
      [](int device, Address stream, const TargetInput& input, std::int64_t num_runs, Address node_sum,
         Address edge_sum, Address propensity, Address pair_change, Address status) {
        targets_finish(stream_of(device, stream), input, num_runs, at<const double>(node_sum),
                       at<const double>(edge_sum), at<float>(propensity), at<float>(pair_change),
                       at<std::int32_t>(status));
      },
      Release());
}

}  // namespace

void bind_cuda(py::module_& m) {
  bind_build(m);
  bind_sums(m);
  bind_neighbor_list(m);
  bind_targets(m);
}
