"""Benchmark of dialogue generation between two language models, relative to the CPU's peak.

    python -m experiments.performance.rollouts --dialogues 32 --turns 6

Both sides are the embedded model, with the whole history in context, temperature 0.8, top-p 0.95
and at most 48 new tokens a turn. Contestants, on the same scenarios: a plain transformers loop
(each turn encodes the whole history again and calls `generate` on the batch), the same one
dialogue at a time, this suite's backend, and OpenVINO GenAI where it is
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
from persuade_env.llm.backends.transformers import TransformersChat
from persuade_env.llm.builtin_model import gguf_file
from persuade_env.llm.chat_template import encode_chat
from persuade_env.llm.loading import load_model, load_tokenizer
from persuade_env.llm.precision import generation_dtype
from persuade_env.protocols import Message
from persuade_env.scenarios import load_corpus
from persuade_env.seeding import derive_seed

MAX_NEW_TOKENS = 48
TEMPERATURE, TOP_P = 0.8, 0.95

Generate = Callable[[Sequence[Sequence[Message]], int], list[tuple[str, int]]]
"""Takes chats and a seed; gives for each chat the reply and its number of tokens."""


@dataclass(frozen=True)
class Timing:
    """The time and the number of tokens of one contestant.

    >>> Timing("x", 2, new_tokens=300, all_tokens=900, persuader_seconds=1, user_seconds=2).seconds
    3
    """

    name: str
    dialogues: int
    new_tokens: int
    all_tokens: int
    """Tokens that both sides have to process if nothing is computed twice."""
    persuader_seconds: float
    user_seconds: float

    @property
    def seconds(self) -> float:
        """Time of both sides."""
        return self.persuader_seconds + self.user_seconds

    @property
    def dialogues_per_minute(self) -> float:
        """Dialogues per minute."""
        return 60 * self.dialogues / self.seconds

    @property
    def tokens_per_second(self) -> float:
        """Sampled tokens per second."""
        return self.new_tokens / self.seconds


@dataclass(frozen=True)
class Machine:
    """The measured peak performance of the machine.

    >>> Machine(gemm_flops=1e12, bandwidth=2e10).bandwidth
    20000000000.0
    """

    gemm_flops: float
    """Operations per second in a large matrix product, in the format of generation; a multiply-add
    counts as two."""
    bandwidth: float
    """Bytes read per second."""


def measure_machine() -> Machine:
    """Measures the machine's peak, as the best of five runs, to which other load matters least."""
    size, megabytes = 2048, 512
    dtype = generation_dtype()
    left = torch.randn(size, size, dtype=dtype)
    right = torch.randn(size, size, dtype=dtype)
    block = torch.zeros(megabytes * 2**20 // 4)
    return Machine(
        gemm_flops=2 * size**3 / _best(lambda: left @ right),
        bandwidth=megabytes * 2**20 / _best(lambda: block.sum()),
    )


def _best(function: Callable[[], Any]) -> float:
    function()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times)


def converse(
    name: str,
    system_prompts: Sequence[tuple[str, str]],
    turns: int,
    generate: Generate,
    tokenizer: Any,
) -> Timing:
    """Times dialogues in which each side gets the other's replies as user messages of a chat.

    Args:
        name: of the contestant.
        system_prompts: of the persuader and of the user, for each dialogue.
        turns: pairs of turns per dialogue.
        generate: writes the replies of a batch of chats.
        tokenizer: counts the tokens.
    """
    persuaders: list[list[Message]] = [
        [{"role": "system", "content": prompt}, {"role": "user", "content": "(You speak first.)"}]
        for prompt, _ in system_prompts
    ]
    users: list[list[Message]] = [
        [{"role": "system", "content": prompt}] for _, prompt in system_prompts
    ]
    seconds = [0.0, 0.0]
    new_tokens = 0
    with progress_bar(name, turns, "turn") as progress:
        for turn in range(turns):
            for side, (speakers, others) in enumerate(((persuaders, users), (users, persuaders))):
                began = time.perf_counter()
                replies = generate(speakers, derive_seed(turn, side) % 2**31)
                seconds[side] += time.perf_counter() - began
                for speaker, other, (reply, count) in zip(speakers, others, replies, strict=True):
                    speaker.append({"role": "assistant", "content": reply})
                    other.append({"role": "user", "content": reply})
                    new_tokens += count
            progress.update(1)
    all_tokens = sum(
        len(encode_chat(tokenizer, chat, reply_follows=False)) for chat in (*persuaders, *users)
    )
    return Timing(name, len(system_prompts), new_tokens, all_tokens, *seconds)


def plain_transformers(model: Any, tokenizer: Any) -> Generate:
    """Batched `model.generate` on the whole chats, as in the documentation of transformers."""

    def generate(chats: Sequence[Sequence[Message]], seed: int) -> list[tuple[str, int]]:
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
        texts = tokenizer.batch_decode(new, skip_special_tokens=True)
        # The end token counts as sampled, the padding after it does not.
        counts = (new != tokenizer.pad_token_id).sum(dim=1).tolist()
        return [(text.strip(), int(count)) for text, count in zip(texts, counts, strict=True)]

    return generate


