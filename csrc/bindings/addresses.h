// Addresses that come from Python as pointers and structs of pointers: once for both devices.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "botan_fast.h"

namespace botan_fast {

using Address = std::uintptr_t;
using Addresses = std::vector<Address>;  // of the members of a struct, in its order; 0 for an absent one
using Release = pybind11::call_guard<pybind11::gil_scoped_release>;

template <class T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

inline void check_count(const char* name, const Addresses& addresses, std::size_t expected) {
  if (addresses.size() == expected) return;
  throw std::invalid_argument(std::string(name) + " has " + std::to_string(addresses.size()) + " addresses; give " +
                              std::to_string(expected));
}

// T = const float for weights, float for their gradients. A third layer is two addresses more.
template <class T>
MlpArrays<T> mlp_arrays(const Addresses& a) {
  const bool third = a.size() > 4;
  check_count("mlp", a, third ? 6 : 4);
  return {
      at<T>(a[0]), at<T>(a[1]), at<T>(a[2]), at<T>(a[3]), third ? at<T>(a[4]) : nullptr, third ? at<T>(a[5]) : nullptr};
}

// An MlpForward or MlpBackward with the members that both have.
template <class Mlp>
Mlp mlp_of(std::int64_t num_rows, std::int64_t num_inputs, int hidden_size, const Addresses& weights, Address x,
           int precision) {
  Mlp mlp{};
  mlp.num_rows = num_rows;
  mlp.num_inputs = num_inputs;
  mlp.hidden_size = hidden_size;
  mlp.precision = static_cast<Precision>(precision);
  mlp.weights = mlp_arrays<const float>(weights);
  mlp.x = at<const float>(x);
  return mlp;
}

template <class T>
ProcessorArrays<T> processor_arrays(const Addresses& a) {
  check_count("processor", a, 8);
  return {at<T>(a[0]), at<T>(a[1]), at<T>(a[2]), at<T>(a[3]), at<T>(a[4]), at<T>(a[5]), at<T>(a[6]), at<T>(a[7])};
}

inline Topology topology(const Addresses& a) {
  check_count("topology", a, 5);
  return {at<const std::int32_t>(a[0]), at<const std::int32_t>(a[1]), at<const std::int32_t>(a[2]),
          at<const std::int32_t>(a[3]), at<const std::int32_t>(a[4])};
}

inline ProcessorHistory history(const Addresses& a) {
  check_count("history", a, 4);
  return {at<float>(a[0]), at<void>(a[1]), at<float>(a[2]), at<void>(a[3])};
}

// (num_nodes, num_edges, hidden_size, num_steps, edge_node_skip, save_memory)
using Shape = std::tuple<std::int64_t, std::int64_t, int, int, bool, bool>;

inline ProcessorShape processor_shape(const Shape& s) {
  return {std::get<0>(s), std::get<1>(s), std::get<2>(s), std::get<3>(s), std::get<4>(s), std::get<5>(s)};
}

// From (x, e, x0, e0), (x_out, e_out) and so on: the arguments of both devices, in the order of the structs.
inline ProcessorForward processor_forward_of(const Shape& shape, const Addresses& graph, const Addresses& weights,
                                             const Addresses& state, const Addresses& results, const Addresses& kept,
                                             bool keep, int precision) {
  check_count("state", state, 4);
  check_count("results", results, 2);
  ProcessorForward p{};
  p.shape = processor_shape(shape);
  p.precision = static_cast<Precision>(precision);
  p.topology = topology(graph);
  p.weights = processor_arrays<const float>(weights);
  p.x = at<const float>(state[0]);
  p.e = at<const float>(state[1]);
  p.x0 = at<const float>(state[2]);
  p.e0 = at<const float>(state[3]);
  p.x_out = at<float>(results[0]);
  p.e_out = at<float>(results[1]);
  p.keep = keep;
  p.history = history(kept);
  return p;
}

// state: x, e, x0, e0, x_out; grads: of x_out, e_out, x, e, x0, e0; gradients: of the weights
inline ProcessorBackward processor_backward_of(const Shape& shape, const Addresses& graph, const Addresses& weights,
                                               const Addresses& state, const Addresses& kept, const Addresses& grads,
                                               const Addresses& gradients, int precision) {
  check_count("state", state, 5);
  check_count("grads", grads, 6);
  ProcessorBackward p{};
  p.shape = processor_shape(shape);
  p.precision = static_cast<Precision>(precision);
  p.topology = topology(graph);
  p.weights = processor_arrays<const float>(weights);
  p.x = at<const float>(state[0]);
  p.e = at<const float>(state[1]);
  p.x0 = at<const float>(state[2]);
  p.e0 = at<const float>(state[3]);
  p.x_out = at<const float>(state[4]);
  p.history = history(kept);
  p.grad_x_out = at<const float>(grads[0]);
  p.grad_e_out = at<const float>(grads[1]);
  p.grad_x = at<float>(grads[2]);
  p.grad_e = at<float>(grads[3]);
  p.grad_x0 = at<float>(grads[4]);
  p.grad_e0 = at<float>(grads[5]);
  p.gradients = processor_arrays<float>(gradients);
  return p;
}

// (num_nodes, dimensions, positions, types, cell) and (num_species, epsilon, sigma, cutoff, truncation)
using System = std::tuple<std::int64_t, int, Address, Address, Address>;
using Potential = std::tuple<int, Address, Address, Address, int>;

inline PairSystem pair_system(const System& s, const Potential& p) {
  return {std::get<0>(s),
          std::get<1>(s),
          at<const double>(std::get<2>(s)),
          at<const std::int32_t>(std::get<3>(s)),
          at<const double>(std::get<4>(s)),
          {std::get<0>(p), at<const double>(std::get<1>(p)), at<const double>(std::get<2>(p)),
           at<const double>(std::get<3>(p)), static_cast<Truncation>(std::get<4>(p))}};
}

}  // namespace botan_fast
