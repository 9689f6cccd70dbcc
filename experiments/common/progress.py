"""Progress bars, for people who watch a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tqdm.auto import tqdm


@contextmanager
def progress_bar(what: str, total: int | None, unit: str) -> Iterator[Any]:
    """A bar on stderr that stays there when it is full; a count where the total is not known."""
    with tqdm(total=total, desc=f"{what:<14}", unit=f" {unit}", dynamic_ncols=True) as bar:
        yield bar


@contextmanager
def counting_bar(what: str, total: int | None, unit: str) -> Iterator[Callable[[str, int], None]]:
    """Gives a function that is told what is being done and how many more are done."""
    with progress_bar(what, total, unit) as bar:

        def progress(name: str, count: int) -> None:
            bar.set_postfix_str(name, refresh=False)
            bar.update(count)

        yield progress


@contextmanager
def late_bar(what: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """Gives a function that is told how many more are done; the bar appears at the first call."""
    with ExitStack() as stack:
        progress_bars: list[Any] = []

        def progress(count: int) -> None:
            if not progress_bars:
                progress_bars.append(stack.enter_context(progress_bar(what, total, unit)))
            progress_bars[0].update(count)

        yield progress


def training_bar(what: str) -> Any:
    """A transformers callback that shows steps and loss."""
    from transformers import TrainerCallback

    class TrainingBar(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.bar = tqdm(
                total=state.max_steps, desc=f"{what:<14}", unit=" step", dynamic_ncols=True
            )

        def on_log(
            self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any
        ) -> None:
            if logs and "loss" in logs:
                self.bar.set_postfix(loss=f"{float(logs['loss']):.3f}", refresh=False)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.bar.update()

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.bar.close()

    return TrainingBar()
