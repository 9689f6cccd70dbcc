"""DPO on a tiny model: what is preferred becomes likelier, and held-out pairs say whether."""

import math

import pytest

from agents.preferences.data import Preference
from agents.training.config import DPOSettings
from agents.training.dpo import hold_out, train_dpo
from persuade_env.errors import PersuadeError
from persuade_env.llm.checkpoint import read_checkpoint
from tests.agents.tiny_world import logprob, tiny_checkpoint

PROMPT, CHOSEN, REJECTED = (1, 5, 2, 1), (4, 6, 2), (8, 9, 2)


def pairs(n=20, scenarios=10, swapped=()):
    found = []
    for k in range(n):
        both = (REJECTED, CHOSEN) if k % scenarios in swapped else (CHOSEN, REJECTED)
        found.append(Preference(f"c{k}", PROMPT, *both, 0.5, f"leisure-{k % scenarios}"))
    return found


def test_what_was_preferred_becomes_likelier_and_held_out_pairs_agree(tmp_path, one_thread):
    sft, folder = tiny_checkpoint(tmp_path), tmp_path / "dpo"
    settings = DPOSettings(learning_rate=1e-2, rank=4, batch_size=6)
    log = train_dpo(pairs(), sft, folder, settings=settings)
    assert len(log) == 2 * 3  # 18 pairs in two epochs
    assert log[0]["loss"] == pytest.approx(math.log(2))
    assert log[0]["learning_rate"] > 0
    assert read_checkpoint(folder, "persuader").adapters == ("adapter-0", "adapter-1")

    def shift(turn):
        return logprob(folder, PROMPT, turn) - logprob(sft, PROMPT, turn)

    assert shift(CHOSEN) > shift(REJECTED) + 0.1
    # The held-out pairs are after each epoch, and are computed as they are defined.
    assert [index for index, entry in enumerate(log) if "held_out/loss" in entry] == [2, 5]
    last = log[-1]
    margin = settings.beta * (shift(CHOSEN) - shift(REJECTED))
    assert last["held_out/accuracy"] == 1
    assert last["held_out/margin"] == pytest.approx(margin, abs=2e-3)
    assert last["held_out/loss"] == pytest.approx(math.log1p(math.exp(-margin)), abs=2e-3)
    assert last["held_out/kl"] == pytest.approx(-(shift(CHOSEN) + shift(REJECTED)) / 2, abs=2e-2)


def test_held_out_pairs_are_not_trained_on(tmp_path, one_thread):
    _, held_out = hold_out(pairs(), 0.1, seed=0)
    (name,) = {pair.scenario_id for pair in held_out}
    # In the held-out scenario the other turn is preferred, which the rest speaks against.
    against = pairs(swapped=(int(name.removeprefix("leisure-")),))
    settings = DPOSettings(learning_rate=1e-2, rank=4, batch_size=6)
    log = train_dpo(against, tiny_checkpoint(tmp_path), tmp_path / "dpo", settings=settings)
    assert log[-1]["held_out/accuracy"] == 0
    assert log[-1]["rewards/accuracies"] == 1


def test_whole_scenarios_are_held_out():
    trained, held_out = hold_out(pairs(40), 0.1, seed=1)
    assert len(held_out) == 4
    assert not {one.scenario_id for one in trained} & {one.scenario_id for one in held_out}
    assert hold_out(pairs(40), 0.1, seed=2)[1] != held_out
    assert hold_out(pairs(40), 0.0, seed=1) == (pairs(40), [])
    assert hold_out(pairs(40, scenarios=1), 0.5, seed=1) == (pairs(40, scenarios=1), [])


def test_without_pairs_it_says_what_to_do(tmp_path):
    with pytest.raises(PersuadeError, match="lower the margin"):
        train_dpo([], tmp_path, tmp_path)


def test_a_pair_that_would_be_cut_is_left_out(tmp_path, one_thread, caplog):
    """A cut turn has no end, or no token at all to learn from."""
    sft = tiny_checkpoint(tmp_path)
    long = Preference("long", PROMPT, CHOSEN * 9, REJECTED, 0.5, "leisure-0")
    settings = DPOSettings(rank=4, batch_size=6, max_steps=1, max_tokens=8)
    train_dpo([long, *pairs()], sft, tmp_path / "dpo", settings=settings)
    assert "1 of 21 pairs have more than 8 tokens" in caplog.text
    with pytest.raises(PersuadeError, match="raise max_tokens"):
        train_dpo([long], sft, tmp_path / "none", settings=settings)
