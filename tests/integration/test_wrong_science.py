"""Nothing wrong in silence: what a new user does with good files and wrong labels gets the right label, or a word."""

import re
import shlex
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.cli import main
from botan_fast.errors import DataError, InputError
from botan_fast.paper import times_of
from tests.helpers.authors_archive import tags_by_time, warned, write_archive
from tests.helpers.command_line import SMALL, error_line
from tests.helpers.run_files import write_runs, write_species
from tests.helpers.tiny_data import TINY, tiny_arrays, write_tiny

FAST = {**TINY, "epochs": 1, "progress": False}
LAYOUT = 'pattern = "T{{temperature}}/train/isoconfig_N*_{{configuration}}_tc{{index}}.npz"\ntimes = {times}\n'


class TestTagsOfTheAuthors:
    """{index} counts from 0 or 1 as the files do, and the authors' tags as Table I does."""

    def test_the_layout_of_the_docs(self, tmp_path):
        write_archive(tmp_path / "T0.44/train", configurations=(1,))
        layout = tmp_path / "layout.toml"
        layout.write_text(LAYOUT.format(times=list(times_of(0.44))))
        samples = bf.load_samples(layout, time=list(times_of(0.44)))
        assert tags_by_time(samples) == dict(zip(times_of(0.44), range(1, 11), strict=True))
        [one] = bf.load_samples(layout, time=4120)
        assert (one.name, one.temperature) == ("T0.44_1", 0.44)

    @pytest.mark.parametrize(
        ("temperature", "tags"), [("0.44", range(1, 11)), ("0.50", range(1, 11)), ("0.64", range(2, 11))]
    )
    @pytest.mark.parametrize("listed", [True, False])
    def test_every_temperature_with_and_without_times(self, tmp_path, temperature, tags, listed):
        write_archive(tmp_path / f"T{temperature}/train", temperature, (1,), tags)
        times = times_of(float(temperature))
        layout = tmp_path / "layout.toml"
        text = LAYOUT.format(times=list(times))
        layout.write_text(text if listed else text.splitlines()[0])
        samples, said = warned(lambda: bf.load_samples(layout, time=list(times)))
        assert tags_by_time(samples) == dict(zip(times, tags, strict=True))
        assert not [line for line in said if "layout" in line]

    def test_a_file_alone_and_a_glob(self, tmp_path):
        write_archive(tmp_path / "train", tags=[7])
        for data in ("train/isoconfig_N80T0.44_1_tc07.npz", "train/*.npz"):
            assert {(s.temperature, s.time) for s in bf.load_samples(tmp_path / data)} == {(0.44, 4120.0)}

    def test_a_temperature_that_the_paper_has_not(self, tmp_path):
        write_archive(tmp_path / "T0.47", "0.47", (1,), [7])
        [sample] = bf.load_samples(tmp_path / "T0.47/*.npz")
        assert (sample.temperature, sample.time) == (0.47, None)

    def test_the_user_knows_better_and_is_told(self, tmp_path):
        write_archive(tmp_path / "a", configurations=(1,), tags=[7])
        path, said = warned(lambda: bf.convert(tmp_path / "a/*.npz", tmp_path / "a.h5", time=4.0, temperature=0.5))
        assert bf.Dataset(path).temperature_time_pairs() == [(0.5, 4.0)]
        assert [line.split(",")[0] for line in said] == ["temperature = 0.5 is given", "time = 4 is given"]
        assert "the names of the files tell 4120" in said[1]
        layout = tmp_path / "b.toml"
        layout.write_text('pattern = "a/*_{configuration}_tc{index}.npz"\ntimes = [1, 2, 3, 4, 5, 6, 7]\n')
        [sample], said = warned(lambda: bf.load_samples(layout))
        assert sample.time == 7.0
        assert len(said) == 1
        assert re.search("says time = 7 where the name of .*_tc07.npz says 4120; the layout", said[0])

    @pytest.mark.parametrize(
        ("indices", "times", "first", "expected"),
        [
            ([0, 1, 2], 3, None, 0),
            ([0, 2], 3, None, 0),
            ([1, 2, 3], 3, None, 1),
            ([1, 2], 3, 1, 1),
            ([2, 3], 3, 2, 2),
            ([1, 2], 3, None, r"\{index\} goes from 1 to 2 and times has 3 values, .* first = 1"),
            ([2, 3, 4], 3, None, r"\{index\} goes from 2 to 4 and times has 3 values"),
            ([0, 1, 2, 3], 3, None, r"is time number 3, but times has 3 values, the first of them number 0"),
            ([1, 2, 3], 3, -1, r"first = -1; expected a whole number"),
        ],
    )
    def test_other_patterns_count_as_their_files_do(self, tmp_path, indices, times, first, expected):
        for k in indices:
            shutil.copy(write_tiny(tmp_path / "x.npz", 1), tmp_path / f"c1_at{k}.npz")
        layout = tmp_path / "layout.toml"
        more = "" if first is None else f"first = {first}\n"
        layout.write_text(
            f'pattern = "{{configuration}}_at{{index}}.npz"\ntimes = {[10.0 + k for k in range(times)]}\n{more}'
        )
        if isinstance(expected, str):
            with pytest.raises(DataError, match=expected):
                bf.formats.read(layout)
        else:
            assert [c.time for c in bf.formats.read(layout)] == [10.0 + k - expected for k in indices]


