"""The fast CPU forward pass gives the same results as transformers."""

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from persuade_env.llm.generation.cpu_llama import Llama

SHAPE = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
}
KINDS = {
    "llama": lambda **more: LlamaForCausalLM(LlamaConfig(**SHAPE, **more)),
    "llama with its own head size": lambda **more: LlamaForCausalLM(
        LlamaConfig(**SHAPE, head_dim=16, attention_bias=True, **more)
    ),
    "mistral": lambda **more: MistralForCausalLM(
        MistralConfig(**SHAPE, **({"sliding_window": None} | more))
    ),
    "qwen2": lambda **more: Qwen2ForCausalLM(Qwen2Config(**SHAPE, **more)),
}


def random_model(kind, **more):
    torch.manual_seed(0)
    model = KINDS[kind](**more).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)  # zeros would hide a missing bias
    return model


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_pieces_and_steps_give_transformers_logits(kind):
    model = random_model(kind)
    assert Llama.supports(model)
    llama = Llama(model)
    texts = [torch.randint(97, (n,)) for n in (9, 5)]
    batch = llama.new_cache(2, 14)
    for index, text in enumerate(texts):
        row = batch.row(index, 9 - len(text))
        llama.prefill(text[:3], row)
        logits = llama.prefill(text[3:], row)
        torch.testing.assert_close(logits[0], model(text[None]).logits[0, -1], atol=2e-5, rtol=1e-4)
    batch.length = 9
    bias = torch.full((2, 14), float("-inf"))
    bias[0, :9] = bias[1, 4:9] = 0
    for step in range(4):
        tokens = torch.randint(97, (2,))
        bias[:, 9 + step] = 0
        positions = torch.tensor([len(text) for text in texts])
        logits = llama.step(tokens, positions, batch, bias)
        texts = [torch.cat([text, token[None]]) for text, token in zip(texts, tokens, strict=True)]
        for row, text in enumerate(texts):
            expected = model(text[None]).logits[0, -1]
            torch.testing.assert_close(logits[row], expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("depth", [1, 3])
@torch.inference_mode()
def test_hidden_states_after_its_layers_are_transformers(depth):
    model = random_model("llama" if depth == 1 else "qwen2")
    text = torch.randint(97, (7,))
    # transformers normalizes its last hidden states, so the reference drops layers and the norm.
    layers = model.model.layers
    hidden = Llama(model, depth).hidden_states(text)
    model.model.layers, model.model.norm = layers[:depth], torch.nn.Identity()
    expected = model.model(text[None], use_cache=False).last_hidden_state[0]
    torch.testing.assert_close(hidden, expected, atol=2e-5, rtol=1e-4)


def test_what_it_does_not_compute_is_left_to_transformers():
    assert not Llama.supports(random_model("mistral", sliding_window=4))
    assert not Llama.supports(random_model("qwen2", use_sliding_window=True, sliding_window=4))
    assert not Llama.supports(random_model("llama", hidden_act="gelu"))
    assert not Llama.supports(random_model("llama").half())


def test_the_model_stays_as_it_was():
    model = random_model("llama")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    Llama(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
