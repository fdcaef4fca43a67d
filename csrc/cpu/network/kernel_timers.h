// Clocks of the kernels, for profiles: see set_kernel_timers in botan_fast.h.
#pragma once

#include "cpu/network/kernels.h"

namespace botan_fast {

// The table itself while the timers are off; while they are on, one whose entries also read the clock.
const Kernels* timed_kernels(const Kernels* table);

}  // namespace botan_fast
