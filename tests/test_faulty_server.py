"""Dialogues with a server that goes wrong in a fifth of its answers.

A fault costs its own dialogue, which is counted with kind and reason; every other dialogue is the
one of an undisturbed run; and when the server is well again, the same call completes the table.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

from agents.persuaders.prompted import PromptedPersuader
from agents.persuaders.prompts import spoken_messages
from experiments.benchmark.config import BenchmarkSettings
from experiments.benchmark.dialogues import load_episodes, run_benchmark
from experiments.benchmark.summary import Row, summarize
from persuade_env.dialogue import Dialogue, Scenario
from persuade_env.episode import Episode
from persuade_env.llm.backends.openai_http import HttpChat
from persuade_env.scenarios import load_corpus
from tests.faulty_server import FINAL, LATE_SECONDS, PASSING, FaultyServer
from user_models.rule_based import RuleBasedUser

MAX_TRIES = 2
"""So few that some requests fail in all of them."""
SETTINGS = BenchmarkSettings(batch_size=32, max_turns=4, baseline="none")
REASONS = {
    "400": ("chat_rejected", "(400): fault 400"),
    "401": ("chat_rejected", "(401): fault 401"),
    "half json": ("chat", "something else than a completion"),
    "html": ("chat", "something else than a completion"),
    "wrong types": ("chat", "something else than a completion"),
    "bad parts": ("chat", "something else than a completion"),
    "reasoning only": ("chat", "raise max_reply_tokens"),
    "filter": ("chat_rejected", "content filter"),
    "drop": ("chat_unavailable", "cannot reach"),
    "torn": ("chat_unavailable", "cannot reach"),
    "late": ("chat_unavailable", "did not answer in time"),
    "429": ("chat_unavailable", "429: fault 429"),
    "500": ("chat_unavailable", "500: fault 500"),
    "503": ("chat_unavailable", "503: fault 503"),
    "error in 200": ("chat_unavailable", "429: fault 429"),
    "no choices": ("chat_unavailable", "no choice"),
}
"""Kind of error and a part of its message, by the fault that ended a dialogue."""


def scenarios(number: int) -> list[Scenario]:
    """Different scenarios, so that a request's system prompt says which dialogue it is of."""
    records = load_corpus(name="plain") + load_corpus()
    chosen = [record.scenario for record in records if record.persona][:number]
    assert len({prompt(scenario) for scenario in chosen}) == number
    return chosen


def prompt(scenario: Scenario) -> str:
    return spoken_messages(Dialogue(scenario=scenario))[0]["content"]


@dataclass
class Played:
    """A benchmark of one persuader behind a server."""

    episodes: list[Episode]
    row: Row


def play(server: FaultyServer, chosen: list[Scenario], folder: Path) -> Played:
    chat = HttpChat(server.url, "m", timeout=LATE_SECONDS - 1, max_tries=MAX_TRIES, backoff=0.001)
    (row,) = run_benchmark(
        {"http": lambda: PromptedPersuader(chat)},
        {"concerns": RuleBasedUser},
        chosen,
        folder,
        SETTINGS,
    )
    return Played(load_episodes(folder, "http", "concerns"), row)


def ended_by(faults: list[tuple[str, str]]) -> str:
    """The fault that ends a dialogue with these, by request and in order; empty if none does."""
    for _, group in groupby(faults, key=lambda one: one[0]):
        kinds = [fault for _, fault in group]
        if kinds[-1] in FINAL or sum(kind in PASSING for kind in kinds) == MAX_TRIES:
            return kinds[-1]
    return ""


def check(number: int, seed: int, folder: Path) -> str:
    """Plays it undisturbed, with faults and again; checks all three, and says what happened."""
    chosen = scenarios(number)
    with FaultyServer() as server:
        calm = play(server, chosen, folder / "calm")
    assert all(episode.valid for episode in calm.episodes)
    with FaultyServer(seed, rate=0.2) as server:
        played = play(server, chosen, folder / "faulty")
    assert len(played.episodes) == number

    failed, recovered, silent = Counter[str](), 0, 0
    for undisturbed, episode in zip(calm.episodes, played.episodes, strict=True):
        faults = server.faults[prompt(episode.scenario)]
        fault = ended_by(faults)
        assert episode.valid == (not fault), (faults, episode.error)
        if fault:
            kind, reason = REASONS[fault]
            assert episode.error_kind == kind
            assert reason in episode.error
            assert episode.reward == 0
            failed[episode.error_kind] += 1
        elif episode.malformed_turns:  # an empty answer, and an empty one to the second request
            assert [fault for _, fault in faults].count("empty") >= 2
            silent += 1
        else:
            assert episode == undisturbed
            recovered += bool(faults)

    # What failed is counted and nothing else of it: the row is that of the valid ones alone.
    valid = [episode for episode in played.episodes if episode.valid]
    assert (played.row.n, played.row.n_invalid) == (len(valid), sum(failed.values()))
    assert played.row.error == next(one.error for one in played.episodes if not one.valid)
    alone = summarize("http", "concerns", valid, None, seed=SETTINGS.seed)
    for name, estimate in played.row.metrics.items():
        if name not in ("invalid", "win_rate", "unjudged"):
            assert estimate == alone.metrics[name]
    assert played.row.metrics["invalid"].value == sum(failed.values()) / number

    # The server is well again: the same call plays what failed, and that alone.
    with FaultyServer() as well:
        again = play(well, chosen, folder / "faulty")
    assert again.row.n == number
    assert well.asked == {prompt(one.scenario) for one in played.episodes if not one.valid}
    for undisturbed, before, after in zip(
        calm.episodes, played.episodes, again.episodes, strict=True
    ):
        assert after == (before if before.valid else undisturbed)
    errors = ", ".join(f"{count} {kind}" for kind, count in sorted(failed.items()))
    untouched = number - sum(failed.values()) - silent - recovered
    wrong = 1 - server.counts["fine"] / server.counts.total()
    return (
        f"{number} dialogues, width {SETTINGS.batch_size}, seed {seed}: {wrong:.1%} of "
        f"{server.counts.total()} attempts went wrong; {sum(failed.values())} dialogues failed "
        f"({errors}); equal to the undisturbed run's: {untouched} without a fault, {recovered} "
        f"with; {silent} with a silent turn"
    )


def test_a_fault_costs_its_own_dialogue(tmp_path):
    check(64, 0, tmp_path)


@pytest.mark.slow
def test_500_dialogues_with_faults_in_a_fifth_of_the_answers(tmp_path, figure):
    figure(check(500, 1, tmp_path))


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(2, 8))
def test_500_dialogues_with_other_faults(tmp_path, figure, seed):
    figure(check(500, seed, tmp_path))


def test_every_fault_has_its_own_outcome():
    """Without it, a fault that is never dealt out would pass for one that does no harm."""
    assert {*FINAL, *PASSING} == set(REASONS)
