"""Ceilings and clocks: arithmetic on made-up times."""

from botan_fast.bench import machine


def test_ceilings_follow_the_clock(monkeypatch):
    monkeypatch.setattr(machine, "measured_times", lambda function, rounds: [0.5, 0.25])
    assert machine.ceilings() == {
        "matrix_product_flops_per_second": 2 * 2048**3 / 0.25,
        "copy_bytes_per_second": 8 * 32 * 2**20 / 0.25,
    }


def test_rounds_end_with_the_budget(monkeypatch):
    ticks = iter(range(100))
    monkeypatch.setattr(machine, "perf_counter", lambda: next(ticks))  # each call takes 1 s
    assert machine.measured_times(lambda: None, 30, 4.0, 3) == [1] * 4
    assert machine.measured_times(lambda: None, 30, 1.0, 3) == [1] * 3
    assert machine.measured_times(lambda: None, 5) == [1] * 5
