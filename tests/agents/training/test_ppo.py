"""PPO against known truth: formulas, agreement with the sampler, and a world with a best answer."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from agents.persuaders.prompted import PromptedPersuader
from agents.training.config import PPOSettings
from agents.training.policy import Policy, SampledTurn, group_by_prefix, sampling_copy
from agents.training.ppo import PPO, collect, gae, ppo_loss, prepare
from persuade_env.dialogue import Dialogue
from persuade_env.errors import UserModelError
from persuade_env.protocols import UserReply, persuader_view
from persuade_env.rewards import Reward
from tests.agents.tiny_world import WORLD, LikesTea, make_tokenizer, tiny

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
"""Tea in both turns: a point, as a share of the scale."""


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def policy():
    return Policy(tiny(), SETTINGS.temperature, reference=tiny())


def speak(settings):
    def made(chat):
        return PromptedPersuader(
            chat, max_reply_tokens=settings.max_reply_tokens, temperature=1.0, top_p=1.0
        )

    return made


def trainer(tokenizer, settings=SETTINGS, **arguments):
    arguments = {"user_model": LikesTea(), "scenarios": WORLD, **arguments}
    return PPO(policy(), tokenizer, settings=settings, speak=speak(settings), **arguments)


def test_gae_is_the_brute_force_sum():
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=7), rng.normal(size=7)
    gamma, lam = 0.9, 0.8
    following = np.append(values[1:], 0.0)
    surprise = rewards + gamma * following - values
    expected = [sum((gamma * lam) ** k * surprise[t + k] for k in range(7 - t)) for t in range(7)]
    advantages, returns = gae(rewards, values, gamma, lam)
    assert np.allclose(advantages, expected)
    assert np.allclose(returns, np.asarray(expected) + values)
    # With lambda 1 and no discount, a return is all that is still to come.
    _, returns = gae(rewards, values, 1.0, 1.0)
    assert np.allclose(returns, np.cumsum(rewards[::-1])[::-1])


def toy():
    rng = np.random.default_rng(3)

    def tensor(scale=1.0):
        return torch.tensor(rng.normal(size=6) * scale, dtype=torch.float64)

    turn = SampledTurn(0, (1,), (2,) * 6, 0.0)
    turn.logprobs, turn.reference, turn.values = tensor() - 2, tensor() - 2, tensor()
    turn.advantages, turn.returns = tensor(), tensor()
    return turn, turn.logprobs + tensor(0.3), turn.values + tensor(0.3), tensor().abs()


def textbook(turn, logprobs, values, entropy, kl_weight, settings):
    """The loss token by token, with nothing but arithmetic."""
    total = 0.0
    for t in range(len(logprobs)):
        ratio = float(torch.exp(logprobs[t] - turn.logprobs[t]))
        advantage = float(turn.advantages[t])
        low, high = 1 - settings.clip, 1 + settings.clip
        total -= min(ratio * advantage, min(max(ratio, low), high) * advantage)
        old, target, new = float(turn.values[t]), float(turn.returns[t]), float(values[t])
        near = old + min(max(new - old, -settings.value_clip), settings.value_clip)
        total += settings.value_weight * 0.5 * max((new - target) ** 2, (near - target) ** 2)
        total -= settings.entropy_weight * float(entropy[t])
        distance = float(turn.reference[t] - logprobs[t])
        total += kl_weight * ratio * (np.exp(distance) - distance - 1)
    return total


def test_the_loss_and_its_gradient_are_the_textbooks():
    settings = PPOSettings(entropy_weight=0.01, value_weight=0.3)
    turn, logprobs, values, entropy = toy()
    variables = [logprobs.requires_grad_(), values.requires_grad_()]
    loss, _ = ppo_loss(logprobs, values, entropy, turn, 0.2, settings)
    assert float(loss) == pytest.approx(textbook(turn, logprobs, values, entropy, 0.2, settings))
    gradients = torch.autograd.grad(loss, variables)
    for variable, gradient in zip(variables, gradients, strict=True):
        for place in range(len(variable)):
            sides = []
            for shift in (1e-6, -1e-6):
                moved = [one.detach().clone() for one in variables]
                moved[0 if variable is logprobs else 1][place] += shift
                sides.append(textbook(turn, *moved, entropy, 0.2, settings))
            assert float(gradient[place]) == pytest.approx((sides[0] - sides[1]) / 2e-6, abs=1e-4)


def test_sampler_and_trainer_agree_and_only_sampled_tokens_count(tokenizer):
    ppo = trainer(tokenizer)
    kept = []
    act = ppo.persuader.act
    ppo.persuader.act = lambda views, seeds: kept.extend(found := act(views, seeds)) or found
    _, turns = collect(ppo.persuader, LikesTea(), WORLD, [1, 2, 3, 4], ppo.reward, 2)
    prepare(turns, ppo.policy, 0.0, SETTINGS)
    sampled = {(r.completion.prompt_ids, r.completion.token_ids): r.completion for r in kept}
    assert len(turns) == 8
    for turn in turns:
        completion = sampled[turn.prompt_ids, turn.token_ids]
        assert turn.logprobs.tolist() == pytest.approx(completion.logprobs, abs=1e-4)
        again, _, _ = ppo.policy.score([turn])
        assert torch.exp(again - turn.logprobs).tolist() == pytest.approx(
            [1.0] * len(turn.token_ids), abs=1e-4
        )
        assert len(turn.advantages) == len(turn.token_ids)
    # What the user said stands in the prompt of the second turn.
    zebra = tokenizer.convert_tokens_to_ids("zebra")
    assert all(turn.prompt_ids[-3] == zebra for turn in turns[4:])


@pytest.mark.parametrize(
    ("dtype", "close"), [(torch.float32, 1e-4), (torch.bfloat16, 0.01)], ids=["fp32", "bf16"]
)
def test_a_merged_copy_samples_as_the_policy_with_its_adapters_is_scored(tokenizer, dtype, close):
    adapters = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    adapted = get_peft_model(tiny().to(dtype), adapters)
    policy = Policy(adapted, SETTINGS.temperature)
    ppo = PPO(policy, tokenizer, LikesTea(), WORLD, SETTINGS, speak=speak(SETTINGS))
    with torch.no_grad():  # as if some updates had gone by
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0.0, 4.0, generator=torch.Generator().manual_seed(1))
    ppo.chat.use(sampling_copy(policy.model))
    assert ppo.chat.model.dtype == torch.float32  # bf16 would round a small update away
    views = [persuader_view(Dialogue(scenario=one)) for one in WORLD]
    for reply in ppo.persuader.act(views, [1, 2, 3, 4]):
        said = reply.completion
        turn = SampledTurn(0, said.prompt_ids, said.token_ids, 0.0)
        scored = policy.score([turn])[0].tolist()
        assert scored == pytest.approx(said.logprobs, abs=close)
        assert scored != pytest.approx(policy.reference_logprobs([turn]).tolist(), abs=2 * close)


def test_a_dialogues_turns_are_read_at_once_where_one_goes_on_from_the_other(tokenizer):
    ppo = trainer(tokenizer)
    _, turns = collect(ppo.persuader, LikesTea(), WORLD, [1, 2, 3, 4], ppo.reward, 2)
    whole = group_by_prefix(turns)
    assert sorted(map(len, whole))[-1] == 2
    pair = next(one for one in whole if len(one) == 2)
    # As if its first turn had been told otherwise in the history of the second.
    ids = pair[1].prompt_ids
    pair[1].prompt_ids = (ids[0], 5, *ids[2:])
    found = group_by_prefix(turns)
    assert len(found) == len(whole) + 1
    assert sum(one[0] is pair[0] or one[0] is pair[1] for one in found) == 2
    for passage in found:
        together = ppo.policy.score(passage)
        apart = [torch.cat(part) for part in zip(*(ppo.policy.score([t]) for t in passage))]
        for one, other in zip(together, apart, strict=True):
            assert torch.allclose(one, other, atol=1e-5)


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
    ppo.policy._reference[0] = tiny(seed=9)
    _, turns = collect(ppo.persuader, LikesTea(), WORLD[:1], [1], ppo.reward, 2)
    prepare(turns, ppo.policy, 0.5, settings)
    cost = sum(0.5 * float((turn.logprobs - turn.reference).sum()) for turn in turns)
    earned = sum(turn.reward for turn in turns)
    assert float(turns[0].returns[0]) == pytest.approx(earned - cost, abs=1e-5)


def test_it_finds_the_best_answer(tokenizer):
    ppo = trainer(tokenizer)
    ppo.train()
    before = ppo.log[0]["return"]
    after = np.mean([one["return"] for one in ppo.log[-5:]])
    assert before < 0.5 * BEST
    assert after >= 0.95 * BEST
    assert {"kl", "entropy", "clip_fraction", "explained_variance", "words"} <= set(ppo.log[-1])


def without_clocks(log):
    clocks = ("seconds", "tokens_per_second")
    return [{k: v for k, v in one.items() if k not in clocks} for one in log]


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
            UserReply(error=UserModelError("no")) if one.scenario.id == "leisure-902" else reply
            for one, reply in zip(dialogues, replies, strict=True)
        ]


def test_invalid_episodes_are_left_out_and_counted(tokenizer):
    ppo = trainer(tokenizer, replace(SETTINGS, iterations=1, episodes=4), user_model=FailsOnce())
    episodes, turns = collect(
        ppo.persuader, FailsOnce(), WORLD, [1, 2, 3, 4], Reward({"attitude_gain": 1.0}), 2
    )
    assert [one.valid for one in episodes] == [True, True, False, True]
    assert {turn.episode for turn in turns} == {0, 1, 3}
    ppo.train()
    assert ppo.log[0]["invalid"] == 1
