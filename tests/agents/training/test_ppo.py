"""PPO: agreement of sampler and trainer, credit assignment, resuming, and a task with optimum."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from agents.persuaders.prompted import PromptedPersuader
from agents.training.config import PPOSettings
from agents.training.policy import Policy, SampledTurn, group_by_prefix, sampling_copy
from agents.training.ppo import PPO, collect, prepare
from persuade_env.dialogue import Dialogue
from persuade_env.errors import UserModelError
from persuade_env.protocols import UserReply, persuader_view
from persuade_env.rewards import Reward
from tests.agents.tiny_world import WORLD, LikesTea, make_tokenizer, tiny_model

SETTINGS = PPOSettings(
    iterations=25,
    episodes=8,
    max_turns=2,
    max_reply_tokens=2,
    temperature=1.0,
    epochs=3,
    batch_turns=16,
    learning_rate=3e-3,
    value_learning_rate=1e-2,
    kl_weight=0.0,
    kl_target=10.0,
    stop_kl=1.0,
    reward=(("attitude_gain", 1.0),),
)


BEST = 2 * 0.5 / 6
"""The optimal return: tea in both turns raises the attitude by 1 of 6 points."""


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def policy():
    return Policy(tiny_model(), SETTINGS.temperature, reference=tiny_model())


def persuader_maker(settings):
    def make_persuader(chat):
        return PromptedPersuader(
            chat, max_reply_tokens=settings.max_reply_tokens, temperature=1.0, top_p=1.0
        )

    return make_persuader


def trainer(tokenizer, settings=SETTINGS, **arguments):
    arguments = {"user_model": LikesTea(), "scenarios": WORLD, **arguments}
    return PPO(
        policy(),
        tokenizer,
        settings=settings,
        make_persuader=persuader_maker(settings),
        **arguments,
    )


def test_sampler_and_trainer_agree_and_only_sampled_tokens_count(tokenizer):
    ppo = trainer(tokenizer)
    replies = []
    act = ppo.persuader.act
    ppo.persuader.act = lambda views, seeds: replies.extend(batch := act(views, seeds)) or batch
    _, turns = collect(ppo.persuader, LikesTea(), WORLD, [1, 2, 3, 4], ppo.reward, 2)
    prepare(turns, ppo.policy, 0.0, SETTINGS)
    sampled = {(r.completion.prompt_ids, r.completion.token_ids): r.completion for r in replies}
    assert len(turns) == 8
    for turn in turns:
        completion = sampled[turn.prompt_ids, turn.token_ids]
        assert turn.logprobs.tolist() == pytest.approx(completion.logprobs, abs=1e-4)
        again, _, _ = ppo.policy.score([turn])
        assert torch.exp(again - turn.logprobs).tolist() == pytest.approx(
            [1.0] * len(turn.token_ids), abs=1e-4
        )
        assert len(turn.advantages) == len(turn.token_ids)
    # The user's response is in the prompt of the second turn.
    zebra = tokenizer.convert_tokens_to_ids("zebra")
    assert all(turn.prompt_ids[-3] == zebra for turn in turns[4:])


@pytest.mark.parametrize(
    ("dtype", "close"), [(torch.float32, 1e-4), (torch.bfloat16, 0.01)], ids=["fp32", "bf16"]
)
def test_a_merged_copy_samples_as_the_policy_with_its_adapters_is_scored(tokenizer, dtype, close):
    adapters = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    adapted = get_peft_model(tiny_model().to(dtype), adapters)
    policy = Policy(adapted, SETTINGS.temperature)
    ppo = PPO(
        policy, tokenizer, LikesTea(), WORLD, SETTINGS, make_persuader=persuader_maker(SETTINGS)
    )
    with torch.no_grad():  # stands for some updates
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0.0, 4.0, generator=torch.Generator().manual_seed(1))
    ppo.chat.use(sampling_copy(policy.model))
    assert ppo.chat.model.dtype == torch.float32  # bf16 would round a small update away
    views = [persuader_view(Dialogue(scenario=scenario)) for scenario in WORLD]
    for reply in ppo.persuader.act(views, [1, 2, 3, 4]):
        completion = reply.completion
        turn = SampledTurn(0, completion.prompt_ids, completion.token_ids, 0.0)
        scored = policy.score([turn])[0].tolist()
        assert scored == pytest.approx(completion.logprobs, abs=close)
        assert scored != pytest.approx(policy.reference_logprobs([turn]).tolist(), abs=2 * close)


def test_a_dialogues_turns_are_read_at_once_where_one_goes_on_from_the_other(tokenizer):
    ppo = trainer(tokenizer)
    _, turns = collect(ppo.persuader, LikesTea(), WORLD, [1, 2, 3, 4], ppo.reward, 2)
    groups_before = group_by_prefix(turns)
    assert sorted(map(len, groups_before))[-1] == 2
    pair = next(group for group in groups_before if len(group) == 2)
    # As if the history of the second turn rendered the first turn differently.
    ids = pair[1].prompt_ids
    pair[1].prompt_ids = (ids[0], 5, *ids[2:])
    groups = group_by_prefix(turns)
    assert len(groups) == len(groups_before) + 1
    assert sum(group[0] is pair[0] or group[0] is pair[1] for group in groups) == 2
    for group in groups:
        jointly = ppo.policy.score(group)
        separately = [torch.cat(part) for part in zip(*(ppo.policy.score([t]) for t in group))]
        for joint, separate in zip(jointly, separately, strict=True):
            assert torch.allclose(joint, separate, atol=1e-5)


def test_credit_flows_back_through_turns(tokenizer):
    ppo = trainer(tokenizer)
    _, turns = collect(ppo.persuader, LikesTea(), WORLD[:1], [1], ppo.reward, 2)
    turns[0].reward, turns[1].reward = 0.0, 1.0
    prepare(turns, ppo.policy, 0.0, replace(SETTINGS, gae_lambda=1.0))
    # The value head begins at 0, so every token's return is what is still to come.
    assert turns[0].returns.tolist() == pytest.approx([1.0] * len(turns[0].token_ids))


def test_the_kl_penalty_can_be_part_of_the_reward(tokenizer):
    settings = replace(SETTINGS, kl_in_reward=True, gae_lambda=1.0)
    ppo = trainer(tokenizer, settings)
    ppo.policy._reference[0] = tiny_model(seed=9)
    _, turns = collect(ppo.persuader, LikesTea(), WORLD[:1], [1], ppo.reward, 2)
    prepare(turns, ppo.policy, 0.5, settings)
    cost = sum(0.5 * float((turn.logprobs - turn.reference).sum()) for turn in turns)
    earned = sum(turn.reward for turn in turns)
    assert float(turns[0].returns[0]) == pytest.approx(earned - cost, abs=1e-5)


def test_it_finds_the_best_answer(tokenizer):
    ppo = trainer(tokenizer)
    ppo.train()
    before = ppo.log[0]["return"]
    after = np.mean([entry["return"] for entry in ppo.log[-5:]])
    assert before < 0.5 * BEST
    assert after >= 0.95 * BEST
    assert {"kl", "entropy", "clip_fraction", "explained_variance", "words"} <= set(ppo.log[-1])


def without_clocks(log):
    clocks = ("seconds", "tokens_per_second")
    return [{k: v for k, v in entry.items() if k not in clocks} for entry in log]


def test_the_same_seed_gives_the_same_curve_also_after_a_resume(tokenizer, tmp_path):
    short = replace(SETTINGS, iterations=4, episodes=4)
    whole = trainer(tokenizer, short)
    whole.train()
    first = trainer(tokenizer, replace(short, iterations=2), folder=tmp_path)
    first.train()
    second = trainer(tokenizer, short, folder=tmp_path)
    assert len(second.log) == 2
    second.train()
    assert without_clocks(second.log) == without_clocks(whole.log)
    pairs = zip(whole.policy.parameters(), second.policy.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert [path.name for path in tmp_path.glob("state-*")] == ["state-0004"]
    lines = (tmp_path / "dialogues" / "0003.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["dialogue"]["turns"]


class FailsOnce(LikesTea):
    def reply(self, dialogues, seeds):
        replies = super().reply(dialogues, seeds)
        return [
            UserReply(error=UserModelError("no"))
            if dialogue.scenario.id == "leisure-902"
            else reply
            for dialogue, reply in zip(dialogues, replies, strict=True)
        ]


def test_invalid_episodes_are_left_out_and_counted(tokenizer):
    ppo = trainer(tokenizer, replace(SETTINGS, iterations=1, episodes=4), user_model=FailsOnce())
    episodes, turns = collect(
        ppo.persuader, FailsOnce(), WORLD, [1, 2, 3, 4], Reward({"attitude_gain": 1.0}), 2
    )
    assert [episode.valid for episode in episodes] == [True, True, False, True]
    assert {turn.episode for turn in turns} == {0, 1, 3}
    ppo.train()
    assert ppo.log[0]["invalid"] == 1
