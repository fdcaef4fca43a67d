// Threads of the CPU core. One pool for the process, made on first use, sized by the largest request.
#pragma once

#include <cstdint>
#include <functional>

namespace botan_fast {

// Calls body(task) once for each task in [0, num_tasks). Tasks are handed out in rising order to at most
// num_threads threads, the caller being one of them. Which thread runs which task is not fixed: a body must
// write only what belongs to its task, and then the result does not depend on the number of threads.
// An exception from a body is rethrown in the caller after all threads have stopped.
void parallel_for(int64_t num_tasks, int num_threads, const std::function<void(int64_t)>& body);

// Range of task `task` when [0, total) is cut into num_tasks parts that differ in size by at most one.
inline int64_t part_begin(int64_t total, int64_t num_tasks, int64_t task) {
  return total / num_tasks * task + (total % num_tasks < task ? total % num_tasks : task);
}

}  // namespace botan_fast
