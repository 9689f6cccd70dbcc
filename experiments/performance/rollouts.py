"""How fast two language models talk to each other, and how far that is from the CPU's limit.

    python -m experiments.performance.rollouts --dialogues 32 --turns 6

Both sides are the embedded model, with the whole history in context, temperature 0.8, top-p 0.95
and at most 48 new tokens a turn. Contestants, on the same scenarios: the loop that a user of
transformers would write (each turn encodes the whole history again and calls `generate` on
the batch), the same one dialogue at a time, this suite's backend, and OpenVINO GenAI where it is
installed (`pip install openvino-genai`; its continuous batching with prefix cache). Everything
runs in one process; absolute numbers depend on the machine, ratios less so.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from experiments.common.progress import progress_bar
from experiments.common.storage import write_json
from persuade_env.llm.backends.transformers import TransformersChat, encode_chat
from persuade_env.llm.builtin_model import gguf_file
from persuade_env.llm.loading import load_model, load_tokenizer
from persuade_env.llm.precision import generation_dtype
from persuade_env.protocols import Message
from persuade_env.scenarios import load_corpus
from persuade_env.seeding import derive_seed

MAX_NEW_TOKENS = 48
TEMPERATURE, TOP_P = 0.8, 0.95

Speak = Callable[[Sequence[Sequence[Message]], int], list[tuple[str, int]]]
"""Chats and a seed in; for each what was said, and in how many tokens."""


@dataclass(frozen=True)
class Timed:
    """What a contestant did, in how long."""

    name: str
    dialogues: int
    new_tokens: int
    all_tokens: int
    """What each side would have to read and write if it computed nothing twice."""
    persuader_seconds: float
    user_seconds: float

    @property
    def seconds(self) -> float:
        return self.persuader_seconds + self.user_seconds

    @property
    def dialogues_per_minute(self) -> float:
        return 60 * self.dialogues / self.seconds

    @property
    def tokens_per_second(self) -> float:
        return self.new_tokens / self.seconds


@dataclass(frozen=True)
class Machine:
    """What the machine can do at most, as measured."""

    gemm_flops: float
    """Of a large matrix product in the format that models generate in, per second; a multiply-add
    counts twice."""
    bandwidth: float
    """Bytes read per second."""


def measure_machine() -> Machine:
    """Best of five, so that what else runs on the machine counts least."""
    size, megabytes = 2048, 512
    dtype = generation_dtype()
    left = torch.randn(size, size, dtype=dtype)
    right = torch.randn(size, size, dtype=dtype)
    block = torch.zeros(megabytes * 2**20 // 4)
    return Machine(
        gemm_flops=2 * size**3 / _best(lambda: left @ right),
        bandwidth=megabytes * 2**20 / _best(lambda: block.sum()),
    )


def _best(work: Callable[[], Any]) -> float:
    work()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def converse(
    name: str, openings: Sequence[tuple[str, str]], turns: int, speak: Speak, tokenizer: Any
) -> Timed:
    """Lets persuader and user talk; each sees the other's words as a chat's user messages."""
    persuaders: list[list[Message]] = [
        [{"role": "system", "content": one}, {"role": "user", "content": "(You speak first.)"}]
        for one, _ in openings
    ]
    users: list[list[Message]] = [[{"role": "system", "content": one}] for _, one in openings]
    seconds = [0.0, 0.0]
    new_tokens = 0
    with progress_bar(name, turns, "turn") as shown:
        for turn in range(turns):
            for side, (speakers, hearers) in enumerate(((persuaders, users), (users, persuaders))):
                began = time.perf_counter()
                said = speak(speakers, derive_seed(turn, side) % 2**31)
                seconds[side] += time.perf_counter() - began
                for speaker, hearer, (words, count) in zip(speakers, hearers, said, strict=True):
                    speaker.append({"role": "assistant", "content": words})
                    hearer.append({"role": "user", "content": words})
                    new_tokens += count
            shown.update(1)
    whole = sum(
        len(encode_chat(tokenizer, chat, reply_follows=False)) for chat in (*persuaders, *users)
    )
    return Timed(name, len(openings), new_tokens, whole, *seconds)


def plain_transformers(model: Any, tokenizer: Any) -> Speak:
    """What the documentation of transformers shows."""

    def speak(chats: Sequence[Sequence[Message]], seed: int) -> list[tuple[str, int]]:
        torch.manual_seed(seed)
        inputs = tokenizer.apply_chat_template(
            [list(chat) for chat in chats],
            add_generation_prompt=True,
            padding=True,
            return_tensors="pt",
            return_dict=True,
        ).to(model.device)
        with torch.inference_mode():
            output = model.generate(
                **inputs,
                max_new_tokens=MAX_NEW_TOKENS,
                do_sample=True,
                temperature=TEMPERATURE,
                top_p=TOP_P,
                top_k=0,
                pad_token_id=tokenizer.pad_token_id,
            )
        new = output[:, inputs["input_ids"].shape[1] :]
        words = tokenizer.batch_decode(new, skip_special_tokens=True)
        # Padding after the end is no token that anybody wrote; the end itself is.
        counts = (new != tokenizer.pad_token_id).sum(dim=1).tolist()
        return [(text.strip(), int(count)) for text, count in zip(words, counts, strict=True)]

    return speak


def one_at_a_time(speak: Speak) -> Speak:
    """The same, a dialogue after the other."""
    return lambda chats, seed: [speak([chat], seed)[0] for chat in chats]


def ours(chat: TransformersChat) -> Speak:
    """This suite's backend."""

    def speak(chats: Sequence[Sequence[Message]], seed: int) -> list[tuple[str, int]]:
        completions = chat.generate(
            chats,
            [derive_seed(seed, index) for index in range(len(chats))],
            max_reply_tokens=MAX_NEW_TOKENS,
            temperature=TEMPERATURE,
            top_p=TOP_P,
        )
        return [(one.text, one.completion_tokens) for one in completions]

    return speak


