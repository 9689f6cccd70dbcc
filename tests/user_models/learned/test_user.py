import math

import pytest

from experiments.fidelity.probes.replay import attitude_only
from persuade_env.dialogue import TONES, Decision, Dialogue, PersuaderTurn
from persuade_env.errors import UserModelError
from persuade_env.llm.backends.transformers import TransformersChat
from persuade_env.llm.checkpoint import FILE as CHECKPOINT_FILE
from persuade_env.llm.training.logprobs import IGNORED
from persuade_env.scenarios import load_corpus
from persuade_env.text.embedding import Embedder
from tests.helpers import felt, scenario
from user_models.learned.attitude_model import FILE as ATTITUDE_MODEL_FILE
from user_models.learned.training import train as training
from user_models.learned.training.config import UserModelSettings
from user_models.learned.training.model_samples import FILE as SAMPLES_FILE
from user_models.learned.training.train import user_examples
from user_models.learned.user import (
    LearnedUser,
    StateConstraint,
    consistent,
    given_state,
    user_messages,
)
from user_models.prompted import PromptedUser

SAID = Dialogue(scenario=scenario()).extended(
    PersuaderTurn(analysis="secret plan", strategy="press", response="I'll lend you a tent.")
)


def test_the_constraint_allows_every_readable_state_and_nothing_else(tokenizer):
    constraint = StateConstraint(tokenizer)
    written = set()

    def walk(prefix):
        choice = constraint(prefix)
        if choice is None:
            written.add(tokenizer.decode(prefix))
            return
        for token in choice.ids:
            walk((*prefix, token))

    walk(())
    expected = {
        f"{digit} {decision.value} {tone}\n"
        for digit in range(1, 8)
        for decision in Decision
        for tone in TONES
        if consistent(digit, decision)
    }
    assert written == expected


def test_even_an_untrained_model_gives_readable_minds(chat):
    for user in (LearnedUser(chat, max_reply_tokens=24), PromptedUser(chat, max_reply_tokens=24)):
        replies = user.reply([SAID] * 3, [1, 2, 3])
        assert replies == user.reply([SAID] * 3, [1, 2, 3])
        for reply in replies:
            assert reply.turn is not None
            assert 1 <= reply.turn.attitude <= 7
            assert reply.turn.tone in TONES
            assert reply.turn.response
            assert "\n" not in reply.turn.response
        assert len({reply.turn.attitude for reply in replies}) == 1  # a mean, not a draw
        assert replies[0].turn.attitude != round(replies[0].turn.attitude)


def test_the_mind_decides_and_the_model_speaks(chat, attitude_model, encoder):
    user = LearnedUser(chat, attitude_model, encoder, max_reply_tokens=24)
    (attitude, decision), *_ = attitude_model.predict([SAID], [5], Embedder(), encoder)
    (reply,) = user.reply([SAID], [5])
    assert (reply.turn.attitude, reply.turn.decision) == (attitude, decision)
    assert reply.turn.tone in TONES
    assert reply.turn.response


