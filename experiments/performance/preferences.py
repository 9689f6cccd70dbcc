"""How much faster preferences are simulated together than dialogue by dialogue.

    python -m experiments.performance.preferences --run runs/default

Both contestants use the same backend on the same contexts, with the SFT persuader and the learned
user of a run: once as `agents.preferences.simulate.simulate` does it, every candidate and path of
every context in the same batches, and once one after the other. They begin with nothing read. Each
draws the same number of candidates and paths; that the words differ in places (another batch width
rounds otherwise) is why the rates are per new token.
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
class Timed:
    """What a contestant did, in how long."""

    name: str
    seconds: float
    new_tokens: int

    @property
    def tokens_per_second(self) -> float:
        return self.new_tokens / self.seconds


class Counting:
    """A persuader and a user model whose new tokens are counted."""

    def __init__(self, persuader: Persuader, user_model: UserModel) -> None:
        self._persuader, self._user_model = persuader, user_model
        self.usage = Usage()

    def act(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[PersuaderReply]:
        """See `Persuader.act`."""
        replies = self._persuader.act(dialogues, seeds)
        self.usage = sum((one.usage for one in replies), self.usage)
        return replies

    def reply(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[UserReply]:
        """See `UserModel.reply`."""
        replies = self._user_model.reply(dialogues, seeds)
        self.usage = sum((one.usage for one in replies), self.usage)
        return replies


def together(
    contexts: list[PreferenceContext], pair: Counting, settings: PreferenceSettings
) -> None:
    """As this suite does it."""
    with progress_bar("together", None, "context") as shown:
        simulate(contexts, pair, pair, settings=settings)
        shown.update(len(contexts))


def apart(contexts: list[PreferenceContext], pair: Counting, settings: PreferenceSettings) -> None:
    """Every candidate, and every path of it, by itself."""
    with progress_bar("apart", len(contexts) * settings.n_candidates, "candidate") as shown:
        for context in contexts:
            for index in range(settings.n_candidates):
                seed = derive_seed(0, context.id, "candidate", index)
                (reply,) = pair.act([persuader_view(context.dialogue)], [seed])
                for path in range(settings.n_paths):
                    if reply.turn is not None:
                        path_seed = derive_seed(0, context.id, "path", path)
                        look_ahead(
                            [context.dialogue], [reply], [path_seed], pair, pair,
                            depth=settings.depth,
                        )  # fmt: skip
                shown.update(1)


def main(
    run: Annotated[Path, typer.Option(help="The run whose models are meant.")] = Path(
        "runs/default"
    ),
    contexts: Annotated[int, typer.Option(min=1)] = 8,
    candidates: Annotated[int, typer.Option(min=1, help="Per context.")] = 4,
    paths: Annotated[int, typer.Option(min=1, help="Per candidate.")] = 2,
    depth: Annotated[int, typer.Option(min=1, help="Persuader turns per path.")] = 2,
    out: Annotated[Path, typer.Option(help="Where preferences.json goes.")] = Path(
        "runs/preference-benchmark"
    ),
) -> None:
    """Times the simulation of preferences."""
    quiet_libraries()
    every = preference_contexts(load_corpus("train"))
    order = generator(0).permutation(len(every))[:contexts]
    chosen = [every[index] for index in order]
    settings = PreferenceSettings(n_candidates=candidates, n_paths=paths, depth=depth)
    found = []
    for contest in (together, apart):
        models = ModelPool()
        pair = Counting(
            agent_loader(resolve_agent_spec(run, "sft"), models)(),
            load_user_model(resolve_user_spec(run, "learned"), models),
        )
        began = time.perf_counter()
        contest(chosen, pair, settings)
        seconds = time.perf_counter() - began
        found.append(Timed(contest.__name__, seconds, pair.usage.completion_tokens))
    ratio = found[0].tokens_per_second / found[1].tokens_per_second
    console = Console(width=100)
    for one in found:
        console.print(
            f"{one.name}: {one.seconds:.0f} s, {one.new_tokens} new tokens, "
            f"{one.tokens_per_second:.0f} per second"
        )
    console.print(f"together is {ratio:.2f} times as fast, per new token")
    out.mkdir(parents=True, exist_ok=True)
    contestants = [{**asdict(one), "tokens_per_second": one.tokens_per_second} for one in found]
    write_json(out / "preferences.json", {"ratio": ratio, "contestants": contestants})


if __name__ == "__main__":
    typer.run(main)
