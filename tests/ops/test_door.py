"""What reaches a pointer of the core: of the right dtype, device, shape, density and range, or refused in one line."""

import pytest
import torch

import botan_fast as bf
from botan_fast import ops
from botan_fast.errors import InputError
from botan_fast.ops import door, reference
from tests.helpers.graph_checks import random_positions
from tests.helpers.processor_case import Case
from tests.helpers.random_graphs import random_mlp, random_topology, relative_l2

EDGES = torch.tensor([[0, 1, 2, 3, 4, 0], [1, 0, 3, 2, 0, 4]])


def features():
    g = torch.Generator().manual_seed(0)
    return torch.randn(5, 64, generator=g), torch.randn(6, 64, generator=g)


# ---- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["x", "e", "x0", "e0"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int64])
def test_a_layer_takes_one_dtype(place, dtype):
    x, e = features()
    arguments = {"x": x, "e": e, "x0": x, "e0": e}
    arguments[place] = arguments[place].to(dtype)
    layer = bf.BOTANLayer(64)
    with pytest.raises((InputError, RuntimeError), match=r"dtype|Float|float"):  # plain torch refuses where x0 decides
        layer(*arguments.values(), EDGES)


def test_what_autocast_makes_of_a_linear_layer():
    """x of an nn.Linear is bfloat16 under autocast, and e is not: an error, and the remedy is in it."""
    x, e = features()
    with torch.autocast("cpu"), pytest.raises(InputError, match=r"x is bfloat16 and x0 float32; .*to\(torch.float32\)"):
        bf.BOTANLayer(64)(torch.nn.Linear(64, 64)(x), e, x, e, EDGES)


@pytest.mark.parametrize(
    ("inputs", "shape", "message"),
    [
        (64, (300, 63), r"x has shape \(300, 63\) and W1 \(64, 64\); .* K = 64 inputs"),
        (3, (10, 2), r"x has shape \(10, 2\) and W1 \(64, 3\)"),
        (3, (3,), r"x has shape \(3,\)"),
        (3, (2, 5, 3), r"x has shape \(2, 5, 3\)"),
    ],
)
@pytest.mark.parametrize("hidden", [64, 40])  # with and without kernels
def test_an_mlp_takes_rows_of_its_inputs(inputs, shape, message, hidden):
    with pytest.raises(InputError, match=message.replace("(64, ", f"({hidden}, ")):
        bf.MLP(inputs, hidden)(torch.randn(shape))


def test_an_mlp_of_another_dtype():
    with pytest.raises(InputError, match=r"W1 is float64 and x float32"):
        bf.MLP(64, 64).double()(torch.randn(10, 64))


@pytest.mark.parametrize("number", range(12))
def test_every_tensor_of_the_processor_is_looked_at(number):
    """One wrong shape at a time, forward; the operator itself, as torch.ops has it, refuses too."""
    case = Case(7, 20, start=True)
    tensors = list(case.tensors)
    tensors[number] = torch.cat([tensors[number], tensors[number]])
    if number == 2:  # x0 says how many nodes there are, the others are wrong then
        tensors[number] = tensors[number][:1]
    with pytest.raises(InputError):
        ops.processor(*tensors[:4], case.topology, tensors[4:8], tensors[8:], 2)
    with pytest.raises(InputError):
        torch.ops.botan_fast.processor(*tensors[:4], case.topology, tensors[4:], 2, False, 0, False)


def test_strided_and_shifted_arrays_are_copied():
    """Transposed, strided, offset views: the numbers of the dense arrays."""
    case = Case(9, 40, start=True)
    want = case.fast(case.tensors)
    views = []
    for tensor in case.tensors:
        wide = tensor.new_zeros(*tensor.shape[:-1], 2 * tensor.shape[-1] + 1)
        wide[..., 1::2] = tensor
        views.append(wide[..., 1::2])
    got = case.fast(views)
    assert not any(view.is_contiguous() for view in views)
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


