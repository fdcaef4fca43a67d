"""What may watch a run of `train`, or end it: `train(callbacks=[...], logger=...)`.

Callback          the interface: override what you need
FunctionCallback  a function of the line of an epoch
EarlyStopping     ends a run when a column of the history gets no better
TensorBoard       the numbers of the history as curves there; `logger="tensorboard"`
WandB             the same in Weights & Biases; `logger="wandb"`
LiveCurve         losses and scores as a picture, in a notebook or a file
ProgressBar       a bar in a terminal or a notebook: `train(progress=True)` has it
LogLines          lines elsewhere, likewise
OpenedRun         what a callback is told first
CallbackError     a callback has raised an error

>>> from botan_fast.callbacks import Callback, EarlyStopping
>>> class Largest(Callback):
...     gradient = 0.0
...     def epoch_finished(self, row, model):
...         self.gradient = max(self.gradient, row["gradient_norm"])
>>> watching = [Largest(), EarlyStopping("train_loss", patience=5)]

and then ``bf.train("train.h5", callbacks=watching)``.
"""

from .training.callbacks import Callback, EarlyStopping, FunctionCallback, OpenedRun
from .training.live import LiveCurve
from .training.loggers import TensorBoard, WandB
from .training.progress import LogLines, ProgressBar
from .training.watchers import CallbackError

__all__ = [
    "Callback",
    "CallbackError",
    "EarlyStopping",
    "FunctionCallback",
    "LiveCurve",
    "LogLines",
    "OpenedRun",
    "ProgressBar",
    "TensorBoard",
    "WandB",
]
