"""Reranking with a tiny model and a foresight that is known."""

import numpy as np
import pytest

from agents.persuaders.intent_to_strategy import IntentToStrategyPersuader
from agents.persuaders.rerank import RerankingPersuader, from_spec
from agents.preferences.foresight import Foresight
from experiments.common.resolve import resolve_agent_spec, validate_agent
from persuade_env.dialogue import Dialogue
from persuade_env.errors import PersuaderError
from persuade_env.llm.backends.transformers import TransformersChat
from persuade_env.protocols import Completion, StopReason, persuader_view
from persuade_env.spec import Spec, parse
from tests.agents.tiny_world import make_tokenizer, tiny_model
from tests.helpers import scenario

DIALOGUE = persuader_view(Dialogue(scenario=scenario()))


class Turns(TransformersChat):
    """Writes turns of 1 to 6 tokens by the seed; one in three is malformed, or all are."""

    def __init__(self, malformed=lambda seed: seed % 3 == 0):
        super().__init__(tiny_model(), make_tokenizer())
        self.malformed = malformed
        self.calls = []

    def generate(self, prompts, seeds, *, max_reply_tokens, temperature, top_p):
        self.calls.append((len(prompts), temperature, max_reply_tokens))
        return [self._one(seed) for seed in seeds]

    def _one(self, seed):
        length = 1 + seed % 6
        text = "tea " * length
        if not self.malformed(seed):
            text = f"Analysis: a\nStrategy: s\nResponse: {text}"
        ids = (4,) * length
        return Completion(text, StopReason.STOP, 3, length, (1, 5, 2), ids)


def longest(sign=1.0):
    """A foresight that likes length alone."""
    return Foresight(np.array([0.0] * 32 + [sign]))


def words(reply):
    return len(reply.turn.response.split())


def test_the_turn_that_is_foreseen_best_is_said_and_all_are_paid_for():
    for sign, choose in ((1.0, max), (-1.0, min)):
        chat = Turns()
        agent = RerankingPersuader(IntentToStrategyPersuader(chat), longest(sign), n=8)
        replies = agent.act([DIALOGUE] * 3, [1, 2, 3])
        assert chat.calls == [(24, 1.0, 112)]
        for seed, reply in zip((1, 2, 3), replies, strict=True):
            sampled = agent.persuader.candidates().act([DIALOGUE] * 8, agent_seeds(seed))
            lengths = [words(one) for one in sampled if not one.malformed]
            assert words(reply) == choose(lengths)
            assert not reply.malformed
            assert reply.usage.completion_tokens == sum(
                one.usage.completion_tokens for one in sampled
            )


def agent_seeds(seed):
    from persuade_env.seeding import derive_seed

    return [derive_seed(seed, "rerank", number) for number in range(8)]


def test_where_no_turn_follows_the_format_it_speaks_as_without_reranking():
    chat = Turns(malformed=lambda seed: True)
    persuader = IntentToStrategyPersuader(chat)
    (reply,) = RerankingPersuader(persuader, longest(), n=2).act([DIALOGUE], [5])
    (alone,) = persuader.act([DIALOGUE], [5])
    assert reply.turn == alone.turn
    assert reply.malformed
    assert reply.usage.completion_tokens > alone.usage.completion_tokens


def test_its_turns_can_be_limited():
    chat = Turns()
    agent = RerankingPersuader(IntentToStrategyPersuader(chat), longest(), n=2)
    agent.with_max_reply_tokens(24).act([DIALOGUE], [0])
    assert chat.calls[0] == (2, 1.0, 24)


def test_it_is_named_by_the_run_that_has_fitted_it(tmp_path):
    assert parse("rerank-8=a/b") == Spec.of("rerank", n=8, path="a/b")
    assert str(parse("rerank-8=a/b")) == "rerank-8=a/b"
    assert str(parse("rerank-8")) == "rerank-8"
    assert resolve_agent_spec(tmp_path, "rerank-8") == Spec.of(
        "rerank", n=8, path=str(tmp_path / "foresight")
    )
    validate_agent("rerank-8")
    with pytest.raises(PersuaderError, match="train foresight"):
        from_spec(8)
    with pytest.raises(PersuaderError, match="at least one"):
        RerankingPersuader(IntentToStrategyPersuader(Turns()), longest(), n=0)
    with pytest.raises(PersuaderError, match="has to run here"):
        RerankingPersuader(IntentToStrategyPersuader(object()), longest())
