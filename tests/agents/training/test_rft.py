"""Rejection sampling on a tiny model: what is learned, and from what."""

import pytest

from agents.preferences.pool import BestTurn
from agents.training.config import RFTSettings
from agents.training.rft import rft_examples, train_rft
from persuade_env.errors import PersuadeError
from persuade_env.llm.checkpoint import read_checkpoint
from persuade_env.llm.training.config import LoraSettings
from persuade_env.llm.training.logprobs import IGNORED
from tests.agents.tiny_world import logprob, tiny_checkpoint

PROMPT, BEST, OTHER = (1, 5, 2, 1), (4, 6, 2), (8, 9, 2)


def turns(n=8):
    return [BestTurn(f"c{k}", f"leisure-{k}", PROMPT, BEST, 0.5) for k in range(n)]


def test_the_loss_is_on_the_whole_turn_and_on_nothing_else():
    (example,) = rft_examples(turns(1))
    assert example.input_ids == [*PROMPT, *BEST]
    assert example.labels == [IGNORED] * len(PROMPT) + [*BEST]


def test_the_best_turn_becomes_likelier_on_top_of_sft(tmp_path, one_thread):
    sft, folder = tiny_checkpoint(tmp_path), tmp_path / "rft"
    settings = RFTSettings(lora=LoraSettings(learning_rate=1e-2, rank=4, batch_size=2))
    log = train_rft(turns(), sft, folder, settings=settings)
    assert len(log) == 4  # one epoch of 8 turns
    assert log[0]["learning_rate"] > 0
    assert read_checkpoint(folder, "persuader").adapters == ("adapter-0", "adapter-1")
    assert logprob(folder, PROMPT, BEST) > logprob(sft, PROMPT, BEST) + 0.1
    assert logprob(folder, PROMPT, OTHER) < logprob(sft, PROMPT, OTHER)


def test_without_turns_it_says_what_to_do(tmp_path):
    with pytest.raises(PersuadeError, match="lower min_lead"):
        train_rft([], tmp_path, tmp_path)


def test_a_turn_that_would_be_cut_is_left_out(tmp_path, one_thread):
    sft = tiny_checkpoint(tmp_path)
    long = BestTurn("long", "leisure-0", PROMPT, BEST * 9, 0.5)
    settings = RFTSettings(lora=LoraSettings(rank=4, batch_size=1, max_tokens=8))
    assert len(train_rft([long, *turns()], sft, tmp_path / "rft", settings=settings)) == 8
    with pytest.raises(PersuadeError, match="raise lora"):
        train_rft([long], sft, tmp_path / "none", settings=settings)
