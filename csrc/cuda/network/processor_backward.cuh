// The launches of processor_backward for one precision and width.
#pragma once

#include "cuda/network/processor_forward.cuh"
#include "cuda/network/reduce.cuh"

namespace botan_fast::cuda {

// Products whose sums over nodes are weight gradients; the last two with edge_node_skip only.
enum NodeSums { kOfSender, kOfReceiver, kOfX, kOfSum, kOfSecond, kOfC, kOfX0, kOfSender0, kOfReceiver0, kNumSums };

// Of the arrays of edges only dz (and with save_memory e, computed again) are in the workspace: the sum of dz over the
// steps lies in grad_e0, of which it becomes a part in the end.
template <Precision P, int H>
struct BackwardPlan {
  PackedProcessor<P, H> packed;
  // node arrays of every step, or with save_memory of the current one
  float *node_dy, *node_hidden, *node_dz, *grad_sender, *grad_receiver;
  float *node_dz_total, *sender_total = nullptr, *receiver_total = nullptr, *grad_sum, *grad_x;
  Stored<P>*dz, *e = nullptr, *dy = nullptr, *hidden = nullptr;
  // partial sums
  float *edge_partial[2], *edge_bias_partial;
  float *partial[kNumSums], *vector[kNumSums];
  unsigned edge_blocks;

  BackwardPlan(Arena& arena, const ProcessorShape& s, const Grids& grids, const void* given)
      : packed(arena, s, true, given) {
    const int64_t nodes = s.num_nodes * H, edges = s.num_edges * H;
    for (float** array : {&node_dy, &node_hidden, &node_dz, &grad_sender, &grad_receiver}) {
      *array = arena.take<float>((s.save_memory ? 1 : s.num_steps) * nodes);
    }
    for (float** array : {&node_dz_total, &grad_sum, &grad_x}) *array = arena.take<float>(nodes);
    if (s.edge_node_skip) {
      sender_total = arena.take<float>(nodes);
      receiver_total = arena.take<float>(nodes);
    }
    dz = arena.take<Stored<P>>(edges);
    if (s.save_memory) e = arena.take<Stored<P>>(edges);
    if (!kFusedGradients<H>) {
      dy = arena.take<Stored<P>>(edges);
      hidden = arena.take<Stored<P>>(edges);
    }
    constexpr int64_t kNumbers = OuterShape<H>::kParts * H * H;
    edge_blocks = kFusedGradients<H> ? grids.edges_backward : grids.edge_sums;
    edge_partial[0] = arena.take<float>(2 * edge_blocks * kNumbers);
    edge_partial[1] = edge_partial[0] ? edge_partial[0] + edge_blocks * kNumbers : nullptr;
    edge_bias_partial = arena.take<float>(static_cast<int64_t>(grids.edges_backward) * H);
    for (int j = 0; j < kNumSums; ++j) {
      const int64_t blocks = j == kOfC ? grids.edge_sums : grids.node_sums;
      partial[j] = arena.take<float>(blocks * kNumbers);
      vector[j] = arena.take<float>(blocks * H);
    }
  }
};

template <Precision P, int H>
size_t processor_backward_bytes(Stream stream, const ProcessorShape& shape) {
  Arena arena(nullptr);
  const BackwardPlan<P, H> plan(arena, shape, Grids(stream, shape.num_nodes), nullptr);
  return arena.used();
}

template <Precision P, int H>
void run_edge_backward(Stream stream, const Grids& grids, const EdgeBackward<P>& edges) {
  const size_t room = max_shared_bytes(stream);
  const auto run = [&](auto kernel, int warps, size_t shared_bytes) {
    launch_early("edge_backward", kernel, dim3(grids.edges_backward), dim3(warps * kWarpSize), shared_bytes, stream,
                 edges);
  };
  if constexpr (kFusedGradients<H>) {
    constexpr size_t kShared = edge_backward_shared_bytes<P, H, kWarps, true>();
    if (edges.in.c && kShared <= room) return run(edge_backward_kernel<P, H, kWarps, true, false>, kWarps, kShared);
  }
  constexpr size_t kShared = edge_backward_shared_bytes<P, H, kWarps, false>();
  if constexpr (kHalfBlocks<P, H>) {
    if (kShared > room) {
      constexpr size_t kLess = edge_backward_shared_bytes<P, H, kFewWarps, false>();
      if (edges.in.c) return run(edge_backward_kernel<P, H, kFewWarps, false, false>, kFewWarps, kLess);
      return run(edge_backward_kernel<P, H, kFewWarps, false, true>, kFewWarps, kLess);
    }
  }
  if (edges.in.c) return run(edge_backward_kernel<P, H, kWarps, false, false>, kWarps, kShared);
  run(edge_backward_kernel<P, H, kWarps, false, true>, kWarps, kShared);
}

// One backward pass: the steps from the last to the first, then what they have in common.
template <Precision P, int H>
class Backward {
 public:
  // `packed`: packed weights, or null
  Backward(Stream stream, const ProcessorBackward& given, const void* packed, void* workspace)
      : stream_(stream),
        given_(given),
        given_packed_(packed),
        x_(given.x ? given.x : given.x0),
        e_(given.e ? given.e : given.e0),
        nodes_(given.shape.num_nodes),
        node_size_(nodes_ * H),
        edge_size_(given.shape.num_edges * H),
        graph_(edge_topology(given.topology, given.shape)),
        grids_(stream, nodes_),
        arena_(workspace),
        plan_(arena_, shape_, grids_, packed) {}

