"""Perplexity of a learned user on what people said, with an interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.table import Table

from experiments.common.bootstrap import Estimate, clustered_statistic
from experiments.common.resolve import resolve_user_spec
from experiments.fidelity.probes.likelihood import (
    Likelihood,
    copy_last_likelihood,
    unigram_likelihood,
    words_likelihood,
)
from persuade_env.dialogue import ScenarioRecord
from persuade_env.errors import RunError
from persuade_env.registry import load_user_model
from persuade_env.scenarios import load_corpus
from persuade_env.seeding import derive_seed, generator
from user_models.learned.user import LearnedUser

BASELINES = ("untuned", "unigram", "copy-last")
"""What a learned user is held against."""


@dataclass(frozen=True)
class Perplexity:
    """exp of the mean negative log-likelihood of a persuadee's token, by scenario bootstrapped."""

    estimate: Estimate
    scenarios: int
    tokens: int


def likelihoods(
    name: str,
    run: Path,
    records: Sequence[ScenarioRecord],
    progress: Callable[[int], None] = lambda _: None,
) -> list[Likelihood]:
    """Of the recorded dialogues under a learned user, or under one of the yardsticks.

    Args:
        name: `untuned` is the embedded model as it ships, `unigram` knows how often each token
            occurs in the corpus's training split, `copy-last` also what was just said to it;
            anything else is a learned user model.
        run: whose `learned` and `held-out` are meant.

    Raises:
        RunError: if a user model has no likelihood.
    """
    if name in BASELINES:
        return baseline_perplexity(name, records, progress)
    model = load_user_model(resolve_user_spec(run, name))
    if not isinstance(model, LearnedUser):
        raise RunError(f"{name} has no likelihood: only learned user models have")
    return list(words_likelihood(model.chat, records, progress))


def baseline_perplexity(
    name: str,
    records: Sequence[ScenarioRecord],
    progress: Callable[[int], None] = lambda _: None,
) -> list[Likelihood]:
    """Of the recorded dialogues under one of `BASELINES`."""
    from persuade_env.llm.backends.transformers import TransformersChat
    from persuade_env.llm.loading import load_model, load_tokenizer

    tokenizer = load_tokenizer()
    if name == "untuned":
        chat = TransformersChat(load_model(), tokenizer)
        return list(words_likelihood(chat, records, progress))
    counted = unigram_likelihood if name == "unigram" else copy_last_likelihood
    found = list(counted(load_corpus("train"), records, tokenizer))
    progress(sum(len(record.dialogues) for record in records))
    return found


def perplexity(likelihoods: Sequence[Likelihood], seed: int = 0) -> Perplexity:
    """Over all tokens of all dialogues.

    Raises:
        RunError: if there is nothing to measure.
    """
    if not likelihoods:
        raise RunError("no dialogue in which the persuadee says something")
    nats = np.asarray([one.nats for one in likelihoods])
    tokens = np.asarray([one.tokens for one in likelihoods])
    scenarios = [one.scenario for one in likelihoods]
    estimate = clustered_statistic(
        lambda rows: float(np.exp(nats[rows].sum() / tokens[rows].sum())),
        scenarios,
        generator(derive_seed(seed, "perplexity")),
    )
    return Perplexity(estimate, len(set(scenarios)), int(tokens.sum()))


def domain_perplexities(
    likelihoods: Sequence[Likelihood], records: Sequence[ScenarioRecord], seed: int = 0
) -> dict[str, Perplexity]:
    """By domain, in alphabetical order. A domain in which nobody says anything is left out."""
    domain_of = {record.id: record.domain for record in records}
    groups: dict[str, list[Likelihood]] = {}
    for one in likelihoods:
        groups.setdefault(domain_of[one.scenario], []).append(one)
    return {domain: perplexity(groups[domain], seed) for domain in sorted(groups)}


