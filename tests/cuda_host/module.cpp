// The host emulation as a Python module: the functions of botan_fast._core.cuda on host memory, the seed of the
// order of threads, and the kernels of test_kernels.cu.
#include "bindings/cuda.h"

#include <pybind11/stl.h>

#include "simt.h"
#include "test_kernels.h"

PYBIND11_MODULE(botan_fast_cuda_host, m) {
  bind_cuda(m);
  m.def("set_seed", &simt::set_seed);
  m.def("launches", &simt::launches);
  m.def("clear_launches", &simt::clear_launches);
  m.def("set_max_shared_bytes", [](size_t bytes) { simt::max_shared_bytes = bytes; });
  m.def("set_compute_capability", [](int capability) { simt::compute_capability = capability; });
  m.def("set_ampere",
        [](bool ampere) { simt::tensor_core = ampere ? simt::TensorCore::ampere : simt::TensorCore::hopper; });
  m.def("set_num_multiprocessors", [](int number) { simt::num_multiprocessors = number; });
  bind_test_kernels(m);
}
