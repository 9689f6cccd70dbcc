"""Writes a user model, plays in the environment with it, and puts it into an ensemble."""

from collections.abc import Sequence

import gymnasium as gym

import persuade_env  # noqa: F401 - registers the environments
from persuade_env import Decision, Dialogue, PersuadeeTurn, UserReply
from user_models import EnsembleUser, RuleBasedUser


class CuriousUser:
    """Comes half a point nearer with every question, and accepts from 5.5."""

    def reply(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[UserReply]:
        return [self._reply(dialogue) for dialogue in dialogues]

    def _reply(self, dialogue: Dialogue) -> UserReply:
        questions = sum("?" in turn.response for turn in dialogue.persuader_turns)
        attitude = min(7.0, dialogue.scenario.initial_attitude + 0.5 * questions)
        return UserReply(
            turn=PersuadeeTurn(
                attitude=attitude,
                tone="curious",
                response="That is a good question.",
                decision=Decision.ACCEPT if attitude >= 5.5 else Decision.CONTINUE,
            )
        )


def main() -> None:
    for user in (CuriousUser(), EnsembleUser([CuriousUser(), RuleBasedUser()])):
        env = gym.make("persuade_env/Persuasion-v1", user_model=user, max_turns=4)
        env.reset(seed=0)
        done, attitudes = False, []
        while not done:
            *_, terminated, truncated, info = env.step("What would help you to decide?")
            attitudes.append(round(info["attitude"], 2))
            done = terminated or truncated
        print(type(user).__name__, attitudes, info["stop_reason"])


if __name__ == "__main__":
    main()
