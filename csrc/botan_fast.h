// The core of botan_fast: plain structs and functions on raw pointers. No torch, no Python.
//
// This header is the specification of every operation. Arrays are dense and row-major, without padding.
// Names, shapes and dtypes follow one table:
//
//   N, E, H       particles, directed edges, feature width
//   positions     (N, D) float64, D = 2 or 3
//   senders       (E,)   int32     edge k goes senders[k] -> receivers[k]
//   receivers     (E,)   int32     edges are sorted by (receiver, sender)
//   row_ptr       (N+1,) int32     edges of receiver i are row_ptr[i]:row_ptr[i+1]
//   reverse       (E,)   int32     index of the opposite edge
//   vectors       (E, D) float32   r[receiver] - r[sender], minimum image
//
// A function reports bad input with std::invalid_argument; its message names the argument, the value and the
// remedy. Results do not depend on num_threads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace botan_fast {

// ---- build ------------------------------------------------------------------------------------------------

// The instruction set that the kernels use on this machine: "avx512", "avx2" or "generic".
// The environment variable BOTAN_FAST_SIMD forces a narrower one.
const char* simd_level();

// ---- neighbour list (neighbor_list.cpp) ---------------------------------------------------------------------

// ---- targets (targets.cpp) ----------------------------------------------------------------------------------

// ---- sums (segment_sum.cpp) ---------------------------------------------------------------------------------

// ---- multilayer perceptrons (mlp.cpp) -----------------------------------------------------------------------

// ---- message passing (message_passing.cpp) ------------------------------------------------------------------

// ---- memory (buffer_pool.cpp) -------------------------------------------------------------------------------

}  // namespace botan_fast
