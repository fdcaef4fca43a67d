"""benchmarks.demo with one epoch."""

import json

from benchmarks import demo


def test_both_kinds_of_input(tmp_path):
    record = json.loads(demo.main(["--seeds", "1", "--epochs", "1"], tmp_path).read_text())
    assert record["epochs"] == 1
    for name in ("demo", "without the minimum"):
        [row] = record[name]
        assert -1 <= row["node"] <= 1
        assert row["seconds"] > 0
    assert record["whole"]["seconds"] > 0
    assert -1 <= record["whole"]["baseline"]["node"] <= 1
