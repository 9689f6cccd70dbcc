"""Prompts computed block by block give the same logits as whole ones, with a cold or warm cache."""

import numpy as np
import pytest
import torch

from persuade_env.llm.backends.transformers import TransformersChat
from persuade_env.llm.chat_template import encode_chat, generation_prompt_ids
from persuade_env.llm.generation.cpu_llama import Llama
from persuade_env.llm.generation.prefix_cache import PrefixCache
from persuade_env.llm.loading import load_model


def turns(chat, dialogue_length):
    """The prompts of a dialogue's turns, each a prefix of the next, and their replies."""
    messages = [{"role": "system", "content": "You sell bicycles. " + "They are red. " * 40}]
    replies = []
    for number in range(dialogue_length):
        messages.append({"role": "user", "content": f"Question {number}: why would I want one?"})
        (reply,) = chat.generate([messages], [number], max_reply_tokens=24)
        messages.append({"role": "assistant", "content": reply.text})
        replies.append((list(messages[:-1]), reply))
    return replies


@pytest.fixture(scope="module")
def exact():
    return load_model(dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def delimiter(tokenizer):
    return generation_prompt_ids(tokenizer)


def test_pieces_end_after_the_first_message_and_where_replies_begin(tokenizer, delimiter):
    assert tokenizer.decode(delimiter) == "<|im_start|>assistant\n"
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "Why?"},
    ]
    ids = encode_chat(tokenizer, chat)
    cache = PrefixCache(None, delimiter)
    first, second, last = cache.boundaries(ids)
    assert tokenizer.decode(ids[:first]).endswith("Be brief.<|im_end|>\n")
    assert tokenizer.decode(ids[first:second]).endswith("Hello!<|im_end|>\n<|im_start|>assistant\n")
    assert last == len(ids)
    assert cache.boundaries(ids[:second]) == [first, second]
    assert PrefixCache(None).boundaries(range(300)) == [128, 256]


@pytest.mark.parametrize("marked", [True, False])
def test_logits_are_the_model_s(exact, delimiter, marked):
    text = [
        *range(100, 130),
        *delimiter,
        *range(500, 520),
        *delimiter,
        *range(900, 980),
        *delimiter,
    ]
    prompts = [text[:n] for n in (1, 30, 33, 40, 136, len(text))]
    cache = PrefixCache(Llama(exact), delimiter if marked else ())
    for _ in range(2):  # cold, then warm
        keys_values, logits = cache.prefill(prompts, 150)
        assert keys_values.length == len(text)
        for prompt, next_logits in zip(prompts, logits, strict=True):
            with torch.inference_mode():
                expected = exact(torch.tensor([prompt])).logits[0, -1]
            torch.testing.assert_close(next_logits, expected, atol=1e-3, rtol=0)


def test_a_warm_cache_gives_the_bits_of_a_cold_one(chat, tokenizer, delimiter):
    warm = turns(chat, 4)
    assert len(chat._prefixes) >= 5
    for number, (messages, reply) in enumerate(warm):
        cold = TransformersChat(chat.model, tokenizer, fast=False)
        cold._prefixes = PrefixCache(chat._prefixes.model, delimiter)
        (again,) = cold.generate([messages], [number], max_reply_tokens=24)
        assert again.token_ids == reply.token_ids
        assert again.logprobs == reply.logprobs


def test_a_prompt_is_read_the_same_beside_others(chat):
    prompt, other = list(range(200, 500)), list(range(700, 1100))
    model = Llama(chat.model)
    _, alone = PrefixCache(model).prefill([prompt], 310)
    _, together = PrefixCache(model).prefill([other, prompt, other], 420)
    np.testing.assert_array_equal(alone[0].float().numpy(), together[1].float().numpy())


def test_a_known_beginning_is_not_read_again(chat, delimiter, monkeypatch):
    cache = PrefixCache(Llama(chat.model), delimiter)
    read = []
    forward = PrefixCache._forward

    def counted(self, ids, row):
        read.append(len(ids))
        return forward(self, ids, row)

    monkeypatch.setattr(PrefixCache, "_forward", counted)
    prompt = [*range(100, 200), *delimiter]
    cache.prefill([prompt, prompt, [*prompt, 7]], 120)
    assert read == [100, len(delimiter), 1]  # the delimiter starts the second message
    read.clear()
    cache.prefill([[*prompt, *range(300, 340), *delimiter]], 170)
    assert read == [40 + len(delimiter)]


def test_memory_stays_within_its_bound(chat, delimiter):
    def prompt(start):
        return [*range(start, start + 40), *delimiter, *range(start, start + 40), *delimiter]

    cache = PrefixCache(Llama(chat.model), delimiter)
    cache.prefill([prompt(100)], 100)
    needed, pieces = cache._bytes, len(cache)
    tight = PrefixCache(Llama(chat.model), delimiter, max_bytes=needed - 1)
    for start in range(100, 600, 100):
        tight.prefill([prompt(start)], 100)
        assert tight._bytes == sum(piece.nbytes for piece in tight._blocks.values()) < needed
    # Prefixes remain, because a continuation is of no use without its prefix.
    assert len(tight) == pieces - 1
    assert tuple(prompt(500)[:40]) in tight._blocks
    assert tuple(prompt(500)) not in tight._blocks
