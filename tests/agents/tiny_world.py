"""A model of some thousand weights, a dozen words, and a user with one wish: the best is known."""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from persuade_env.dialogue import PersuadeeTurn
from persuade_env.protocols import UserReply
from tests.helpers import scenario

WORDS = ["tea", "rain", "dog", "tent", "yes", "no", "maybe", "walk", "lamp", "zebra"]
WORLD = [scenario(f"leisure-90{k}") for k in range(4)]


class LikesTea:
    """Half a point up for tea, half a point down for anything else."""

    def reply(self, dialogues, seeds):
        return [
            UserReply(
                turn=PersuadeeTurn(
                    attitude=one.attitude + (0.5 if "tea" in one.turns[-1].response else -0.5),
                    response="zebra",
                )
            )
            for one in dialogues
        ]


def make_tokenizer():
    special = ["<pad>", "<|im_start|>", "<|im_end|>", "<unk>"]
    vocabulary = {word: index for index, word in enumerate([*special, *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="<|im_end|>", padding_side="left"
    )
    made.chat_template = (
        "{% for m in messages %}<|im_start|> {{ m['content'] }} <|im_end|> {% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>{% endif %}"
    )
    return made


def tiny(seed=0):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=4 + len(WORDS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        pad_token_id=0,
        eos_token_id=2,
    )
    return LlamaForCausalLM(config)
