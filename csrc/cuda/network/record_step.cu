// What a captured training step leaves behind for the host: its numbers in the row of its batch, and whether they are
// finite, which the optimizer reads on the device. One thread: in plain torch these are seven launches.
#include "cuda/runtime/launch.cuh"

namespace botan_fast::cuda {
namespace {

__global__ void record_step_kernel(StepNumbers numbers, const int64_t* batch, int64_t num_batches, float* record,
                                   float* not_finite, int64_t* steps) {
  BOTAN_DEVICE_CHECK(*batch >= 0 && *batch < num_batches, "the batch has a row of the record");
  const float values[4] = {*numbers.loss, *numbers.node_loss, *numbers.edge_loss, *numbers.gradient_norm};
  bool finite = true;
  for (int k = 0; k < 4; ++k) {
    record[4 * *batch + k] = values[k];
    finite = finite && values[k] - values[k] == 0;  // neither inf - inf nor nan - nan is 0
  }
  *not_finite = finite ? 0.0f : 1.0f;
  ++*steps;
}

}  // namespace

void record_step(Stream stream, const StepNumbers& numbers, const int64_t* batch, int64_t num_batches, float* record,
                 float* not_finite, int64_t* steps) {
  if (num_batches < 1) {
    throw std::invalid_argument("record_step: num_batches = " + std::to_string(num_batches) + "; it must be positive");
  }
  const DeviceGuard guard(stream);
  launch("record_step", record_step_kernel, dim3(1), dim3(1), 0, stream, numbers, batch, num_batches, record,
         not_finite, steps);
}

}  // namespace botan_fast::cuda
