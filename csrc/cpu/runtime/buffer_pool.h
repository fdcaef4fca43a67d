// Scratch memory of one call, from the pool, given back at the end of its scope.
#pragma once

#include <cstddef>
#include <cstring>
#include <utility>

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

// Elements of any type, not cleared.
template <class T>
class Pooled {
 public:
  Pooled() = default;
  explicit Pooled(int64_t size) : data_(static_cast<T*>(pool_acquire(static_cast<size_t>(size) * sizeof(T)))) {}
  Pooled(Pooled&& other) noexcept : data_(other.data_) { other.data_ = nullptr; }
  Pooled& operator=(Pooled&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~Pooled() {
    if (data_) pool_release(data_);
  }

  T* get() const { return data_; }
  T& operator[](int64_t i) const { return data_[i]; }

 private:
  T* data_ = nullptr;
};

}  // namespace botan_fast
