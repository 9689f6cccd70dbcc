import pytest

from persuade_env.chat.lora import IGNORED
from persuade_env.dialogue import TONES, Decision, Dialogue, PersuaderTurn
from persuade_env.scenarios import load_corpus
from tests.helpers import felt, scenario
from user_models.learned import LearnedUser, StateConstraint, consistent, user_messages
from user_models.prompted import PromptedUser
from user_models.training import UserModelSettings, user_examples

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


def test_the_prompt_holds_the_persona_and_no_private_reasoning():
    text = str(user_messages(SAID))
    assert "I don't own a tent." in text
    assert "secret plan" not in text
    assert "press" not in text


def test_silence_is_heard_as_silence():
    dialogue = Dialogue(scenario=scenario()).extended(PersuaderTurn(response=""))
    assert user_messages(dialogue)[-1] == {"role": "user", "content": "(says nothing)"}


@pytest.fixture(scope="module")
def examples(tokenizer):
    settings = UserModelSettings(epochs=4, counterfactual_share=0.5)
    return user_examples(load_corpus("train")[:6], tokenizer, settings, seed=3)


def trained(example, tokenizer):
    kept = [label for label in example.labels if label != IGNORED]
    return tokenizer.decode(kept)


def test_only_the_persuadee_is_learned(examples, tokenizer):
    records = load_corpus("train")[:6]
    persuaders = {t.response for r in records for d in r.dialogues for t in d.turns[::2]}
    assert len(examples) == 6 * 2 * 4
    for example in examples:
        text = trained(example, tokenizer)
        assert text[0] in "1234567"
        assert not any(response in text for response in persuaders)


def test_counterfactual_turns_teach_the_state_and_no_words(examples, tokenizer):
    texts = [trained(one, tokenizer) for one in examples]
    assert not any("..." in text for text in texts)
    bare = [text for text in texts if text.endswith("continue")]
    assert not any("\n" in text for text in bare)
    assert 0.3 < len(bare) / len(examples) < 0.7


def test_half_points_are_rounded_both_ways(examples, tokenizer):
    record = next(r for r in load_corpus("train")[:6] if felt_halves(r))
    settings = UserModelSettings(epochs=30, counterfactual_share=0.0)
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
