"""What a third party adds, one of each kind; installed by `test_plugin.py`."""

from persuade_env.dialogue import PersuadeeTurn, PersuaderTurn
from persuade_env.protocols import Completion, PersuaderReply, StopReason, UserReply, Verdict


class AgreeableUser:
    """Comes `step` points nearer with every turn."""

    def __init__(self, step: float = 0.5):
        self.step = step

    def reply(self, dialogues, seeds):
        return [
            UserReply(
                turn=PersuadeeTurn(
                    attitude=min(7.0, dialogue.attitude + self.step),
                    tone="polite",
                    response="All right.",
                )
            )
            for dialogue in dialogues
        ]


class PolitePersuader:
    """Says please."""

    def act(self, dialogues, seeds):
        return [PersuaderReply(turn=PersuaderTurn(response="Please do.")) for _ in dialogues]


class FirstWins:
    """A judge that prefers whatever stands first."""

    def compare(self, pairs):
        return [Verdict.FIRST for _ in pairs]


class EchoChat:
    """A chat backend that says a text."""

    def __init__(self, text: str):
        self.text = text

    def generate(self, prompts, seeds, *, max_reply_tokens, temperature=0.8, top_p=0.95):
        return [Completion(self.text, StopReason.STOP, 0, 0) for _ in prompts]


def politeness(transition):
    """A reward term: 1 for a turn that says please."""
    return float("please" in transition.after.persuader_turns[-1].response.lower())
