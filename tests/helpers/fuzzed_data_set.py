"""Reads a data set with random damage 200 times: `python -m tests.helpers.fuzzed_data_set FILE FOLDER SEED`.

Each damaged file must be read as before, because nobody reads what changed, or refused by one line that names it,
within a second. Prints how often either happened, as JSON.
"""

import json
import random
import sys
import time
from pathlib import Path

import botan_fast as bf
from botan_fast.errors import BotanFastError


def contents(path):
    with bf.Dataset(path) as dataset:
        sizes = [(s.graph.num_edges, len(s.targets.pair_change)) for s in dataset]
        arrays = [{k: v.tobytes() for k, v in dataset.arrays(i).items()} for i in range(len(dataset))]
        return dataset.names, dataset.temperature_time_pairs(), sizes, arrays


def damaged(original: bytes, kind: int, rng: random.Random) -> bytes:
    """Cut off, one bit changed, 64 random bytes, or one bit changed where the metadata are."""
    data = bytearray(original)
    if kind == 0:
        return data[: rng.randrange(len(data))]
    if kind == 1:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        start = rng.randrange(len(data))
        data[start : start + 64] = rng.randbytes(64)
    else:
        data[rng.randrange(4096)] ^= 1 << rng.randrange(8)
    return data


def main(file: str, folder: str, seed: str):
    expected = contents(file)  # takes the time of the imports as well
    original, path, rng = Path(file).read_bytes(), Path(folder) / "fuzzed.h5", random.Random(int(seed))
    found = {"read": 0, "refused": 0}
    for number in range(200):
        path.write_bytes(damaged(original, number % 4, rng))
        start = time.process_time()  # other processes do not count
        try:
            assert contents(path) == expected  # what changed was not part of the data
            found["read"] += 1
        except BotanFastError as error:
            message = str(error)
            assert str(path) in message, message
            assert "\n" not in message, message
            found["refused"] += 1
        assert time.process_time() - start < 1
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
