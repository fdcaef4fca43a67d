// The instructions that C++ has no word for, behind small functions with two meanings: inline PTX on the device, and
// the host emulation of tests/cuda_host, where BOTAN_FAST_CUDA_HOST is defined. Kernels use these, and of CUDA
// itself what simt.h declares; they contain no other asm and no #ifdef.
#pragma once

#include <cstdint>

#ifdef BOTAN_FAST_CUDA_HOST
#include "matrix.h"
#include "simt.h"
#else
#include <cuda_runtime.h>
// What assert() calls on the device; declared here because assert() itself is gone from release builds.
extern "C" __device__ void __assertfail(const char* text, const char* file, unsigned line, const char* function,
                                        size_t char_size);
#endif

namespace botan_fast::cuda {

constexpr int kWarpSize = 32;
constexpr unsigned kFullMask = 0xffffffffu;

// N values that move as one: 16 bytes are the widest load and store.
template <class T, int N>
struct alignas(sizeof(T) * N) Vec {
  T v[N];
};

// Shared memory whose size is given at launch; 16-byte aligned. One array per kernel: all calls give the same.
template <class T>
__device__ __forceinline__ T* dynamic_shared() {
#ifdef BOTAN_FAST_CUDA_HOST
  return reinterpret_cast<T*>(simt::dynamic_shared_memory);
#else
  extern __shared__ __align__(16) unsigned char botan_fast_dynamic_shared[];
  return reinterpret_cast<T*>(botan_fast_dynamic_shared);
#endif
}

// Stops the kernel with a device assertion, in release builds too; `text` says what must hold.
#ifdef BOTAN_FAST_CUDA_HOST
#define BOTAN_DEVICE_CHECK(condition, text) \
  do {                                      \
    if (!(condition)) simt::fail(text);     \
  } while (0)
#else
#define BOTAN_DEVICE_CHECK(condition, text)                                \
  do {                                                                     \
    if (!(condition)) __assertfail(text, __FILE__, __LINE__, __func__, 1); \
  } while (0)
#endif

// A load of data that is read once: it does not push reused data out of L1. 16-byte Vec only. Not .nc: that is for what
// nobody writes while the kernel lives, and a kernel may begin before the one before has ended.
template <class V>
__device__ __forceinline__ V load_once(const V* address) {
  static_assert(sizeof(V) == 16, "one 16-byte load");
#ifdef BOTAN_FAST_CUDA_HOST
  return *address;
#else
  union {
    uint4 bits;
    V value;
  } u;
  asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(u.bits.x), "=r"(u.bits.y), "=r"(u.bits.z), "=r"(u.bits.w)
               : "l"(address));
  return u.value;
#endif
}

// Asks for the 128 bytes around an address of global memory to be in L2; nothing else changes.
__device__ __forceinline__ void prefetch_l2([[maybe_unused]] const void* address) {
#ifndef BOTAN_FAST_CUDA_HOST
  asm volatile("prefetch.global.L2 [%0];" ::"l"(address));
#endif
}

// ---- kernels that begin before the one before has ended ------------------------------------------------------
// A kernel queued by launch_early (launch.cuh) may begin while the kernel before it in the stream still runs. Three
// rules make that safe, whoever follows whom:
//
//   1. Every thread calls wait_for_earlier_kernels, before it returns, writes global memory, or reads what the kernel
//      just before may have written. After it all earlier kernels have ended and what they wrote is there.
//   2. let_later_kernels_begin comes after that wait. So when a kernel begins, all kernels but the one just before it
//      have ended: before its own wait it may read what older ones wrote (packed weights, the graph), and nothing else.
//      That holds after kernels of ours; one that may follow another library's reads nothing before its wait.
//   3. A kernel queued by launch begins when all before it have ended, and may let others begin at any time.
//
// On devices before sm_90, and in the emulation, which runs kernels one after another, neither does anything; but the
// emulation stops a kernel of which a thread forgets the wait.

