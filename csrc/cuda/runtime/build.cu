// What this build is.
#include "cuda/runtime/launch.cuh"

namespace botan_fast::cuda {

#ifdef BOTAN_FAST_CUDA_HOST
const char* architectures() { return "host emulation"; }
const char* toolkit_version() { return "none"; }
#else
const char* architectures() { return BOTAN_FAST_CUDA_ARCHITECTURES; }

#define BOTAN_TEXT_OF(x) #x
#define BOTAN_TEXT(x) BOTAN_TEXT_OF(x)
const char* toolkit_version() { return BOTAN_TEXT(__CUDACC_VER_MAJOR__) "." BOTAN_TEXT(__CUDACC_VER_MINOR__); }
#endif

}  // namespace botan_fast::cuda
