"""Plays one episode against the rule-based user and prints it."""

import gymnasium as gym

import persuade_env  # noqa: F401 - registers the environments


def main() -> None:
    env = gym.make(
        "persuade_env/Persuasion-v1", user_model="concerns", scenarios="test", render_mode="ansi"
    )
    _, info = env.reset(seed=7)
    facts = list(env.unwrapped.episode.scenario.facts)  # type: ignore[attr-defined]
    total, done = 0.0, False
    while not done:
        # Ask first, then give the scenario's facts, one a turn.
        action = "What speaks against it for you?" if info["turn"] == 0 else facts.pop(0)
        facts = facts or ["Think it over."]
        _, reward, terminated, truncated, info = env.step(action)
        total, done = total + float(reward), terminated or truncated
    print(env.render())
    print(f"return {total:+.2f}, attitude {info['attitude']:.1f}, {info['stop_reason']}")


if __name__ == "__main__":
    main()