  void run() {
    packed_.pack_if_not(given_packed_, stream_, given_.weights);
    LinearJobs tables;
    packed_.add_tables_of_x0(tables, grids_, nodes_, given_.weights, given_.x0);
    linear<P, H>(stream_, tables);
    for (int k = shape_.num_steps - 1; k >= 0; --k) {
      const Stored<P>* e = e_before(k);
      node_step(k);
      edge_step(k, e);
      if (!shape_.save_memory) continue;
      // The next step takes over the arrays of nodes: what they give is added up now.
      OuterJobs sums;
      add_node_sums(sums, 1, x_before(k), nullptr, history_.sum + k * node_size_, !is_last(k));
      outer<P, H>(stream_, sums);
      add_x0_terms(1, !is_last(k));
    }
    if (!shape_.save_memory) add_x0_terms(shape_.num_steps, false);
    OuterJobs sums;
    add_constant_sums(sums);
    if (!shape_.save_memory) add_node_sums(sums, shape_.num_steps, history_.x, x_, history_.sum, false);
    outer<P, H>(stream_, sums);
    LinearJobs inputs;
    add_edge_inputs(inputs);
    add_node_inputs(inputs);
    linear<P, H>(stream_, inputs);
    reduce_sums();
  }

 private:
  bool is_last(int k) const { return k == shape_.num_steps - 1; }
  const float* x_before(int k) const { return k == 0 ? x_ : history_.x + (k - 1) * node_size_; }
  // an array of nodes of step k
  float* at(float* array, int k) const { return shape_.save_memory ? array : array + k * node_size_; }

  // e before step k; computed again from the last one kept with save_memory. That overwrites Ps and Pr.
  const Stored<P>* e_before(int k) const {
    const Stored<P>* kept = static_cast<const Stored<P>*>(history_.e);
    if (!shape_.save_memory) {
      if (kBf16) return kept + k * edge_size_;
      return k == 0 ? reinterpret_cast<const Stored<P>*>(e_) : kept + (k - 1) * edge_size_;
    }
    const int start = k - k % kSavedSteps;
    const Stored<P>* e = plan_.e;
    if (start > 0) {
      e = kept + (start / kSavedSteps - 1) * edge_size_;
    } else if (kBf16) {
      LinearJob rounded = edge_job();
      rounded.copied = e_;
      rounded.copy = plan_.e;
      LinearJobs jobs;
      jobs.add(rounded, grids_.edge_rows);
      linear<P, H>(stream_, jobs);
    } else {
      e = reinterpret_cast<const Stored<P>*>(e_);
    }
    for (int step = start; step < k; ++step) {
      LinearJobs tables;
      packed_.add_tables_of_x(tables, grids_, nodes_, given_.x0, x_before(step));
      linear<P, H>(stream_, tables);
      EdgeForward<P> edges{};
      edges.graph = graph_;
      edges.in = inputs(e);
      edges.e_out = plan_.e;
      edges.e_out_stored = true;
      run_edge_forward<P, H, true>(stream_, grids_, edges);
      e = plan_.e;
    }
    return e;
  }

