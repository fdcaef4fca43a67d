#pragma once

#include <pybind11/pybind11.h>

void bind_test_kernels(pybind11::module_& m);
