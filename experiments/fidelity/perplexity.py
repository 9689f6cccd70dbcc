"""Perplexity of learned users and baselines on recorded persuadees' words, with intervals."""

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
"""The untuned model, unigram frequencies, and these mixed with a copy of the last response."""


@dataclass(frozen=True)
class Perplexity:
    """exp of the mean negative log-likelihood of a persuadee's token, bootstrapped by scenario."""

    estimate: Estimate
    scenarios: int
    tokens: int


def likelihoods(
    name: str,
    run: Path,
    records: Sequence[ScenarioRecord],
    progress: Callable[[int], None] = lambda _: None,
) -> list[Likelihood]:
    """The likelihoods of recorded dialogues under a learned user or a baseline.

    Args:
        name: `untuned` (the embedded model as it ships), `unigram` (token frequencies of the
            corpus's training split), `copy-last` (these mixed with the persuader's last response),
            or a learned user model.
        run: the run whose `learned` and `held-out` are meant.
        records: recorded dialogues.
        progress: called with the number of dialogues just done.

    Raises:
        RunError: if a user model has no likelihood.
    """
    if name in BASELINES:
        return baseline_likelihoods(name, records, progress)
    model = load_user_model(resolve_user_spec(run, name))
    if not isinstance(model, LearnedUser):
        raise RunError(f"{name} has no likelihood: only learned user models have")
    return list(words_likelihood(model.chat, records, progress))


def baseline_likelihoods(
    name: str,
    records: Sequence[ScenarioRecord],
    progress: Callable[[int], None] = lambda _: None,
) -> list[Likelihood]:
    """The likelihoods of recorded dialogues under one of `BASELINES`."""
    from persuade_env.llm.backends.transformers import TransformersChat
    from persuade_env.llm.loading import load_model, load_tokenizer

    tokenizer = load_tokenizer()
    if name == "untuned":
        chat = TransformersChat(load_model(), tokenizer)
        return list(words_likelihood(chat, records, progress))
    counted = unigram_likelihood if name == "unigram" else copy_last_likelihood
    likelihoods = list(counted(load_corpus("train"), records, tokenizer))
    progress(sum(len(record.dialogues) for record in records))
    return likelihoods


def perplexity(likelihoods: Sequence[Likelihood], seed: int = 0) -> Perplexity:
    """The perplexity over all tokens of all dialogues.

    Raises:
        RunError: if there is nothing to measure.
    """
    if not likelihoods:
        raise RunError("no dialogue in which the persuadee says something")
    nats = np.asarray([likelihood.nats for likelihood in likelihoods])
    tokens = np.asarray([likelihood.tokens for likelihood in likelihoods])
    scenarios = [likelihood.scenario for likelihood in likelihoods]
    estimate = clustered_statistic(
        lambda rows: float(np.exp(nats[rows].sum() / tokens[rows].sum())),
        scenarios,
        generator(derive_seed(seed, "perplexity")),
    )
    return Perplexity(estimate, len(set(scenarios)), int(tokens.sum()))


def domain_perplexities(
    likelihoods: Sequence[Likelihood], records: Sequence[ScenarioRecord], seed: int = 0
) -> dict[str, Perplexity]:
    """The perplexity by domain, in alphabetical order; domains without tokens are left out."""
    domain_of = {record.id: record.domain for record in records}
    groups: dict[str, list[Likelihood]] = {}
    for likelihood in likelihoods:
        groups.setdefault(domain_of[likelihood.scenario], []).append(likelihood)
    return {domain: perplexity(groups[domain], seed) for domain in sorted(groups)}