@pytest.mark.parametrize("number", range(12))
def test_two_devices(number):
    """A tensor elsewhere (meta stands for a GPU) is an error that names both, not an address on the wrong device."""
    case = Case(7, 20, hidden=40, start=True)
    tensors = list(case.tensors)
    tensors[number] = tensors[number].to("meta")
    with pytest.raises(InputError, match=r"lies on .* and x0 on .*; put both on one device"):
        ops.processor(*tensors[:4], case.topology, tensors[4:8], tensors[8:], 2)
    weights = random_mlp(3, 40, torch.Generator().manual_seed(0), decode=True)
    if number < len(weights):
        weights[number] = weights[number].to("meta")
        with pytest.raises(InputError, match=f"{door.MLP_NAMES[number]} lies on meta and x on cpu"):
            ops.mlp(torch.randn(5, 3), weights)


@pytest.mark.parametrize("number", range(5))
def test_a_topology_on_another_device(number):
    case = Case(7, 20)
    topology = list(case.topology)
    topology[number] = topology[number].to("meta")
    with pytest.raises(InputError, match=f"{door.TOPOLOGY_NAMES[number]} lies on meta and x0 on cpu"):
        door.topology_tensors(topology, case.tensors[2], case.tensors[3], look=False)


@pytest.mark.parametrize("number", range(7))
def test_two_devices_in_the_backward_pass_of_the_processor(number):
    """What the forward pass kept, and the gradients of its results."""
    case = Case(7, 20, start=True)
    library, t = torch.ops.botan_fast, case.tensors
    x, e, *kept = library.processor(*t[:4], case.topology, t[4:], 2, True, 0, False)
    arrays = [x, *kept, x, e]
    arrays[number] = arrays[number].to("meta")
    with pytest.raises(InputError, match=r"(outputs\[\d\]|grad_x_out|grad_e_out) lies on meta and (x0|e0) on cpu"):
        door.backward_tensors(t[2], t[3], arrays[:5], *arrays[5:])


@pytest.mark.parametrize("name", ["y", "grad_y"])
def test_two_devices_in_the_backward_pass_of_a_perceptron(name):
    g = torch.Generator().manual_seed(0)
    x, weights = torch.randn(5, 3, generator=g), random_mlp(3, 32, g)
    arrays = {"y": ops.mlp(x, weights), "grad_y": torch.ones(5, 32)}
    arrays[name] = arrays[name].to("meta")
    with pytest.raises(InputError, match=r"mlp_backward was given tensors on cpu and meta"):
        torch.ops.botan_fast.mlp_backward(x, weights, arrays["y"], arrays["grad_y"], True, 0)


def test_a_model_and_a_graph_on_two_devices(graph):
    with pytest.raises(InputError, match=r"graph lies on meta and model on cpu; .* graph.to\('cpu'\), or model.to"):
        bf.BOTAN()(graph.to("meta"))


# ---- indices --------------------------------------------------------------------------------------------------------


@pytest.fixture
def graph():
    return bf.build_graph(random_positions(200, 6.0, 3), torch.arange(200) % 2, 6.0)


@pytest.fixture
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return bf.BOTAN(num_steps=2)


def test_wide_indices_are_the_same_graph(graph, model):
    names = ("senders", "receivers", "row_ptr", "reverse")
    wide = graph.replace(**{name: getattr(graph, name).long() for name in names})
    assert all(getattr(wide, name).dtype == torch.int32 for name in names)
    assert torch.equal(model(wide).edge, model(graph).edge)
    only = graph.replace(row_ptr=graph.row_ptr.long())
    assert torch.equal(model(only).node, model(graph).node)