def unseen_table(
    columns: Mapping[str, Sequence[Likelihood]],
    records: Sequence[ScenarioRecord],
    trained_on: frozenset[str],
    seed: int = 0,
) -> Table:
    """Perplexity in the domains that the `unseen` user was not trained on, and in the others.

    Their ratio stands below. For `learned`, trained on both, it says how much harder the left-out
    domains are anyway; what it is above that for `unseen` is the cost of not having seen them.

    Args:
        columns: likelihoods of the dialogues of `records`, by model.

    Raises:
        RunError: if there are records of one of the two kinds alone.
    """
    domain_of = {record.id: record.domain for record in records}
    if len({domain in trained_on for domain in domain_of.values()}) < 2:
        raise RunError(
            "these dialogues are all of domains that `unseen` was trained on, or of none"
        )
    table = Table(caption="95 % intervals bootstrapped by scenario", caption_justify="left")
    table.add_column("domains")
    table.add_column("scen.", justify="right")
    for name in columns:
        table.add_column(escape(name), justify="right", no_wrap=True)
    groups = {
        name: (
            [one for one in known if domain_of[one.scenario] in trained_on],
            [one for one in known if domain_of[one.scenario] not in trained_on],
        )
        for name, known in columns.items()
    }
    for title, place in (("trained on", 0), ("left out", 1)):
        found = [perplexity(group[place], seed) for group in groups.values()]
        table.add_row(title, str(found[0].scenarios), *(str(one.estimate) for one in found))
    ratios = [_group_ratio(*group, seed) for group in groups.values()]
    table.add_row("left out over trained on", "", *map(str, ratios))
    return table


def _group_ratio(kept: Sequence[Likelihood], left_out: Sequence[Likelihood], seed: int) -> Estimate:
    """Perplexity of one group of scenarios over that of another."""
    both = [*kept, *left_out]
    nats = np.asarray([one.nats for one in both])
    tokens = np.asarray([one.tokens for one in both])
    out = np.arange(len(both)) >= len(kept)

    def ratio(rows: np.ndarray) -> float:
        a, b = rows[out[rows]], rows[~out[rows]]
        if not len(a) or not len(b):
            return float("nan")
        return float(np.exp(nats[a].sum() / tokens[a].sum() - nats[b].sum() / tokens[b].sum()))

    rng = generator(derive_seed(seed, "unseen"))
    return clustered_statistic(ratio, [one.scenario for one in both], rng)


def perplexity_ratio(
    likelihoods: Sequence[Likelihood], baseline_perplexity: Sequence[Likelihood], seed: int = 0
) -> Estimate:
    """Perplexity over the yardstick's in the same scenarios; 0.4 is 60 % below it.

    Raises:
        RunError: if they have no scenario in common.
    """
    ours, theirs = _by_scenario(likelihoods), _by_scenario(baseline_perplexity)
    both = sorted(ours.keys() & theirs.keys())
    if not both:
        raise RunError("no scenario in which both perplexities are known")
    rows_of = np.asarray([[*ours[one], *theirs[one]] for one in both])

    def ratio(rows: np.ndarray) -> float:
        nats, tokens, other_nats, other_tokens = rows_of[rows].sum(axis=0)
        return float(np.exp(nats / tokens - other_nats / other_tokens))

    return clustered_statistic(ratio, both, generator(derive_seed(seed, "ratio")))


def _by_scenario(likelihoods: Sequence[Likelihood]) -> dict[str, tuple[float, int]]:
    sums: dict[str, tuple[float, int]] = {}
    for one in likelihoods:
        nats, tokens = sums.get(one.scenario, (0.0, 0))
        sums[one.scenario] = nats + one.nats, tokens + one.tokens
    return sums


def perplexity_table(columns: Mapping[str, Mapping[str, Perplexity]]) -> Table:
    """A row for each domain, a column for each model.

    Domains that the corpus's training split lacks are marked: nothing trained on it saw them.
    """
    seen = {record.domain for record in load_corpus("train")}
    table = Table(
        caption="perplexity, 95 % intervals bootstrapped by scenario; *: not in the training split",
        caption_justify="left",
    )
    table.add_column("domain", no_wrap=True)
    table.add_column("scen.", justify="right")
    for name in columns:
        table.add_column(escape(name), justify="right", no_wrap=True)
    for domain in sorted({domain for column in columns.values() for domain in column}):
        cells = [column.get(domain) for column in columns.values()]
        scenarios = max(one.scenarios for one in cells if one is not None)
        table.add_row(
            escape(domain) + ("" if domain in seen else "*"),
            str(scenarios),
            *("–" if one is None else str(one.estimate) for one in cells),
        )
    return table


def sample(records: Sequence[ScenarioRecord], limit: int) -> list[ScenarioRecord]:
    """At most `limit` of them, evenly spread over the file; always the same ones."""
    if len(records) <= limit:
        return list(records)
    places = np.linspace(0, len(records) - 1, limit).round().astype(int)
    return [records[place] for place in places]
