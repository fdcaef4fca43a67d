"""One small simulation, and writers of it in each format that the package reads."""

import bz2
import gzip
import io
import lzma
import pickle
import struct
from dataclasses import dataclass, field

import h5py
import numpy as np


@dataclass
class Simulation:
    """N particles at time 0 and in R runs at later times; `positions` lie in the box, `runs` (T, R, N, D) need not."""

    positions: np.ndarray
    types: np.ndarray
    box: np.ndarray
    runs: np.ndarray
    times: np.ndarray = field(default_factory=lambda: np.array([0.5, 4.0, 30.0]))

    @property
    def displacements(self) -> np.ndarray:
        return self.runs - self.positions

    @property
    def cell(self) -> np.ndarray:
        return np.diag(self.box) if self.box.ndim == 1 else self.box

    def wrapped(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions in the box and the images that they were in."""
        images = np.floor(positions @ np.linalg.inv(self.cell)).astype(int)
        return positions - images @ self.cell, images


def simulation(number: int = 40, dimensions: int = 3, runs: int = 4, seed: int = 0, cell=None, step: float = 0.2):
    rng = np.random.default_rng(seed)
    box = np.array([5.0, 6.0, 7.0])[:dimensions] if cell is None else np.asarray(cell, dtype=float)
    fractions = rng.random((number, dimensions))
    fractions[0] = 0.001  # the first particle sits at a corner, so that faces are crossed
    positions = fractions * box if box.ndim == 1 else fractions @ box
    steps = step * rng.standard_normal((3, runs, number, dimensions))
    steps[:, :, 0] = -0.05
    types = (np.arange(number) % 5 == 4).astype(np.int64)
    return Simulation(positions, types, box, positions + np.cumsum(steps, axis=0))


def frames_of(s: Simulation, run: int = 0) -> list[tuple[float, np.ndarray]]:
    """Time and positions of one run, from time 0 on."""
    return [(0.0, s.positions), *((float(time), s.runs[k, run]) for k, time in enumerate(s.times))]


# Text ---------------------------------------------------------------------------------------------------------------


def lammps_text(s: Simulation, frames, columns="xu yu zu", origin=0.0, dt=0.01, shuffle=True, time=False) -> str:
    """A dump as LAMMPS writes it, rows in any order; `columns` are xu, x, xs, xsu, ix and so on."""
    rng = np.random.default_rng(1)
    names = columns.split()
    dimensions = s.positions.shape[1]
    text = []
    for t, positions in frames:
        inside, images = s.wrapped(positions)
        scaled = positions @ np.linalg.inv(s.cell)
        values = {
            "u": positions + origin,
            "": inside + origin,
            "s": inside @ np.linalg.inv(s.cell),
            "su": scaled,
        }
        table = []
        for name in names:
            if name[0] == "i":
                axis = "xyz".index(name[1])
                table.append([str(x) for x in images[:, axis]] if axis < dimensions else ["0"] * len(images))
            else:
                axis = "xyz".index(name[0])
                column = values[name[1:]]
                table.append([repr(float(x)) for x in column[:, axis]] if axis < dimensions else ["0"] * len(column))
        if time:
            text += ["ITEM: UNITS", "lj", "ITEM: TIME", repr(float(t))]
        text += ["ITEM: TIMESTEP", str(round(t / dt)), "ITEM: NUMBER OF ATOMS", str(len(positions))]
        text += box_lines(s, origin)
        text.append(f"ITEM: ATOMS id type {columns}")
        order = rng.permutation(len(positions)) if shuffle else np.arange(len(positions))
        text += [f"{i + 1} {s.types[i] + 1} " + " ".join(column[i] for column in table) + " " for i in order]
    return "\n".join(text) + "\n"


def box_lines(s: Simulation, origin: float) -> list[str]:
    if s.box.ndim == 1:
        edges = [*s.box, 1.0][:3]
        return ["ITEM: BOX BOUNDS pp pp pp", *(f"{origin!r} {origin + edge!r}" for edge in map(float, edges))]
    (lx, _, _), (xy, ly, _), (xz, yz, lz) = s.box.tolist()
    low, high = min(0, xy, xz, xy + xz), max(0, xy, xz, xy + xz)
    return [
        "ITEM: BOX BOUNDS xy xz yz pp pp pp",
        f"{origin + low!r} {origin + lx + high!r} {xy!r}",
        f"{origin + min(0, yz)!r} {origin + ly + max(0, yz)!r} {xz!r}",
        f"{origin!r} {origin + lz!r} {yz!r}",
    ]


def lammps_data_text(s: Simulation, style="atomic", images=True, origin=0.0, hint=True, seed=1) -> str:
    """A data file as `write_data` writes it, rows in any order; coordinates are wrapped where there are images."""
    rng = np.random.default_rng(seed)
    inside, image = s.wrapped(s.positions)
    size = s.positions.shape[1]
    places = np.pad((inside if images else s.positions) + origin, ((0, 0), (0, 3 - size)))
    image = np.pad(image, ((0, 0), (0, 3 - size)))
    edges = [*(s.box if s.box.ndim == 1 else np.diag(s.box)), 1.0][:3]
    low = [origin] * size + [-0.5] * (3 - size)
    text = ["LAMMPS data file via write_data, version 22 Jul 2025, timestep = 100, units = lj", ""]
    text += [f"{len(places)} atoms", "2 atom types", ""]
    bounds = zip("xyz", low, edges, strict=True)
    text += [f"{float(a)!r} {float(a + edge)!r} {axis}lo {axis}hi" for axis, a, edge in bounds]
    if s.box.ndim == 2:
        (xy, xz, yz) = s.box[1, 0], *([*s.box[2, :2]] if size == 3 else [0.0, 0.0])
        text.append(f"{float(xy)!r} {float(xz)!r} {float(yz)!r} xy xz yz")
    text += ["", "Masses", "", "1 1", "2 1", "", f"Atoms{f'  # {style}' if hint else ''}", ""]
    between = {"atomic": "{t}", "charge": "{t} 0.0", "molecular": "0 {t}", "full": "0 {t} -0.5", "sphere": "{t} 1 0.9"}
    for i in rng.permutation(len(places)):
        row = [str(i + 1), between[style].format(t=s.types[i] + 1), *(repr(float(x)) for x in places[i])]
        text.append(" ".join([*row, *(str(k) for k in image[i] if images)]))
    velocities = [f"{i + 1} 0.1 0.2 -0.3" for i in range(len(places))]
    return "\n".join([*text, "", "Velocities", "", *velocities]) + "\n"


def plain_xyz_text(s: Simulation, frames, names="AB", comment="time = {t!r}") -> str:
    """XYZ without a box."""
    text = []
    for t, positions in frames:
        text += [str(len(positions)), comment.format(t=t, step=round(t / 0.01))]
        places = np.pad(positions, ((0, 0), (0, 3 - positions.shape[1])))
        rows = zip(s.types, places.tolist(), strict=True)
        text += [" ".join([names[kind], *map(repr, place)]) for kind, place in rows]
    return "\n".join(text) + "\n"


def xyz_text(s: Simulation, frames, species=True) -> str:
    cell = np.eye(3)
    size = s.positions.shape[1]
    cell[:size, :size] = s.cell
    lattice = " ".join(repr(float(x)) for x in cell.ravel())
    kind = "species:S:1" if species else "type:I:1"
    text = []
    for t, positions in frames:
        text += [str(len(positions)), f'Lattice="{lattice}" Properties={kind}:pos:R:3:mass:R:1 Time={t!r} pbc="T T T"']
        positions = np.pad(positions, ((0, 0), (0, 3 - size)))
        for number, position in zip(s.types, positions, strict=True):
            label = "AB"[number] if species else str(number + 1)
            text.append(f"{label} " + " ".join(repr(float(x)) for x in position) + " 1.0")
    return "\n".join(text) + "\n"


# Binary -------------------------------------------------------------------------------------------------------------


def write_gsd(path, s: Simulation, frames, images=True, dt=0.01) -> None:
    import gsd.hoomd

    size = s.positions.shape[1]
    cell = np.eye(3)
    cell[:size, :size] = s.cell
    lengths = np.diag(cell)
    tilt = [cell[1, 0] / lengths[1], cell[2, 0] / lengths[2], cell[2, 1] / lengths[2]]
    with gsd.hoomd.open(str(path), "w") as file:
        for t, positions in frames:
            inside, image = s.wrapped(positions)
            frame = gsd.hoomd.Frame()
            frame.configuration.step = round(t / dt)
            frame.configuration.dimensions = size
            frame.configuration.box = [*lengths, *tilt]
            frame.particles.N = len(positions)
            frame.particles.types = ["A", "B"]
            frame.particles.typeid = s.types
            centred = inside - s.cell.sum(axis=0) / 2
            frame.particles.position = np.pad(centred, ((0, 0), (0, 3 - size)))
            if images:
                frame.particles.image = np.pad(image, ((0, 0), (0, 3 - size)))
            file.append(frame)


def write_h5md(path, s: Simulation, frames, images=True, fixed_box=True, sparse=False) -> None:
    """As the specification 1.1 says; `sparse` stores one interval in place of the list of times."""
    with h5py.File(path, "w") as file:
        file.create_group("h5md").attrs["version"] = [1, 1]
        group = file.create_group("particles/all")
        box = group.create_group("box")
        box.attrs["dimension"] = s.positions.shape[1]
        box.attrs["boundary"] = [b"periodic"] * s.positions.shape[1]
        steps = np.arange(len(frames)) * 100
        times = np.array([t for t, _ in frames])

        def element(parent, name, value):
            item = parent.create_group(name)
            item["value"] = value
            if sparse:
                item["step"] = 100
            else:
                item["step"], item["time"] = steps, times

        pairs = [s.wrapped(positions) for _, positions in frames]
        element(group, "position", np.stack([p if images else x for (p, _), (_, x) in zip(pairs, frames, strict=True)]))
        if images:
            element(group, "image", np.stack([image for _, image in pairs]))
        group["species"] = s.types + 1
        if fixed_box:
            box["edges"] = s.box
        else:
            element(box, "edges", np.stack([s.box] * len(frames)))


def write_h5md_groups(path, s: Simulation, names=("A", "B"), species=None, ids=False, also=None) -> None:
    """The particles of type 0 in one group, those of type 1 in another."""
    write_h5md(path, s, frames_of(s))
    with h5py.File(path, "r+") as file:
        whole = file["particles/all"]
        for number, name in enumerate(names):
            mine = s.types == number
            group = file.create_group(f"particles/{name}")
            whole.copy("box", group)
            for element in ("position", "image"):
                part = group.create_group(element)
                part["value"] = whole[element]["value"][:][:, mine]
                part["step"], part["time"] = whole[element]["step"][:], whole[element]["time"][:]
            if species is not None:
                group["species"] = np.full(mine.sum(), species[number])
            if ids:
                group["id"] = np.flatnonzero(mine)
        if also is None:
            del file["particles/all"]


def glassy_dynamics_content(s: Simulation) -> dict:
    """The dictionary of DeepMind's files; the last of the four target times lies between others."""
    runs = [*s.runs, (s.runs[0] + s.runs[1]) / 2]
    time = [0.0, 0.1, *sorted([*s.times.tolist(), 2.0]), 99.0]
    return {
        "positions": s.positions,
        "types": s.types.astype(np.int32),
        "box": s.box,
        "time": time,
        "time_indices": [time.index(t) for t in [*s.times.tolist(), 2.0]],
        "is_values": np.array([0.9, 0.5, 0.1, np.exp(-1)]),
        "trajectory_target_positions": [list(at) for at in runs],
        "targets": [np.linalg.norm(at - s.positions, axis=2).mean(axis=0) for at in runs],
        "metadata": {"temperature": 0.44, "pressure": 2.93, "fluid": "Kob Andersen"},
    }


def glassy_dynamics_bytes(s: Simulation, protocol: int = 3) -> bytes:
    """With the names of NumPy 1, as the published files have them."""
    content = pickle.dumps(glassy_dynamics_content(s), protocol=protocol)
    return content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray") if protocol < 4 else content


def python_2_bytes(s: Simulation) -> bytes:
    """The same as Python 2 writes it with protocol 2: text and the bytes of arrays are both `str`, opcode U or T."""
    out = io.BytesIO()

    def string(value: bytes) -> None:
        out.write(
            b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + struct.pack("<i", len(value)) + value
        )

    def write(value) -> None:
        if isinstance(value, dict):
            out.write(b"}(")
            for key, item in value.items():
                write(key)
                write(item)
            out.write(b"u")
        elif isinstance(value, list):
            out.write(b"](")
            for item in value:
                write(item)
            out.write(b"e")
        elif isinstance(value, str):
            string(value.encode())
        elif isinstance(value, float):
            out.write(b"G" + struct.pack(">d", value))
        elif isinstance(value, int):
            out.write(b"J" + struct.pack("<i", value))
        else:
            out.write(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n(K\x00tU\x01b\x87R(K\x01(")
            for n in value.shape:
                write(n)
            out.write(b"tcnumpy\ndtype\n")
            string(value.dtype.str[1:].encode())
            out.write(b"K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89")
            string(value.tobytes())
            out.write(b"tb")

    out.write(b"\x80\x02")
    write(glassy_dynamics_content(s))
    out.write(b".")
    return out.getvalue()


def write_glassbench_models(path, s: Simulation) -> dict:
    """KA_models: types from 1, coordinates in [-L/2, L/2), no box."""
    arrays = {
        "types": s.types + 1,
        "initial_positions": s.positions - s.box / 2,
        "initial_positions_inherent": s.positions - s.box / 2,
        "md_prop": np.linalg.norm(s.displacements, axis=3).mean(axis=1),
        "bb_prop": np.random.default_rng(0).random((len(s.runs), len(s.types))),
    }
    np.savez(path, **arrays)
    return arrays


def write_glassbench_trajectories(path, s: Simulation, inherent=False) -> dict:
    """KA2D_trajectories: one time, all positions wrapped into [-L/2, L/2), one number for the box."""
    edge = float(s.box[0])
    arrays = {
        "box": np.array(edge),
        "types": s.types + 1,
        "initial_positions": (s.positions + edge / 2) % edge - edge / 2,
        "positions": (s.runs[0] + edge / 2) % edge - edge / 2,
    }
    if inherent:
        arrays["initial_positions_inherent"] = arrays["initial_positions"]
    np.savez(path, **arrays)
    return arrays


def plain_arrays(s: Simulation) -> dict:
    return {
        "positions": s.positions,
        "types": s.types,
        "box": s.box,
        "trajectories": s.runs,
        "time": s.times,
        "temperature": 0.44,
    }


def write_plain_hdf5(path, s: Simulation) -> None:
    with h5py.File(path, "w") as file:
        for key, value in plain_arrays(s).items():
            file[key] = value


def write_all(folder) -> dict:
    """One small whole file of each format: name of the format -> path."""
    s = simulation(number=24, runs=2)
    frames = frames_of(s)
    square = simulation(number=24, dimensions=2, runs=2, cell=[6.0, 6.0])
    paths = {}

    def path(name: str, file: str):
        paths[name] = folder / file
        return paths[name]

    path("lammps", "a.dump").write_text(lammps_text(s, frames))
    path("lammps gzip", "b.dump.gz").write_bytes(gzip.compress(lammps_text(s, frames, "x y z ix iy iz").encode()))
    path("lammps bzip2", "c.dump.bz2").write_bytes(bz2.compress(lammps_text(s, frames).encode()))
    path("lammps xz", "d.dump.xz").write_bytes(lzma.compress(lammps_text(s, frames).encode()))
    path("lammps data", "a.data").write_text(lammps_data_text(s))
    path("xyz", "a.xyz").write_text(xyz_text(s, frames))
    path("plain xyz", "plain.xyz").write_text(plain_xyz_text(s, frames))
    write_h5md(path("h5md", "a.h5md"), s, frames)
    write_h5md_groups(path("h5md groups", "b.h5md"), s)
    path("glassy_dynamics", "a.pickle").write_bytes(glassy_dynamics_bytes(s))
    path("glassy_dynamics protocol 5", "b.pickle").write_bytes(glassy_dynamics_bytes(s, 5))
    write_glassbench_models(
        path("glassbench models", "models.npz"), simulation(number=24, cell=[2.714417617] * 3, step=0.05)
    )
    write_glassbench_trajectories(path("glassbench trajectories", "trajectories.npz"), square)
    np.savez_compressed(path("plain npz", "plain.npz"), **plain_arrays(s))
    write_plain_hdf5(path("plain hdf5", "plain.h5"), s)
    write_gsd(path("gsd", "a.gsd"), s, frames)
    path("layout", "layout.toml").write_text(
        'pattern = "a.{run}mp"\ntimestep = 0.01\n# a comment\ntemperature = 0.44\n'
    )
    return paths
