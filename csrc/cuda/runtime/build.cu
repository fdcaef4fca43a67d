// What this build is.
#include <array>
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

#include "cuda/runtime/launch.cuh"

namespace botan_fast::cuda {

bool can_run(Stream stream) { return compute_capability(stream) >= 80; }

#ifdef BOTAN_FAST_CUDA_HOST
int compute_capability(Stream) { return simt::compute_capability; }
const char* architectures() { return "host emulation"; }
const char* toolkit_version() { return "none"; }
#else
int compute_capability(Stream stream) {
  return 10 * device_attribute(stream, cudaDevAttrComputeCapabilityMajor) +
         device_attribute(stream, cudaDevAttrComputeCapabilityMinor);
}
const char* architectures() { return BOTAN_FAST_CUDA_ARCHITECTURES; }

#define BOTAN_TEXT_OF(x) #x
#define BOTAN_TEXT(x) BOTAN_TEXT_OF(x)
const char* toolkit_version() { return BOTAN_TEXT(__CUDACC_VER_MAJOR__) "." BOTAN_TEXT(__CUDACC_VER_MINOR__); }

namespace {
__global__ void any_kernel() {}
}  // namespace

// The device's generation does not say it: an H100 may run code made for sm_80, in which the wait is nothing. What code
// it runs is the same for all kernels of a build, and asked of one, once per device. Drivers before CUDA 12.3 do not
// capture such launches in a CUDA graph. BOTAN_FAST_EARLY_LAUNCH=0 turns it off, to look for an error or a gain.
bool waits_in_kernels(Stream stream) {
  static std::array<std::atomic<signed char>, 64> known{};  // 0: not yet, 1: no, 2: yes
  const auto ask = [] {
    const char* chosen = std::getenv("BOTAN_FAST_EARLY_LAUNCH");
    const std::string_view value = chosen ? chosen : "";
    if (value != "" && value != "0" && value != "1") {
      throw std::invalid_argument("BOTAN_FAST_EARLY_LAUNCH = '" + std::string(value) +
                                  "'; set it to 0 so that no kernel begins early, or to 1, or leave it out");
    }
    if (value == "0") return false;
    int driver = 0;
    check(cudaDriverGetVersion(&driver), "CUDA ", "cudaDriverGetVersion");
    if (driver < 12030) return false;
    cudaFuncAttributes attributes{};
    check(cudaFuncGetAttributes(&attributes, any_kernel), "CUDA ", "cudaFuncGetAttributes");
    return attributes.ptxVersion >= 90 && attributes.binaryVersion >= 90;
  };
  if (stream.device < 0 || stream.device >= static_cast<int>(known.size())) return ask();
  std::atomic<signed char>& answer = known[static_cast<size_t>(stream.device)];
  if (answer == 0) answer = ask() ? 2 : 1;
  return answer == 2;
}
#endif

}  // namespace botan_fast::cuda