class TestTheArchiveAsItLies:
    """Ten times of a configuration in one folder, and copies of files."""

    def test_train_lists_the_times(self, tmp_path):
        write_archive(tmp_path / "T0.44/train")
        with pytest.raises(InputError, match=r"times 0\.13, 1\.3, 13, .*, 41200, 130000; choose with time="):
            bf.train(tmp_path / "T0.44/train/*.npz", **FAST)
        samples = bf.load_samples(tmp_path / "T0.44/train/*.npz", time=412)
        assert [(s.name, s.time) for s in samples] == [(f"isoconfig_N80T0.44_{k}_tc05", 412.0) for k in (1, 2)]

    def test_convert_makes_one_configuration_of_ten_files(self, tmp_path):
        write_archive(tmp_path / "T0.44/train")
        dataset = bf.Dataset(bf.convert(tmp_path / "T0.44/train/*.npz", tmp_path / "a.h5"))
        assert dataset.names == ["isoconfig_N80T0.44_1"] * 10 + ["isoconfig_N80T0.44_2"] * 10
        assert len(set(dataset.groups)) == 2
        assert tags_by_time(dataset[:10]) == dict(zip(times_of(0.44), range(1, 11), strict=True))
        again = bf.convert(tmp_path / "T0.44/train/*.npz", tmp_path / "a.h5", append=True)
        assert len(bf.Dataset(again)) == 20
        late = bf.convert(tmp_path / "T0.44/train/*.npz", tmp_path / "late.h5", time=[412, 4120])
        assert bf.Dataset(late).times == [412.0, 4120.0]

    def test_equal_positions_at_other_times_become_one_whatever_their_names(self, tmp_path):
        arrays = tiny_arrays(1)
        plain = {"positions": arrays["initial_positions"], "types": arrays["types"], "box": (80 / 1.2) ** (1 / 3)}
        for name, time in (("early", 1.0), ("late", 10.0)):
            np.savez(tmp_path / f"{name}.npz", **plain, trajectories=arrays["positions"], time=time)
        dataset = bf.Dataset(bf.convert(tmp_path / "*.npz", tmp_path / "a.h5"))
        assert (dataset.names, dataset.times, len(set(dataset.groups))) == (["early"] * 2, [1.0, 10.0], 1)

    @pytest.mark.parametrize("rename", ["isoconfig_N80T0.44_1_tc07 (1).npz", "copy.npz", "a_tc07.npz"])
    def test_a_configuration_twice_is_refused(self, tmp_path, rename, tiny_model):
        folder = write_archive(tmp_path / "a", configurations=(1,), tags=[7])
        shutil.copy(folder / "isoconfig_N80T0.44_1_tc07.npz", folder / rename)
        message = r"the same configuration twice: .*\.npz and .*\.npz"
        for use in (
            lambda: bf.load_samples(folder / "*.npz"),
            lambda: bf.train(folder / "*.npz", **FAST),
            lambda: bf.evaluate(tiny_model, folder / "*.npz"),
            lambda: bf.convert(folder / "*.npz", tmp_path / "a.h5"),
        ):
            with pytest.raises(InputError, match=message):
                use()
        assert len(list(bf.predict(tiny_model, folder / "*.npz", time=4120) if "(1)" in rename else [0] * 2)) == 2

    def test_samples_and_data_sets_too(self, tmp_path, tiny_model):
        path = write_tiny(tmp_path / "a.npz", 1)
        [a], [b] = bf.load_samples(path), bf.load_samples(path)
        for samples in ([a, b], [a, a]):
            with pytest.raises(InputError, match="the same configuration twice: a and a, at times that are not"):
                bf.train(samples, **FAST)
        bf.convert(path, tmp_path / "a.h5")
        with pytest.raises(InputError, match="the same configuration twice"):
            bf.evaluate(tiny_model, [path, tmp_path / "a.h5"])

    def test_float32_copies_are_the_same_and_neighbours_in_time_are_not(self, tmp_path):
        arrays = tiny_arrays(1)
        np.savez(tmp_path / "a.npz", **arrays)
        np.savez(tmp_path / "b.npz", **{**arrays, "initial_positions": arrays["initial_positions"].astype(np.float32)})
        with pytest.raises(InputError, match="the same configuration twice"):
            bf.load_samples(tmp_path / "*.npz")
        moved = arrays["initial_positions"] + 0.003  # a step of molecular dynamics
        np.savez(tmp_path / "b.npz", **{**arrays, "initial_positions": moved % (80 / 1.2) ** (1 / 3)})
        assert len(bf.load_samples(tmp_path / "*.npz")) == 2


