// Fibers and their scheduler: see simt.h.
#include "simt.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <tuple>

#if !defined(__x86_64__) || defined(SIMT_UCONTEXT)
#include <ucontext.h>
#define SIMT_USE_UCONTEXT 1
#endif

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace simt {

Thread* current = nullptr;
uint3 block_index{};
dim3 block_size, grid_size;
unsigned char* dynamic_shared_memory = nullptr;
size_t max_shared_bytes = kHopperSharedBytes;
int compute_capability = 90;
TensorCore tensor_core = TensorCore::hopper;
int num_multiprocessors = kFewMultiprocessors;

namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr size_t kStackBytes = 512 << 10;
#else
constexpr size_t kStackBytes = 128 << 10;
#endif
constexpr size_t kGuardBytes = 4096;

constexpr unsigned kMaxThreads = 1024;
constexpr int kNumBarriers = 16;

enum class State { ready, barrier, warp, ended };

struct Fiber : Thread {
  unsigned char* stack = nullptr;  // lowest address, above the guard page
#ifdef SIMT_USE_UCONTEXT
  ucontext_t context;
#else
  void* stack_pointer = nullptr;
#endif
  void* fake_stack = nullptr;
  State state = State::ended;

  // where it waits, and for what
  const char *operation = "", *file = "";
  int line = 0, barrier_id = 0, barrier_count = 0;
  unsigned mask = 0;
  const void* in = nullptr;
  void* out = nullptr;
  Exchange exchange = nullptr;
};

struct Barrier {
  int arrived = 0, count = 0, sum = 0, result = 0;
};

struct Generator {
  uint64_t state;
  uint64_t next() {  // splitmix64: any seed is a good one
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  unsigned below(size_t n) { return static_cast<unsigned>((next() >> 32) * n >> 32); }
};

std::mutex one_launch;  // the state below belongs to the launch that holds it
Generator generator{0};
std::vector<std::unique_ptr<Fiber>> fibers;
Fiber host;  // the caller of run()
std::vector<Fiber*> ready;
Barrier barriers[kNumBarriers];
unsigned alive = 0;
const char* kernel_name = "";
bool kernel_is_early = false;
std::map<std::string, int> launch_counts;
const std::function<void()>* kernel_body = nullptr;
bool failed = false;
std::string failure;

#ifdef SIMT_USE_UCONTEXT
void switch_context(Fiber& from, Fiber& to) { swapcontext(&from.context, &to.context); }
#else
extern "C" void simt_switch_stack(void** from, void* to);
// The registers that a function must keep, and the stack: all that a switch between calls has to save.
asm(R"(
  .text
  .globl simt_switch_stack
  .hidden simt_switch_stack
  .type simt_switch_stack, @function
simt_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size simt_switch_stack, .-simt_switch_stack
)");
void switch_context(Fiber& from, Fiber& to) { simt_switch_stack(&from.stack_pointer, to.stack_pointer); }
#endif

#ifdef __SANITIZE_ADDRESS__
const void* host_stack = nullptr;
size_t host_stack_bytes = 0;
#endif

// Runs `to` until it switches back; `last` when `from` will not run again.
void switch_to(Fiber& from, Fiber& to, [[maybe_unused]] bool last = false) {
  current = &to;
#ifdef __SANITIZE_ADDRESS__
  const bool to_host = &to == &host;
  __sanitizer_start_switch_fiber(last ? nullptr : &from.fake_stack, to_host ? host_stack : to.stack,
                                 to_host ? host_stack_bytes : kStackBytes);
#endif
  switch_context(from, to);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

Fiber& self() { return *static_cast<Fiber*>(current); }

// The next thread in the shuffled order, or the host when none can run.
Fiber& choose() {
  if (ready.empty()) return host;
  const unsigned i = generator.below(ready.size());
  std::swap(ready[i], ready.back());
  Fiber& next = *ready.back();
  ready.pop_back();
  return next;
}

void make_ready(Fiber& fiber) {
  fiber.state = State::ready;
  ready.push_back(&fiber);
}

void wait() {
  Fiber& me = self();
  Fiber& next = choose();
  if (&next != &me) switch_to(me, next);
}

void release_barrier_if_complete(int id) {
  Barrier& b = barriers[id];
  if (b.arrived == 0 || b.arrived < (b.count ? b.count : static_cast<int>(alive))) return;
  b.result = b.sum;
  b.arrived = b.sum = 0;
  for (unsigned t = 0; t < block_size.x * block_size.y * block_size.z; ++t) {
    if (fibers[t]->state == State::barrier && fibers[t]->barrier_id == id) make_ready(*fibers[t]);
  }
}

// Runs the operation that lanes of this warp wait for under this mask, if all that have not ended are there.
void release_warp_if_complete(int warp, unsigned mask, Exchange exchange) {
  const unsigned num_threads = block_size.x * block_size.y * block_size.z;
  const void* in[32] = {};
  void* out[32] = {};
  for (unsigned lane = 0; lane < 32; ++lane) {
    const unsigned t = 32u * static_cast<unsigned>(warp) + lane;
    if (!(mask >> lane & 1u) || t >= num_threads || fibers[t]->state == State::ended) continue;
    const Fiber& f = *fibers[t];
    if (f.state != State::warp || f.mask != mask || f.exchange != exchange) return;
    in[lane] = f.in;
    out[lane] = f.out;
  }
  exchange(mask, in, out);
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (out[lane]) make_ready(*fibers[32u * static_cast<unsigned>(warp) + lane]);
  }
}

void thread_ended() {
  Fiber& me = self();
  me.state = State::ended;
  --alive;
  for (int id = 0; id < kNumBarriers; ++id) release_barrier_if_complete(id);
  for (unsigned lane = 0; lane < 32; ++lane) {
    const size_t t = 32u * static_cast<unsigned>(me.warp) + lane;
    if (t < block_size.x * block_size.y * block_size.z && fibers[t]->state == State::warp) {
      release_warp_if_complete(me.warp, fibers[t]->mask, fibers[t]->exchange);
    }
  }
  switch_to(me, choose(), true);
}

void thread_main() {
#ifdef __SANITIZE_ADDRESS__
  const void* bottom;
  size_t bytes;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &bytes);
  if (!host_stack) {  // the first switch of a launch comes from the host
    host_stack = bottom;
    host_stack_bytes = bytes;
  }
#endif
  (*kernel_body)();
  if (kernel_is_early && !self().waited) fail("the thread ends without wait_for_earlier_kernels");
  thread_ended();
  std::abort();  // not reached: an ended fiber is never chosen
}

void prepare(Fiber& f) {
#ifdef __SANITIZE_ADDRESS__
  // The frames of the thread that used this stack before have left their marks.
  __asan_unpoison_memory_region(f.stack, kStackBytes);
#endif
#ifdef SIMT_USE_UCONTEXT
  getcontext(&f.context);
  f.context.uc_stack.ss_sp = f.stack;
  f.context.uc_stack.ss_size = kStackBytes;
  f.context.uc_link = nullptr;
  makecontext(&f.context, thread_main, 0);
#else
  // Six registers and the address to return to, so that the stack is aligned as at a call.
  void** top = reinterpret_cast<void**>(f.stack + kStackBytes) - 8;
  std::fill(top, top + 8, nullptr);
  top[6] = reinterpret_cast<void*>(&thread_main);
  f.stack_pointer = top;
#endif
  f.fake_stack = nullptr;
  f.open_group.clear();
  f.groups.clear();
}

void make_fibers(unsigned count) {
  while (fibers.size() < count) {
    auto f = std::make_unique<Fiber>();
    void* memory = mmap(nullptr, kStackBytes + kGuardBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    mprotect(memory, kGuardBytes, PROT_NONE);  // an overflow is a fault, not a neighbour's data
    f->stack = static_cast<unsigned char*>(memory) + kGuardBytes;
    fibers.push_back(std::move(f));
  }
}

std::string text_of(uint3 v) {
  return "(" + std::to_string(v.x) + ", " + std::to_string(v.y) + ", " + std::to_string(v.z) + ")";
}

std::string place_of_waiting(unsigned num_threads) {
  using Place = std::tuple<std::string, std::string, int, unsigned>;
  std::map<Place, std::vector<unsigned>> places;
  for (unsigned t = 0; t < num_threads; ++t) {
    const Fiber& f = *fibers[t];
    if (f.state == State::ended) continue;
    places[{f.operation, f.file, f.line, f.state == State::warp ? f.mask : 0u}].push_back(t);
  }
  std::string text;
  for (const auto& [place, threads] : places) {
    const auto& [operation, file, line, mask] = place;
    char mask_text[32] = "";
    if (mask) std::snprintf(mask_text, sizeof mask_text, ", mask 0x%08x", mask);
    text += (text.empty() ? "" : "; ") + std::to_string(threads.size()) + " thread(s) from " +
            std::to_string(threads.front()) + " on wait at " + operation + " (" + file.substr(file.rfind('/') + 1) +
            ":" + std::to_string(line) + mask_text + ")";
  }
  const unsigned ended = num_threads - alive;
  return text + (ended ? "; " + std::to_string(ended) + " have ended" : "");
}

void run_block(unsigned num_threads) {
  ready.clear();
  std::fill(std::begin(barriers), std::end(barriers), Barrier{});
  alive = num_threads;
  for (unsigned t = 0; t < num_threads; ++t) {
    Fiber& f = *fibers[t];
    f.thread_index = {t % block_size.x, t / block_size.x % block_size.y, t / (block_size.x * block_size.y)};
    f.waited = false;
    f.lane = static_cast<int>(t % 32);
    f.warp = static_cast<int>(t / 32);
    prepare(f);
    make_ready(f);
  }
  switch_to(host, choose());
  if (failed) throw std::runtime_error(failure);
  if (alive) {
    throw std::runtime_error(std::string("kernel ") + kernel_name + ", block " + text_of(block_index) +
                             ": barrier or warp operation that can never complete: " + place_of_waiting(num_threads));
  }
}

void check_launch(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes) {
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  const bool good = threads >= 1 && threads <= kMaxThreads && block.z <= 64 && grid.x >= 1 && grid.x <= 2147483647u &&
                    grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 && grid.z <= 65535 &&
                    shared_bytes <= max_shared_bytes;
  if (good) return;
  throw std::runtime_error(std::string("kernel ") + kernel + ": invalid configuration: grid " +
                           text_of({grid.x, grid.y, grid.z}) + ", block " + text_of({block.x, block.y, block.z}) +
                           ", " + std::to_string(shared_bytes) + " bytes of shared memory");
}

}  // namespace

void set_seed(uint64_t seed) {
  const std::lock_guard<std::mutex> lock(one_launch);
  generator.state = seed;
}

void fail(const std::string& text) {
  failed = true;
  failure = std::string("kernel ") + kernel_name + ", block " + text_of(block_index) + ", thread " +
            text_of(current->thread_index) + ": " + text;
  switch_to(self(), host, true);
  std::abort();  // not reached
}

int barrier(int id, int count, int predicate, const char* operation, const char* file, int line) {
  Fiber& me = self();
  if (id < 0 || id >= kNumBarriers) fail("barrier " + std::to_string(id) + " does not exist; there are 16");
  if (count < 0 || count % 32 != 0) fail("barrier count " + std::to_string(count) + " must be a multiple of 32");
  Barrier& b = barriers[id];
  if (b.arrived) {
    for (unsigned t = 0; t < block_size.x * block_size.y * block_size.z; ++t) {
      const Fiber& f = *fibers[t];
      if (f.state != State::barrier || f.barrier_id != id) continue;
      if (f.barrier_count != count || f.line != line || std::strcmp(f.file, file) != 0) {
        fail(std::string("divergent barrier: this thread is at ") + operation + " in line " + std::to_string(line) +
             ", thread " + text_of(f.thread_index) + " waits at " + f.operation + " in line " + std::to_string(f.line) +
             " for the same barrier");
      }
      break;
    }
  }
  me.state = State::barrier;
  me.operation = operation;
  me.file = file;
  me.line = line;
  me.barrier_id = id;
  me.barrier_count = b.count = count;
  ++b.arrived;
  b.sum += predicate;
  release_barrier_if_complete(id);
  wait();
  return b.result;
}

void collective(unsigned mask, const void* in, void* out, Exchange exchange, const char* operation, const char* file,
                int line) {
  Fiber& me = self();
  if (!(mask >> me.lane & 1u)) fail(std::string(operation) + ": the mask does not name the calling lane");
  me.state = State::warp;
  me.operation = operation;
  me.file = file;
  me.line = line;
  me.mask = mask;
  me.in = in;
  me.out = out;
  me.exchange = exchange;
  release_warp_if_complete(me.warp, mask, exchange);
  wait();
}

void wait_for_earlier_kernels() { self().waited = true; }

void let_later_kernels_begin() {
  if (kernel_is_early && !self().waited) fail("let_later_kernels_begin before wait_for_earlier_kernels");
}

std::map<std::string, int> launches() {
  const std::lock_guard<std::mutex> lock(one_launch);
  return launch_counts;
}

void clear_launches() {
  const std::lock_guard<std::mutex> lock(one_launch);
  launch_counts.clear();
}

void run(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes, bool early,
         const std::function<void()>& body) {
  const std::lock_guard<std::mutex> lock(one_launch);
  check_launch(kernel, grid, block, shared_bytes);
  ++launch_counts[kernel];
  kernel_is_early = early;
  const unsigned num_threads = block.x * block.y * block.z;
  make_fibers(num_threads);
  kernel_name = kernel;
  kernel_body = &body;
  grid_size = grid;
  block_size = block;
  failed = false;
#ifdef __SANITIZE_ADDRESS__
  host_stack = nullptr;
#endif
  // Its own allocation for every launch: an access beyond its end is one that the address sanitizer sees.
  const std::unique_ptr<unsigned char[], void (*)(void*)> shared(
      static_cast<unsigned char*>(std::malloc(shared_bytes ? shared_bytes : 1)), std::free);
  dynamic_shared_memory = shared.get();

  std::vector<uint64_t> order(uint64_t{grid.x} * grid.y * grid.z);
  for (size_t i = 0; i < order.size(); ++i) {
    const size_t j = generator.below(i + 1);
    order[i] = order[j];
    order[j] = i;
  }
  for (const uint64_t b : order) {
    block_index = {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                   static_cast<unsigned>(b / grid.x / grid.y)};
    std::memset(shared.get(), 0xff, shared_bytes);  // not a number, in any floating type
    run_block(num_threads);
  }
}

}  // namespace simt
