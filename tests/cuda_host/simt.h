// CUDA's execution model on the CPU, for tests: a kernel is an ordinary function, each of its threads a fiber.
//
// The threads of a block run one at a time until they meet a barrier or a warp operation; who runs next is drawn from a
// seeded generator, as is the order of the blocks. So code that lacks a barrier reads the wrong value under some seed.
// Not modelled: threads that are preempted between two barriers, blocks that wait for one another, memory
// order, time. Barriers and warp operations that can never complete are reported, not waited for.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
// One block runs at a time, so one copy of each shared variable is enough. It keeps what the block before left.
#define __shared__ static

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

namespace simt {

struct PendingCopy {
  void* to;
  const void* from;
  size_t bytes;  // bytes to copy; the rest of the 16 are zeros
};

// What a thread of the running block knows about itself.
struct Thread {
  uint3 thread_index;
  int lane, warp;
  bool waited;  // for earlier kernels
  // asynchronous copies: those of the open group, then the committed groups, oldest first
  std::vector<PendingCopy> open_group;
  std::vector<std::vector<PendingCopy>> groups;
};

extern Thread* current;
extern uint3 block_index;
extern dim3 block_size, grid_size;
extern unsigned char* dynamic_shared_memory;

// What a block may have: 227 KB on H100 and H200, 163 KB on A100. Tests change it.
constexpr size_t kHopperSharedBytes = 227 << 10;
extern size_t max_shared_bytes;
// Of the emulated device: few, so that blocks have much to do. Tests change it.
constexpr int kFewMultiprocessors = 4;
extern int num_multiprocessors;

// 10 major + minor. Tests change it.
extern int compute_capability;

// Whose tensor cores: they differ in how they cut off their sums (matrix.h). Tests change it.
enum class TensorCore { hopper, ampere };
extern TensorCore tensor_core;

// Ends the launch: it throws std::runtime_error with the kernel's name, block and thread before the text.
[[noreturn]] void fail(const std::string& text);

void set_seed(uint64_t seed);
// `early`: every thread must call wait_for_earlier_kernels before it ends, and before let_later_kernels_begin.
void run(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes, bool early, const std::function<void()>& body);
void wait_for_earlier_kernels();
void let_later_kernels_begin();

// How often each kernel was launched since the last call of clear_launches.
std::map<std::string, int> launches();
void clear_launches();

// Barrier `id` for `count` threads (0: all threads of the block that have not ended). Returns the sum of `predicate`
// over the threads.
int barrier(int id, int count, int predicate, const char* operation, const char* file, int line);

// A warp operation. All lanes of the mask that have not ended must call it with the same mask and exchange; then
// exchange(mask, in, out) runs once, where in[lane] and out[lane] are what that lane passed, null for a lane that has
// ended or is not in the mask.
using Exchange = void (*)(unsigned mask, const void* const* in, void* const* out);
void collective(unsigned mask, const void* in, void* out, Exchange exchange, const char* operation, const char* file,
                int line);

// ---- warp operations ----------------------------------------------------------------------------------------

template <class T>
struct ShuffleInput {
  T value;
  int source;  // lane within the warp
};

template <class T>
T shuffle(unsigned mask, T value, int source, const char* operation, const char* file, int line) {
  static_assert(std::is_trivially_copyable<T>::value, "shuffles move plain values");
  const ShuffleInput<T> in{value, source};
  T out{};
  const Exchange exchange = [](unsigned, const void* const* in, void* const* out) {
    for (int lane = 0; lane < 32; ++lane) {
      if (!in[lane]) continue;
      const int from = static_cast<const ShuffleInput<T>*>(in[lane])->source;
      if (!in[from]) {
        fail("lane " + std::to_string(lane) + " shuffles from lane " + std::to_string(from) +
             ", which is not in the mask or has ended");
      }
      *static_cast<T*>(out[lane]) = static_cast<const ShuffleInput<T>*>(in[from])->value;
    }
  };
  collective(mask, &in, &out, exchange, operation, file, line);
  return out;
}

// Gathers one value of every lane; the result is the same for all lanes.
template <class In, class Out, Out (*combine)(unsigned mask, const void* const* in)>
Out vote(unsigned mask, In value, const char* operation, const char* file, int line) {
  Out out{};
  const Exchange exchange = [](unsigned mask, const void* const* in, void* const* out) {
    const Out result = combine(mask, in);
    for (int lane = 0; lane < 32; ++lane) {
      if (out[lane]) *static_cast<Out*>(out[lane]) = result;
    }
  };
  collective(mask, &value, &out, exchange, operation, file, line);
  return out;
}

inline unsigned ballot_of(unsigned, const void* const* in) {
  unsigned bits = 0;
  for (int lane = 0; lane < 32; ++lane) bits |= in[lane] && *static_cast<const int*>(in[lane]) ? 1u << lane : 0u;
  return bits;
}
inline unsigned present_of(unsigned, const void* const* in) {
  unsigned bits = 0;
  for (int lane = 0; lane < 32; ++lane) bits |= in[lane] ? 1u << lane : 0u;
  return bits;
}
inline int all_of(unsigned mask, const void* const* in) { return ballot_of(mask, in) == present_of(mask, in); }
inline int any_of(unsigned mask, const void* const* in) { return ballot_of(mask, in) != 0; }

template <class T>
T add_of(unsigned, const void* const* in) {
  T sum = 0;
  for (int lane = 0; lane < 32; ++lane) sum += in[lane] ? *static_cast<const T*>(in[lane]) : T(0);
  return sum;
}
template <class T, bool smallest>
T extreme_of(unsigned, const void* const* in) {
  bool first = true;
  T best{};
  for (int lane = 0; lane < 32; ++lane) {
    if (!in[lane]) continue;
    const T value = *static_cast<const T*>(in[lane]);
    if (first || (smallest ? value < best : best < value)) best = value;
    first = false;
  }
  return best;
}

template <class T>
unsigned match_any(unsigned mask, T value, const char* file, int line) {
  unsigned out = 0;
  const Exchange exchange = [](unsigned, const void* const* in, void* const* out) {
    for (int lane = 0; lane < 32; ++lane) {
      if (!in[lane]) continue;
      unsigned same = 0;
      for (int other = 0; other < 32; ++other) {
        same |= in[other] && std::memcmp(in[other], in[lane], sizeof(T)) == 0 ? 1u << other : 0u;
      }
      *static_cast<unsigned*>(out[lane]) = same;
    }
  };
  collective(mask, &value, &out, exchange, "__match_any_sync", file, line);
  return out;
}

}  // namespace simt