  // A product of rows of edges, of which row_ptr says how many there are.
  LinearJob edge_job() const {
    LinearJob job{};
    job.rows = shape_.num_edges;
    job.row_ptr = graph_.row_ptr;
    job.num_nodes = nodes_;
    return job;
  }

  EdgeInputs<P> inputs(const Stored<P>* e) const {
    EdgeInputs<P> in =
        packed_.inputs(given_.weights, e, shape_.save_memory ? nullptr : static_cast<const Stored<P>*>(history_.c));
    in.e0 = given_.e0;
    return in;
  }

  void node_step(int k) const {
    NodeBackward node{};
    node.layer = packed_.layer(nodes_, x_before(k), history_.sum + k * node_size_);
    node.x_out = is_last(k) ? given_.x_out : history_.x + k * node_size_;
    node.grad = is_last(k) ? given_.grad_x_out : plan_.grad_x;
    node.grad_sender = is_last(k) ? nullptr : at(plan_.grad_sender, k + 1);
    node.grad_receiver = is_last(k) ? nullptr : at(plan_.grad_receiver, k + 1);
    node.sender_backward = packed_.edge1_backward(0);
    node.receiver_backward = packed_.edge1_backward(1);
    node.of_x_backward = packed_.node1_backward(0);
    node.of_sum_backward = packed_.node1_backward(2);
    node.second_backward = packed_.weights.node.second_backward;
    node.last = is_last(k);
    node.dy = at(plan_.node_dy, k);
    node.hidden = at(plan_.node_hidden, k);
    node.dz = at(plan_.node_dz, k);
    node.dz_total = plan_.node_dz_total;
    node.grad_sum = plan_.grad_sum;
    node.grad_x = plan_.grad_x;
    launch_early("node_backward", node_backward_kernel<P, H>, dim3(grids_.nodes), dim3(kNodeWarps * kWarpSize),
                 kNodeSharedBytes<H>, stream_, node);
  }

  void edge_step(int k, const Stored<P>* e) const {
    const int first_dc = shape_.num_steps - 1 - (shape_.num_steps - 1) % 2;  // the last even step
    EdgeBackward<P> edges{};
    edges.graph = graph_;
    edges.in = inputs(e);
    edges.edge_backward = packed_.edge1_backward(2);
    edges.second_backward = packed_.weights.edge.second_backward;
    edges.grad_e = given_.grad_e_out;
    edges.last = is_last(k);
    edges.grad_sum = plan_.grad_sum;
    edges.dz = plan_.dz;
    edges.dc = k % 2 == 0 ? given_.grad_e0 : nullptr;
    edges.set_dc = k == first_dc;
    edges.grad_receiver = at(plan_.grad_receiver, k);
    edges.partial = plan_.edge_partial[0];
    edges.bias_partial = plan_.edge_bias_partial;
    edges.dy = plan_.dy;
    edges.hidden = plan_.hidden;
    run_edge_backward<P, H>(stream_, grids_, edges);
    if (!kFusedGradients<H>) {
      OuterJobs jobs;
      const auto add = [&](const Stored<P>* a, const Stored<P>* b, float* partial) {
        OuterJob job{};
        job.a = a;
        job.a_stored = true;
        job.b = b;
        job.b_stored = true;
        job.b_columns = H;
        job.rows = shape_.num_edges;
        job.row_ptr = graph_.row_ptr;
        job.num_nodes = nodes_;
        job.partial = partial;
        job.add = !is_last(k);
        jobs.add(job, grids_.edge_sums);
      };
      add(plan_.dy, plan_.hidden, plan_.edge_partial[0]);
      add(plan_.dz, e, plan_.edge_partial[1]);
      outer<P, H>(stream_, jobs);
    }
    launch_early("sum_senders", sum_senders_kernel<P, H>, dim3(grids_.node_warps), dim3(kThreads), 0, stream_,
                 static_cast<const Stored<P>*>(plan_.dz), given_.topology.sender_order, given_.topology.sender_ptr,
                 nodes_, shape_.num_edges, at(plan_.grad_sender, k));
  }

