// The Engine of one precision; included by one file for each.
#pragma once

#include "cuda/network/kernels.h"
#include "cuda/network/mlp.cuh"
#include "cuda/network/processor.cuh"

namespace botan_fast::cuda {

template <Precision P, int H>
const Engine* engine() {
  static const Engine engine{
      std::max({edge_forward_shared_bytes<P, H>(), edge_backward_shared_bytes<P, H, false>(),
                outer_shared_bytes<P, H>(), mlp_forward_shared_bytes<P, H>(), mlp_backward_shared_bytes<P, H>()}),
      forward_bytes<P, H>,
      backward_bytes<P, H>,
      forward<P, H>,
      backward<P, H>,
      mlp_bytes<P, H>,
      mlp_forward_with<P, H>,
      mlp_backward_with<P, H>};
  return &engine;
}

template <Precision P>
const Engine* engine_of(int hidden_size) {
  switch (hidden_size) {
    case 32:
      return engine<P, 32>();
    case 64:
      return engine<P, 64>();
    case 128:
      return engine<P, 128>();
    default:
      return nullptr;
  }
}

}  // namespace botan_fast::cuda
