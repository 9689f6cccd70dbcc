"""LoRA training examples, checkpoints, and scaling of adapters."""

import pytest
import torch

from persuade_env.errors import ChatError
from persuade_env.llm.checkpoint import read_checkpoint, save_checkpoint
from persuade_env.llm.loading import load_merged, load_model
from persuade_env.llm.training.logprobs import IGNORED
from persuade_env.llm.training.lora import TARGET_MODULES, scale_adapter, supervised_example

CHAT = [
    {"role": "system", "content": "You are Bo."},
    {"role": "user", "content": "Come camping."},
    {"role": "assistant", "content": "3 continue wary\nWith whose tent?"},
    {"role": "user", "content": "Mine."},
    {"role": "assistant", "content": "6 accept warm\nThen yes."},
]


def trained_text(example, tokenizer):
    trained = [
        token
        for token, label in zip(example.input_ids, example.labels, strict=True)
        if label != IGNORED
    ]
    assert all(
        label in (IGNORED, token)
        for token, label in zip(example.input_ids, example.labels, strict=True)
    )
    return tokenizer.decode(trained)


def test_the_loss_sees_the_named_messages_and_their_end(tokenizer):
    example = supervised_example(tokenizer, CHAT, [4])
    assert trained_text(example, tokenizer) == "6 accept warm\nThen yes.<|im_end|>"
    both = supervised_example(tokenizer, CHAT, [2, 4])
    assert trained_text(both, tokenizer).count("<|im_end|>") == 2


def test_a_checkpoint_is_read_back_and_its_role_is_checked(tmp_path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        (adapter / name).write_text("{}")
    saved = save_checkpoint(tmp_path / "sft", "persuader", [adapter])
    assert read_checkpoint(tmp_path / "sft", "persuader") == saved
    with pytest.raises(ChatError, match="holds a persuader, not a user_model"):
        read_checkpoint(tmp_path / "sft", "user_model")
    with pytest.raises(ChatError, match="no checkpoint"):
        read_checkpoint(tmp_path, "persuader")


def test_a_scaled_adapter_lies_on_the_line_from_the_base_to_the_tuned_model(tmp_path):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(r=2, target_modules=list(TARGET_MODULES), init_lora_weights=False)
    get_peft_model(load_model(dtype=torch.float32), config).save_pretrained(tmp_path)

    def weights():
        merged = load_merged(adapters=[tmp_path], dtype=torch.float32)
        return merged.model.layers[3].self_attn.v_proj.weight.detach()

    base = load_model(dtype=torch.float32).model.layers[3].self_attn.v_proj.weight.detach()
    tuned = weights()
    assert not torch.allclose(base, tuned)
    scale_adapter(tmp_path, 0.5)
    torch.testing.assert_close(weights(), (base + tuned) / 2)
    scale_adapter(tmp_path, 0.0)
    torch.testing.assert_close(weights(), base)
