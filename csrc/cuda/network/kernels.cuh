// The Kernels of one precision; included by one file for each.
#pragma once

#include "cuda/network/kernels.h"
#include "cuda/network/mlp.cuh"
#include "cuda/network/processor_backward.cuh"
#include "cuda/network/processor_forward.cuh"

namespace botan_fast::cuda {

template <Precision P, int H>
const Kernels* kernels_of() {
  static const Kernels kernels = [] {
    Kernels k{};
    constexpr int kLeast = kHalfBlocks<P, H> ? kFewWarps : kWarps;
    k.shared_bytes = std::max({edge_forward_shared_bytes<P, H>(), edge_backward_shared_bytes<P, H, kLeast, false>(),
                               outer_shared_bytes<P, H, kHalfTiles<P, H> ? kTile / 2 : kTile>(),
                               mlp_forward_shared_bytes<P, H>(), mlp_backward_shared_bytes<P, H, kLeast>()});
    k.processor_forward_bytes = processor_forward_bytes<P, H>;
    k.processor_backward_bytes = processor_backward_bytes<P, H>;
    k.processor_forward = processor_forward_with<P, H>;
    k.processor_backward = processor_backward_with<P, H>;
    k.mlp_bytes = mlp_bytes<P, H>;
    k.mlp_forward = mlp_forward_with<P, H>;
    k.mlp_backward = mlp_backward_with<P, H>;
    k.packed_bytes = packed_part_bytes<P, H>;
    k.pack = pack_parts<P, H>;
    return k;
  }();
  return &kernels;
}

template <Precision P>
const Kernels* kernels_for(int hidden_size) {
  switch (hidden_size) {
    case 32:
      return kernels_of<P, 32>();
    case 64:
      return kernels_of<P, 64>();
    case 128:
      return kernels_of<P, 128>();
    default:
      return nullptr;
  }
}

}  // namespace botan_fast::cuda
