"""Trains MaskablePPO of sb3-contrib on the strategy environment for a few hundred steps."""

import gymnasium as gym
from sb3_contrib import MaskablePPO

import persuade_env  # noqa: F401 - registers the environments


def main() -> None:
    env = gym.make("persuade_env/StrategyPersuasion-v1", user_model="concerns", scenarios="train")
    model = MaskablePPO("MlpPolicy", env, n_steps=128, batch_size=64, seed=0, device="cpu")
    model.learn(512)

    test = gym.make("persuade_env/StrategyPersuasion-v1", user_model="concerns", scenarios="test")
    returns = []
    for seed in range(10):
        observation, info = test.reset(seed=seed)
        total, done = 0.0, False
        while not done:
            action, _ = model.predict(observation, action_masks=info["action_mask"].astype(bool))
            observation, reward, terminated, truncated, info = test.step(int(action))
            total, done = total + float(reward), terminated or truncated
        returns.append(total)
    print(f"mean return on test scenarios: {sum(returns) / len(returns):.2f}")


if __name__ == "__main__":
    main()
