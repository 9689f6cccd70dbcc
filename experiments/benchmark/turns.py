"""The turn-level protocol (Jin et al., ACL 2024): the next response to a fixed history.

At persuader turns of held-out recorded dialogues of competent persuaders, the agent writes the
next response to what was recorded so far; a judge compares the history with the agent's response
to the history with the recorded one, the reference. No agent meets the consequences of its own
turns, so all of them are compared at the same places, and nothing is learned of how a dialogue
is led.

`attitude` can't judge words that nobody has answered: there a user model answers both, on one
seed, and its attitudes decide. `learned` and chat models judge the two responses themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from experiments.benchmark.config import TurnSettings
from experiments.benchmark.tables import show
from experiments.common.bootstrap import Estimate, clustered_mean
from experiments.common.storage import BatchLog, write_json
from persuade_env.dialogue import Dialogue, PersuadeeTurn, PersuaderTurn, ScenarioRecord
from persuade_env.errors import PersuadeError, RunError
from persuade_env.judges.attitude import AttitudeJudge, scores
from persuade_env.protocols import (
    Persuader,
    PersuaderReply,
    UserModel,
    UserReply,
    persuader_view,
    user_view,
)
from persuade_env.registry import load_judge
from persuade_env.seeding import derive_seed, generator
from persuade_env.spec import hide_password

PROTOCOL = "turns"
METRICS = {
    "win_rate": "share of comparisons with the reference won, ties half, both orders asked",
    "ties": "share of comparisons tied, or decided by the order",
    "unjudged": "share of valid comparisons in which the judge named no winner",
    "malformed": "share of responses that did not follow the format, also after a repair",
    "invalid": "share of places at which the agent or the user model failed",
    "words": "words per response",
    "reference_words": "words per reference",
}


@dataclass(frozen=True)
class HistoryPoint:
    """A point of a recorded dialogue, and what its persuader said there."""

    id: str
    history: Dialogue
    reference: PersuaderTurn


@dataclass(frozen=True)
class Response:
    """What an agent said at a place, and what a user model answered where one was asked."""

    place: str
    response: str
    malformed: bool
    error_kind: str
    answer: PersuadeeTurn | None = None
    reference_answer: PersuadeeTurn | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON from which `from_json` makes an equal value."""
        answers = {
            name: turn.model_dump(mode="json") if (turn := getattr(self, name)) else None
            for name in ("answer", "reference_answer")
        }
        return {**{k: v for k, v in asdict(self).items() if k not in answers}, **answers}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Response:
        """The value that `to_json` made this of."""
        answers = {
            name: PersuadeeTurn.model_validate(data[name]) if data[name] else None
            for name in ("answer", "reference_answer")
        }
        return cls(**{**data, **answers})


