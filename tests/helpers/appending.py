"""Appends files to a data set until each is stored: `python -m tests.helpers.appending OUTPUT FILE ...`."""

import sys
import time

import botan_fast as bf

if __name__ == "__main__":
    output, *files = sys.argv[1:]
    print("ready", flush=True)
    sys.stdin.readline()
    for file in files:
        while True:
            try:
                bf.convert(file, output, append=True, cutoff=1.5)
            except bf.BotanFastError as error:
                if "is being written by another process" not in str(error):
                    raise
                time.sleep(0.001)
            else:
                print("stored", file, flush=True)
                break