def test_a_mask_on_some_arrays_of_a_graph(graph, model):
    """Senders, receivers and vectors without the edges of a mask, row_ptr and reverse with them: refused."""
    keep = torch.arange(graph.num_edges) % 3 > 0
    masked = {name: getattr(graph, name)[keep] for name in ("senders", "receivers", "vectors")}
    with pytest.raises(InputError, match=r"Graph.reverse .* must be integers of shape"):
        graph.replace(**masked)
    same_length = graph.replace(**masked, reverse=graph.reverse[keep])
    with pytest.raises(InputError, match="row_ptr goes from 0 to"):
        model(same_length)


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("change", ["float", "two", "short", "negative", "large", "swapped"])
@pytest.mark.parametrize("part", [7, 1 << 18])
def test_every_array_of_a_topology_is_looked_at(number, change, part, monkeypatch):
    monkeypatch.setattr(door, "_PART", part)
    case = Case(12, 60, seed=3)
    topology = list(case.topology)
    tensor = topology[number].clone()
    if change == "float":
        tensor = tensor.float()
    elif change == "two":
        tensor = torch.stack([tensor, tensor])
    elif change == "short":
        tensor = tensor[:-1]
    elif change == "negative":
        tensor[3] = -1
    elif change == "large":
        tensor[3] = 1000
    else:  # two entries that differ change places
        other = int(torch.nonzero(tensor != tensor[0])[-1, 0])
        tensor[[0, other]] = tensor[[other, 0]]
    topology[number] = tensor
    with pytest.raises(InputError):
        ops.processor(*case.tensors[:4], topology, case.tensors[4:8], case.tensors[8:], 2)


@pytest.mark.parametrize("part", [1, 2, 7, 60])
@pytest.mark.parametrize("sizes", [(12, 60), (50, 30), (1, 5), (3, 0), (0, 0)])
def test_good_topologies_in_parts(sizes, part, monkeypatch):
    """Nodes without edges among them, where a part begins or ends too."""
    monkeypatch.setattr(door, "_PART", part)
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        for symmetric in (False, True):
            door.check_topology(random_topology(*sizes, generator, symmetric))


def test_an_order_that_names_an_edge_twice():
    case = Case(12, 60, seed=3)
    order = case.topology[3].clone()
    start = case.topology[4]
    node = int(torch.nonzero(start.diff() > 1)[0, 0])
    order[start[node]] = order[start[node] + 1]  # both leave the same node, so only the count is wrong
    topology = [*case.topology[:3], order, case.topology[4]]
    with pytest.raises(InputError, match=r"sender_order does not hold each of 0 \.\.\. 59 once"):
        ops.processor(*case.tensors[:4], topology, case.tensors[4:8], case.tensors[8:], 2)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_sums_refuse_offsets_that_do_not_fit(count):
    values = torch.randn(count, 3)
    with pytest.raises(InputError, match="row_ptr"):
        bf.segment_sum(values, torch.tensor([0, count + 1]))
    with pytest.raises(InputError, match="row_ptr"):
        torch.ops.botan_fast.segment_expand(
            values, torch.tensor([0, count]) if count != 1 else torch.tensor([0]), count
        )
    with pytest.raises(InputError):
        bf.scatter_sum(values, torch.full((count,), 5), 5) if count else bf.scatter_sum(values, torch.zeros(1), 5)


# ---- settings of torch that a user may have changed ---------------------------------------------------------------


def test_a_default_device_elsewhere(tmp_path, tiny_data, model):
    """torch.set_default_device("meta"), which stands for cuda: NumPy data still give a graph and scores on the CPU."""
    positions = random_positions(200, 6.0, 3)
    want = bf.build_graph(positions, [0] * 200, 6.0)
    scores = bf.evaluate(model, tiny_data / "test/*.npz")
    pairs = bf.neighbor_list("ijdDS", positions, 6.0, 2.0)
    torch.set_default_device("meta")
    try:
        graph = bf.build_graph(positions, [0] * 200, 6.0)
        again = bf.evaluate(model, tiny_data / "test/*.npz", device="cpu")
        found = bf.neighbor_list("ijdDS", positions, 6.0, 2.0)
        path = bf.convert(tiny_data / "test/*.npz", tmp_path / "data.h5", time=1.0)
        stored = bf.Dataset(path)[0].graph
    finally:
        torch.set_default_device(None)
    assert graph.device.type == stored.device.type == "cpu"
    assert torch.equal(graph.vectors, want.vectors)
    assert torch.equal(graph.reverse, want.reverse)
    assert again == scores
    assert all((a == b).all() for a, b in zip(found, pairs, strict=True))