  // For the sum `which`: a^T b over rows of float32, of which b_first (if not null) holds the first N of b.
  OuterJob sum_job(NodeSums which, const float* a, const float* b_first, const float* b, int64_t rows) const {
    OuterJob job{};
    job.a = a;
    job.b_first = b_first;
    job.first_rows = b_first ? nodes_ : 0;
    job.b = b;
    job.b_columns = H;
    job.rows = rows;
    job.num_nodes = nodes_;
    job.partial = plan_.partial[which];
    return job;
  }

  // Of `steps` steps at once: x before each is x_first (if not null), then the rows of x.
  void add_node_sums(OuterJobs& jobs, int steps, const float* x, const float* x_first, const float* sum,
                     bool add) const {
    const int64_t rows = steps * nodes_;
    const auto add_job = [&](OuterJob job) {
      job.add = add;
      jobs.add(job, grids_.node_sums);
    };
    add_job(sum_job(kOfSender, plan_.grad_sender, x_first, x, rows));
    add_job(sum_job(kOfReceiver, plan_.grad_receiver, x_first, x, rows));
    add_job(sum_job(kOfX, plan_.node_dz, x_first, x, rows));
    add_job(sum_job(kOfSum, plan_.node_dz, nullptr, sum, rows));
    OuterJob of_second = sum_job(kOfSecond, plan_.node_dy, nullptr, plan_.node_hidden, rows);
    of_second.vector = plan_.vector[kOfSecond];  // the gradient of the bias
    add_job(of_second);
  }

  void add_x0_terms(int steps, bool add) const {
    if (!plan_.sender_total) return;
    launch_early("sum_steps", sum_steps_kernel<H>,
                 dim3(static_cast<unsigned>(ceil_div<int64_t>(node_size_, 4 * kThreads))), dim3(kThreads), 0, stream_,
                 nodes_, steps, static_cast<const float*>(plan_.grad_sender),
                 static_cast<const float*>(plan_.grad_receiver), plan_.sender_total, plan_.receiver_total, add);
  }

  // Weight gradients of what all steps have in common.
  void add_constant_sums(OuterJobs& jobs) const {
    OuterJob of_c = sum_job(kOfC, given_.grad_e0, nullptr, given_.e0, shape_.num_edges);
    of_c.row_ptr = graph_.row_ptr;
    of_c.vector = plan_.vector[kOfC];
    jobs.add(of_c, grids_.edge_sums);
    OuterJob of_x0 = sum_job(kOfX0, plan_.node_dz_total, nullptr, given_.x0, nodes_);
    of_x0.vector = plan_.vector[kOfX0];
    jobs.add(of_x0, grids_.node_sums);
    if (!shape_.edge_node_skip) return;
    jobs.add(sum_job(kOfSender0, plan_.sender_total, nullptr, given_.x0, nodes_), grids_.node_sums);
    jobs.add(sum_job(kOfReceiver0, plan_.receiver_total, nullptr, given_.x0, nodes_), grids_.node_sums);
  }

  // Gradients of x and x0. What steps have in common is linear: its gradients were added up over the steps.
  void add_node_inputs(LinearJobs& jobs) const {
    using Source = LinearJob::Source;
    const Source of_x[] = {{plan_.grad_sender, false, packed_.edge1_backward(0)},  // of step 0
                           {plan_.grad_receiver, false, packed_.edge1_backward(1)}};
    LinearJob to_x{}, to_x0{};
    to_x.rows = to_x0.rows = nodes_;
    to_x0.out = given_.grad_x0;
    LinearJob& first = given_.grad_x ? to_x : to_x0;
    first.add = plan_.grad_x;
    std::copy(std::begin(of_x), std::end(of_x), first.source);
    if (given_.grad_x) {
      to_x.out = given_.grad_x;
      jobs.add(to_x, grids_.nodes);
    }
    Source* source = to_x0.source + (given_.grad_x ? 0 : 2);
    *source++ = {plan_.node_dz_total, false, packed_.node1_backward(1)};
    if (shape_.edge_node_skip) {
      *source++ = {plan_.sender_total, false, packed_.edge1_backward(4)};
      *source++ = {plan_.receiver_total, false, packed_.edge1_backward(5)};
    }
    jobs.add(to_x0, grids_.nodes);
  }

