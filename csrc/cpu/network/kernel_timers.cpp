// A clock around each kernel of a table.
#include "cpu/network/kernel_timers.h"

#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <utility>

#include "botan_fast.h"

namespace botan_fast {
namespace {

enum Timer {
  kEdgeForward,
  kEdgeBackward,
  kEdgeInputGradient,
  kGatherSum,
  kLinear,
  kWeightGradient,
  kColumnSum,
  kEncoderForward,
  kEncoderBackward,
  kDecoderForward,
  kDecoderBackward,
  kNumTimers
};
const char* const kNames[kNumTimers] = {"edge_forward",     "edge_backward",   "edge_input_gradient", "gather_sum",
                                        "linear",           "weight_gradient", "column_sum",          "encoder_forward",
                                        "encoder_backward", "decoder_forward", "decoder_backward"};

std::atomic<bool> on{false};
std::atomic<int64_t> nanoseconds[kNumTimers], calls[kNumTimers];

class Clock {
 public:
  explicit Clock(Timer timer) : timer_(timer), start_(now()) {}
  ~Clock() {
    nanoseconds[timer_].fetch_add(now() - start_, std::memory_order_relaxed);
    calls[timer_].fetch_add(1, std::memory_order_relaxed);
  }

 private:
  static int64_t now() {
    using namespace std::chrono;
    return duration_cast<std::chrono::nanoseconds>(steady_clock::now().time_since_epoch()).count();
  }
  Timer timer_;
  int64_t start_;
};

// A plain function pointer carries no state, so each table that gets clocks has a slot, and functions of its own.
constexpr int kSlots = 12;  // six widths in two precisions
struct Slot {
  const Kernels* plain = nullptr;
  Kernels timed{};
};
Slot slots[kSlots];
std::mutex slots_mutex;

// The entry `member` of slot I gets a clock, whatever its arguments are.
template <int I, Timer timer, auto member, class... Arguments>
void add_clock(void (*Kernels::*)(Arguments...)) {
  slots[I].timed.*member = [](Arguments... arguments) {
    Clock clock(timer);
    (slots[I].plain->*member)(arguments...);
  };
}

template <int I>
void fill() {
  Kernels& t = slots[I].timed;
  t = *slots[I].plain;  // entries without a clock stay what they are
#define BOTAN_FAST_CLOCK(timer, member) add_clock<I, timer, &Kernels::member>(&Kernels::member)
  BOTAN_FAST_CLOCK(kEdgeForward, edge_forward);
  BOTAN_FAST_CLOCK(kEdgeBackward, edge_backward);
  BOTAN_FAST_CLOCK(kEdgeInputGradient, edge_input_gradient);
  BOTAN_FAST_CLOCK(kGatherSum, gather_sum);
  BOTAN_FAST_CLOCK(kLinear, linear);
  BOTAN_FAST_CLOCK(kWeightGradient, weight_gradient);
  BOTAN_FAST_CLOCK(kColumnSum, column_sum);
#undef BOTAN_FAST_CLOCK
  t.mlp_forward = [](const MlpForwardChunk& a) {
    Clock clock(a.w3 ? kDecoderForward : kEncoderForward);
    slots[I].plain->mlp_forward(a);
  };
  t.mlp_backward = [](const MlpBackwardChunk& a) {
    Clock clock(a.w3 ? kDecoderBackward : kEncoderBackward);
    slots[I].plain->mlp_backward(a);
  };
}

template <size_t... I>
constexpr std::array<void (*)(), sizeof...(I)> fillers(std::index_sequence<I...>) {
  return {&fill<static_cast<int>(I)>...};
}
constexpr auto kFill = fillers(std::make_index_sequence<kSlots>{});

}  // namespace

const Kernels* timed_kernels(const Kernels* table) {
  if (!table || !on.load(std::memory_order_relaxed)) return table;
  std::lock_guard<std::mutex> lock(slots_mutex);
  for (int i = 0; i < kSlots; ++i) {
    if (!slots[i].plain) {
      slots[i].plain = table;
      kFill[i]();
    }
    if (slots[i].plain == table) return &slots[i].timed;
  }
  return table;  // more tables than slots: no clocks
}

void set_kernel_timers(bool enable) {
  on.store(enable, std::memory_order_relaxed);
  for (int i = 0; i < kNumTimers; ++i) nanoseconds[i] = calls[i] = 0;
}

int num_kernel_timers() { return kNumTimers; }

KernelTime kernel_time(int timer) { return {kNames[timer], 1e-9 * nanoseconds[timer], calls[timer]}; }

}  // namespace botan_fast
