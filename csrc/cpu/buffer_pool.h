// Scratch memory of one call, from the pool, given back at the end of its scope.
#pragma once

#include <cstddef>
#include <cstring>

#include "botan_fast.h"

namespace botan_fast {

class Scratch {
 public:
  explicit Scratch(int64_t num_floats)
      : size_(static_cast<size_t>(num_floats) * sizeof(float)), data_(static_cast<float*>(pool_acquire(size_))) {}
  ~Scratch() { pool_release(data_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  operator float*() { return data_; }
  float* get() { return data_; }
  void clear() { std::memset(data_, 0, size_); }

 private:
  size_t size_;
  float* data_;
};

}  // namespace botan_fast