def openvino(tokenizer: Any) -> Speak:
    """OpenVINO GenAI on the same weights, in bf16.

    Its prefix cache keeps what it decoded, so a dialogue that is resumed differs in the last
    bits from one that was not interrupted: a yardstick, and no backend of this suite.
    """
    import openvino_genai

    scheduler = openvino_genai.SchedulerConfig()
    scheduler.cache_size = 3  # GB
    scheduler.enable_prefix_caching = True
    scheduler.max_num_batched_tokens = 4096
    pipeline = openvino_genai.LLMPipeline(
        gguf_file(), "CPU", scheduler_config=scheduler, INFERENCE_PRECISION_HINT="bf16"
    )
    config = openvino_genai.GenerationConfig()
    config.max_new_tokens, config.do_sample = MAX_NEW_TOKENS, True
    config.temperature, config.top_p = TEMPERATURE, TOP_P
    config.apply_chat_template = False

    def speak(chats: Sequence[Sequence[Message]], seed: int) -> list[tuple[str, int]]:
        config.rng_seed = seed
        prompts = [
            tokenizer.apply_chat_template(list(chat), tokenize=False, add_generation_prompt=True)
            for chat in chats
        ]
        texts = pipeline.generate(prompts, config).texts
        # It tells no token counts of a batch; the end token is one more.
        counts = (len(tokenizer(one, add_special_tokens=False)["input_ids"]) + 1 for one in texts)
        return [(one.strip(), count) for one, count in zip(texts, counts, strict=True)]

    return speak


def share_of_limit(timed: Timed, machine: Machine, parameters: int) -> float:
    """Least time for these tokens, over the time they took.

    Each token costs two operations a parameter, once. (Reading the weights for a decode step
    costs less than that from a batch of a dozen on.)
    """
    return 2 * parameters * timed.all_tokens / machine.gemm_flops / timed.seconds


def main(
    dialogues: Annotated[int, typer.Option(min=1)] = 32,
    turns: Annotated[int, typer.Option(min=1, help="Turn pairs per dialogue.")] = 6,
    alone: Annotated[int, typer.Option(min=0, help="Dialogues of the one-at-a-time loop.")] = 4,
    out: Annotated[Path, typer.Option(help="Where rollouts.json goes.")] = Path("runs/rollouts"),
) -> None:
    """Times the contestants and prints them beside the machine's limit."""
    import transformers

    transformers.logging.set_verbosity_error()
    tokenizer = load_tokenizer()
    records = load_corpus()
    openings = []
    for index in range(dialogues):
        record = records[index % len(records)]
        about = f"{record.background} {record.persuader} wants to {record.goal}."
        facts = " ".join(record.facts)
        openings.append(
            (
                f"You are {record.persuader}. {about} Facts: {facts} Speak briefly.",
                f"You are {record.persuadee}. {about} Answer briefly.",
            )
        )
    machine = measure_machine()
    model = load_model().eval()
    parameters = model.num_parameters()
    plain = plain_transformers(model, tokenizer)
    found = [converse("transformers", openings, turns, plain, tokenizer)]
    if alone:
        single = one_at_a_time(plain)
        found.append(converse("one at a time", openings[:alone], turns, single, tokenizer))
    # One model plays both sides, so it keeps twice the prompts.
    chat = TransformersChat(
        load_model(), tokenizer, max_batch=dialogues, max_prefix_bytes=2 * 2**30
    )
    found.append(converse("this suite", openings, turns, ours(chat), tokenizer))
    if importlib.util.find_spec("openvino_genai"):
        found.append(converse("OpenVINO GenAI", openings, turns, openvino(tokenizer), tokenizer))
    table = Table(
        title=f"{generation_dtype()} GEMM {machine.gemm_flops / 1e12:.2f} Tflop/s, "
        f"memory {machine.bandwidth / 1e9:.0f} GB/s, {parameters / 1e6:.0f}M parameters",
        title_justify="left",
    )
    headings = ("contestant", "new tokens/s", "dialogues/min", "ratio", "user's share", "of limit")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "contestant" else "right")
    for one in found:
        table.add_row(
            one.name,
            f"{one.tokens_per_second:.0f}",
            f"{one.dialogues_per_minute:.1f}",
            f"{one.dialogues_per_minute / found[0].dialogues_per_minute:.2f}",
            f"{one.user_seconds / one.seconds:.2f}",
            f"{share_of_limit(one, machine, parameters):.3f}",
        )
    out.mkdir(parents=True, exist_ok=True)
    write_json(
        out / "rollouts.json",
        {
            "machine": asdict(machine),
            "turns": turns,
            "contestants": [
                {**asdict(one), "of_limit": share_of_limit(one, machine, parameters)}
                for one in found
            ],
        },
    )
    Console(width=110).print(table)


if __name__ == "__main__":
    typer.run(main)