__device__ __forceinline__ void wait_for_earlier_kernels() {
#if defined(BOTAN_FAST_CUDA_HOST)
  simt::wait_for_earlier_kernels();
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ __forceinline__ void let_later_kernels_begin() {
#if defined(BOTAN_FAST_CUDA_HOST)
  simt::let_later_kernels_begin();
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// ---- asynchronous copies from global to shared memory -------------------------------------------------------
// 16 bytes per call and thread. A copy may read and write at any time until cp_async_wait; other threads see the
// bytes after cp_async_wait of the copying thread and a barrier. The emulation spoils the destination at once and
// copies in cp_async_wait, so that code which reads early, or still reads the old bytes, is found.

// Copies 16 bytes, or writes zeros where `valid` is false (then `from` is not read).
__device__ __forceinline__ void cp_async_16(void* to, const void* from, bool valid = true) {
#ifdef BOTAN_FAST_CUDA_HOST
  simt::copy_async(to, from, valid);
#else
  const unsigned shared = static_cast<unsigned>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(from), "r"(valid ? 16 : 0)
               : "memory");
#endif
}

// Closes a group: the copies issued by this thread since the last commit.
__device__ __forceinline__ void cp_async_commit() {
#ifdef BOTAN_FAST_CUDA_HOST
  simt::copy_async_commit();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most `pending` of this thread's newest groups are unfinished.
template <int pending>
__device__ __forceinline__ void cp_async_wait() {
#ifdef BOTAN_FAST_CUDA_HOST
  simt::copy_async_wait(pending);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
#endif
}

// ---- barrier among some warps of a block --------------------------------------------------------------------

// Barrier `id` (1 to 15; 0 is __syncthreads) among `count` threads, whole warps.
__device__ __forceinline__ void named_barrier(int id, int count) {
#ifdef BOTAN_FAST_CUDA_HOST
  simt::barrier(id, count, 0, "named_barrier", __FILE__, __LINE__);
#else
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(count) : "memory");
#endif
}

// ---- tensor cores -------------------------------------------------------------------------------------------
// c += a b by one warp, float32 accumulation. With g = lane / 4 and t = lane % 4 (PTX ISA, "matrix fragments for mma"):
//
//   c (16, 8):        c[0] (g, 2t)  c[1] (g, 2t+1)  c[2] (g+8, 2t)  c[3] (g+8, 2t+1)
//   tf32, a (16, 8):  a[0] (g, t)   a[1] (g+8, t)   a[2] (g, t+4)   a[3] (g+8, t+4)
//         b (8, 8):   b[0] (t, g)   b[1] (t+4, g)
//   bf16, a (16, 16): a[0] (g, 2t..2t+1)  a[1] (g+8, 2t..)  a[2] (g, 2t+8..)  a[3] (g+8, 2t+8..)
//         b (16, 8):  b[0] (2t..2t+1, g)  b[1] (2t+8.., g)          the lower index in the lower half

// Rounds to TF32 (10 fraction bits), ties away from zero; the bits of a float32.
__device__ __forceinline__ uint32_t to_tf32(float x) {
#ifdef BOTAN_FAST_CUDA_HOST
  return simt::round_tf32(x);
#else
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
#endif
}

// As to_tf32, in two instructions where cvt takes four, but a nan may come out as a number.
__device__ __forceinline__ uint32_t to_tf32_of_number(float x) { return (__float_as_uint(x) + 0x1000u) & 0xffffe000u; }

// The larger one, or nan if one is.
__device__ __forceinline__ float max_or_nan(float x, float y) {
#ifdef BOTAN_FAST_CUDA_HOST
  return x != x ? x : y != y ? y : x < y ? y : x;
#else
  float larger;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(larger) : "f"(x), "f"(y));
  return larger;
#endif
}

// The operands are bits of float32 of which the last 13 are not read.
__device__ __forceinline__ void mma_tf32(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#ifdef BOTAN_FAST_CUDA_HOST
  simt::mma_tf32(c, a, b);
#else
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

__device__ __forceinline__ void mma_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#ifdef BOTAN_FAST_CUDA_HOST
  simt::mma_bf16(c, a, b);
#else
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// Two bfloat16, each rounded to nearest, ties to even; `low` in the lower half.
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
#ifdef BOTAN_FAST_CUDA_HOST
  return simt::round_bf16(low) | static_cast<uint32_t>(simt::round_bf16(high)) << 16;
#else
  uint32_t bits;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
#endif
}
__device__ __forceinline__ float low_bf16(uint32_t packed) { return __uint_as_float(packed << 16); }
__device__ __forceinline__ float high_bf16(uint32_t packed) { return __uint_as_float(packed & 0xffff0000u); }

// Four 8 x 8 matrices of 16-bit numbers from shared memory: lane 8 m + r passes the address of row r of matrix m (16
// bytes, aligned); lane l gets of matrix m, in out[m], row l / 4, columns 2 (l % 4) and the next. Transposed: rows
// 2 (l % 4) and the next, column l / 4. As 32-bit numbers, an 8 x 4 matrix: row l / 4, column l % 4.
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&out)[4], const void* row) {
#ifdef BOTAN_FAST_CUDA_HOST
  simt::ldmatrix<false>(out, row);
#else
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(address)
               : "memory");
#endif
}

__device__ __forceinline__ void ldmatrix_x4_transposed(uint32_t (&out)[4], const void* row) {
#ifdef BOTAN_FAST_CUDA_HOST
  simt::ldmatrix<true>(out, row);
#else
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(address)
               : "memory");
#endif
}

}  // namespace botan_fast::cuda
