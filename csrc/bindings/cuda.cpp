// pybind11 only, as in core.cpp, for the functions of botan_fast_cuda.h: device addresses, sizes, and the stream as
// its device index and handle. The same bindings serve the compiled core and the host emulation of the tests.
#include "bindings/cuda.h"

#include "bindings/addresses.h"
#include "botan_fast_cuda.h"

namespace py = pybind11;
using namespace botan_fast;
using namespace botan_fast::cuda;

namespace {

Stream stream_of(int device, Address handle) { return {device, at<void>(handle)}; }
Workspace workspace_of(Address address, std::size_t bytes) { return {at<void>(address), bytes}; }

void bind_build(py::module_& m) {
  m.attr("architectures") = architectures();
  m.def("compute_capability", [](int device) { return compute_capability(stream_of(device, 0)); });
  m.def("can_run", [](int device) { return can_run(stream_of(device, 0)); });
  m.attr("toolkit_version") = toolkit_version();
}

// Names of functions end in the dtypes of the values and of row_ptr: segment_sum_f32_i64.
template <class T, class I>
void bind_segment_sums(py::module_& m, const std::string& suffix) {
  m.def(("segment_sum_" + suffix).c_str(),
        [](int device, Address stream, Address values, std::int64_t num_rows, std::int64_t width, Address row_ptr,
           std::int64_t num_segments, Address order, std::int64_t num_order, Address out, Address workspace,
           std::size_t workspace_bytes) {
          segment_sum<T, I>(stream_of(device, stream), at<const T>(values), num_rows, width, at<const I>(row_ptr),
                            num_segments, at<const I>(order), num_order, at<T>(out),
                            workspace_of(workspace, workspace_bytes));
        },
        Release());
  m.def(("segment_expand_" + suffix).c_str(),
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
      [](int device, Address stream, Address index, std::int64_t num_rows, std::int64_t num_segments, Address row_ptr) {
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
        NeighborInput input{};
        input.positions = at<const double>(positions);
        input.num_nodes = num_nodes;
        input.dimensions = dimensions;
        input.graph_ptr = at<const std::int64_t>(graph_ptr);
        input.cells = at<const double>(cells);
        input.num_graphs = num_graphs;
        input.cutoff = cutoff;
        input.self_edges = self_edges;
        input.path = static_cast<NeighborPath>(path);
        return input;
      }));
  m.def("neighbor_list_workspace_bytes", &neighbor_list_workspace_bytes);
  m.def(
      "neighbor_list_count",
      [](int device, Address stream, const NeighborInput& input, std::int64_t max_edges, Address row_ptr,
         Address status, Address workspace, std::size_t workspace_bytes) {
        neighbor_list_count(stream_of(device, stream), input, max_edges, at<std::int32_t>(row_ptr),
                            at<std::int64_t>(status), workspace_of(workspace, workspace_bytes));
      },
      Release());
  m.def(
      "neighbor_list_fill_graph",
      [](int device, Address stream, const NeighborInput& input, Address row_ptr, std::int64_t max_edges,
         Address senders, Address receivers, Address reverse, Address vectors, Address workspace,
         std::size_t workspace_bytes) {
        neighbor_list_fill_graph(stream_of(device, stream), input, at<const std::int32_t>(row_ptr), max_edges,
                                 at<std::int32_t>(senders), at<std::int32_t>(receivers), at<std::int32_t>(reverse),
                                 at<float>(vectors), workspace_of(workspace, workspace_bytes));
      },
      Release());
  m.def(
      "neighbor_list_fill_pairs",
      [](int device, Address stream, const NeighborInput& input, Address row_ptr, Address first, Address second,
         Address vectors, Address distances, Address shifts, Address workspace, std::size_t workspace_bytes) {
        neighbor_list_fill_pairs(stream_of(device, stream), input, at<const std::int32_t>(row_ptr),
                                 at<std::int64_t>(first), at<std::int64_t>(second), at<double>(vectors),
                                 at<double>(distances), at<std::int64_t>(shifts),
                                 workspace_of(workspace, workspace_bytes));
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
        TargetInput input{};
        input.initial_positions = at<const double>(initial_positions);
        input.num_nodes = num_nodes;
        input.num_edges = num_edges;
        input.dimensions = dimensions;
        input.cell = at<const double>(cell);
        input.senders = at<const std::int32_t>(senders);
        input.receivers = at<const std::int32_t>(receivers);
        input.reverse = at<const std::int32_t>(reverse);
        input.vectors = at<const float>(vectors);
        return input;
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

// Parts come as (num_inputs, addresses of the weights, of which a processor has eight, packed).
using PartToPack = std::tuple<std::int64_t, Addresses, Address>;

void bind_packed_weights(py::module_& m) {
  m.def("packed_bytes", [](std::int64_t num_inputs, bool processor, int hidden_size, bool backward, int precision) {
    return packed_bytes(num_inputs, processor, hidden_size, backward, static_cast<Precision>(precision));
  });
  m.def(
      "pack_weights",
      [](int device, Address stream, const std::vector<PartToPack>& given, int hidden_size, bool backward,
         int precision) {
        std::vector<PackPart> parts;
        for (const auto& [num_inputs, weights, packed] : given) {
          PackPart part{};
          part.num_inputs = num_inputs;
          part.processor = weights.size() == 8;
          part.packed = at<void>(packed);
          if (part.processor) {
            part.processor_weights = processor_arrays<const float>(weights);
          } else {
            part.mlp_weights = mlp_arrays<const float>(weights);
          }
          parts.push_back(part);
        }
        pack_weights(stream_of(device, stream), parts.data(), static_cast<std::int64_t>(parts.size()), hidden_size,
                     backward, static_cast<Precision>(precision));
      },
      Release());
}

void bind_processor(py::module_& m) {
  m.def("has_message_passing", [](int device, int hidden_size, int precision) {
    return has_message_passing(stream_of(device, 0), hidden_size, static_cast<Precision>(precision));
  });
  m.def("processor_forward_workspace_bytes",
        [](int device, Address stream, const Shape& shape, bool keep, int precision) {
          return processor_forward_workspace_bytes(stream_of(device, stream), processor_shape(shape), keep,
                                                   static_cast<Precision>(precision));
        });
  m.def("processor_backward_workspace_bytes", [](int device, Address stream, const Shape& shape, int precision) {
    return processor_backward_workspace_bytes(stream_of(device, stream), processor_shape(shape),
                                              static_cast<Precision>(precision));
  });
  // state: x, e, x0, e0; results: x_out, e_out
  m.def(
      "processor_forward",
      [](int device, Address stream, const Shape& shape, const Addresses& graph, const Addresses& weights,
         const Addresses& state, const Addresses& results, const Addresses& history, bool keep, int precision,
         Address packed, Address workspace, std::size_t workspace_bytes) {
        processor_forward(stream_of(device, stream),
                          processor_forward_of(shape, graph, weights, state, results, history, keep, precision),
                          at<const void>(packed), workspace_of(workspace, workspace_bytes));
      },
      Release());
  // state: x, e, x0, e0, x_out; grads: of x_out, e_out, x, e, x0, e0; gradients: of the weights
  m.def(
      "processor_backward",
      [](int device, Address stream, const Shape& shape, const Addresses& graph, const Addresses& weights,
         const Addresses& state, const Addresses& history, const Addresses& grads, const Addresses& gradients,
         int precision, Address packed, Address workspace, std::size_t workspace_bytes) {
        processor_backward(stream_of(device, stream),
                           processor_backward_of(shape, graph, weights, state, history, grads, gradients, precision),
                           at<const void>(packed), workspace_of(workspace, workspace_bytes));
      },
      Release());
}

void bind_mlp(py::module_& m) {
  m.def("mlp_workspace_bytes", [](int device, Address stream, std::int64_t num_rows, std::int64_t num_inputs,
                                  int hidden_size, bool backward, int precision) {
    return mlp_workspace_bytes(stream_of(device, stream), num_rows, num_inputs, hidden_size, backward,
                               static_cast<Precision>(precision));
  });
  m.def(
      "mlp_forward",
      [](int device, Address stream, std::int64_t num_rows, std::int64_t num_inputs, int hidden_size,
         const Addresses& weights, Address x, Address y, int precision, Address packed, Address workspace,
         std::size_t workspace_bytes) {
        auto mlp = mlp_of<MlpForward>(num_rows, num_inputs, hidden_size, weights, x, precision);
        mlp.y = at<float>(y);
        mlp_forward(stream_of(device, stream), mlp, at<const void>(packed), workspace_of(workspace, workspace_bytes));
      },
      Release());
  m.def(
      "mlp_backward",
      [](int device, Address stream, std::int64_t num_rows, std::int64_t num_inputs, int hidden_size,
         const Addresses& weights, Address x, Address grad_y, Address grad_x, const Addresses& gradients, int precision,
         Address packed, Address workspace, std::size_t workspace_bytes) {
        auto mlp = mlp_of<MlpBackward>(num_rows, num_inputs, hidden_size, weights, x, precision);
        mlp.grad_y = at<const float>(grad_y);
        mlp.grad_x = at<float>(grad_x);
        mlp.gradients = mlp_arrays<float>(gradients);
        mlp_backward(stream_of(device, stream), mlp, at<const void>(packed), workspace_of(workspace, workspace_bytes));
      },
      Release());
}

// A part of the loss comes as (given, prediction, target, capacity, weight, gradient).
using Part = std::tuple<bool, Address, Address, std::int64_t, double, Address>;

LossPart loss_part(const Part& part) {
  return {std::get<0>(part), at<const float>(std::get<1>(part)), at<const float>(std::get<2>(part)), std::get<3>(part),
          std::get<4>(part), at<float>(std::get<5>(part))};
}

void bind_loss(py::module_& m) {
  m.def("loss_workspace_bytes", &loss_workspace_bytes);
  m.def(
      "loss",
      [](int device, Address stream, const Part& node, const Part& edge, Address num_edges, Address total,
         Address node_loss, Address edge_loss, Address workspace, std::size_t workspace_bytes) {
        loss(stream_of(device, stream), loss_part(node), loss_part(edge), at<const std::int32_t>(num_edges),
             at<float>(total), at<float>(node_loss), at<float>(edge_loss), workspace_of(workspace, workspace_bytes));
      },
      Release());
}

// source: the members of BatchSource and their (num_nodes, num_edges); choice: those of BatchChoice; batch: those of
// Batch and (num_nodes, capacity, dimensions, node_columns, noise_columns, edge_columns)
using BatchSizes = std::tuple<std::int64_t, std::int64_t, int, int, int, int>;

void bind_training_step(py::module_& m) {
  m.def(
      "load_batch",
      [](int device, Address stream, const Addresses& source, std::tuple<std::int64_t, std::int64_t> source_sizes,
         const Addresses& choice, std::int64_t num_graphs, const Addresses& batch, const BatchSizes& sizes) {
        check_count("source", source, 9);
        check_count("choice", choice, 4);
        check_count("batch", batch, 10);
        const BatchSource from{
            at<const std::int64_t>(source[0]), at<const std::int32_t>(source[1]), at<const float>(source[2]),
            at<const std::int32_t>(source[3]), at<const std::int32_t>(source[4]), at<const std::int32_t>(source[5]),
            at<const float>(source[6]),        at<const float>(source[7]),        at<const float>(source[8]),
            std::get<0>(source_sizes),         std::get<1>(source_sizes)};
        const BatchChoice chosen{at<const std::int64_t>(choice[0]), at<const float>(choice[1]),
                                 at<const float>(choice[2]), at<const float>(choice[3]), num_graphs};
        const Batch made{
            at<std::int64_t>(batch[0]), at<std::int32_t>(batch[1]), at<float>(batch[2]), at<std::int32_t>(batch[3]),
            at<std::int32_t>(batch[4]), at<std::int32_t>(batch[5]), at<float>(batch[6]), at<float>(batch[7]),
            at<float>(batch[8]),        at<std::int64_t>(batch[9]), std::get<0>(sizes),  std::get<1>(sizes),
            std::get<2>(sizes),         std::get<3>(sizes),         std::get<4>(sizes),  std::get<5>(sizes)};
        load_batch(stream_of(device, stream), from, chosen, made);
      },
      Release());
  // numbers: loss, node_loss, edge_loss, norms; results: the members of StepResults
  m.def(
      "record_step",
      [](int device, Address stream, const Addresses& numbers, std::int64_t num_norms, double clip_norm, Address batch,
         std::int64_t num_batches, const Addresses& results) {
        check_count("numbers", numbers, 4);
        check_count("results", results, 4);
        record_step(
            stream_of(device, stream),
            {at<const float>(numbers[0]), at<const float>(numbers[1]), at<const float>(numbers[2]),
             at<const float>(numbers[3]), num_norms, clip_norm},
            at<const std::int64_t>(batch), num_batches,
            {at<float>(results[0]), at<float>(results[1]), at<float>(results[2]), at<std::int64_t>(results[3])});
      },
      Release());
}

}  // namespace

void bind_cuda(py::module_& m) {
  bind_build(m);
  bind_sums(m);
  bind_neighbor_list(m);
  bind_targets(m);
  bind_packed_weights(m);
  bind_processor(m);
  bind_mlp(m);
  bind_loss(m);
  bind_training_step(m);
}
