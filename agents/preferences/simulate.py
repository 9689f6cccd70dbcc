"""Simulated preferences: continue a dialogue along paths, compare the paths, keep clear pairs.

PersuGPT (Jin et al., ACL 2024) scores two candidate turns by simulating how the dialogue
goes on after each and letting a judge compare the simulations. With `n_paths` paths i and
`depth` further persuader turns d, this module computes:

    R(a, b) = sum_d w_d * mean_i I(path_i(a) up to d, path_i(b) up to d) / sum_d w_d

with w_d = decay ** d and I in [-1, 1] the judge's verdict over both orders. The paper's
figure adds up four verdicts; `depth=4, n_paths=1` and `depth=1, n_paths=4` are its readings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

from agents.preferences.data import (
    Candidate,
    Comparison,
    Preference,
    PreferenceContext,
    PreferenceSettings,
    SimulatedPath,
    SimulatedPreferences,
)
from agents.preferences.lookahead import look_ahead
from persuade_env.action_format import render_turn
from persuade_env.dialogue import Dialogue
from persuade_env.episode import DEFAULT_MAX_TURNS, Episode
from persuade_env.judges.attitude import AttitudeJudge, scores
from persuade_env.protocols import Judge, Persuader, PersuaderReply, UserModel, persuader_view
from persuade_env.seeding import derive_seed


def simulate(
    contexts: Sequence[PreferenceContext],
    persuader: Persuader,
    user_model: UserModel,
    *,
    settings: PreferenceSettings | None = None,
    judge: Judge | None = None,
    max_turns: int = DEFAULT_MAX_TURNS,
    seed: int = 0,
) -> list[SimulatedPreferences]:
    """Samples candidates at every context and compares their simulated paths.

    Every candidate and path of every context goes through the models in the same batches:
    2 * depth batched calls in all. A failed user model or persuader marks its own
    path, and a candidate with such a path is never compared. A path ends where its dialogue has
    `max_turns` persuader turns, those before the context included.
    """
    settings = settings or PreferenceSettings()
    judge = judge or AttitudeJudge(settings.tie_band)
    slots = [
        (context, derive_seed(seed, context.id, "candidate", index))
        for context in contexts
        for index in range(settings.n_candidates)
    ]
    replies = persuader.act(
        [persuader_view(context.dialogue) for context, _ in slots], [one for _, one in slots]
    )
    # Path i of every candidate of a context shares its seed: common random numbers make the
    # comparison one of candidates rather than of luck.
    paths = [
        (context.dialogue, reply, derive_seed(seed, context.id, "path", index))
        for (context, _), reply in zip(slots, replies, strict=True)
        for index in range(settings.n_paths)
    ]
    played = look_ahead(
        [dialogue for dialogue, _, _ in paths],
        [reply for _, reply, _ in paths],
        [path_seed for _, _, path_seed in paths],
        persuader,
        user_model,
        depth=settings.depth,
        max_turns=max_turns,
    )
    episodes = [
        played[start : start + settings.n_paths]
        for start in range(0, len(played), settings.n_paths)
    ]
    results = []
    for number, context in enumerate(contexts):
        own = slice(number * settings.n_candidates, (number + 1) * settings.n_candidates)
        candidates = tuple(
            _candidate(reply, slot_seed, group, context)
            for reply, (_, slot_seed), group in zip(
                replies[own], slots[own], episodes[own], strict=True
            )
        )
        comparisons = tuple(
            Comparison(a, b, _score(episodes[own][a], episodes[own][b], context, judge, settings))
            for a, b in combinations(range(len(candidates)), 2)
            if candidates[a].usable(settings) and candidates[b].usable(settings)
        )
        results.append(
            SimulatedPreferences(
                context.id,
                context.dialogue.scenario.id,
                len(context.dialogue.persuader_turns),
                candidates,
                comparisons,
            )
        )
    return results


def _candidate(
    reply: PersuaderReply, seed: int, episodes: Sequence[Episode], context: PreferenceContext
) -> Candidate:
    completion = reply.completion
    before = len(context.dialogue.persuadee_turns)
    return Candidate(
        text=render_turn(reply.turn) if reply.turn else "",
        seed=seed,
        prompt_ids=completion.prompt_ids if completion else (),
        token_ids=completion.token_ids if completion else (),
        logprobs=completion.logprobs if completion else (),
        malformed=reply.malformed,
        error_kind=reply.error.kind if reply.error else "",
        paths=tuple(
            SimulatedPath(
                seed=episode.seed,
                attitudes=tuple(
                    round(turn.attitude, 4)
                    for turn in episode.dialogue.persuadee_turns[before:]
                    if turn.attitude is not None
                ),
                outcome=episode.dialogue.outcome.value,
                error_kind=episode.error_kind,
            )
            for episode in episodes
        ),
    )


def _score(
    first: Sequence[Episode],
    second: Sequence[Episode],
    context: PreferenceContext,
    judge: Judge,
    settings: PreferenceSettings,
) -> float:
    """R of the module's docstring, in [-1, 1]."""
    start = len(context.dialogue.turns)
    pairs, weights = [], []
    for level in range(settings.depth):
        # A path that ended earlier stands at its end on the later levels.
        end = start + 2 * (level + 1)
        for a, b in zip(first, second, strict=True):
            pairs.append((_until(a.dialogue, end), _until(b.dialogue, end)))
            weights.append(settings.decay**level)
    verdicts = [
        (weight, verdict)
        for weight, verdict in zip(weights, scores(judge, pairs), strict=True)
        if not math.isnan(verdict)  # the judge failed
    ]
    return sum(w * v for w, v in verdicts) / sum(w for w, _ in verdicts) if verdicts else 0.0


def _until(dialogue: Dialogue, end: int) -> Dialogue:
    return Dialogue.model_construct(scenario=dialogue.scenario, turns=dialogue.turns[:end])


def preferences(
    simulated: Sequence[SimulatedPreferences], settings: PreferenceSettings | None = None
) -> list[Preference]:
    """The pairs whose score passes the margin, the better candidate first.

    Of each context the `max_pairs` clearest: by score, and among equal scores by how far apart
    the paths ended. Pairs of identical replies carry no signal and are
    left out.
    """
    settings = settings or PreferenceSettings()
    pairs: list[Preference] = []
    for context in simulated:
        kept = 0
        for comparison in sorted(context.comparisons, key=lambda pair: _clarity(context, pair)):
            if kept == settings.max_pairs or abs(comparison.score) < settings.margin:
                break
            better = context.candidates[comparison.first]
            worse = context.candidates[comparison.second]
            if comparison.score < 0:
                better, worse = worse, better
            if better.token_ids == worse.token_ids:
                continue
            kept += 1
            pairs.append(
                Preference(
                    context.context_id,
                    better.prompt_ids,
                    better.token_ids,
                    worse.token_ids,
                    abs(comparison.score),
                    context.scenario_id,
                )
            )
    return pairs


def _clarity(context: SimulatedPreferences, comparison: Comparison) -> tuple[float, float]:
    """Sorts the clearest comparison first."""
    ends = [
        sum(path.attitudes[-1] for path in paths if path.attitudes) / len(paths)
        for paths in (
            context.candidates[comparison.first].paths,
            context.candidates[comparison.second].paths,
        )
    ]
    return -abs(comparison.score), -abs(ends[0] - ends[1])
