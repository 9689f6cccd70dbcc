"""Progress bars, for people who watch a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tqdm.auto import tqdm


@contextmanager
def bar(what: str, total: int | None, unit: str) -> Iterator[Any]:
    """A bar on stderr that stays there when it is full; a count where the total is not known."""
    with tqdm(total=total, desc=f"{what:<14}", unit=f" {unit}", dynamic_ncols=True) as shown:
        yield shown


@contextmanager
def late_bar(what: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """Gives what to tell how many are done; the bar appears at the first of them."""
    with ExitStack() as stack:
        shown: list[Any] = []

        def progress(count: int) -> None:
            if not shown:
                shown.append(stack.enter_context(bar(what, total, unit)))
            shown[0].update(count)

        yield progress


def training_bar(what: str) -> Any:
    """A transformers callback that shows steps and loss."""
    from transformers import TrainerCallback

    class TrainingBar(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.shown = tqdm(
                total=state.max_steps, desc=f"{what:<14}", unit=" step", dynamic_ncols=True
            )

        def on_log(
            self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any
        ) -> None:
            if logs and "loss" in logs:
                self.shown.set_postfix(loss=f"{float(logs['loss']):.3f}", refresh=False)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.shown.update()

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.shown.close()

    return TrainingBar()