def test_alone_in_the_batch_the_words_are_the_same_at_any_width(
    chat, attitude_model, encoder, tokenizer
):
    # As `learned=FOLDER@deterministic` loads it.
    user = LearnedUser(
        TransformersChat(chat.model, tokenizer, max_batch=1), attitude_model, encoder
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


def test_a_scenario_without_a_persona_is_played_without_the_mind(chat, attitude_model, encoder):
    plain = SAID.scenario.model_copy(update={"persona": None})
    bare = Dialogue(scenario=plain, turns=SAID.turns)
    user = LearnedUser(chat, attitude_model, encoder, max_reply_tokens=24, n_drafts=1)
    mixed = user.reply([SAID, bare], [1, 2])
    assert mixed[0] == user.reply([SAID], [1])[0]
    assert mixed[1] == LearnedUser(chat, max_reply_tokens=24).reply([bare], [2])[0]


def test_of_the_drafts_one_is_said_that_people_would_say(chat, attitude_model, encoder):
    """Of 8 drafts the words read more like people's; state and tone are those of the first."""
    dialogues = [
        Dialogue(scenario=record.scenario).extended(PersuaderTurn(response="Why not?"))
        for record in load_corpus("test")[:12]
    ]
    seeds = list(range(12))
    first, chosen = (
        LearnedUser(chat, attitude_model, encoder, max_reply_tokens=24, n_drafts=n_drafts).reply(
            dialogues, seeds
        )
        for n_drafts in (1, 8)
    )
    assert attitude_model.plausibility.own is not None

    def log_odds(replies):
        meanings = [encoder.meaning(reply.turn.response) for reply in replies]
        return sum(map(attitude_model.plausibility.own.log_odds, meanings)) / len(replies)

    assert log_odds(chosen) > log_odds(first) + 0.5
    for one, other in zip(first, chosen, strict=True):
        blank = {"response": "."}
        assert one.turn.model_copy(update=blank) == other.turn.model_copy(update=blank)
        assert other.usage.completion_tokens > one.usage.completion_tokens


def test_a_draft_is_drawn_in_proportion_to_its_odds(chat, attitude_model, encoder):
    user = LearnedUser(chat, attitude_model, encoder)
    n_drafts = ["Who would feed the dog while I am away?", "The dog is the window of the door."]
    reading = attitude_model.plausibility.own
    odds = [math.exp(reading.log_odds(encoder.meaning(draft))) for draft in n_drafts]
    drawn = [user._drawn(n_drafts, reading, seed) for seed in range(2000)]
    assert sum(drawn) / len(drawn) == pytest.approx(odds[1] / sum(odds), abs=0.04)


def test_without_words_there_is_nothing_to_choose(chat, attitude_model, encoder):
    user = LearnedUser(chat, attitude_model, encoder)
    unknown = [one.model_copy(update={"persona": None}) for one in load_corpus("test")[:2]]
    quick = attitude_only(user, unknown)
    assert (quick.n_drafts, user.n_drafts) == (1, 4)
    with pytest.raises(ValueError, match="drafts is 0"):
        LearnedUser(chat, n_drafts=0)


def test_a_beginning_is_given_and_not_sampled(chat, tokenizer):
    user = LearnedUser(chat)
    messages = [user_messages(SAID)]
    (written,) = chat.generate(
        messages,
        [0],
        max_reply_tokens=8,
        constraint=user._tone,
        beginnings=[given_state("6", Decision.ACCEPT)],
    )
    assert tokenizer.decode(written.prompt_ids).endswith("6 accept")
    assert written.text.partition("\n")[0] in TONES


def test_the_prompt_holds_the_persona_and_no_private_reasoning():
    text = str(user_messages(SAID))
    assert "I don't own a tent." in text
    assert "secret plan" not in text
    assert "press" not in text


def test_silence_is_heard_as_silence():
    dialogue = Dialogue(scenario=scenario()).extended(PersuaderTurn(response=""))
    assert user_messages(dialogue)[-1] == {"role": "user", "content": "(says nothing)"}


def test_a_speech_without_end_leaves_room_for_an_answer(chat, attitude_model, encoder):
    speech = PersuaderTurn(response="Do it. " * 2000)
    endless = Dialogue(scenario=SAID.scenario).extended(speech)
    (reply,) = LearnedUser(chat, attitude_model, encoder, max_reply_tokens=24).reply([endless], [0])
    assert reply.turn is not None


@pytest.fixture(scope="module")
def examples(tokenizer):
    settings = UserModelSettings(epochs=4)
    return user_examples(load_corpus("train")[:6], tokenizer, settings, seed=3)


def trained(example, tokenizer):
    kept = [label for label in example.labels if label != IGNORED]
    return tokenizer.decode(kept)


def test_only_the_persuadee_is_learned(examples, tokenizer):
    records = load_corpus("train")[:6]
    persuaders = {t.response for r in records for d in r.dialogues for t in d.turns[::2]}
    assert len(examples) == 6 * 3 * 4
    for example in examples:
        text = trained(example, tokenizer)
        assert text[0] in "1234567"
        assert not any(response in text for response in persuaders)


def test_half_points_are_rounded_both_ways(examples, tokenizer):
    record = next(r for r in load_corpus("train")[:6] if felt_halves(r))
    settings = UserModelSettings(epochs=30)
    one = record.model_copy(update={"dialogues": record.dialogues[:1]})
    place = felt_halves(record)[0]
    digits = set()
    for example in user_examples([one], tokenizer, settings, seed=0):
        replies = trained(example, tokenizer).split("<|im_end|>")
        digits.add(int(replies[place][0]))
    value = record.dialogues[0].turns[2 * place + 1].attitude
    assert digits == {int(value), int(value) + 1}


def felt_halves(record):
    turns = record.dialogues[0].turns[1::2]
    return [k for k, t in enumerate(turns) if t.attitude % 1 and t.decision is Decision.CONTINUE]


def test_a_reply_without_words_is_asked_for_again_then_an_error(chat):
    user = LearnedUser(chat, max_reply_tokens=2)
    (reply,) = user.reply([SAID], [0])
    assert reply.error.kind == "user_model"
    assert reply.usage.completion_tokens == 4
    assert felt(3).attitude == 3


def test_a_training_that_is_cut_off_leaves_no_checkpoint(monkeypatch, tmp_path):
    """Nor anything of the one before: a mind that goes with another chat model."""
    for earlier in (CHECKPOINT_FILE, ATTITUDE_MODEL_FILE, SAMPLES_FILE):
        (tmp_path / earlier).write_text("{}")
    monkeypatch.setattr(training, "train_lora", lambda *args, **kwargs: [])
    monkeypatch.setattr(training, "load_chat", lambda *args, **kwargs: None)
    scaled = {}
    monkeypatch.setattr(training, "scale_adapter", lambda *args: scaled.update([args]))

    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "model_samples", killed)
    with pytest.raises(KeyboardInterrupt):
        training.train_user_model(load_corpus("train")[:2], tmp_path)
    assert not list(tmp_path.iterdir())
    assert scaled == {tmp_path / "adapter-0": UserModelSettings().adapter_scale}


def test_what_a_mind_can_t_be_learned_from_is_refused_before_training(monkeypatch, tmp_path):
    monkeypatch.setattr(training, "train_lora", lambda *args, **kwargs: pytest.fail("trained"))
    with pytest.raises(UserModelError, match="at least two scenarios"):
        training.train_user_model(load_corpus("train")[:1], tmp_path)
