"""Which steps a run has, and the one message where a CUDA graph is impossible: the run is then made step by step."""

import warnings
from types import SimpleNamespace

import pytest
import torch

import botan_fast as bf
from botan_fast.errors import BotanFastWarning, InputError
from botan_fast.ops import precision
from botan_fast.physics.targets import Targets
from botan_fast.training import engine
from botan_fast.training.batches import MOST_SHAPES
from botan_fast.training.packing import NotCapturable, layout_of
from tests.helpers.recorded_graph import RecordedQueue, stand_in
from tests.helpers.runs import FAST
from tests.helpers.structured import INPUTS, several

EPOCHS = 2


def train(samples, **options):
    """The run, and what it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = bf.train(samples, **{**FAST, "epochs": EPOCHS, **options})
    return result, [str(w.message) for w in caught if issubclass(w.category, BotanFastWarning)]


@pytest.fixture
def device(monkeypatch):
    monkeypatch.delenv(engine.VARIABLE, raising=False)
    stand_in(monkeypatch)


def test_on_a_cpu_steps_are_eager():
    result, words = train(several((1, 2)))
    assert result.replays == 0
    assert words == []


@pytest.mark.parametrize("value", [None, "", "1"])
def test_on_a_device_they_are_captured(device, monkeypatch, value):
    if value is not None:
        monkeypatch.setenv(engine.VARIABLE, value)
    result, words = train(several((1, 2)))
    assert result.replays == EPOCHS * 2
    assert words == []


def test_a_user_may_want_eager_ones(device, monkeypatch):
    monkeypatch.setenv(engine.VARIABLE, "0")
    monkeypatch.setattr(RecordedQueue, "capture", None)
    monkeypatch.setattr(engine, "DeviceQueue", lambda device: RecordedQueue(device, early=True))
    result, words = train(several((1, 2)))
    assert result.replays == 0
    assert words == []


def test_another_value_is_refused(device, monkeypatch):
    monkeypatch.setenv(engine.VARIABLE, "no")
    with pytest.raises(InputError, match="BOTAN_FAST_CAPTURE = 'no'; set it to 0"):
        train(several((1, 2)))


def of_doubles(sample):
    return sample.graph.replace(arrays={name: array.double() for name, array in sample.graph.arrays.items()})


def without_pairs(sample):
    targets = sample.targets
    return Targets(**{**vars(targets), "pair_change": None})


def replaced(samples, graph=None, targets=None):
    """The first sample with another graph or targets."""
    first = samples[0]
    made = bf.Sample(
        first.graph if graph is None else graph(first),
        first.targets if targets is None else targets(first),
        first.name,
        first.positions,
    )
    return [made, *samples[1:]]


MANY = [s for k in range(MOST_SHAPES + 1) for s in several((k,), number=80 + 2 * k)]
REASONS = [
    (MANY, {}, f"configurations of {MOST_SHAPES + 1} numbers of particles; there may be {MOST_SHAPES}"),
    (MANY[:3], {"batch_size": 2}, "batches of 2 mix configurations of 3 numbers of particles"),
    (replaced(several((1, 2)), graph=of_doubles), INPUTS, "energy of configuration conf_1 is not float32"),
    (replaced(several((1, 2)), targets=without_pairs), {"p": 1.0, "decoders": "shared"}, "some have not"),
]


@pytest.mark.parametrize(("samples", "options", "reason"), REASONS, ids=[reason for *_, reason in REASONS])
def test_where_no_graph_can_be_captured_one_message_says_why(device, samples, options, reason):
    result, words = train(samples, **options)
    [message] = words
    assert message.startswith("training without a CUDA graph, which takes more time: ")
    assert message.endswith(reason)
    assert result.replays == 0
    assert len(result.history) == EPOCHS
    assert result.history[1]["train_loss"] != result.history[0]["train_loss"]
    assert RecordedQueue.made == [] or not RecordedQueue.made[0].graphs


def test_a_width_without_kernels_is_said_once(device, monkeypatch):
    """Plain torch computes; that there is no CUDA graph either is no second warning."""
    monkeypatch.setattr(precision, "_warned", set())
    result, words = train(several((1, 2)), hidden_size=129)
    assert words == ["hidden_size = 129 runs in plain torch, slowly; there are kernels up to 128"]
    assert result.replays == 0
    assert RecordedQueue.made == []


def test_a_padded_width_is_captured(device):
    result, words = train(several((1, 2)), hidden_size=24)
    assert result.replays == EPOCHS * 2
    assert words == []


def test_who_asks_for_eager_steps_hears_nothing_of_graphs(device, monkeypatch):
    monkeypatch.setenv(engine.VARIABLE, "0")
    result, words = train(MANY)
    assert words == []
    assert result.replays == 0


def changed(graph, **arrays):
    return graph.replace(arrays={**graph.arrays, **arrays})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda g: g.replace(arrays={"energy": g.arrays["energy"]}), "has no input 'shells' that fits"),
        (lambda g: changed(g, shells=g.arrays["shells"][:, :2]), "has no input 'shells' that fits"),
        (lambda g: changed(g, energy=g.arrays["energy"][:, None]), "flat arrays, and some have not"),
        (lambda g: g.replace(inherent_vectors=None), "has no input 'inherent'"),
        (lambda g: g.replace(vectors=g.vectors.double()), "vectors of configuration conf_1 is not float32"),
        (lambda g: g.replace(self_edges=True), "self edges"),
    ],
)
def test_samples_of_several_layouts(change, reason):
    samples, options = several((1, 2)), {"num_species": 2, "input_columns": {"shells": 3}}
    model = bf.BOTAN(hidden_size=32, **INPUTS, **options)
    layout = layout_of(samples, model)
    assert layout.arrays == {"energy": (1, True), "shells": (3, False)}
    assert layout.sizes[0] == (80, samples[0].graph.num_edges)
    with pytest.raises(NotCapturable, match=reason):
        layout_of(replaced(samples, graph=lambda sample: change(sample.graph)), model)


def test_bytes_are_those_of_the_arrays():
    samples = several((1, 2))
    model = bf.BOTAN(hidden_size=32, **INPUTS, num_species=2, input_columns={"shells": 3})
    layout = layout_of(samples, model)
    nodes, edges = (sum(size) for size in zip(*layout.sizes, strict=True))
    source = layout.source(nodes, edges, lambda shape, dtype: torch.empty(shape, dtype=dtype))
    assert layout.num_bytes == sum(t.numel() * t.element_size() for t in source)


def test_where_torch_fails_to_capture(device, monkeypatch):
    """The run is that of the other reasons, with nothing left of the attempt."""

    def fail(self, step):
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")

    with monkeypatch.context() as patch:
        patch.setattr(engine, "PackedBatches", lambda *arguments: fail_early())
        want, _ = train(several((1, 2)), ema=0.5)
    monkeypatch.setattr(RecordedQueue, "capture", fail)
    result, [message] = train(several((1, 2)), ema=0.5)
    assert message.endswith("torch cannot capture it (CUDA error: operation not permitted when stream is capturing)")
    for name, value in want.model.state_dict().items():
        assert torch.equal(result.model.state_dict()[name], value)


def fail_early():
    raise engine.NotCapturable("as was asked for")


def test_a_message_names_torch_without_graphs(device, monkeypatch):
    monkeypatch.delattr(torch.cuda, "CUDAGraph")
    _, [message] = train(several((1, 2)))
    assert message.endswith(f"torch {torch.__version__} has no CUDA graphs")


@pytest.mark.parametrize("built", [True, False])
def test_a_gpu_without_kernels_is_said_once_and_rightly(monkeypatch, built):
    """A build without them, or a GPU that is too old, of which `kernels_for` speaks. The device is one by name."""
    monkeypatch.setattr(precision, "_warned", set())
    monkeypatch.setattr(precision, "CUDA_KERNELS", object() if built else None)
    monkeypatch.setattr(precision, "kernels_for", lambda device: None)
    learner = type("Named", (), {"device": torch.device("cuda", 0), "model": bf.BOTAN(hidden_size=32)})
    settings = SimpleNamespace(precision="fp32")
    monkeypatch.setattr(engine, "EagerSteps", lambda *arguments: "eager")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        precision.warn_if_slow(32, "fp32", learner.device)
        assert engine.choose_steps(learner, [], settings) == "eager"
    text = "this build has no CUDA kernels and computes in plain torch; build with BOTAN_FAST_CUDA=ON"
    assert [str(w.message) for w in said] == ([] if built else [text])
