// Threads that wait for work between regions; see thread_pool.h.
#include "cpu/runtime/thread_pool.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace botan_fast {
namespace {

// Waking a sleeping thread takes longer than many a region between two others runs. A thread that has nothing to do
// therefore looks for work this long before it sleeps: long enough for the gaps inside an operator, too short to be
// in the way of anybody else's threads.
constexpr std::chrono::microseconds kSpin{100};

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

// Looks until ready() or the time is up.
template <class Ready>
void spin(const Ready& ready) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
}

struct Job {
  const std::function<void(int64_t)>* body;
  int64_t num_tasks;
  std::atomic<int64_t> next{0};
  std::mutex error_mutex;
  std::exception_ptr error;

  void run() {
    for (int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < num_tasks;) {
      try {
        (*body)(task);
      } catch (...) {
        std::lock_guard<std::mutex> lock(error_mutex);
        if (!error) error = std::current_exception();
        next.store(num_tasks, std::memory_order_relaxed);
      }
    }
  }
};

class ThreadPool {
 public:
  void run(Job& job, int helpers) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (static_cast<int>(threads_.size()) < helpers) {
        const uint64_t generation = generation_;
        threads_.emplace_back([this, generation] { work(generation); });
      }
      job_ = &job;
      vacant_ = helpers;
      ++generation_;
    }
    start_.notify_all();
    job.run();
    {
      // All tasks are taken. A thread that wakes up only now, which may take a millisecond, is not waited for.
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = nullptr;
    }
    spin([this] { return running_ == 0; });
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return running_ == 0; });
  }

 private:
  void work(uint64_t seen) {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      start_.wait(lock, [&] { return generation_ != seen; });
      seen = generation_;
      if (job_ && vacant_ == 0) continue;  // more threads than this region may use
      Job* job = job_;
      if (job) --vacant_, ++running_;
      lock.unlock();
      if (job) {
        job->run();
        if (--running_ == 0) {
          lock.lock();  // the caller is either waiting or has not looked yet
          done_.notify_one();
          lock.unlock();
        }
      }
      spin([&] { return generation_ != seen; });
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable start_, done_;
  std::vector<std::thread> threads_;
  Job* job_ = nullptr;           // while it may have tasks left
  int vacant_ = 0;               // how many more threads may join it
  std::atomic<int> running_{0};  // those that have joined and not left
  std::atomic<uint64_t> generation_{0};
};

std::mutex use_mutex;        // one parallel region at a time uses the pool
ThreadPool* pool = nullptr;  // never destroyed: its threads may outlive static destructors
pid_t pool_process = 0;
thread_local bool inside = false;

}  // namespace

void parallel_for(int64_t num_tasks, int num_threads, const std::function<void(int64_t)>& body) {
  if (num_tasks <= 0) return;
  const int helpers = static_cast<int>(std::min<int64_t>(num_threads, num_tasks)) - 1;
  // A nested region, or a region while another thread holds the pool, runs on its own thread alone.
  if (helpers <= 0 || inside || !use_mutex.try_lock()) {
    for (int64_t task = 0; task < num_tasks; ++task) body(task);
    return;
  }
  std::lock_guard<std::mutex> use(use_mutex, std::adopt_lock);
  // Threads do not survive fork(): a child process makes a pool of its own.
  if (pool_process != getpid()) {
    pool = new ThreadPool;
    pool_process = getpid();
  }
  Job job;
  job.body = &body;
  job.num_tasks = num_tasks;
  inside = true;
  pool->run(job, helpers);
  inside = false;
  if (job.error) std::rethrow_exception(job.error);
}

}  // namespace botan_fast