@dataclass(frozen=True)
class TurnRow:
    """How one agent's responses did against the references."""

    agent: str
    judge: str
    user_model: str
    """Whose attitudes decided; empty where the judge read the responses themselves."""
    n: int
    """Comparisons with a verdict."""
    n_scenarios: int
    metrics: Mapping[str, Estimate]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; NaN becomes null."""
        metrics = {
            name: {k: None if math.isnan(x) else round(x, 6) for k, x in asdict(one).items()}
            for name, one in self.metrics.items()
        }
        return {**asdict(self), "metrics": metrics}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TurnRow:
        """The value that `to_json` made this of."""
        metrics = {
            name: Estimate(**{k: math.nan if v is None else v for k, v in one.items()})
            for name, one in data["metrics"].items()
        }
        return cls(**{**data, "metrics": metrics})


def history_points(
    records: Sequence[ScenarioRecord], turns_per_dialogue: int
) -> list[HistoryPoint]:
    """Persuader turns of the competent dialogues, spread evenly from the first to the last.

    Raises:
        RunError: if no record has such a dialogue.
    """
    places = []
    for record in records:
        for recorded in record.dialogues:
            if recorded.quality != "competent":
                continue
            spoken = [
                (index, turn)
                for index, turn in enumerate(recorded.turns)
                if isinstance(turn, PersuaderTurn)
            ]
            count = min(turns_per_dialogue, len(spoken))
            for number in np.linspace(0, len(spoken) - 1, count).round().astype(int):
                index, turn = spoken[number]
                name = f"{record.id}/{recorded.id}/{index}"
                places.append(HistoryPoint(name, record.dialogue(recorded, until=index), turn))
    if not places:
        raise RunError(
            "the turn-level protocol needs recorded dialogues of a competent persuader; none of "
            f"{len(records)} scenarios has one"
        )
    return places


def respond(
    agent: Persuader,
    user_model: UserModel | None,
    places: Sequence[HistoryPoint],
    log: BatchLog,
    settings: TurnSettings,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Response]:
    """The agent's response at every place, resuming after the last stored batch.

    Args:
        agent: the persuader.
        user_model: answers response and reference, on the same seed; None to ask nobody.
        places: where it has to speak.
        log: where finished batches are stored, and read again.
        settings: of the protocol.
        progress: told how many responses were added.
    """
    done = log.read()
    responses: list[Response] = []
    for start in range(0, len(places), settings.batch_size):
        batch, key = places[start : start + settings.batch_size], str(start)
        if key in done:
            found = [Response.from_json(row) for row in done[key]]
        else:
            found = _respond(agent, user_model, batch, settings.seed)
            log.append(key, [one.to_json() for one in found])
        responses += found
        progress(len(batch))
    return responses


def _respond(
    agent: Persuader, user_model: UserModel | None, places: Sequence[HistoryPoint], seed: int
) -> list[Response]:
    seeds = [derive_seed(seed, "turns", place.id) for place in places]
    try:
        replies = agent.act([persuader_view(place.history) for place in places], seeds)
    except PersuadeError as error:
        replies = [PersuaderReply(error=error)] * len(places)
    said = [index for index, reply in enumerate(replies) if reply.turn is not None]
    answers: dict[int, tuple[UserReply, UserReply]] = {}
    if user_model is not None and said:
        asked = [places[index].history.extended(_turn(replies[index])) for index in said]
        asked += [places[index].history.extended(places[index].reference) for index in said]
        user_seeds = [derive_seed(seeds[index], "user") for index in said]
        try:
            replies_of_user = user_model.reply([user_view(one) for one in asked], user_seeds * 2)
        except PersuadeError as error:
            replies_of_user = [UserReply(error=error)] * len(asked)
        answers = {
            index: (replies_of_user[number], replies_of_user[number + len(said)])
            for number, index in enumerate(said)
        }
    return [
        _response(place, reply, answers.get(index, ()))
        for index, (place, reply) in enumerate(zip(places, replies, strict=True))
    ]


def _turn(reply: PersuaderReply) -> PersuaderTurn:
    assert reply.turn is not None
    return reply.turn


def _response(place: HistoryPoint, reply: PersuaderReply, answers: Sequence[UserReply]) -> Response:
    errors = [one for one in (reply.error, *(one.error for one in answers)) if one is not None]
    return Response(
        place.id,
        reply.turn.response if reply.turn else "",
        reply.malformed,
        errors[0].kind if errors else "",
        *(one.turn for one in answers),
    )


def judged_pair(place: HistoryPoint, response: Response) -> tuple[Dialogue, Dialogue]:
    """History with the agent's response, and with the reference; answered where they were."""
    pair = []
    for turn, answer in (
        (PersuaderTurn(response=response.response), response.answer),
        (PersuaderTurn(response=place.reference.response), response.reference_answer),
    ):
        dialogue = place.history.extended(turn)
        pair.append(dialogue.extended(answer) if answer else dialogue)
    return pair[0], pair[1]