class TestRunsInFilesOfTheirOwn:
    """Runs from one configuration, given as configurations."""

    @pytest.mark.parametrize(
        ("name", "glob", "pattern"),
        [
            ("config_{c}/run_{r}.dump", "config_*/run_*.dump", "config_{configuration}/run_{run}.dump"),
            ("c{c}_r{r}.dump", "c*.dump", "c{configuration}_r{run}.dump"),
            ("{c}/{w}.lammpstrj", "*/*.lammpstrj", "{configuration}/{run}.lammpstrj"),
            ("r{r}/conf{c}.dump", "r*/conf*.dump", "r{run}/conf{configuration}.dump"),
            ("c{c}/r{r}/c{c}.dump", "c*/r*/*.dump", "c{configuration}/r{run}/c{configuration}.dump"),
        ],
    )
    def test_the_line_that_is_printed_works(self, tmp_path, monkeypatch, capsys, name, glob, pattern):
        monkeypatch.chdir(tmp_path)
        write_runs(name, configurations=(1, 2, 11), runs=(1, 2, 3))
        command = ["convert", glob, "--time", "0.13", "4", "16.5", "-o", "a.h5", "--quiet"]
        line = error_line(command, capsys)
        assert "runs of one configuration" in line
        assert re.search(r"use the pattern '(.+)'", line)[1] == pattern
        again = shlex.split(shlex.join(command).replace(shlex.quote(glob), shlex.quote(pattern)))
        assert main(again) == 0
        assert capsys.readouterr().err == ""
        dataset = bf.Dataset("a.h5")
        assert (dataset.times, len(set(dataset.groups)), {s.num_runs for s in dataset}) == ([0.13, 4.0, 16.5], 3, {3})

    @pytest.mark.parametrize("use", ["train", "evaluate"])
    def test_train_and_evaluate_know_it_as_well(self, tmp_path, monkeypatch, tiny_model, use):
        monkeypatch.chdir(tmp_path)
        write_runs("T0.64/c{c}/run{r}.dump", (1, 2), (1, 2), times=[0.0, 0.13, 4.0, 16.5])
        data = "T0.64/c*/run*.dump"
        with pytest.raises(InputError, match=r"use the pattern 'T0\.64/c\{configuration\}/run\{run\}\.dump'"):
            bf.train(data, time=4, **FAST) if use == "train" else bf.evaluate(tiny_model, data, time=4)
        samples = bf.load_samples("T0.64/c{configuration}/run{run}.dump", time=4)
        assert [s.num_runs for s in samples] == [2, 2]

    def test_the_runs_of_one_configuration(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write_runs("T0.64/config_{c}/run_{r}.dump", (3,), (1, 2))
        with pytest.raises(InputError, match=r"'T0\.64/config_\{configuration\}/run_\{run\}\.dump'"):
            bf.convert("T0.64/*/*.dump", "a.h5", time=[1, 2, 3])
        assert not list(tmp_path.glob("a.h5*"))  # nothing is left of the wrong records

    def test_one_run_is_a_displacement(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write_runs("c{c}.dump", (1, 2), (1,))
        _, said = warned(lambda: bf.convert("c*.dump", "a.h5", time=[1, 2, 3]))
        assert len(said) == 1
        assert said[0].startswith("2 of 2 configurations have one run, such as c1: S_i is then a displacement")
        _, said = warned(lambda: bf.train("a.h5", time=1, **FAST))
        assert [line.split(",")[0] for line in said] == ["2 of 2 configurations have one run"]


class TestSpecies:
    """Which species is A, and which B, is the same everywhere, is said, and can be said."""

    def plain(self, path, types):
        arrays = tiny_arrays(1)
        positions = arrays["initial_positions"]
        np.savez(
            path,
            positions=positions,
            types=types(arrays["types"]),
            trajectories=arrays["positions"],
            box=(80 / 1.2) ** (1 / 3),
        )
        return path

    def test_types_from_1_are_renumbered_with_a_word(self, tmp_path):
        [wanted] = bf.load_samples(self.plain(tmp_path / "a.npz", lambda t: t))
        [sample], said = warned(lambda: bf.load_samples(self.plain(tmp_path / "b.npz", lambda t: t + 1)))
        assert sample.types.tolist() == wanted.types.tolist()
        assert [line.split(";")[0] for line in said] == [
            "types hold 1, 2 and no 0: they are read as counted from 1 (1 as A, 2 as B)"
        ]
        pyg = tiny_arrays(1)
        np.savez(tmp_path / "c.npz", **{**pyg, "types": pyg["types"] + 1})
        assert bf.load_samples(tmp_path / "c.npz")[0].types.tolist() == wanted.types.tolist()

    @pytest.mark.parametrize("types", [lambda t: t + 2, lambda t: 2 * t + 1])
    def test_numbers_that_cannot_be_known_are_refused(self, tmp_path, types):
        with pytest.raises(DataError, match=r"types hold \d, \d and no 0; number the species from 0"):
            bf.load_samples(self.plain(tmp_path / "a.npz", types))

    def test_unseen_numbers_are_refused(self, tmp_path):
        good = self.plain(tmp_path / "good.npz", lambda t: t)
        gap = self.plain(tmp_path / "gap.npz", lambda t: 2 * t)
        with pytest.raises(
            InputError, match=r"no particle of the training data is of type 1 \(B\), but gap has type 2"
        ):
            bf.train(gap, **FAST)
        with pytest.raises(InputError, match=r"gap of the test has particles of type 2 \(C\), which no training"):
            bf.train(good, gap, **FAST)
        assert bf.load_samples(gap, species=["A", "C"])[0].types.tolist() == bf.load_samples(good)[0].types.tolist()

    def test_the_mapping_is_printed(self, tmp_path, capsys):
        data = write_species(tmp_path / "a.xyz", ("Si", "Ge"))
        assert main(["convert", str(data), "-o", str(tmp_path / "a.h5"), "--quiet"]) == 0
        assert "a: A 64 (Si), B 16 (Ge)" in capsys.readouterr().out
        options = [option for option in SMALL if option != "--quiet"]
        assert (
            main(["train", "--train", str(tmp_path / "a.h5"), "--epochs", "1", "-o", str(tmp_path / "r"), *options])
            == 0
        )
        assert "a: A 64 (Si), B 16 (Ge)" in capsys.readouterr().err

    def test_names_in_the_order_that_is_wanted(self, tmp_path, tiny_model, capsys):
        a = write_species(tmp_path / "a.xyz", ("Si", "Ge"))
        kept = bf.convert(a, tmp_path / "a.h5", species=["Ge", "Si"])
        for data, order in ((a, ("Ge", "Si")), (kept, None), (a, ("Si", "Ge")), (kept, ("Si", "Ge"))):
            [sample] = bf.load_samples(data, species=order)
            counts = {name: int(n) for name, n in zip(sample.species, np.bincount(sample.types), strict=True)}
            assert counts == {"Si": 64, "Ge": 16}
            assert sample.species == (order or ("Ge", "Si"))
            assert np.array_equal(sample.types, sample.graph.types.numpy())
        for species, message in (
            (["Si"], r"species = Si lacks Ge; .*a\.xyz has the species Si, Ge"),
            (["Si", "O"], "lacks Ge"),
            (["Si", "Ge", "O"], r"species = Si Ge O: O is not in the data, which have Si, Ge"),
            (["Si", "Si"], "each once"),
        ):
            for use in (bf.load_samples, lambda d, **k: bf.evaluate(tiny_model, d, **k), bf.train):
                with pytest.raises(InputError, match=message):
                    use(a, species=species)
            assert (
                message.split(" ")[-1]
                in error_line(["convert", a, "-o", tmp_path / "b.h5", "--species", *species], capsys)
                or "once" in message
            )
        assert bf.evaluate(tiny_model, a, species=["Si", "Ge"]) == bf.evaluate(tiny_model, a)
        [p], [q] = (list(bf.predict(tiny_model, a, species=order)) for order in (["Ge", "Si"], ["Si", "Ge"]))
        assert np.array_equal(p.types, 1 - q.types)

    def test_files_that_disagree_are_refused(self, tmp_path):
        a = write_species(tmp_path / "a.xyz", ("Si", "Ge"), seed=1)
        b = write_species(tmp_path / "b.xyz", ("Ge", "Si"), seed=2)
        for use in (lambda: bf.load_samples([a, b]), lambda: bf.convert([a, b], tmp_path / "a.h5")):
            with pytest.raises(
                DataError, match=r"b\.xyz: the species are Ge, Si in this order, but Si, Ge in .*a\.xyz"
            ):
                use()
        with pytest.raises(DataError, match="the species are Ge, Si in this order, but Si, Ge"):
            bf.train(a, b, **FAST)
        assert len(bf.load_samples([a, b], species=["Si", "Ge"])) == 2

    def test_a_minority_in_the_place_of_a(self, tmp_path):
        path = write_species(tmp_path / "a.xyz", ("B", "A"))
        _, said = warned(lambda: bf.load_samples(path))
        assert said[-1] == (
            "type 0 is the minority (16 of 80 particles), but the paper's A, of which the scores are, is the majority; "
            "--species B A (species=) puts it first"
        )
        assert len(warned(lambda: bf.load_samples(path, species=["B", "A"]))[1]) == len(said) - 1


class TestAWordEach:
    """What is legal, but rarely meant, on standard error and as a Python warning, once."""

    @pytest.fixture(scope="class")
    def archive(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("archive")
        write_archive(folder / "train", configurations=(1, 2), tags=[1, 7])
        write_archive(folder / "test", configurations=(2, 3), tags=[1, 7])
        return folder

    CASES = (
        ({"train": "train", "test": "train", "time": [4120]}, "2 of 2 test configurations are among the training"),
        ({"train": "train", "test": "test", "time": [4120]}, "1 of 2 test configurations are among the training"),
        ({"train": "train", "time": [4120], "num_steps": 0}, "num_steps = 0: no messages are passed"),
    )

    @pytest.mark.parametrize(("case", "expected"), CASES)
    def test_python(self, archive, case, expected):
        options = {**FAST, **case}
        data = {name: archive / options.pop(name) / "*.npz" for name in ("train", "test") if name in options}
        _, said = warned(lambda: bf.train(**data, **options))
        assert len(said) == 1
        assert said[0].startswith(expected)

    @pytest.mark.parametrize(("case", "expected"), CASES)
    def test_command(self, archive, tmp_path, capsys, case, expected):
        options = [f"--{name} {archive / case[name]}/*.npz" for name in ("train", "test") if name in case]
        options += ["--time " + " ".join(map(str, case["time"])), *SMALL]
        if "num_steps" in case:
            options += ["--num-steps 0"]
        assert main(["train", *" ".join(options).split(), "--epochs", "1", "-o", str(tmp_path / "run")]) == 0
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith(f"botan-fast: warning: {expected}")

    def test_a_test_at_another_time(self, archive):
        test = bf.load_samples(archive / "test/isoconfig_N80T0.44_3_*.npz", time=0.13)
        train = bf.load_samples(archive / "train/*.npz", time=4120)
        _, said = warned(lambda: bf.train(train, test, **FAST))
        assert said == ["the test is at time 0.13, the training at 4120; choose with time="]

    def test_nothing_is_said_of_good_data(self, archive):
        train, test = archive / "train/*_1_*.npz", archive / "test/*.npz"
        assert warned(lambda: bf.train(train, test, time=4120, **FAST))[1] == []


class TestResume:
    """A run goes on with the targets that it began with."""

    @staticmethod
    def samples(change=lambda t: t, **more):
        arrays = tiny_arrays(1)
        graph = bf.build_graph(arrays["initial_positions"], arrays["types"], np.full(3, (80 / 1.2) ** (1 / 3)))
        targets = bf.isoconfigurational_targets(arrays["initial_positions"], arrays["positions"], graph)
        return [bf.Sample(graph, change(targets), "a", torch.from_numpy(arrays["initial_positions"]), **more)]

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            (lambda t: replace(t, propensity=t.propensity.flip(0)), "propensity of a"),
            (lambda t: replace(t, pair_change=-t.pair_change), "pair_change of a"),
            (lambda t: replace(t, num_runs=5), "runs of a: 5 instead of 6"),
        ],
    )
    def test_other_targets_of_the_same_positions_and_mean(self, tmp_path, change, expected):
        bf.train(self.samples(), output=tmp_path, **FAST)
        more = {**FAST, "epochs": 2, "output": tmp_path, "resume": True}
        with pytest.raises(InputError, match=rf"train = data with other targets \({expected}\) differs from the run"):
            bf.train(self.samples(change), **more)
        rounded = self.samples(lambda t: replace(t, propensity=t.propensity * (1 + 1e-7), pair_change=t.pair_change))
        assert len(bf.train(rounded, **more).history) == 2

    def test_another_time(self, tmp_path):
        bf.train(self.samples(time=4.0), output=tmp_path, **FAST)
        with pytest.raises(InputError, match=r"\(time of a: 13 instead of 4\)"):
            bf.train(self.samples(time=13.0), **{**FAST, "epochs": 2}, output=tmp_path, resume=True)
        assert bf.train(self.samples(), **{**FAST, "epochs": 2}, output=tmp_path, resume=True).history[-1]["epoch"] == 1
