"""The benchmark of descriptors, on a system that is small enough for a test."""

import json

from benchmarks import descriptors


def test_a_result_file(tmp_path, capsys):
    path = descriptors.main(["--particles", "4096", "--threads", "1", "--rounds", "0"], tmp_path / "new" / "found.json")
    record = json.loads(path.read_text())
    assert {"machine", "versions", "commit", "date"} <= set(record)
    assert [entry["set"] for entry in record["timings"]] == list(descriptors.SETS)
    for entry in record["timings"]:
        assert entry["particles"] == 4096
        assert entry["columns"] > 0
        assert 0 < entry["seconds"] < 60
    assert capsys.readouterr().out.count("processor") == len(descriptors.SETS)