@pytest.mark.parametrize("augmentation", ["octahedral", "o3"])
def test_a_default_dtype_of_float64(tiny_data, augmentation):
    """torch.set_default_dtype(torch.float64): training runs, and a float32 model gives what it gives otherwise."""
    options = {"epochs": 1, "num_steps": 1, "hidden_size": 32, "augmentation": augmentation, "progress": False}
    want = bf.train(tiny_data / "train/*.npz", **options, init=bf.BOTAN(hidden_size=32, num_steps=1))
    start = bf.BOTAN(hidden_size=32, num_steps=1)
    torch.set_default_dtype(torch.float64)
    try:
        result = bf.train(tiny_data / "train/*.npz", **options, init=start)
    finally:
        torch.set_default_dtype(torch.float32)
    assert len(result.history) == len(want.history) == 1
    assert all(torch.isfinite(t).all() for t in result.model.state_dict().values())


# ---- derivatives of derivatives ------------------------------------------------------------------------------------


def second_order(model, graph, dtype):
    """Gradients of 1e-3 <S^2> + |dS/dvectors|^2, as for forces."""
    vectors = graph.vectors.to(dtype).requires_grad_()
    node = model(graph.replace(vectors=vectors)).node
    (force,) = torch.autograd.grad(node.sum(), vectors, create_graph=True)
    loss = 1e-3 * node.square().mean() + force.square().sum()
    return torch.autograd.grad(loss, list(model.parameters()), allow_unused=True, materialize_grads=True)


def test_second_derivatives_are_those_of_plain_torch(graph, model):
    """Kernels have first derivatives only; a part that is dropped without a word would be a wrong gradient."""
    got = second_order(model, graph, torch.float32)
    want = second_order(_double(model), graph, torch.float64)
    for (name, _), a, b in zip(model.named_parameters(), got, want, strict=True):
        if b.norm() > 0:
            assert relative_l2(a, b) < 2e-3, name  # a ReLU at its kink may go the other way in float32
            assert torch.nn.functional.cosine_similarity(a.double().flatten(), b.flatten(), dim=0) > 1 - 1e-5, name


def _double(model):
    copy = bf.BOTAN(**model.config).double()
    copy.load_state_dict({name: tensor.double() for name, tensor in model.state_dict().items()})
    return copy


def test_one_tensor_as_several_inputs_of_a_second_derivative():
    """x is also x0, and e also e0: each part of the gradient is counted once."""
    x, e = (t.requires_grad_() for t in features())
    layer = bf.BOTANLayer(64)

    def gradients(run):
        out, _ = run()
        (first,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), [x, *layer.parameters()])

    order = EDGES[1].argsort(stable=True)
    weights = layer.edge_mlp.weights(), layer.node_mlp.weights()
    got = gradients(lambda: layer(x, e, x, e, EDGES))
    want = gradients(lambda: reference.processor(x, e[order], x, e[order], *EDGES[:, order], *weights, 1))
    assert all(relative_l2(a, b) < 1e-4 for a, b in zip(got, want, strict=True))


def test_the_loss_twice():
    node = torch.randn(5, requires_grad=True)
    loss = ops.loss(node, None, torch.randn(5), None, 0.4).total
    (first,) = torch.autograd.grad(loss, node, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), node)
    torch.testing.assert_close(second, torch.full((5,), 2 * 0.4 / 5))
