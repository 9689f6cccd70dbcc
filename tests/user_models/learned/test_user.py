"""The attitude model decides, and the chat model writes."""

import math

import pytest

from experiments.fidelity.probes.replay import attitude_only
from persuade_env.dialogue import TONES, Dialogue, PersuaderTurn
from persuade_env.llm.backends.transformers import TransformersChat
from persuade_env.scenarios import load_corpus
from persuade_env.text.embedding import Embedder
from tests.helpers import scenario
from user_models.learned.user import LearnedUser
from user_models.prompted import PromptedUser

DIALOGUE = Dialogue(scenario=scenario()).extended(PersuaderTurn(response="I'll lend you a tent."))


def test_even_an_untrained_model_gives_readable_states(chat):
    for user in (LearnedUser(chat, max_reply_tokens=24), PromptedUser(chat, max_reply_tokens=24)):
        replies = user.reply([DIALOGUE] * 3, [1, 2, 3])
        assert replies == user.reply([DIALOGUE] * 3, [1, 2, 3])
        for reply in replies:
            assert reply.turn is not None
            assert 1 <= reply.turn.attitude <= 7
            assert reply.turn.tone in TONES
            assert reply.turn.response
            assert "\n" not in reply.turn.response
        assert len({reply.turn.attitude for reply in replies}) == 1  # a mean, not a draw
        assert replies[0].turn.attitude != round(replies[0].turn.attitude)


def test_the_attitude_model_decides_and_the_chat_model_writes(chat, attitude_model, encoder):
    user = LearnedUser(chat, attitude_model, encoder, max_reply_tokens=24)
    (attitude, decision), *_ = attitude_model.predict([DIALOGUE], [5], Embedder(), encoder)
    (reply,) = user.reply([DIALOGUE], [5])
    assert (reply.turn.attitude, reply.turn.decision) == (attitude, decision)
    assert reply.turn.tone in TONES
    assert reply.turn.response


def test_alone_in_the_batch_the_words_are_the_same_at_any_width(
    chat, attitude_model, encoder, tokenizer
):
    # As `learned=FOLDER@deterministic` loads it.
    user = LearnedUser(
        TransformersChat(chat.model, tokenizer, max_batch=1),
        attitude_model,
        encoder,
        max_reply_tokens=24,
        n_drafts=2,
    )
    dialogues = [
        Dialogue(scenario=record.scenario).extended(PersuaderTurn(response="Why not?"))
        for record in load_corpus("test")[:8]
    ]
    seeds = list(range(8))
    alone, three, eight = (
        [
            reply
            for start in range(0, 8, width)
            for reply in user.reply(dialogues[start : start + width], seeds[start : start + width])
        ]
        for width in (1, 3, 8)
    )
    assert alone == three == eight
    assert len({reply.turn.response for reply in eight}) > 1


def test_a_scenario_without_a_persona_is_played_without_the_attitude_model(
    chat, attitude_model, encoder
):
    bare_scenario = DIALOGUE.scenario.model_copy(update={"persona": None})
    bare = Dialogue(scenario=bare_scenario, turns=DIALOGUE.turns)
    user = LearnedUser(chat, attitude_model, encoder, max_reply_tokens=24, n_drafts=1)
    mixed = user.reply([DIALOGUE, bare], [1, 2])
    assert mixed[0] == user.reply([DIALOGUE], [1])[0]
    assert mixed[1] == LearnedUser(chat, max_reply_tokens=24).reply([bare], [2])[0]


def test_drafts_make_the_words_more_plausible(chat, attitude_model, encoder):
    """With 8 drafts the words read more like people's; state and tone are those of the first."""
    dialogues = [
        Dialogue(scenario=record.scenario).extended(PersuaderTurn(response="Why not?"))
        for record in load_corpus("test")[:12]
    ]
    seeds = list(range(12))
    first, resampled = (
        LearnedUser(chat, attitude_model, encoder, max_reply_tokens=24, n_drafts=n_drafts).reply(
            dialogues, seeds
        )
        for n_drafts in (1, 8)
    )
    test = attitude_model.plausibility.model_samples
    assert test is not None

    def mean_log_odds(replies):
        states = [encoder.mean_state(reply.turn.response) for reply in replies]
        return sum(map(test.log_odds, states)) / len(replies)

    assert mean_log_odds(resampled) > mean_log_odds(first) + 0.5
    for before, after in zip(first, resampled, strict=True):
        blank = {"response": "."}
        assert before.turn.model_copy(update=blank) == after.turn.model_copy(update=blank)
        assert after.usage.completion_tokens > before.usage.completion_tokens


def test_a_draft_is_drawn_in_proportion_to_its_odds(chat, attitude_model, encoder):
    user = LearnedUser(chat, attitude_model, encoder)
    drafts = ["Who would feed the dog while I am away?", "The dog is the window of the door."]
    test = attitude_model.plausibility.model_samples
    odds = [math.exp(test.log_odds(encoder.mean_state(draft))) for draft in drafts]
    drawn = [user._draw(drafts, test, seed) for seed in range(2000)]
    assert sum(drawn) / len(drawn) == pytest.approx(odds[1] / sum(odds), abs=0.04)


def test_one_draft_is_enough_where_only_attitudes_are_wanted(chat, attitude_model, encoder):
    user = LearnedUser(chat, attitude_model, encoder)
    bare = [record.model_copy(update={"persona": None}) for record in load_corpus("test")[:2]]
    quick = attitude_only(user, bare)
    assert (quick.n_drafts, user.n_drafts) == (1, 4)
    with pytest.raises(ValueError, match="drafts is 0"):
        LearnedUser(chat, n_drafts=0)


def test_an_endless_response_leaves_room_for_an_answer(chat, attitude_model, encoder):
    response = PersuaderTurn(response="Do it. " * 2000)
    endless = Dialogue(scenario=DIALOGUE.scenario).extended(response)
    (reply,) = LearnedUser(chat, attitude_model, encoder, max_reply_tokens=24).reply([endless], [0])
    assert reply.turn is not None


def test_a_reply_without_words_is_generated_again_and_then_an_error(chat):
    user = LearnedUser(chat, max_reply_tokens=2)
    (reply,) = user.reply([DIALOGUE], [0])
    assert reply.error.kind == "user_model"
    assert reply.usage.completion_tokens == 4