def one_at_a_time(generate: Generate) -> Generate:
    """The same with a batch size of 1."""
    return lambda chats, seed: [generate([chat], seed)[0] for chat in chats]


def suite_backend(chat: TransformersChat) -> Generate:
    """This suite's backend."""

    def generate(chats: Sequence[Sequence[Message]], seed: int) -> list[tuple[str, int]]:
        completions = chat.generate(
            chats,
            [derive_seed(seed, index) for index in range(len(chats))],
            max_reply_tokens=MAX_NEW_TOKENS,
            temperature=TEMPERATURE,
            top_p=TOP_P,
        )
        return [(completion.text, completion.completion_tokens) for completion in completions]

    return generate


def openvino(tokenizer: Any) -> Generate:
    """OpenVINO GenAI on the same weights, in bf16, as a baseline.

    It is no backend of this suite, because its prefix cache contains keys and values from decoding,
    so a resumed dialogue differs in the last bits from an uninterrupted one.
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

    def generate(chats: Sequence[Sequence[Message]], seed: int) -> list[tuple[str, int]]:
        config.rng_seed = seed
        prompts = [
            tokenizer.apply_chat_template(list(chat), tokenize=False, add_generation_prompt=True)
            for chat in chats
        ]
        texts = pipeline.generate(prompts, config).texts
        # It reports no token counts for a batch; the end token counts as one.
        counts = (len(tokenizer(text, add_special_tokens=False)["input_ids"]) + 1 for text in texts)
        return [(text.strip(), count) for text, count in zip(texts, counts, strict=True)]

    return generate


def share_of_limit(timing: Timing, machine: Machine, parameters: int) -> float:
    """The minimal compute time for these tokens, divided by the measured time.

    Each token takes two operations per parameter. (The time to read the weights in a decoding step
    is less than that for batches of a dozen or more.)
    """
    return 2 * parameters * timing.all_tokens / machine.gemm_flops / timing.seconds


def main(
    dialogues: Annotated[int, typer.Option(min=1)] = 32,
    turns: Annotated[int, typer.Option(min=1, help="Turn pairs per dialogue.")] = 6,
    alone: Annotated[int, typer.Option(min=0, help="Dialogues of the one-at-a-time loop.")] = 4,
    out: Annotated[Path, typer.Option(help="Folder for rollouts.json.")] = Path("runs/rollouts"),
) -> None:
    """Times the contestants and relates them to the machine's peak."""
    import transformers

    transformers.logging.set_verbosity_error()
    tokenizer = load_tokenizer()
    records = load_corpus()
    system_prompts = []
    for index in range(dialogues):
        record = records[index % len(records)]
        about = f"{record.background} {record.persuader} wants to {record.goal}."
        facts = " ".join(record.facts)
        system_prompts.append(
            (
                f"You are {record.persuader}. {about} Facts: {facts} Speak briefly.",
                f"You are {record.persuadee}. {about} Answer briefly.",
            )
        )
    machine = measure_machine()
    model = load_model().eval()
    parameters = model.num_parameters()
    generate = plain_transformers(model, tokenizer)
    timings = [converse("transformers", system_prompts, turns, generate, tokenizer)]
    if alone:
        single = one_at_a_time(generate)
        timings.append(converse("one at a time", system_prompts[:alone], turns, single, tokenizer))
    # One model plays both sides, so it caches twice the prompts.
    chat = TransformersChat(
        load_model(), tokenizer, max_batch=dialogues, max_prefix_bytes=2 * 2**30
    )
    timings.append(converse("this suite", system_prompts, turns, suite_backend(chat), tokenizer))
    if importlib.util.find_spec("openvino_genai"):
        generate = openvino(tokenizer)
        timings.append(converse("OpenVINO GenAI", system_prompts, turns, generate, tokenizer))
    table = Table(
        title=f"{generation_dtype()} GEMM {machine.gemm_flops / 1e12:.2f} Tflop/s, "
        f"memory {machine.bandwidth / 1e9:.0f} GB/s, {parameters / 1e6:.0f}M parameters",
        title_justify="left",
    )
    headings = ("contestant", "new tokens/s", "dialogues/min", "ratio", "user's share", "of limit")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "contestant" else "right")
    for timing in timings:
        table.add_row(
            timing.name,
            f"{timing.tokens_per_second:.0f}",
            f"{timing.dialogues_per_minute:.1f}",
            f"{timing.dialogues_per_minute / timings[0].dialogues_per_minute:.2f}",
            f"{timing.user_seconds / timing.seconds:.2f}",
            f"{share_of_limit(timing, machine, parameters):.3f}",
        )
    out.mkdir(parents=True, exist_ok=True)
    write_json(
        out / "rollouts.json",
        {
            "machine": asdict(machine),
            "turns": turns,
            "contestants": [
                {**asdict(timing), "of_limit": share_of_limit(timing, machine, parameters)}
                for timing in timings
            ],
        },
    )
    Console(width=110).print(table)


if __name__ == "__main__":
    typer.run(main)
