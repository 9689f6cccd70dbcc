"""A few training steps of unmodified RL libraries on the strategy environment, and the scores."""

import pytest

from experiments.benchmark.strategies import LEARNERS, EpisodeResult, benchmark, score, table


def test_every_learner_runs_and_is_scored():
    scores = benchmark(steps=64, seeds=1, episodes=1, learners=["dqn", "per-strategy-ppo"])
    by_name = {row.agent: row for row in scores}
    names = ["random", "nearest words", "dqn", "per-strategy-ppo", "oracle"]
    assert list(by_name) == names
    top = by_name["oracle"]
    assert top.share.value == pytest.approx(1.0)
    assert by_name["random"].share.value == pytest.approx(0.0)
    assert all(row.episode_return.value <= top.episode_return.value for row in scores)
    assert table(scores).row_count == 5
    assert set(LEARNERS) == {"ppo", "dqn", "maskable-ppo", "per-strategy-ppo"}


@pytest.mark.parametrize("name", ["ppo", "maskable-ppo"])
def test_on_policy_learners_take_the_environment_as_it_is(name):
    import sb3_contrib
    import stable_baselines3

    from experiments.benchmark.strategies import make_env

    kind = {"ppo": stable_baselines3.PPO, "maskable-ppo": sb3_contrib.MaskablePPO}[name]
    model = kind("MlpPolicy", make_env("train", "concerns"), n_steps=32, batch_size=32, seed=0)
    model.learn(64)
    assert model.num_timesteps == 64


def test_a_share_is_measured_from_random_to_the_oracle():
    def results(value):
        return [EpisodeResult(name, 0, value, False, 3) for name in ("a", "b", "c")]

    half = score("half", results(0.5), results(-1.0), results(2.0))
    assert half.share.value == pytest.approx(0.5)
    assert half.episode_return.value == pytest.approx(0.5)
    assert half.by_seed == (0.5,)