def unseen_table(
    columns: Mapping[str, Sequence[Likelihood]],
    records: Sequence[ScenarioRecord],
    trained_on: frozenset[str],
    seed: int = 0,
) -> Table:
    """Perplexity in the domains that the `unseen` user was trained on, and in those left out.

    The last row is their ratio. For `learned`, trained on both, it is how much harder the left-out
    domains are anyway; the excess for `unseen` is the cost of not having been trained on them.

    Args:
        columns: likelihoods of the dialogues of `records`, by model.
        records: of both kinds of domains.
        trained_on: the domains that the `unseen` user was trained on.
        seed: of the bootstrap.

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
            [item for item in likelihoods if domain_of[item.scenario] in trained_on],
            [item for item in likelihoods if domain_of[item.scenario] not in trained_on],
        )
        for name, likelihoods in columns.items()
    }
    for title, index in (("trained on", 0), ("left out", 1)):
        results = [perplexity(group[index], seed) for group in groups.values()]
        cells = [str(result.estimate) for result in results]
        table.add_row(title, str(results[0].scenarios), *cells)
    ratios = [_group_ratio(*group, seed) for group in groups.values()]
    table.add_row("left out over trained on", "", *map(str, ratios))
    return table


def _group_ratio(kept: Sequence[Likelihood], left_out: Sequence[Likelihood], seed: int) -> Estimate:
    """Perplexity of the scenarios left out over that of the others."""
    both = [*kept, *left_out]
    nats = np.asarray([likelihood.nats for likelihood in both])
    tokens = np.asarray([likelihood.tokens for likelihood in both])
    is_left_out = np.arange(len(both)) >= len(kept)

    def ratio(rows: np.ndarray) -> float:
        a, b = rows[is_left_out[rows]], rows[~is_left_out[rows]]
        if not len(a) or not len(b):
            return float("nan")
        return float(np.exp(nats[a].sum() / tokens[a].sum() - nats[b].sum() / tokens[b].sum()))

    rng = generator(derive_seed(seed, "unseen"))
    return clustered_statistic(ratio, [likelihood.scenario for likelihood in both], rng)


def perplexity_ratio(
    likelihoods: Sequence[Likelihood], baseline: Sequence[Likelihood], seed: int = 0
) -> Estimate:
    """Perplexity over a baseline's in the same scenarios; 0.4 is 60 % below it.

    Raises:
        RunError: if they have no scenario in common.
    """
    sums, baseline_sums = _by_scenario(likelihoods), _by_scenario(baseline)
    both = sorted(sums.keys() & baseline_sums.keys())
    if not both:
        raise RunError("no scenario in which both perplexities are known")
    rows_of = np.asarray([[*sums[scenario], *baseline_sums[scenario]] for scenario in both])

    def ratio(rows: np.ndarray) -> float:
        nats, tokens, other_nats, other_tokens = rows_of[rows].sum(axis=0)
        return float(np.exp(nats / tokens - other_nats / other_tokens))

    return clustered_statistic(ratio, both, generator(derive_seed(seed, "ratio")))


def _by_scenario(likelihoods: Sequence[Likelihood]) -> dict[str, tuple[float, int]]:
    sums: dict[str, tuple[float, int]] = {}
    for likelihood in likelihoods:
        nats, tokens = sums.get(likelihood.scenario, (0.0, 0))
        sums[likelihood.scenario] = nats + likelihood.nats, tokens + likelihood.tokens
    return sums


def perplexity_table(columns: Mapping[str, Mapping[str, Perplexity]]) -> Table:
    """A row for each domain, a column for each model.

    Domains that the corpus's training split lacks are marked with a star.
    """
    training_domains = {record.domain for record in load_corpus("train")}
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
        scenarios = max(cell.scenarios for cell in cells if cell is not None)
        table.add_row(
            escape(domain) + ("" if domain in training_domains else "*"),
            str(scenarios),
            *("–" if cell is None else str(cell.estimate) for cell in cells),
        )
    return table


def sample(records: Sequence[ScenarioRecord], limit: int) -> list[ScenarioRecord]:
    """At most `limit` records, evenly spread over the file; always the same ones."""
    if len(records) <= limit:
        return list(records)
    indices = np.linspace(0, len(records) - 1, limit).round().astype(int)
    return [records[index] for index in indices]
