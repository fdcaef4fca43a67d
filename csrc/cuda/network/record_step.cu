// What a captured training step leaves behind for the host, its numbers in the row of its batch, and for the optimizer,
// which reads it on the device: by what to divide the gradients, and whether to leave the step out. In plain torch
// these are thirteen launches. One thread, since there are some forty norms; products and sums are not fused, so that
// the bits are those of the same arithmetic on the host.
#include <cmath>

#include "cuda/runtime/launch.cuh"

namespace botan_fast::cuda {
namespace {

__global__ void record_step_kernel(StepNumbers numbers, const int64_t* batch, int64_t num_batches,
                                   StepResults results) {
  BOTAN_DEVICE_CHECK(*batch >= 0 && *batch < num_batches, "the batch has a row of the record");
  double squares = 0;
  for (int64_t k = 0; k < numbers.num_norms; ++k) {
    const double norm = numbers.norms[k];
    squares = __dadd_rn(squares, __dmul_rn(norm, norm));
  }
  const float norm = static_cast<float>(sqrt(squares));
  const float values[4] = {*numbers.loss, *numbers.node_loss, *numbers.edge_loss, norm};
  bool finite = true;
  for (int k = 0; k < 4; ++k) {
    results.record[4 * *batch + k] = values[k];
    finite = finite && values[k] - values[k] == 0;  // neither inf - inf nor nan - nan is 0
  }
  const double scale = (static_cast<double>(norm) + 1e-6) / numbers.clip_norm;
  *results.gradient_scale = scale > 1 ? static_cast<float>(scale) : 1.0f;
  *results.not_finite = finite ? 0.0f : 1.0f;
  ++*results.steps;
}

}  // namespace

void record_step(Stream stream, const StepNumbers& numbers, const int64_t* batch, int64_t num_batches,
                 const StepResults& results) {
  if (!(numbers.clip_norm > 0)) {
    throw std::invalid_argument("record_step: clip_norm = " + std::to_string(numbers.clip_norm) +
                                "; it must be positive");
  }
  if (num_batches < 1) {
    throw std::invalid_argument("record_step: num_batches = " + std::to_string(num_batches) + "; it must be positive");
  }
  const DeviceGuard guard(stream);
  launch("record_step", record_step_kernel, dim3(1), dim3(1), 0, stream, numbers, batch, num_batches, results);
}

}  // namespace botan_fast::cuda
