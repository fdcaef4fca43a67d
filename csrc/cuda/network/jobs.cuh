// Several jobs of one kernel in one launch: each has blocks of its own, one behind the other in the grid.
#pragma once

#include <stdexcept>

#include "cuda/runtime/launch.cuh"

namespace botan_fast::cuda {

template <class Job, int most>
struct Jobs {
  static_assert(sizeof(Job) * most <= 3800, "a kernel's parameters may have 4096 bytes");
  static constexpr int kMost = most;
  Job job[most];
  unsigned end[most];  // blocks of the jobs up to this one
  int count = 0;

  void add(const Job& j, unsigned blocks) {
    if (count == most) throw std::logic_error("more jobs than a launch has room for");
    job[count] = j;
    end[count] = this->blocks() + blocks;
    ++count;
  }
  unsigned blocks() const { return count == 0 ? 0 : end[count - 1]; }
};

// Whose block this is, the how-manieth of that job, and how many it has.
struct JobBlock {
  int job;
  unsigned block, blocks;
};

template <class Job, int most>
__device__ __forceinline__ JobBlock job_block(const Jobs<Job, most>& jobs) {
  int job = 0;
  while (blockIdx.x >= jobs.end[job]) ++job;
  const unsigned begin = job == 0 ? 0 : jobs.end[job - 1];
  return {job, blockIdx.x - begin, jobs.end[job] - begin};
}

}  // namespace botan_fast::cuda
