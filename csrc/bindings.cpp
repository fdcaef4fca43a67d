// pybind11 only: addresses and sizes in, nothing else. No torch and no logic; the callers in Python check
// shapes and dtypes, own the memory, and keep it alive during the call. The GIL is released in every call.
#include <pybind11/pybind11.h>

#include <cstdint>

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
}

void bind_neighbor_list(py::module_&) {}

void bind_targets(py::module_&) {}

void bind_sums(py::module_&) {}

void bind_model(py::module_&) {}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "Compiled core of botan_fast; use the public functions of the package instead.";
  bind_build(m);
  bind_neighbor_list(m);
  bind_targets(m);
  bind_sums(m);
  bind_model(m);
}
