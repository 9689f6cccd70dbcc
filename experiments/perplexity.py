"""Perplexity of a learned user on what people said, with an interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.names import user_model_in
from experiments.statistics import Estimate, clustered_statistic
from persuade_env.dialogue import ScenarioRecord
from persuade_env.errors import RunError
from persuade_env.registry import load_user_model
from persuade_env.scenarios import load_corpus
from persuade_env.seeding import derive_seed, generator
from user_models.learned import LearnedUser
from user_models.likelihood import Likelihood, unigram_likelihood, words_likelihood


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
            occurs in the corpus's training split; anything else is a learned user model.
        run: whose `learned` and `held-out` are meant.

    Raises:
        RunError: if a user model has no likelihood.
    """
    if name == "unigram":
        from persuade_env.chat.transformers import load_tokenizer

        return list(unigram_likelihood(load_corpus("train"), records, load_tokenizer()))
    if name == "untuned":
        from persuade_env.chat.transformers import TransformersChat, load_model, load_tokenizer

        chat = TransformersChat(load_model(), load_tokenizer())
        return list(words_likelihood(chat, records, progress))
    model = load_user_model(user_model_in(run, name))
    if not isinstance(model, LearnedUser):
        raise RunError(f"{name} has no likelihood: only learned user models have")
    return list(words_likelihood(model.chat, records, progress))


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


def sample(records: Sequence[ScenarioRecord], limit: int) -> list[ScenarioRecord]:
    """At most `limit` of them, evenly spread over the file; always the same ones."""
    if len(records) <= limit:
        return list(records)
    places = np.linspace(0, len(records) - 1, limit).round().astype(int)
    return [records[place] for place in places]
