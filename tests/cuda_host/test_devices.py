"""GPUs with less: of shared memory, where kernels have fewer warps and smaller tiles, or of instructions."""

import warnings

import pytest
import torch

from botan_fast import device, ops
from botan_fast.ops import precision as precisions
from botan_fast.ops.precision import has_message_passing
from tests.helpers.emulated_networks import TOLERANCE, assert_close, assert_same_bits, check_mlp, expected, run
from tests.helpers.processor_case import Case, clear_case

SMALL = 99 << 10  # bytes of a block on RTX 30, 40 and 50, A40 and L40: fewer warps and smaller tiles


@pytest.mark.parametrize("precision", ops.PRECISIONS)
@pytest.mark.parametrize("hidden", [32, 64])
def test_less_shared_memory_gives_the_same(emulator, precision, hidden):
    """Without room for the rows of the next tile they are read when they are needed. The same bits, but for the
    gradient of MLP_e's b2, which is added up in another order."""
    case = Case(9, 700, hidden, steps=2, start=True)
    want = run(emulator, case, precision)
    emulator.set_max_shared_bytes(131 << 10 if hidden == 64 else 64 << 10)
    assert emulator.has_message_passing(0, hidden, ops.PRECISIONS.index(precision))
    got = run(emulator, case, precision)
    assert_close(got.pop(-5), want.pop(-5), 1e-6)
    assert_same_bits(got, want)


def test_the_choice_of_a_path_is_traced(emulator, monkeypatch):
    """A model compiled in one piece asks once, at compile time."""
    monkeypatch.setattr(device, "CUDA_KERNELS", emulator)

    @torch.compile(backend="eager", fullgraph=True)
    def widths(x):
        return x + sum(has_message_passing(0, hidden) for hidden in (32, 48, 64, 128))

    assert widths(torch.zeros(1)) == 3


def test_too_little_shared_memory(emulator):
    def widths(precision):
        return [h for h in (32, 48, 64, 128) if emulator.has_message_passing(0, h, ops.PRECISIONS.index(precision))]

    emulator.set_max_shared_bytes(SMALL)
    assert [widths(p) for p in ops.PRECISIONS] == [[32, 64, 128]] * 3
    emulator.set_max_shared_bytes(72 << 10)
    assert [widths(p) for p in ops.PRECISIONS] == [[32], [32, 64], [32]]  # fp32, bf16, tf32
    emulator.set_max_shared_bytes(48 << 10)
    assert [widths(p) for p in ops.PRECISIONS] == [[], [32], []]


@pytest.mark.parametrize("capability", [70, 75, 80, 90])
def test_a_gpu_without_the_instructions(emulator, monkeypatch, capability):
    """Below 8.0 nothing is launched, and one warning says so; plain torch and the CPU's searches take over."""
    monkeypatch.setattr(device, "CUDA_KERNELS", emulator)
    monkeypatch.setattr(device, "_runs", {})
    emulator.set_compute_capability(capability)
    gpu = torch.device("cuda", 0)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = [device.kernels_for(gpu) for _ in range(3)]
        fast = has_message_passing(0, 64), ops.has_fast_path(64, torch.float32, gpu)
    able = capability >= 80
    assert found == [emulator if able else None] * 3
    assert fast == (able, able)
    text = f"cuda:0 has compute capability {capability // 10}.{capability % 10}, and the CUDA kernels need 8.0"
    assert [str(w.message).startswith(text) for w in said] == ([] if able else [True])


@pytest.mark.parametrize("driver", [True, False])
def test_a_driver_that_is_too_old(monkeypatch, driver):
    """Kernels of a newer CUDA than the driver's: plain torch, said once. Without any driver a tracer is answered."""

    class TooNew:
        def can_run(self, index):
            raise RuntimeError("CUDA driver version is insufficient for CUDA runtime version")

    monkeypatch.setattr(device, "CUDA_KERNELS", TooNew())
    monkeypatch.setattr(device, "_runs", {})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: driver)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = [device.kernels_for(torch.device("cuda", 0)) is None for _ in range(2)]
    assert found == [driver] * 2
    assert ["driver version is insufficient" in str(w.message) for w in said] == [True] * driver


@pytest.mark.parametrize(("precision", "said"), [("fp32", True), ("tf32", True), ("bf16", False)])
def test_too_little_shared_memory_is_said_once(emulator, monkeypatch, precision, said):
    """By precision: bf16 takes less."""
    monkeypatch.setattr(device, "CUDA_KERNELS", emulator)
    monkeypatch.setattr(precisions, "CUDA_KERNELS", emulator)
    monkeypatch.setattr(precisions, "_warned", set())
    emulator.set_max_shared_bytes(72 << 10)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for _ in range(2):
            ops.warn_if_slow(64, precision, torch.device("cuda", 0))
    assert [f"hidden_size = 64 in precision = '{precision}'" in str(w.message) for w in found] == (
        [True] if said else []
    )


@pytest.mark.parametrize("precision", ops.PRECISIONS)
@pytest.mark.parametrize(("hidden", "save_memory"), [(32, False), (64, False), (64, True), (128, False), (128, True)])
def test_small_shared_memory(emulator, rounding, precision, hidden, save_memory):
    """Outputs have the same bits; gradients of weights are added up in another order. Several tiles in a block."""
    edges = 700 if hidden < 128 else 300
    make = clear_case if precision == "fp32" else Case
    case = make(9, edges, hidden, steps=2, start=True)
    want = run(emulator, case, precision, save_memory=save_memory)
    emulator.set_max_shared_bytes(SMALL)
    got = run(emulator, case, precision, save_memory=save_memory)
    assert_same_bits(got[:2], want[:2])
    for a, b in zip(got, want, strict=True):
        assert_close(a, b, 2e-6)
    if precision == "fp32":
        for a, b in zip(got, expected(case, "fp32"), strict=True):
            assert_close(a, b, TOLERANCE["fp32"])


@pytest.mark.parametrize("precision", ops.PRECISIONS)
@pytest.mark.parametrize(
    ("inputs", "hidden", "decode"), [(3, 64, False), (64, 64, True), (90, 64, False), (128, 128, True)]
)
def test_mlp_in_small_shared_memory(emulator, rounding, precision, inputs, hidden, decode):
    emulator.set_max_shared_bytes(SMALL)
    check_mlp(emulator, 200, inputs, hidden, decode, precision, rounding(precision))