#define threadIdx (::simt::current->thread_index)
#define blockIdx (::simt::block_index)
#define blockDim (::simt::block_size)
#define gridDim (::simt::grid_size)

// The place of a call, by default arguments: errors name it.
#define SIMT_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(SIMT_PLACE) { simt::barrier(0, 0, 0, "__syncthreads", file, line); }
inline int __syncthreads_count(int predicate, SIMT_PLACE) {
  return simt::barrier(0, 0, predicate != 0, "__syncthreads_count", file, line);
}
inline int __syncthreads_or(int predicate, SIMT_PLACE) {
  return simt::barrier(0, 0, predicate != 0, "__syncthreads_or", file, line) != 0;
}
inline int __syncthreads_and(int predicate, SIMT_PLACE) {
  return simt::barrier(0, 0, predicate == 0, "__syncthreads_and", file, line) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, SIMT_PLACE) {
  simt::collective(mask, &mask, &mask, [](unsigned, const void* const*, void* const*) {}, "__syncwarp", file, line);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, SIMT_PLACE) {
  const int lane = simt::current->lane;
  return simt::shuffle(mask, value, (lane & ~(width - 1)) | (source & (width - 1)), "__shfl_sync", file, line);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, SIMT_PLACE) {
  const int lane = simt::current->lane, source = lane - static_cast<int>(delta);
  return simt::shuffle(mask, value, source < (lane & ~(width - 1)) ? lane : source, "__shfl_up_sync", file, line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, SIMT_PLACE) {
  const int lane = simt::current->lane, source = lane + static_cast<int>(delta);
  return simt::shuffle(mask, value, source > (lane | (width - 1)) ? lane : source, "__shfl_down_sync", file, line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, SIMT_PLACE) {
  const int lane = simt::current->lane, source = lane ^ lane_mask;
  return simt::shuffle(mask, value, source > (lane | (width - 1)) ? lane : source, "__shfl_xor_sync", file, line);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, SIMT_PLACE) {
  return simt::vote<int, unsigned, simt::ballot_of>(mask, predicate, "__ballot_sync", file, line);
}
inline int __all_sync(unsigned mask, int predicate, SIMT_PLACE) {
  return simt::vote<int, int, simt::all_of>(mask, predicate, "__all_sync", file, line);
}
inline int __any_sync(unsigned mask, int predicate, SIMT_PLACE) {
  return simt::vote<int, int, simt::any_of>(mask, predicate, "__any_sync", file, line);
}
template <class T>
unsigned __match_any_sync(unsigned mask, T value, SIMT_PLACE) {
  return simt::match_any(mask, value, file, line);
}
template <class T>
T __reduce_add_sync(unsigned mask, T value, SIMT_PLACE) {
  static_assert(sizeof(T) == 4 && std::is_integral<T>::value, "32-bit integers, as on the device");
  return simt::vote<T, T, simt::add_of<T>>(mask, value, "__reduce_add_sync", file, line);
}
template <class T>
T __reduce_min_sync(unsigned mask, T value, SIMT_PLACE) {
  static_assert(sizeof(T) == 4 && std::is_integral<T>::value, "32-bit integers, as on the device");
  return simt::vote<T, T, simt::extreme_of<T, true>>(mask, value, "__reduce_min_sync", file, line);
}
template <class T>
T __reduce_max_sync(unsigned mask, T value, SIMT_PLACE) {
  static_assert(sizeof(T) == 4 && std::is_integral<T>::value, "32-bit integers, as on the device");
  return simt::vote<T, T, simt::extreme_of<T, false>>(mask, value, "__reduce_max_sync", file, line);
}

using std::max;
using std::min;

// ---- atomics, fences, loads, bits, arithmetic ---------------------------------------------------------------
// One thread runs at a time: plain code is atomic.

template <class T, class Change>
T simt_atomic(T* address, Change change) {
  const T old = *address;
  *address = change(old);
  return old;
}
template <class T>
T atomicAdd(T* address, std::common_type_t<T> value) {
  return simt_atomic(address, [=](T old) { return static_cast<T>(old + value); });
}
template <class T>
T atomicMin(T* address, std::common_type_t<T> value) {
  return simt_atomic(address, [=](T old) { return value < old ? value : old; });
}
template <class T>
T atomicMax(T* address, std::common_type_t<T> value) {
  return simt_atomic(address, [=](T old) { return old < value ? value : old; });
}
template <class T>
T atomicAnd(T* address, std::common_type_t<T> value) {
  return simt_atomic(address, [=](T old) { return old & value; });
}
template <class T>
T atomicOr(T* address, std::common_type_t<T> value) {
  return simt_atomic(address, [=](T old) { return old | value; });
}
template <class T>
T atomicExch(T* address, std::common_type_t<T> value) {
  return simt_atomic(address, [=](T) { return value; });
}
template <class T>
T atomicCAS(T* address, std::common_type_t<T> compare, std::common_type_t<T> value) {
  return simt_atomic(address, [=](T old) { return old == compare ? value : old; });
}

inline void __threadfence() {}
inline void __threadfence_block() {}
template <class T>
T __ldg(const T* address) {
  return *address;
}

inline int __popc(unsigned value) { return __builtin_popcount(value); }
inline int __popcll(unsigned long long value) { return __builtin_popcountll(value); }
inline int __clz(int value) { return value ? __builtin_clz(static_cast<unsigned>(value)) : 32; }
inline int __ffs(int value) { return __builtin_ffs(value); }
inline int __float_as_int(float value) {
  int bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}
inline unsigned __float_as_uint(float value) { return static_cast<unsigned>(__float_as_int(value)); }
inline float __uint_as_float(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}
inline float __int_as_float(int bits) { return __uint_as_float(static_cast<unsigned>(bits)); }

// Compiled with -ffp-contract=off: each of these rounds once, and none is merged into another.
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __dsqrt_rn(double a) { return __builtin_sqrt(a); }
inline double __fma_rn(double a, double b, double c) { return __builtin_fma(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline float __double2float_rn(double a) { return static_cast<float>(a); }
