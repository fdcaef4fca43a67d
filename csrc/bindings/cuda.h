#pragma once

#include <pybind11/pybind11.h>

// Adds the functions of botan_fast_cuda.h to the module.
void bind_cuda(pybind11::module_& m);