  // Gradients of e and e0; the latter in the place of the sum of dz.
  void add_edge_inputs(LinearJobs& jobs) const {
    const LinearJob::Source from_c{given_.grad_e0, false, packed_.edge1_backward(3)};
    const LinearJob::Source from_e{plan_.dz, true, packed_.edge1_backward(2)};
    LinearJob to_e0 = edge_job(), to_e = edge_job();
    to_e0.source[0] = from_c;
    to_e0.out = given_.grad_e0;
    if (!given_.grad_e) to_e0.source[1] = from_e;
    jobs.add(to_e0, grids_.edge_rows);
    if (!given_.grad_e) return;
    to_e.source[0] = from_e;
    to_e.out = given_.grad_e;
    jobs.add(to_e, grids_.edge_rows);
  }

  void reduce_sums() const {
    const ProcessorGradients& gradients = given_.gradients;
    ReduceJobs sums;
    const int pitch = packed_.blocks * H;
    const auto add = [&](NodeSums which, float* out, int out_pitch, int offset, float* bias) {
      const unsigned blocks = which == kOfC ? grids_.edge_sums : grids_.node_sums;
      add_matrix<H>(sums, plan_.partial[which], blocks, out, out_pitch, offset, H);
      if (bias) add_vector(sums, plan_.vector[which], H, blocks, bias, H);
    };
    add(kOfSender, gradients.edge_w1, pitch, 0, nullptr);
    add(kOfReceiver, gradients.edge_w1, pitch, H, nullptr);
    add(kOfC, gradients.edge_w1, pitch, 3 * H, gradients.edge_b1);
    if (shape_.edge_node_skip) {
      add(kOfSender0, gradients.edge_w1, pitch, 4 * H, nullptr);
      add(kOfReceiver0, gradients.edge_w1, pitch, 5 * H, nullptr);
    }
    add(kOfX, gradients.node_w1, 3 * H, 0, nullptr);
    add(kOfX0, gradients.node_w1, 3 * H, H, gradients.node_b1);
    add(kOfSum, gradients.node_w1, 3 * H, 2 * H, nullptr);
    add(kOfSecond, gradients.node_w2, H, 0, gradients.node_b2);
    const auto edge_sum = [&](const float* partial, float* out, int out_pitch, int offset) {
      add_matrix<H>(sums, partial, plan_.edge_blocks, out, out_pitch, offset, H);
    };
    edge_sum(plan_.edge_partial[1], gradients.edge_w1, pitch, 2 * H);
    edge_sum(plan_.edge_partial[0], gradients.edge_w2, H, 0);
    add_vector(sums, plan_.edge_bias_partial, H, grids_.edges_backward, gradients.edge_b2, H);
    reduce<P, H>(stream_, sums);
  }

  static constexpr bool kBf16 = P == Precision::bf16;
  const Stream stream_;
  const ProcessorBackward& given_;
  const void* given_packed_;
  const ProcessorShape& shape_ = given_.shape;
  const ProcessorHistory& history_ = given_.history;
  const float *x_, *e_;  // before the first step
  const int64_t nodes_, node_size_, edge_size_;
  const EdgeTopology graph_;
  const Grids grids_;
  Arena arena_;
  const BackwardPlan<P, H> plan_;
  const PackedProcessor<P, H>& packed_ = plan_.packed;
};

template <Precision P, int H>
void processor_backward_with(Stream stream, const ProcessorBackward& given, const void* packed, void* workspace) {
  Backward<P, H>(stream, given, packed, workspace).run();
}

}  // namespace botan_fast::cuda
