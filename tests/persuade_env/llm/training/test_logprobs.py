"""The forward passes for training give the same numbers and gradients as TRL's."""

import copy

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from trl.trainer.utils import add_fused_lm_head

from persuade_env.llm import loading as chat_models
from persuade_env.llm import precision
from persuade_env.llm.training.logprobs import IGNORED, read_prompt_once, score_labels_only

PROMPT, FIRST, SECOND = list(range(5, 16)), [20, 21, 22, 2], [30, 31, 2]
FIELDS = ("log_probs", "entropy", "mean_logits", "is_top1", "label_mask")


@pytest.fixture
def models():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=97,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    config._attn_implementation = "sdpa"
    plain = LlamaForCausalLM(config)
    ours = copy.deepcopy(plain)
    for model in (plain, ours):
        add_fused_lm_head(model, outputs=["log_probs", "entropy", "mean_logits", "is_top1"])
    return plain, ours


def batch(*chats):
    width = max(map(len, chats))
    ids = torch.tensor([chat + [0] * (width - len(chat)) for chat in chats])
    mask = torch.tensor([[1] * len(chat) + [0] * (width - len(chat)) for chat in chats])
    return ids, mask


def pair(first, second):
    ids, mask = batch([*PROMPT, *first], [*PROMPT, *second])
    labels = ids.masked_fill(mask == 0, IGNORED)
    labels[:, : len(PROMPT)] = IGNORED
    return {"input_ids": ids, "attention_mask": mask, "labels": labels, "fused_lm_head": True}


def same(plain, ours, inputs):
    expected, result = plain(**inputs), ours(**inputs)
    for name in FIELDS:
        reference = getattr(expected, name).float()
        assert torch.allclose(getattr(result, name).float(), reference, atol=1e-5), name
    expected.log_probs.sum().backward()
    result.log_probs.sum().backward()
    for parameter, other in zip(plain.parameters(), ours.parameters(), strict=True):
        assert torch.allclose(parameter.grad, other.grad, atol=1e-5)
    return expected, result


def test_scoring_labels_alone_gives_the_same_numbers_and_gradients(models):
    plain, ours = models
    score_labels_only(ours)
    expected, result = same(plain, ours, pair(FIRST, SECOND))
    assert float(result.loss) == pytest.approx(float(expected.loss), rel=1e-5)


@pytest.mark.parametrize("answers", [(FIRST, SECOND), (SECOND, FIRST), (FIRST, FIRST)])
def test_a_prompt_read_once_gives_the_same_numbers_and_gradients(models, answers):
    plain, ours = models
    score_labels_only(ours)
    read_prompt_once(ours)
    same(plain, ours, pair(*answers))


def test_other_batches_and_other_calls_are_left_alone(models):
    plain, ours = models
    score_labels_only(ours)
    read_prompt_once(ours)
    inputs = pair(FIRST, SECOND)
    inputs["input_ids"][1, 0] = 50  # not the same prompt
    same(plain, ours, inputs)
    assert torch.equal(
        ours(inputs["input_ids"]).logits, plain(inputs["input_ids"]).logits
    )  # calls without labels are unchanged


@pytest.mark.parametrize(
    ("ratio", "training", "generation"),
    [
        (0.5, torch.bfloat16, torch.bfloat16),
        (2.0, torch.float32, torch.bfloat16),
        (4.0, torch.float32, torch.float32),
    ],
)
def test_a_cpu_decides_and_a_gpu_keeps_bf16(monkeypatch, ratio, training, generation):
    monkeypatch.setattr(precision, "bf16_slowdown", lambda: ratio)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert precision.training_dtype() is training
    assert precision.generation_dtype() is generation
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert precision.training_dtype() is precision.generation_dtype() is torch.bfloat16


def test_a_machine_is_measured_once(monkeypatch, tmp_path):
    monkeypatch.setenv("PERSUADE_ENV_CACHE", str(tmp_path))
    seconds = iter([6.0, 2.0, 1.0, 1.0])
    monkeypatch.setattr(precision, "_seconds", lambda dtype: next(seconds))
    measured = precision.bf16_slowdown.__wrapped__
    assert measured() == 3.0
    assert measured() == 3.0  # read from the file, as in another process
    (tmp_path / "precision.json").write_text("torn")
    assert measured() == 1.0


def test_models_are_loaded_in_the_format_that_they_generate_in(monkeypatch):
    for dtype in (torch.float32, torch.bfloat16):
        monkeypatch.setattr(chat_models, "generation_dtype", lambda dtype=dtype: dtype)
        assert chat_models.load_model().dtype is dtype
        assert chat_models.load_merged().dtype is dtype
