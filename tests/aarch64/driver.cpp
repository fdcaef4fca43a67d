// Runs the core on the arrays of a file: `driver network IN OUT` or `driver geometry IN OUT`. A file is the bytes of
// its arrays one after the other; IN begins with five int64 that give their sizes. test_core.py writes and reads them.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "botan_fast.h"

namespace {

using namespace botan_fast;

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(1);
}

class Arrays {
 public:
  Arrays(const char* in, const char* out) : in_(std::fopen(in, "rb")), out_(std::fopen(out, "wb")) {
    if (!in_ || !out_) fail(std::string("cannot open ") + in + " and " + out);
  }
  ~Arrays() {
    const bool read_all = std::fgetc(in_) == EOF;
    std::fclose(in_);
    std::fclose(out_);
    if (!read_all) fail("the input holds more than was read");
  }

  template <class T>
  T* read(int64_t size) {
    T* to = make<T>(size);
    if (std::fread(to, sizeof(T), size, in_) != static_cast<size_t>(size)) fail("the input ends early");
    return to;
  }
  template <class T>
  T* make(int64_t size) {  // at least one number: an empty array has an address, too
    memory_.emplace_back((size + 1) * sizeof(T) / sizeof(double) + 1);
    return reinterpret_cast<T*>(memory_.back().data());
  }
  template <class T>
  void write(const T* from, int64_t size) {
    std::fwrite(from, sizeof(T), size, out_);
  }

 private:
  std::FILE *in_, *out_;
  std::deque<std::vector<double>> memory_;
};

constexpr int kThreads = 2;

// Message passing and a decoder, both passes.
void network(Arrays& file) {
  const int64_t* sizes = file.read<int64_t>(5);
  const int64_t N = sizes[0], E = sizes[1], H = sizes[2], n = sizes[3];
  const Precision precision = static_cast<Precision>(sizes[4]);
  ProcessorForward f{};
  f.shape = {N, E, static_cast<int>(H), static_cast<int>(n), false, false};
  f.precision = precision;
  const int32_t *senders = file.read<int32_t>(E), *receivers = file.read<int32_t>(E);
  const int32_t *row_ptr = file.read<int32_t>(N + 1), *order = file.read<int32_t>(E);
  f.topology = {senders, receivers, row_ptr, order, file.read<int32_t>(N + 1)};
  f.x0 = file.read<float>(N * H);
  f.e0 = file.read<float>(E * H);
  const int64_t weight_sizes[8] = {4 * H * H, H, H * H, H, 3 * H * H, H, H * H, H};
  const float* w[8];
  float* g[8];
  for (int i = 0; i < 8; ++i) w[i] = file.read<float>(weight_sizes[i]), g[i] = file.make<float>(weight_sizes[i]);
  f.weights = {w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]};
  f.x_out = file.make<float>(N * H);
  f.e_out = file.make<float>(E * H);
  f.keep = true;
  f.history = {file.make<float>(n * N * H), file.make<float>(n * E * H), file.make<float>(n * N * H),
               file.make<float>(E * H)};
  processor_forward(f, kThreads);

  ProcessorBackward b{};
  b.shape = f.shape, b.precision = precision, b.topology = f.topology, b.weights = f.weights;
  b.x0 = f.x0, b.e0 = f.e0, b.x_out = f.x_out, b.history = f.history;
  b.grad_x_out = file.read<float>(N * H);
  b.grad_e_out = file.read<float>(E * H);
  b.grad_x0 = file.make<float>(N * H);
  b.grad_e0 = file.make<float>(E * H);
  b.gradients = {g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7]};
  processor_backward(b, kThreads);
  file.write(f.x_out, N * H);
  file.write(f.e_out, E * H);
  file.write(b.grad_x0, N * H);
  file.write(b.grad_e0, E * H);
  for (int i = 0; i < 8; ++i) file.write(g[i], weight_sizes[i]);
}

// A perceptron of K inputs with a third layer, both passes.
void perceptron(Arrays& file) {
  const int64_t* sizes = file.read<int64_t>(5);
  const int64_t M = sizes[0], K = sizes[1], H = sizes[2];
  const Precision precision = static_cast<Precision>(sizes[4]);
  const float* x = file.read<float>(M * K);
  const int64_t weight_sizes[6] = {H * K, H, H * H, H, H, 1};
  const float* w[6];
  float* g[6];
  for (int i = 0; i < 6; ++i) w[i] = file.read<float>(weight_sizes[i]), g[i] = file.make<float>(weight_sizes[i]);
  const MlpWeights weights{w[0], w[1], w[2], w[3], w[4], w[5]};
  float* y = file.make<float>(M);
  mlp_forward({M, K, static_cast<int>(H), precision, weights, x, y}, kThreads);
  const float* grad_y = file.read<float>(M);
  float* grad_x = file.make<float>(M * K);
  const MlpGradients gradients{g[0], g[1], g[2], g[3], g[4], g[5]};
  mlp_backward({M, K, static_cast<int>(H), precision, weights, x, y, grad_y, grad_x, gradients}, kThreads);
  file.write(y, M);
  file.write(grad_x, M * K);
  for (int i = 0; i < 6; ++i) file.write(g[i], weight_sizes[i]);
}

// The graph of a configuration and the targets of its runs.
void geometry(Arrays& file) {
  const int64_t* sizes = file.read<int64_t>(5);
  const int64_t N = sizes[0], R = sizes[1];
  const int D = static_cast<int>(sizes[2]);
  const double *cutoff = file.read<double>(1), *cell = file.read<double>(D * D), *positions = file.read<double>(N * D);
  const double* runs = file.read<double>(R * N * D);
  const NeighborSearch search(positions, N, D, cell, *cutoff, false, int64_t{1} << 30, kThreads);
  const int64_t E = search.num_edges();
  int32_t *senders = file.make<int32_t>(E), *receivers = file.make<int32_t>(E);
  int32_t *row_ptr = file.make<int32_t>(N + 1), *reverse = file.make<int32_t>(E);
  float *vectors = file.make<float>(E * D), *propensity = file.make<float>(N), *change = file.make<float>(E);
  search.fill_graph(senders, receivers, row_ptr, reverse, vectors);
  isoconfigurational_targets(positions, runs, R, N, D, cell, senders, row_ptr, reverse, vectors, propensity, change,
                             kThreads);
  file.write(&E, 1);
  file.write(senders, E);
  file.write(receivers, E);
  file.write(row_ptr, N + 1);
  file.write(reverse, E);
  file.write(vectors, E * D);
  file.write(propensity, N);
  file.write(change, E);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) fail("usage: driver network|perceptron|geometry IN OUT");
  Arrays file(arguments[2], arguments[3]);
  const std::string operation = arguments[1];
  if (operation == "network")
    network(file);
  else if (operation == "perceptron")
    perceptron(file);
  else if (operation == "geometry")
    geometry(file);
  else
    fail("no operation " + operation);
}
