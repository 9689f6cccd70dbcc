"""GRPO with TRL's trainer on a tiny model, and the conversion of a dialogue to one sequence."""

from dataclasses import replace

import pytest
import torch

from agents.persuaders.prompted import PromptedPersuader
from agents.training.config import GRPOSettings
from agents.training.grpo import build_trajectory, make_trainer, rollout_group
from persuade_env.errors import UserModelError
from persuade_env.llm.backends.transformers import TransformersChat
from persuade_env.protocols import UserReply
from persuade_env.rewards import Reward
from tests.agents.tiny_world import WORLD, LikesTea, make_tokenizer, tiny_model

SETTINGS = GRPOSettings(
    steps=3,
    groups=2,
    group_size=4,
    max_turns=2,
    max_reply_tokens=2,
    temperature=1.0,
    learning_rate=1e-2,
    beta=0.0,
    reward=(("attitude_gain", 1.0),),
)
REWARD = Reward(dict(SETTINGS.reward))


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def make_persuader(chat):
    return PromptedPersuader(chat, max_reply_tokens=2, temperature=1.0, top_p=1.0)


def play(tokenizer, user_model, samples=(0, 1, 2, 3)):
    chat = TransformersChat(tiny_model(), tokenizer, fast=False)
    count = len(samples)
    scenarios, seeds = [WORLD[0]] * count, [7] * count
    return rollout_group(make_persuader(chat), user_model, scenarios, seeds, samples, REWARD, 2)[1]


def test_a_dialogue_is_one_sequence_in_which_the_user_is_masked(tokenizer):
    zebra = tokenizer.convert_tokens_to_ids("zebra")
    for trajectory in play(tokenizer, LikesTea()):
        assert len(trajectory.completion_ids) == len(trajectory.mask) == len(trajectory.logprobs)
        if trajectory.turns < 2:
            continue
        masked = [
            i
            for i, keep in zip(trajectory.completion_ids, trajectory.mask, strict=True)
            if not keep
        ]
        assert zebra in masked
        assert all(
            logprob == 0.0
            for logprob, keep in zip(trajectory.logprobs, trajectory.mask, strict=True)
            if not keep
        )
        assert trajectory.reward == pytest.approx(round(trajectory.reward * 6) / 6)


def test_a_group_meets_the_same_user_and_draws_differently(tokenizer):
    first, again = play(tokenizer, LikesTea()), play(tokenizer, LikesTea())
    assert first == again
    assert len({tuple(trajectory.completion_ids) for trajectory in first}) > 1
    assert len({tuple(trajectory.prompt_ids) for trajectory in first}) == 1
    same = play(tokenizer, LikesTea(), samples=(0, 0))
    assert same[0] == same[1]


def test_a_prompt_that_does_not_go_on_from_what_was_sampled_ends_the_trajectory(tokenizer):
    chat = TransformersChat(tiny_model(), tokenizer, fast=False)
    first, second = chat.generate(
        [[{"role": "user", "content": text}] for text in ("tea rain", "dog dog dog dog")],
        [0, 1],
        max_reply_tokens=2,
    )

    class Ended:
        valid, episode_return = True, 0.5

    trajectory = build_trajectory(Ended(), [first, second])
    assert trajectory.turns == 1
    assert trajectory.completion_ids == list(first.token_ids)
    assert trajectory.reward == 0.5


class FailsInOneScenario(LikesTea):
    def reply(self, dialogues, seeds):
        return [
            UserReply(error=UserModelError("no")) if dialogue.scenario.id == WORLD[0].id else reply
            for dialogue, reply in zip(dialogues, super().reply(dialogues, seeds), strict=True)
        ]


def test_a_failed_dialogue_is_unscorable(tokenizer):
    assert [trajectory.reward for trajectory in play(tokenizer, FailsInOneScenario())] == [None] * 4


@pytest.mark.parametrize("user_model", [LikesTea(), FailsInOneScenario()])
def test_it_trains_for_real_steps(tokenizer, tmp_path, user_model):
    model, played = tiny_model(), []
    before = {name: value.clone() for name, value in model.named_parameters()}
    trainer = make_trainer(
        model,
        tokenizer,
        user_model,
        WORLD,
        tmp_path,
        replace(SETTINGS),
        make_persuader=make_persuader,
        on_episodes=played.extend,
    )
    trainer.train()
    # Scenarios with the same first prompt, as they differ in their ids alone, stay apart.
    assert len({episode.scenario.id for episode in played}) > 1
    log = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(log) == SETTINGS.steps
    assert all(-0.2 <= entry["reward"] <= 0.2 for entry in log)
    assert any(
        not torch.equal(before[name], value) for name, value in trainer.model.named_parameters()
    )
