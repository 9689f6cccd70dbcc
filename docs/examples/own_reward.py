"""Adds a reward term of one's own and compares what two persuaders earn with it."""

from persuade_env import Reward, Transition, load_persuader, load_user_model, rollout
from persuade_env.scenarios import load_corpus


def brevity(transition: Transition) -> float:
    """-1 for a turn of more than 8 words, else 0."""
    return -float(len(transition.after.persuader_turns[-1].response.split()) > 8)


def main() -> None:
    reward = Reward({"attitude_gain": 1.0, "outcome": 1.0, f"{__name__}:brevity": 0.25})
    scenarios = [record.scenario for record in load_corpus("test")[:10]]
    user = load_user_model("concerns")
    for name in ("repeating", "flattering"):
        episodes = rollout(
            load_persuader(name), user, scenarios, range(len(scenarios)), reward=reward
        )
        terms = {
            term: sum(turn[term] for episode in episodes for turn in episode.reward_terms)
            / len(episodes)
            for term in reward.weights
        }
        print(name, {term: round(value, 3) for term, value in terms.items()})


if __name__ == "__main__":
    main()
