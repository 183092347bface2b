"""The progress of a training on a terminal: a moving line, and one for each finished epoch."""

import math
import sys
import time

import keras

from rnnapps.progress import bar, say

_EVERY = 0.1  # seconds between two looks at the loss
_FIRST = "compiling the first step"
_TRIED = 5.0  # seconds of steps from which the whole is told
_LONG = 60.0  # seconds of a training of which is said at its beginning how long it takes


class ProgressLine(keras.callbacks.Callback):
    """Shows epoch, steps, share, loss and the time left of a training, on 80 columns.

    The time left is of all epochs; the first step, which traces the graph, does not count in it.

    Args:
        steps: Steps of an epoch.
        epochs: Epochs, at most.
        done: Epochs that an earlier process has done.
        begun: Steps of the next epoch that it has done.
        size: How much an epoch is.
        limit: Seconds that the training may take, at most.
    """

    def __init__(
        self,
        steps: int,
        epochs: int,
        done: int = 0,
        begun: int = 0,
        size: str = "",
        limit: float = math.inf,
    ):
        super().__init__()
        self.begun, self.size, self.limit = begun, size, limit
        self.steps, self.epochs, self.epoch = steps, epochs, done
        self.bar = bar("{task.fields[said]}")
        self.task = self.bar.add_task(
            "", total=steps * epochs, completed=steps * done + begun, said=_FIRST
        )
        self.shown = self.began = 0.0
        self.first: tuple[int, float] | None = None  # a step that had been traced, and its end
        self.told = False

    def on_train_begin(self, logs=None):
        self.bar.start()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.began = epoch, time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        self._tell(self.epoch * self.steps + self.begun + batch + 1, now)
        if now - self.shown < _EVERY or self.bar.disable:
            return
        self.shown = now
        batch += self.begun
        loss = f"loss {float((logs or {}).get('loss', 0.0)):.4g}"
        said = f"epoch {self.epoch + 1}/{self.epochs}  step {batch + 1:,}/{self.steps:,}  {loss}"
        self.bar.update(self.task, completed=self.epoch * self.steps + batch + 1, said=said)

    def _tell(self, done: int, now: float) -> None:
        """Says once what a long training takes and works on, where there is no terminal, too."""
        self.first = self.first or (done, now)
        begun, since = self.first
        if self.told or now - since < _TRIED:
            return
        self.told = True
        left = (self.steps * self.epochs - done) * (now - since) / (done - begun)
        what = "epochs" if left > self.limit else f"{self.epochs} epochs"
        left = min(left, self.limit)
        if left > _LONG:
            minutes = f"{left / 60:,.0f} min" if left < 5400 else f"{left / 3600:,.1f} h"
            what += f" of {self.steps:,} steps"
            what += f" ({self.size})" if self.size else ""
            said = f"training takes about {minutes} at most, {what}; {_memory()} of memory so far"
            if self.bar.disable:
                say([said])
            else:
                self.bar.console.print(f"rnnapps: {said}.")

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        losses = [f"{name} {logs[name]:.4g}" for name in ("loss", "val_loss") if name in logs]
        seconds = f"{time.monotonic() - self.began:.0f} s"
        if not self.bar.disable:
            self.bar.console.print(
                f"epoch {epoch + 1}/{self.epochs}  {'  '.join(losses)}  {seconds}"
            )
        self.bar.update(self.task, completed=(epoch + 1) * self.steps)

    def on_train_end(self, logs=None):
        self.bar.stop()


def _memory() -> str:
    """The most memory that this process has had."""
    import resource  # which POSIX systems have: training needs one anyway

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f"{most / (1e9 if sys.platform == 'darwin' else 1e9 / 1024):,.1f} GB"
