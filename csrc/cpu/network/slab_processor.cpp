// The forward pass of the n-step processor on one slab of a large system after the other: the arithmetic of Processor,
// in arrays that hold a slab.
#include <memory>

#include "botan_fast.h"
#include "cpu/network/processor.h"

namespace botan_fast {

struct SlabProcessor::State {
  Layers layers;
  ConstantRows constant(const SlabNodes& nodes) const {
    const int64_t size = nodes.num_nodes * layers.H;
    float* from = nodes.constants;
    return {from, layers.skip ? from + size : nullptr, layers.skip ? from + 2 * size : nullptr};
  }
};

SlabProcessor::SlabProcessor(int hidden_size, bool edge_node_skip, Precision precision, const ProcessorWeights& weights)
    : state_(new State{Layers(hidden_size, edge_node_skip, precision, weights)}) {}

SlabProcessor::~SlabProcessor() = default;

void SlabProcessor::begin_nodes(const SlabNodes& nodes, float* p_sender, int num_threads) const {
  const Layers& layers = state_->layers;
  const ConstantRows constant = state_->constant(nodes);
  for_chunks(chunk_rows(nodes.num_nodes), num_threads, [&](int64_t, int64_t begin, int64_t end) {
    layers.node_constant(nodes.x, begin, end, constant);
    layers.project_sender(nodes.x, constant, begin, end, p_sender);
  });
}

void SlabProcessor::begin_edges(int64_t num_edges, const float* e0, void* e, void* c, int num_threads) const {
  const Layers& layers = state_->layers;
  for_chunks(chunk_rows(num_edges, 1024), num_threads, [&](int64_t, int64_t begin, int64_t end) {
    layers.edge_constant(e0, begin, end, c);
    if (layers.bf16()) layers.k.round(e0, begin * layers.H, end * layers.H, e);
  });
}

void SlabProcessor::step(const SlabNodes& nodes, const SlabEdges& slab, const float* p_sender, float* e_last,
                         float* next_p_sender, int num_threads) const {
  const Layers& layers = state_->layers;
  const ConstantRows constant = state_->constant(nodes);
  const int64_t size = nodes.num_nodes * layers.H;
  Scratch p_receiver(size), sum(size), hidden(size);
  EdgeForwardChunk edges = layers.edge_weights();
  edges.senders = slab.senders, edges.receivers = slab.receivers, edges.row_ptr = slab.row_ptr;
  edges.e = slab.e, edges.c = slab.c, edges.p_sender = p_sender, edges.p_receiver = p_receiver;
  edges.e_out = slab.e, edges.e_last = e_last, edges.sum = sum;
  // One region: what the nodes of a part need of other nodes is in p_sender, which no part writes to.
  const auto chunks = chunk_receivers(slab.row_ptr, nodes.num_nodes, slab.num_edges);
  for_chunks(chunks, num_threads, [&](int64_t, int64_t begin, int64_t end) {
    layers.project_receiver(nodes.x, constant, begin, end, p_receiver);
    EdgeForwardChunk part = edges;
    part.node_begin = begin, part.node_end = end;
    layers.k.edge_forward(part);
    layers.node_hidden(nodes.x, sum, constant, begin, end, hidden);
    layers.node_output(hidden, begin, end, nodes.x);
    if (next_p_sender) layers.project_sender(nodes.x, constant, begin, end, next_p_sender);
  });
}

}  // namespace botan_fast
