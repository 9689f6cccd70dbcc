"""Pools whose best and worst turns are known."""

import json

import pytest

from agents.persuaders.intent_to_strategy import IntentToStrategyPersuader
from agents.preferences.data import PreferenceContext
from agents.preferences.pool import (
    PoolCandidate,
    PooledContext,
    best_turns,
    best_worst_pairs,
    sample_pool,
    spreads,
)
from persuade_env.dialogue import Dialogue, PersuaderTurn
from persuade_env.errors import PersuaderError
from persuade_env.protocols import Completion, PersuaderReply, StopReason, UserReply
from persuade_env.seeding import derive_seed
from tests.helpers import FAILURE, felt, scenario

CONTEXTS = [
    PreferenceContext(f"leisure-90{k}/opening", Dialogue(scenario=scenario(f"leisure-90{k}")))
    for k in (1, 2)
]


class Numbers:
    """Says how many-th candidate it is; the fourth fails, the fifth is cut."""

    def __init__(self):
        self.calls = []

    def act(self, dialogues, seeds):
        self.calls.append(len(dialogues))
        return [self._one(one, seed) for one, seed in zip(dialogues, seeds, strict=True)]

    def _one(self, dialogue, seed):
        assert dialogue.scenario.persona is None
        name = f"{dialogue.scenario.id}/opening"
        number = next(n for n in range(9) if derive_seed(0, name, "pool", n) == seed)
        if number == 3:
            return PersuaderReply(error=PersuaderError("no"))
        stop = StopReason.LENGTH if number == 4 else StopReason.STOP
        done = Completion(str(number), stop, 2, 2, (1, 2), (10 + number, 2))
        turn = PersuaderTurn(analysis="a", strategy="s", response=str(number))
        return PersuaderReply(turn=turn, completion=done, malformed=number == 5)


class Feels:
    """Feels what the number says; fails at 2."""

    def reply(self, dialogues, seeds):
        self.seeds = seeds
        return [self._one(int(dialogue.turns[-1].response)) for dialogue in dialogues]

    def _one(self, number):
        return UserReply(error=FAILURE) if number == 2 else UserReply(turn=felt(1 + number))


def test_every_candidate_is_sampled_and_labelled_in_one_batch_and_a_failure_is_its_own():
    persuader, user = Numbers(), Feels()
    pool = sample_pool(CONTEXTS, persuader, user, n_candidates=7)
    assert persuader.calls == [14]
    assert [one.context_id for one in pool] == [context.id for context in CONTEXTS]
    for one in pool:
        assert [c.attitude for c in one.candidates] == [1, 2, None, None, 5, 6, 7]
        assert [c.usable() for c in one.candidates] == [
            True,
            True,
            False,
            False,
            False,
            False,
            True,
        ]
        assert [n for n, c in enumerate(one.candidates) if c.usable(True)] == [0, 1, 4, 5, 6]
        assert one.prompt_ids == (1, 2)
        assert one.attitude == 3.0
    assert len(set(user.seeds)) == 2  # candidates of one context share their luck


def test_a_pool_is_read_back():
    (one,) = sample_pool(CONTEXTS[:1], Numbers(), Feels(), n_candidates=5)
    assert PooledContext.from_json(json.loads(json.dumps(one.to_json()))) == one


def pooled(*labels, name="c", **changes):
    """A context with candidates of these attitudes, of ten tokens each."""
    return PooledContext(
        name,
        "leisure-901",
        0,
        3.0,
        (1,),
        tuple(
            PoolCandidate(**{"text": "", "seed": 0, "attitude": label, **kind})
            for label, kind in (
                (
                    label,
                    {"token_ids": (index,) * 10, **changes.get(f"at{index}", {})},
                )
                for index, label in enumerate(labels)
            )
        ),
    )


def test_the_best_stands_against_the_worst_and_malformed_ones_are_dropped():
    (pair,) = best_worst_pairs([pooled(4.0, 3.2, 3.5, 6.0, at3={"malformed": True})])
    assert (pair.chosen_ids[0], pair.rejected_ids[0]) == (0, 1)
    assert pair.margin == pytest.approx(0.8)
    assert pair.scenario_id == "leisure-901"
    (pair,) = best_worst_pairs(
        [pooled(4.0, 3.2, 3.5, 6.0, at3={"malformed": True})], keep_malformed=True
    )
    assert pair.chosen_ids[0] == 3


def test_what_is_too_near_or_of_unlike_length_makes_no_pair():
    assert not best_worst_pairs([pooled(4.0, 3.7)])
    assert best_worst_pairs([pooled(4.0, 3.6)])
    assert not best_worst_pairs([pooled(4.0)])
    assert not best_worst_pairs([pooled(4.0, None)])
    for length, kept in ((6, False), (7, True), (16, True), (17, False)):
        unlike = pooled(4.0, 3.0, at1={"token_ids": (9,) * length})
        assert len(best_worst_pairs([unlike])) == kept
    same = pooled(4.0, 4.0, at1={"token_ids": (0,) * 10})
    assert not best_worst_pairs([same], min_gap=0.0)


def test_the_best_turn_is_taken_where_it_stands_out_from_the_mean():
    out = pooled(3.0, 3.0, 3.3, name="out")
    level = pooled(3.0, 3.0, 3.2, name="level")
    (turn,) = best_turns([out, level])
    assert (turn.context_id, turn.token_ids[0], turn.lead) == ("out", 2, pytest.approx(0.2))
    assert len(best_turns([out, level], min_lead=0.1)) == 2
    assert not best_turns([pooled(3.0)], min_lead=0.0)


def test_spreads_are_of_the_usable_candidates():
    (one,) = spreads([pooled(2.0, 4.0, 3.0, 7.0, at3={"malformed": True}), pooled(5.0)])
    assert (one.variance, one.best_minus_mean, one.best_minus_worst) == (1.0, 1.0, 2.0)


class Malformed:
    """A chat that never follows the format, and remembers how it was asked."""

    def __init__(self):
        self.asked = []

    def generate(self, prompts, seeds, *, max_reply_tokens, temperature, top_p):
        self.asked.append((temperature, max_reply_tokens))
        return [Completion("Analysis: no", StopReason.STOP, 1, 1) for _ in prompts]


def test_a_candidate_is_sampled_once_at_its_own_temperature():
    chat = Malformed()
    persuader = IntentToStrategyPersuader(chat, max_reply_tokens=9)
    (reply,) = persuader.candidates(1.0).act([Dialogue(scenario=scenario())], [0])
    assert reply.malformed
    assert chat.asked == [(1.0, 9)]
