"""The short part of the fuzzing: a few damaged files of every kind. `python -m tests.fuzz` is the long one."""

import time

import numpy as np
import pytest

from tests.fuzz.files import FORMATS, KINDS, make
from tests.fuzz.mutations import mutate
from tests.fuzz.worker import attempt, mutation
from tests.helpers.format_files import write_all

MUTATIONS = 40


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_or_refused_in_one_line(tmp_path, kind):
    target = make(kind, tmp_path)
    whole = target.path.read_bytes()
    assert attempt(target, whole) == "read"
    for number in range(MUTATIONS):
        start = time.process_time()
        assert attempt(target, mutation(whole, kind, 0, number)) in ("read", "refused"), number
        assert time.process_time() - start < 2


def test_every_format_is_fuzzed(tmp_path):
    assert sorted(write_all(tmp_path)) == sorted(FORMATS)


def test_damage_is_decided_by_the_seed_and_is_damage():
    content = b"ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n3\n" * 20
    changed = [mutate(content, np.random.default_rng(k)) for k in range(50)]
    assert changed == [mutate(content, np.random.default_rng(k)) for k in range(50)]
    assert sum(one != content for one in changed) > 45


def test_a_traceback_is_a_finding(tmp_path):
    target = make("xyz", tmp_path)
    target.read = lambda: [][0]
    assert "IndexError" in attempt(target, b"")
