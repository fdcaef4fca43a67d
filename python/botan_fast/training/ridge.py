"""Ridge regression from sums over rows, and its penalty by leaving configurations out."""

from dataclasses import dataclass

import numpy as np

__all__ = ["FOLDS", "PENALTIES", "Sums", "best_penalty", "solve"]

PENALTIES = tuple(float(f"{10.0 ** (k / 2 - 5):.3g}") for k in range(12))  # 1e-5 ... 3.16
FOLDS = 10


@dataclass
class Sums:
    """Of rows x (K,) and targets y (T,): how many, sum x, sum y, sum x x^T, sum x y^T, sum y^2, in float64.

    >>> import numpy as np
    >>> from botan_fast.training.ridge import Sums, solve
    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> weights, constant = solve(Sums.of(x, 3 * x + 1), 0.0)
    >>> weights.round(6).tolist(), constant.round(6).tolist()
    ([[3.0]], [1.0])
    """

    number: float
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray

    @classmethod
    def zero(cls, columns: int, targets: int) -> "Sums":
        shapes = ((columns,), (targets,), (columns, columns), (columns, targets), (targets,))
        return cls(0.0, *(np.zeros(shape) for shape in shapes))

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> "Sums":
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        return cls(float(len(x)), x.sum(0), y.sum(0), x.T @ x, x.T @ y, (y * y).sum(0))

    def __add__(self, other: "Sums") -> "Sums":
        return self._combined(other, 1.0)

    def __sub__(self, other: "Sums") -> "Sums":
        return self._combined(other, -1.0)

    def _combined(self, other: "Sums", sign: float) -> "Sums":
        names = ("x", "y", "xx", "xy", "yy")
        parts = (getattr(self, name) + sign * getattr(other, name) for name in names)
        return Sums(self.number + sign * other.number, *parts)

    def centred(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """sum (x - <x>)(x - <x>)^T, sum (x - <x>)(y - <y>)^T, sum (y - <y>)^2."""
        number = max(self.number, 1.0)
        return (
            self.xx - np.outer(self.x, self.x) / number,
            self.xy - np.outer(self.x, self.y) / number,
            self.yy - self.y * self.y / number,
        )


def solve(sums: Sums, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """(K, T) weights w and (T,) constants b that make sum (y - w x - b)^2 + penalty n |w s|^2 least.

    s are the widths of the columns, so that the penalty does not depend on their units; a column that does not vary
    gets no weight. Without rows both are zero.
    """
    xx, xy, _ = sums.centred()
    if sums.number < 2:
        return np.zeros_like(xy), sums.y / max(sums.number, 1.0)
    widths = np.sqrt(np.maximum(np.diag(xx), 0) / sums.number)
    varies = widths > 1e-7 * np.abs(sums.x / sums.number) + 1e-300
    scale = np.where(varies, 1 / np.where(varies, widths, 1.0), 0.0)
    matrix = xx * scale[:, None] * scale / sums.number
    matrix[np.diag_indices(len(matrix))] += penalty + 1e-12
    weights = scale[:, None] * np.linalg.solve(matrix, xy * scale[:, None] / sums.number)
    return weights, (sums.y - sums.x @ weights) / sums.number


def best_penalty(parts: list[Sums], penalties: tuple[float, ...] = PENALTIES) -> float:
    """The penalty with the least error on configurations left out; `parts` are the sums of each configuration.

    Each is left out in its turn, or a tenth of them where they are more than ten. The error is that of the differences
    from the mean of the configuration, what a correlation within a configuration sees, each target in units of its
    variance.
    """
    total = sum(parts[1:], parts[0])
    number = min(len(parts), FOLDS)
    folds = [sum(parts[k + number :: number], parts[k]) for k in range(number)]
    variance = np.maximum(sum(part.centred()[2] for part in parts), 1e-300)
    errors = []
    for penalty in penalties:
        error = 0.0
        for k, fold in enumerate(folds):
            weights, _ = solve(total - fold, penalty)
            for part in parts[k::number]:
                xx, xy, yy = part.centred()
                error += float(((yy - 2 * (weights * xy).sum(0) + (weights * (xx @ weights)).sum(0)) / variance).sum())
        errors.append(error)
    return penalties[int(np.argmin(errors))]
