"""A tiny language model and a rule-based user, for which the optimal persuader is known."""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from persuade_env.dialogue import PersuadeeTurn
from persuade_env.llm.backends.transformers import TransformersChat
from persuade_env.llm.checkpoint import adapter_paths, read_checkpoint, save_checkpoint
from persuade_env.llm.loading import load_merged
from persuade_env.llm.training.lora import lora_config
from persuade_env.protocols import UserReply
from tests.helpers import scenario

WORDS = ["tea", "rain", "dog", "tent", "yes", "no", "maybe", "walk", "lamp", "zebra"]
WORLD = [scenario(f"leisure-90{k}") for k in range(4)]


class LikesTea:
    """A user whose attitude rises by 0.5 if the response contains "tea", and falls by 0.5 else."""

    def reply(self, dialogues, seeds):
        return [
            UserReply(
                turn=PersuadeeTurn(
                    attitude=dialogue.attitude
                    + (0.5 if "tea" in dialogue.turns[-1].response else -0.5),
                    response="zebra",
                )
            )
            for dialogue in dialogues
        ]


def make_tokenizer():
    special = ["<pad>", "<|im_start|>", "<|im_end|>", "<unk>"]
    vocabulary = {word: index for index, word in enumerate([*special, *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="<|im_end|>", padding_side="left"
    )
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|> {{ m['content'] }} <|im_end|> {% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>{% endif %}"
    )
    return tokenizer


def tiny_model(seed=0):
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


def tiny_checkpoint(folder, seed=0):
    """The folder of a persuader's checkpoint: a tiny base model with a fresh adapter."""
    from peft import get_peft_model

    base, adapter = folder / "base", folder / "adapter"
    tiny_model(seed).save_pretrained(base)
    make_tokenizer().save_pretrained(base)
    get_peft_model(tiny_model(seed), lora_config(4)).save_pretrained(adapter)
    save_checkpoint(folder / "sft", "persuader", [adapter], base=str(base))
    return folder / "sft"


def logprob(folder, prompt_ids, token_ids):
    """The log-probability of a turn under the model of a checkpoint."""
    checkpoint = read_checkpoint(folder, "persuader")
    model = load_merged(checkpoint.base, adapter_paths(folder, checkpoint), dtype=torch.float32)
    chat = TransformersChat(model, make_tokenizer())
    (values,) = chat.token_logprobs([[*prompt_ids, *token_ids]])
    return sum(values[-len(token_ids) :])
