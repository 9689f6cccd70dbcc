"""Benchmark of batched against sequential simulation of preferences.

    python -m experiments.performance.preferences --run runs/default

Both contestants use the same backend on the same contexts, with the SFT persuader and the learned
user of a run: `together` calls `agents.preferences.simulate.simulate`, which batches every
candidate and path of every context, and `apart` simulates one after the other. Both start with
empty caches and sample the same number of candidates and paths. Rates are per new token, because
another batch width rounds differently, so some texts and their lengths differ.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from agents.preferences.data import PreferenceContext, PreferenceSettings, preference_contexts
from agents.preferences.lookahead import look_ahead
from agents.preferences.simulate import simulate
from experiments.common.console import quiet_libraries
from experiments.common.progress import progress_bar
from experiments.common.resolve import (
    agent_loader,
    resolve_agent_spec,
    resolve_user_spec,
)
from experiments.common.storage import write_json
from persuade_env.dialogue import Dialogue
from persuade_env.llm.pool import ModelPool
from persuade_env.protocols import (
    Persuader,
    PersuaderReply,
    Usage,
    UserModel,
    UserReply,
    persuader_view,
)
from persuade_env.registry import load_user_model
from persuade_env.scenarios import load_corpus
from persuade_env.seeding import derive_seed, generator


@dataclass(frozen=True)
class Timing:
    """The time and the number of sampled tokens of one contestant.

    >>> Timing("together", seconds=2.0, new_tokens=100).tokens_per_second
    50.0
    """

    name: str
    seconds: float
    new_tokens: int

    @property
    def tokens_per_second(self) -> float:
        """Sampled tokens per second."""
        return self.new_tokens / self.seconds


class TokenCounter:
    """Wraps a persuader and a user model, and adds up their token usage in `usage`."""

    def __init__(self, persuader: Persuader, user_model: UserModel) -> None:
        self._persuader, self._user_model = persuader, user_model
        self.usage = Usage()

    def act(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[PersuaderReply]:
        """See `Persuader.act`."""
        replies = self._persuader.act(dialogues, seeds)
        self.usage = sum((reply.usage for reply in replies), self.usage)
        return replies

    def reply(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[UserReply]:
        """See `UserModel.reply`."""
        replies = self._user_model.reply(dialogues, seeds)
        self.usage = sum((reply.usage for reply in replies), self.usage)
        return replies


def together(
    contexts: list[PreferenceContext], counter: TokenCounter, settings: PreferenceSettings
) -> None:
    """Simulates all candidates and paths in common batches."""
    with progress_bar("together", None, "context") as progress:
        simulate(contexts, counter, counter, settings=settings)
        progress.update(len(contexts))


def apart(
    contexts: list[PreferenceContext], counter: TokenCounter, settings: PreferenceSettings
) -> None:
    """Simulates every candidate and every path by itself."""
    with progress_bar("apart", len(contexts) * settings.n_candidates, "candidate") as progress:
        for context in contexts:
            for index in range(settings.n_candidates):
                seed = derive_seed(0, context.id, "candidate", index)
                (reply,) = counter.act([persuader_view(context.dialogue)], [seed])
                for path in range(settings.n_paths):
                    if reply.turn is not None:
                        path_seed = derive_seed(0, context.id, "path", path)
                        look_ahead(
                            [context.dialogue],
                            [reply],
                            [path_seed],
                            counter,
                            counter,
                            depth=settings.depth,
                        )
                progress.update(1)


def main(
    run: Annotated[Path, typer.Option(help="Folder of the run with the models.")] = Path(
        "runs/default"
    ),
    contexts: Annotated[int, typer.Option(min=1)] = 8,
    candidates: Annotated[int, typer.Option(min=1, help="Per context.")] = 4,
    paths: Annotated[int, typer.Option(min=1, help="Per candidate.")] = 2,
    depth: Annotated[int, typer.Option(min=1, help="Persuader turns per path.")] = 2,
    out: Annotated[Path, typer.Option(help="Folder for preferences.json.")] = Path(
        "runs/preference-benchmark"
    ),
) -> None:
    """Times the simulation of preferences."""
    quiet_libraries()
    all_contexts = preference_contexts(load_corpus("train"))
    order = generator(0).permutation(len(all_contexts))[:contexts]
    chosen = [all_contexts[index] for index in order]
    settings = PreferenceSettings(n_candidates=candidates, n_paths=paths, depth=depth)
    timings = []
    for contestant in (together, apart):
        models = ModelPool()
        counter = TokenCounter(
            agent_loader(resolve_agent_spec(run, "sft"), models)(),
            load_user_model(resolve_user_spec(run, "learned"), models),
        )
        began = time.perf_counter()
        contestant(chosen, counter, settings)
        seconds = time.perf_counter() - began
        timings.append(Timing(contestant.__name__, seconds, counter.usage.completion_tokens))
    ratio = timings[0].tokens_per_second / timings[1].tokens_per_second
    console = Console(width=100)
    for timing in timings:
        console.print(
            f"{timing.name}: {timing.seconds:.0f} s, {timing.new_tokens} new tokens, "
            f"{timing.tokens_per_second:.0f} per second"
        )
    console.print(f"together is {ratio:.2f} times as fast, per new token")
    out.mkdir(parents=True, exist_ok=True)
    contestants = [
        {**asdict(timing), "tokens_per_second": timing.tokens_per_second} for timing in timings
    ]
    write_json(out / "preferences.json", {"ratio": ratio, "contestants": contestants})


if __name__ == "__main__":
    typer.run(main)