def summarize_turns(
    agent: str,
    judge_name: str,
    user_name: str,
    places: Sequence[HistoryPoint],
    responses: Sequence[Response],
    verdicts: Sequence[float],
    seed: int,
) -> TurnRow:
    """One row. Invalid places and failed verdicts are counted, never averaged in.

    Args:
        agent: its name.
        judge_name: what gave the verdicts.
        user_name: the user model whose attitudes decided; empty where none did.
        places: where the agent had to speak.
        responses: what it said there, in order.
        verdicts: of the valid responses, in order, from `persuade_env.judges.attitude.scores`.
        seed: of the bootstrap.
    """
    scenario = {place.id: place.history.scenario.id for place in places}
    reference = {place.id: place.reference.response for place in places}
    valid = [one for one in responses if not one.error_kind]
    told = [
        (one, verdict)
        for one, verdict in zip(valid, verdicts, strict=True)
        if not math.isnan(verdict)
    ]

    def mean(name: str, values: Sequence[float], of: Sequence[Response]) -> Estimate:
        rng = generator(derive_seed(seed, agent, user_name, PROTOCOL, name))
        return clustered_mean(values, [scenario[one.place] for one in of], rng)

    judged = [one for one, _ in told]
    metrics = {
        "win_rate": mean("win_rate", [(verdict + 1) / 2 for _, verdict in told], judged),
        "ties": mean("ties", [verdict == 0 for _, verdict in told], judged),
        "unjudged": mean("unjudged", [math.isnan(one) for one in verdicts], valid),
        "malformed": mean("malformed", [one.malformed for one in valid], valid),
        "invalid": mean("invalid", [bool(one.error_kind) for one in responses], responses),
        "words": mean("words", [len(one.response.split()) for one in valid], valid),
        "reference_words": mean(
            "reference_words", [len(reference[one.place].split()) for one in valid], valid
        ),
    }
    clusters = {scenario[one.place] for one in judged}
    return TurnRow(agent, judge_name, user_name, len(told), len(clusters), metrics)


def run_turns(
    agents: Mapping[str, Callable[[], Persuader]],
    user_models: Mapping[str, Callable[[], UserModel]],
    records: Sequence[ScenarioRecord],
    folder: Path,
    settings: TurnSettings,
    progress: Callable[[str, int], None] = lambda _name, _count: None,
) -> list[TurnRow]:
    """Every agent at every place; rows in `folder/turns.json`, responses in `folder/turns/`.

    With the judge `attitude`, once for each user model; other judges ask no user model.
    A killed run goes on where it stopped.
    """
    places = history_points(records, settings.turns_per_dialogue)
    judge = load_judge(settings.judge)
    name = hide_password(settings.judge)
    asked: Mapping[str, Callable[[], UserModel] | None] = (
        user_models if isinstance(judge, AttitudeJudge) else {"": None}
    )
    rows = []
    for user_name, load_user in asked.items():
        user_model = load_user() if load_user else None
        for agent_name, load_persuader in agents.items():
            label = f"{agent_name}--{user_name}" if user_name else agent_name
            log = BatchLog(folder / "turns" / f"{label}.jsonl")
            responses = respond(
                load_persuader(),
                user_model,
                places,
                log,
                settings,
                lambda count, label=label: progress(label, count),  # type: ignore[misc]
            )
            pairs = [
                judged_pair(place, response)
                for place, response in zip(places, responses, strict=True)
                if not response.error_kind
            ]
            rows.append(
                summarize_turns(
                    agent_name,
                    name,
                    user_name,
                    places,
                    responses,
                    scores(judge, pairs) if pairs else [],
                    settings.seed,
                )
            )
    write_json(
        folder / "turns.json",
        {
            "protocol": PROTOCOL,
            "judge": name,
            "places": len(places),
            "metrics": METRICS,
            "rows": [row.to_json() for row in rows],
        },
    )
    return rows


def turns_table(rows: Sequence[TurnRow]) -> Table:
    """The rows for a terminal; the caption names the judge."""
    judges = ", ".join(dict.fromkeys(row.judge for row in rows))
    caption = (
        "95 % intervals, bootstrapped by scenario\n"
        f"next response to a fixed history, against the reference, judged by {judges}"
    )
    table = Table(caption=escape(caption), caption_justify="left")
    users = any(row.user_model for row in rows)
    for heading in (["user model"] if users else []) + ["agent"]:
        table.add_column(heading, no_wrap=True)
    table.add_column("n", justify="right")
    names = ("win_rate", "ties", "unjudged", "malformed", "invalid", "words")
    for name in names:
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for row in rows:
        cells = [row.user_model] if users else []
        cells += [row.agent, str(row.n)]
        win_rate, *others = (row.metrics[name] for name in names)
        cells += [show(win_rate, names[0]), *(f"{one.value:.2f}" for one in others)]
        table.add_row(*map(escape, cells))
    return table
