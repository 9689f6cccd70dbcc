"""Only persuadee turns are trained on, and an aborted training leaves no checkpoint."""

import pytest

from persuade_env.dialogue import Decision
from persuade_env.errors import UserModelError
from persuade_env.llm.checkpoint import FILE as CHECKPOINT_FILE
from persuade_env.llm.training.logprobs import IGNORED
from persuade_env.scenarios import load_corpus
from user_models.learned.attitude_model import FILE as ATTITUDE_MODEL_FILE
from user_models.learned.attitude_regressor import ADAPTER as ATTITUDE_ADAPTER
from user_models.learned.attitude_regressor import FILE as ATTITUDE_REGRESSOR_FILE
from user_models.learned.training import train as training
from user_models.learned.training.config import UserModelSettings
from user_models.learned.training.model_samples import FILE as SAMPLES_FILE
from user_models.learned.training.train import user_examples


@pytest.fixture(scope="module")
def examples(tokenizer):
    settings = UserModelSettings(epochs=4)
    return user_examples(load_corpus("train")[:6], tokenizer, settings, seed=3)


def trained_text(example, tokenizer):
    return tokenizer.decode([label for label in example.labels if label != IGNORED])


def test_only_the_persuadee_is_learned(examples, tokenizer):
    records = load_corpus("train")[:6]
    persuaders = {t.response for r in records for d in r.dialogues for t in d.turns[::2]}
    assert len(examples) == 6 * 3 * 4
    for example in examples:
        text = trained_text(example, tokenizer)
        assert text[0] in "1234567"
        assert not any(response in text for response in persuaders)


def test_half_points_are_rounded_both_ways(examples, tokenizer):
    record = next(r for r in load_corpus("train")[:6] if turns_with_halves(r))
    settings = UserModelSettings(epochs=30)
    shortened = record.model_copy(update={"dialogues": record.dialogues[:1]})
    index = turns_with_halves(record)[0]
    digits = set()
    for example in user_examples([shortened], tokenizer, settings, seed=0):
        replies = trained_text(example, tokenizer).split("<|im_end|>")
        digits.add(int(replies[index][0]))
    value = record.dialogues[0].turns[2 * index + 1].attitude
    assert digits == {int(value), int(value) + 1}


def turns_with_halves(record):
    turns = record.dialogues[0].turns[1::2]
    return [
        index
        for index, turn in enumerate(turns)
        if turn.attitude % 1 and turn.decision is Decision.CONTINUE
    ]


@pytest.mark.parametrize(
    ("settings", "step"),
    [
        (UserModelSettings(), "fit_attitude_regressor"),
        (UserModelSettings(attitude_regressor=None), "model_samples"),
    ],
)
def test_an_aborted_training_leaves_no_checkpoint(monkeypatch, tmp_path, settings, step):
    """Nor any part of an earlier one, whose attitude model belongs to another chat model."""
    for earlier in (CHECKPOINT_FILE, ATTITUDE_MODEL_FILE, ATTITUDE_REGRESSOR_FILE, SAMPLES_FILE):
        (tmp_path / earlier).write_text("{}")
    (tmp_path / ATTITUDE_ADAPTER).mkdir()
    monkeypatch.setattr(training, "train_lora", lambda *args, **kwargs: [])
    monkeypatch.setattr(training, "load_chat", lambda *args, **kwargs: None)
    scaled = {}
    monkeypatch.setattr(training, "scale_adapter", lambda *args: scaled.update([args]))

    def abort(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, step, abort)
    with pytest.raises(KeyboardInterrupt):
        training.train_user_model(load_corpus("train")[:2], tmp_path, settings=settings)
    assert not list(tmp_path.iterdir())
    assert scaled == {tmp_path / "adapter-0": settings.adapter_scale}


def test_records_without_an_attitude_model_are_refused_before_training(monkeypatch, tmp_path):
    monkeypatch.setattr(training, "train_lora", lambda *args, **kwargs: pytest.fail("trained"))
    with pytest.raises(UserModelError, match="at least two scenarios"):
        training.train_user_model(load_corpus("train")[:1], tmp_path)
