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

}  // namespace

void bind_cuda(py::module_& m) {
  bind_build(m);
  bind_sums(m);
}
