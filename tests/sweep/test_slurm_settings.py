"""The table [slurm] of a plan, and the words of the command line: values, and one line for each mistake."""

import pytest

from botan_fast.errors import InputError
from botan_fast.sweep.slurm_settings import check_slurm, from_words, settings_of

STAGES = ["data", "botan"]


@pytest.mark.parametrize(
    ("time", "minutes"),
    [
        (90, 90),
        (4.5, 4.5),
        ("90", 90),
        ("90:30", 90.5),
        ("12:00:00", 720),
        ("1-12", 2160),
        ("1-12:30", 2190),
        ("2-00:00:30", 2880.5),
    ],
)
def test_times_as_slurm_reads_them(time, minutes):
    assert settings_of([check_slurm({"time": time}, STAGES, "p.toml")], "botan").minutes == minutes


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"partion": "gpu"}, r"p\.toml, \[slurm\]: unknown option partion; did you mean partition\?"),
        ({"cpus": 4}, r"unknown option cpus; did you mean cpus_per_task\?"),
        ({"dta": {"time": 60}}, r"p\.toml: \[slurm\.dta\] is no stage of the plan; did you mean data\?"),
        ({"zz": {"time": 60}}, r"\[slurm\.zz\] is no stage of the plan; the stages are data, botan"),
        ({"data": {"jobs": 0}}, r"p\.toml, \[slurm\.data\]: jobs = 0; give a whole number of at least 1"),
        ({"gpus_per_node": -1}, "gpus_per_node = -1; give a whole number of at least 0"),
        ({"jobs": 2.5}, r"jobs = 2\.5; give a whole number"),
        ({"partition": 5}, "partition = 5; give a text in quotes"),
        ({"partition": {"a": 1}}, r"partition is a table; give a text in quotes"),
        ({"time": "tomorrow"}, 'time = "tomorrow"; give minutes, or a time such as'),
        ({"time": 0}, "time = 0; give minutes"),
        ({"time": float("nan")}, "time = nan; give minutes"),
        ({"signal_delay_s": -5}, "signal_delay_s = -5; give seconds above 0"),
        ({"sbatch": ["mail-type=END"]}, r'sbatch = "mail-type=END"; write each as "--name=value"'),
        ({"setup": ["module load a\0b"]}, "null character"),
    ],
)
def test_a_mistake_in_the_plan_is_one_line(table, message):
    with pytest.raises(InputError, match=message) as error:
        check_slurm(table, STAGES, "p.toml")
    assert "\n" not in str(error.value)


def test_slurm_that_is_no_table():
    with pytest.raises(InputError, match=r"slurm = gpu; write a table"):
        check_slurm("gpu", STAGES, "p.toml")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("partition", "--slurm-option partition: give KEY=VALUE"),
        ("jobs=many", 'jobs = "many"; give a whole number'),
        ("train.time=60", r"\[slurm\.train\] is no stage"),
        ("tim=60", r"unknown option tim; did you mean time\?"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(word, message):
    with pytest.raises(InputError, match=message):
        from_words([word], STAGES, "--slurm-option")


def test_a_time_that_is_over_before_the_signal():
    with pytest.raises(InputError, match="signal_delay_s = 180 s is not shorter than time = 2 minutes"):
        settings_of([check_slurm({"time": 2}, STAGES, "p.toml")], "botan")


def test_numbers_that_are_words_stay_words():
    found = from_words(["account=12345", "mem=8000", "sbatch=--nice=5", "sbatch=--exclusive"], STAGES, "--slurm-option")
    parameters = settings_of([found], "botan").parameters
    assert (parameters["account"], parameters["mem"]) == ("12345", "8000")
    assert parameters["additional_parameters"] == {"requeue": True, "nice": "5", "exclusive": True}


def test_all_parameters_are_known_to_submitit():
    """A name that submitit does not know would be an error only on a cluster."""
    from submitit.slurm.slurm import _get_default_parameters

    table = {"partition": "a", "account": "b", "qos": "c", "cpus_per_task": 2, "gpus_per_node": 1, "gres": "gpu:1"}
    table |= {"mem": "1GB", "constraint": "d", "exclude": "e", "array_parallelism": 3, "setup": ["f"]}
    table |= {"srun_args": ["--cpu-bind=none"], "sbatch": ["--exclusive"], "time": 10, "requeues": 3, "jobs": 2}
    table |= {"tasks_per_job": 1, "workers_per_job": 2, "signal_delay_s": 60}
    from botan_fast.sweep.slurm_settings import SLURM

    assert set(table) == {option.name for option in SLURM}
    parameters = settings_of([check_slurm(table, STAGES, "p.toml")], "botan").parameters
    assert set(parameters) <= set(_get_default_parameters())
