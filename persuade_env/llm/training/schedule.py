"""The learning rate of a trainer's steps; the module imports no torch."""

from __future__ import annotations

import math
from functools import partial
from typing import Any


def warm_cosine(step: int, *, steps: int, warmup: int) -> float:
    """Factor on the learning rate: it rises over `warmup` steps, then falls as a cosine.

    It is above 0 at every step, where the usual schedule wastes the first one, which of a dozen
    is much.

    >>> [round(warm_cosine(step, steps=4, warmup=1), 2) for step in range(4)]
    [0.5, 1.0, 0.75, 0.25]

    Args:
        step: from 0 on.
        steps: of the whole training.
        warmup: steps before the full learning rate.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


class WarmCosineSchedule:
    """Gives a `transformers.Trainer` that is mixed with it the schedule of `warm_cosine`."""

    args: Any
    optimizer: Any
    lr_scheduler: Any = None

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """See `transformers.Trainer.create_scheduler`."""
        from torch.optim.lr_scheduler import LambdaLR

        if self.lr_scheduler is None:
            factor = partial(
                warm_cosine,
                steps=num_training_steps,
                warmup=self.args.get_warmup_steps(num_training_steps),
            )
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, factor)
            self._created_lr_scheduler = True
        return self.lr_scheduler
