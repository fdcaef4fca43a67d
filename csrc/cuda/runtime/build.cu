// What this build is.
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
#endif

}  // namespace botan_fast::cuda
