// The partitioner of workspaces.
#pragma once

#include "cuda/runtime/launch.cuh"

namespace botan_fast::cuda {

// Hands out parts of a workspace, aligned to 256 bytes as allocations are; with a null base it only counts.
class Arena {
 public:
  explicit Arena(void* base) : base_(static_cast<unsigned char*>(base)) {}
  template <class T>
  T* take(int64_t count) {
    T* part = base_ ? reinterpret_cast<T*>(base_ + used_) : nullptr;
    used_ += ceil_div<size_t>(static_cast<size_t>(count) * sizeof(T), 256) * 256;
    return part;
  }
  size_t used() const { return used_; }

 private:
  unsigned char* base_;
  size_t used_ = 0;
};

}  // namespace botan_fast::cuda
