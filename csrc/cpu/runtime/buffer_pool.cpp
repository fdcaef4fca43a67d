// The pool of large blocks; see botan_fast.h for why there is one.
#include "cpu/runtime/buffer_pool.h"

#include <sys/mman.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <unordered_map>

namespace botan_fast {
namespace {

constexpr size_t kLarge = size_t{1} << 20;  // smaller blocks come from malloc, which handles them well
constexpr size_t kPage = size_t{2} << 20;   // a huge page

class Pool {
 public:
  void* acquire(size_t num_bytes) {
    const size_t size = (num_bytes + kPage - 1) / kPage * kPage;
    std::lock_guard<std::mutex> lock(mutex_);
    // Configurations of one system differ by a per cent in their number of edges: take a block up to 1/4 larger.
    auto found = unused_.lower_bound(size);
    if (found != unused_.end() && found->first <= size + size / 4) {
      void* block = found->second;
      used_[block] = found->first;
      used_bytes_ += found->first;
      unused_bytes_ -= found->first;
      unused_.erase(found);
      return block;
    }
    // A new block: unused ones of other sizes go first, so that the pool never holds more than was once in use.
    while (!unused_.empty() && used_bytes_ + unused_bytes_ + size > peak_bytes_) drop(unused_.begin());
    void* block = std::aligned_alloc(kPage, size);
    if (!block) {
      while (!unused_.empty()) drop(unused_.begin());
      block = std::aligned_alloc(kPage, size);
      if (!block) throw std::bad_alloc();
    }
#ifdef MADV_HUGEPAGE
    madvise(block, size, MADV_HUGEPAGE);  // fewer page faults and TLB misses; harmless where refused
#endif
    used_[block] = size;
    used_bytes_ += size;
    if (used_bytes_ > peak_bytes_) peak_bytes_ = used_bytes_;
    return block;
  }

  // False when the block is not the pool's.
  bool release(void* block) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto found = used_.find(block);
    if (found == used_.end()) return false;
    unused_.emplace(found->second, block);
    unused_bytes_ += found->second;
    used_bytes_ -= found->second;
    used_.erase(found);
    return true;
  }

  size_t trim() {
    std::lock_guard<std::mutex> lock(mutex_);
    const size_t freed = unused_bytes_;
    while (!unused_.empty()) drop(unused_.begin());
    peak_bytes_ = used_bytes_;
    return freed;
  }

 private:
  void drop(std::multimap<size_t, void*>::iterator entry) {
    std::free(entry->second);
    unused_bytes_ -= entry->first;
    unused_.erase(entry);
  }

  std::mutex mutex_;
  std::multimap<size_t, void*> unused_;
  std::unordered_map<void*, size_t> used_;
  size_t unused_bytes_ = 0, used_bytes_ = 0, peak_bytes_ = 0;
};

Pool& pool() {
  static Pool* instance = new Pool;  // never destroyed: tensors may be freed after static destructors ran
  return *instance;
}

}  // namespace

void* pool_acquire(size_t num_bytes) {
  if (num_bytes >= kLarge) return pool().acquire(num_bytes);
  void* block = std::aligned_alloc(64, (num_bytes + 64) / 64 * 64);
  if (!block) throw std::bad_alloc();
  return block;
}

void pool_release(void* block) {
  if (!pool().release(block)) std::free(block);
}

size_t pool_trim() { return pool().trim(); }

}  // namespace botan_fast
