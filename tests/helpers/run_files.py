"""LAMMPS dumps of runs from the same configurations, in files of their own, and extended XYZ with species by name."""

from pathlib import Path

import numpy as np

N, EDGE = 80, 4.5


def write_runs(name, configurations, runs, times=None, frames=4):
    """One dump for each run; `name` has {c} and {r}, or {w} for a run that is a word. Times are in it if given."""
    for c in configurations:
        rng = np.random.default_rng(c)
        start = rng.random((N, 3)) * 1.4 * EDGE - 0.2 * EDGE  # unwrapped: the reader puts it into the box
        for r in runs:
            path = Path(name.format(c=c, r=r, w=("alpha", "be", "gam", "delta")[r % 4]))
            path.parent.mkdir(parents=True, exist_ok=True)
            text = ""
            for k in range(frames):
                x = start + (0.02 * k * np.random.default_rng([c, r, k]).standard_normal((N, 3)))
                text += f"ITEM: TIMESTEP\n{100 * k}\n" + ("" if times is None else f"ITEM: TIME\n{times[k]}\n")
                text += f"ITEM: NUMBER OF ATOMS\n{N}\nITEM: BOX BOUNDS pp pp pp\n" + f"0 {EDGE}\n" * 3
                text += "ITEM: ATOMS id type xu yu zu\n"
                text += "".join(f"{i + 1} {1 + i % 5 // 4} {a:.7g} {b:.7g} {c:.7g}\n" for i, (a, b, c) in enumerate(x))
            path.write_text(text)


def write_species(path, names, seed=0):
    """An extended XYZ run of two frames, 0 and 4; the first of two names has four particles of five."""
    start = np.random.default_rng(seed).random((N, 3)) * EDGE
    text = ""
    for k in range(2):
        x = start + 0.05 * k * np.random.default_rng([seed, 1]).standard_normal((N, 3))
        text += f'{N}\nLattice="{EDGE} 0 0 0 {EDGE} 0 0 0 {EDGE}" Properties=species:S:1:pos:R:3 Time={4 * k}\n'
        text += "".join(f"{names[i % 5 // 4]} {a:.7g} {b:.7g} {c:.7g}\n" for i, (a, b, c) in enumerate(x))
    path.write_text(text)
    return path
