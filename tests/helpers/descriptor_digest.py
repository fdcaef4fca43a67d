"""Descriptors in boxes of many kinds, and a checksum of them: `python -m tests.helpers.descriptor_digest` prints it.

It prints the instruction set first, which BOTAN_FAST_SIMD bounds: one process has one.
"""

import hashlib

import numpy as np

import botan_fast as bf


def digest():
    """A checksum of all kinds of columns."""
    total = hashlib.sha256()
    rng = np.random.default_rng(3)
    tilted = np.array([[7.0, 0.0, 0.0], [2.0, 7.5, 0.0], [-1.0, 1.5, 6.5]])
    settings = bf.DescriptorSettings(
        geometry="both", bond_by_species=True, average_radius=2.0, smear_radius=2.9, smear_local=True,
        radial_centres=[0.8, 1.0, 1.2, 2.0], bond_orders=[1, 2, 3, 5, 8, 12, 16],
    )  # fmt: skip
    for box in ([7.0, 6.5, 9.0], tilted, [12.0, 13.0], tilted[:2, :2]):
        cell = np.diag(box) if np.ndim(box) == 1 else np.asarray(box)
        positions = rng.random((300, len(box))) @ cell
        inherent = positions + 0.1 * rng.standard_normal(positions.shape)
        types, energy = rng.integers(0, 3, 300), rng.standard_normal(300)
        found, _ = bf.descriptors(positions, types, box, inherent=inherent, energy=energy, settings=settings)
        total.update(found.tobytes())
    return total.hexdigest()


if __name__ == "__main__":
    print(bf.build_info()["simd"], digest())
