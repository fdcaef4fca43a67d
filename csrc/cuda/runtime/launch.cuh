// What the host functions need of the CUDA runtime, and its meaning in the host emulation.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>

#include "botan_fast_cuda.h"
#include "cuda/runtime/intrinsics.cuh"

namespace botan_fast::cuda {

// ceil(a / b)
template <class T>
constexpr T ceil_div(T a, T b) {
  return (a + b - 1) / b;
}

inline void check_workspace(const char* function, size_t needed, Workspace workspace) {
  const size_t given = workspace.data ? workspace.bytes : 0;
  if (given >= needed) return;
  throw std::invalid_argument(std::string(function) + ": workspace_bytes = " + std::to_string(given) + "; " + function +
                              "_workspace_bytes asks for " + std::to_string(needed));
}

#ifdef BOTAN_FAST_CUDA_HOST

class DeviceGuard {
 public:
  explicit DeviceGuard(Stream) {}
};
inline int num_multiprocessors(Stream) { return simt::num_multiprocessors; }
inline size_t max_shared_bytes(Stream) { return simt::max_shared_bytes; }
inline void fill_zero(Stream, void* address, size_t num_bytes) {
  if (num_bytes) std::memset(address, 0, num_bytes);
}
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, Stream,
            Arguments... arguments) {
  simt::run(name, grid, block, shared_bytes, false, [&] { kernel(static_cast<Parameters>(arguments)...); });
}
template <class... Parameters, class... Arguments>
void launch_early(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, Stream,
                  Arguments... arguments) {
  simt::run(name, grid, block, shared_bytes, true, [&] { kernel(static_cast<Parameters>(arguments)...); });
}

#else

inline void check(cudaError_t status, const char* prefix, const char* name) {
  if (status == cudaSuccess) return;
  throw std::runtime_error(std::string(prefix) + name + ": " + cudaGetErrorString(status));
}

// Makes the stream's device the current one of this thread, and gives the old one back at the end.
class DeviceGuard {
 public:
  explicit DeviceGuard(Stream stream) {
    check(cudaGetDevice(&before_), "CUDA ", "cudaGetDevice");
    if (before_ == stream.device) return;
    check(cudaSetDevice(stream.device), "CUDA ", "cudaSetDevice");
    changed_ = true;
  }
  ~DeviceGuard() {
    if (changed_) cudaSetDevice(before_);
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int before_ = 0;
  bool changed_ = false;
};

inline int device_attribute(Stream stream, cudaDeviceAttr attribute) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, attribute, stream.device), "CUDA ", "device attribute");
  return value;
}

inline int num_multiprocessors(Stream stream) { return device_attribute(stream, cudaDevAttrMultiProcessorCount); }

// What a block may ask for; GPUs of one generation differ: 163 KB on A100, 227 KB on H100 and H200, 99 KB on others.
inline size_t max_shared_bytes(Stream stream) {
  return static_cast<size_t>(device_attribute(stream, cudaDevAttrMaxSharedMemoryPerBlockOptin));
}

inline void fill_zero(Stream stream, void* address, size_t num_bytes) {
  if (!num_bytes) return;
  check(cudaMemsetAsync(address, 0, num_bytes, static_cast<cudaStream_t>(stream.handle)), "CUDA ", "cudaMemsetAsync");
}

// Whether the kernels of this build wait for the one before by themselves on this device (build.cu).
bool waits_in_kernels(Stream stream);

template <class... Parameters>
void queue(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, Stream stream,
           bool early, Parameters... parameters) {
  if (shared_bytes > (48u << 10)) {
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shared_bytes)),
          "kernel ", name);
  }
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = static_cast<cudaStream_t>(stream.handle);
  config.attrs = &attribute;
  config.numAttrs = early ? 1 : 0;
  const cudaError_t status = cudaLaunchKernelEx(&config, kernel, parameters...);
  if (status != cudaSuccess) cudaGetLastError();  // torch would find it at its next call
  check(status, "kernel ", name);
}

// Queues the kernel; a DeviceGuard of the stream must be alive. Shared memory beyond 48 KB is asked for here.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, Stream stream,
            Arguments... arguments) {
  queue<Parameters...>(name, kernel, grid, block, shared_bytes, stream, false, static_cast<Parameters>(arguments)...);
}

// The same for a kernel that calls wait_for_earlier_kernels (intrinsics.cuh: the rules): it may begin before the one
// before it has ended. Blocks then come, and load what they may, while the last ones of that kernel finish.
template <class... Parameters, class... Arguments>
void launch_early(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                  Stream stream, Arguments... arguments) {
  queue<Parameters...>(name, kernel, grid, block, shared_bytes, stream, waits_in_kernels(stream),
                       static_cast<Parameters>(arguments)...);
}

#endif

}  // namespace botan_fast::cuda
