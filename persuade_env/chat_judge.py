"""A chat model as judge: it explains, then names the winner."""

from __future__ import annotations

import re
from collections.abc import Sequence

from persuade_env.dialogue import Dialogue, PersuaderTurn
from persuade_env.protocols import ChatModel, Message, Verdict
from persuade_env.seeding import derive_seed
from persuade_env.turn_format import one_line

_WINNER = re.compile(r"winner\s*[:=]?\s*\**\s*(?:dialogue\s+)?(A|B|tie)\b", re.IGNORECASE)
_VERDICTS = {"a": Verdict.FIRST, "b": Verdict.SECOND, "tie": Verdict.TIE}


class ChatJudge:
    """Asks a chat model which of two dialogues of a scenario persuaded better.

    It reads what was said and nothing else: no attitudes, no persona, no reasoning. An answer
    without a verdict is asked for once more; then the verdict is `FAILED`, which
    nobody averages in. Order effects are the caller's to cancel (`persuade_env.judges.scores`).

    Args:
        chat: any chat model; a small one will hardly be a judge.
        max_reply_tokens: for explanation and verdict.
    """

    def __init__(self, chat: ChatModel, *, max_reply_tokens: int = 200, seed: int = 0) -> None:
        self.chat = chat
        self.max_reply_tokens = max_reply_tokens
        self.seed = seed

    def compare(self, pairs: Sequence[tuple[Dialogue, Dialogue]]) -> list[Verdict]:
        """See `Judge.compare`."""
        verdicts = self._ask(pairs, "first")
        again = [index for index, one in enumerate(verdicts) if one is Verdict.FAILED]
        if again:
            repaired = self._ask([pairs[index] for index in again], "again")
            for index, verdict in zip(again, repaired, strict=True):
                verdicts[index] = verdict
        return verdicts

    def _ask(self, pairs: Sequence[tuple[Dialogue, Dialogue]], attempt: str) -> list[Verdict]:
        completions = self.chat.generate(
            [judge_messages(first, second) for first, second in pairs],
            [derive_seed(self.seed, attempt, index) for index in range(len(pairs))],
            max_reply_tokens=self.max_reply_tokens,
            temperature=0.0,
        )
        return [Verdict.FAILED if one.error else read_verdict(one.text) for one in completions]


def judge_messages(first: Dialogue, second: Dialogue) -> list[Message]:
    """The question as a chat. What was said stands on lines of its own, its line breaks gone."""
    scenario = first.scenario
    question = "\n".join(
        [
            f"{scenario.persuader} talks with {scenario.persuadee}.",
            one_line(scenario.background),
            f"The goal: {one_line(scenario.goal)}.",
            "",
            "Dialogue A:",
            *_lines(first),
            "",
            "Dialogue B:",
            *_lines(second),
            "",
            f"In which dialogue does {scenario.persuader} do more to bring "
            f"{scenario.persuadee} closer to the goal, by reasons that "
            f"{scenario.persuadee} can accept? Length and politeness alone count for nothing.",
            "Explain in one or two sentences. Then write a last line, exactly one of:",
            "Winner: A",
            "Winner: B",
            "Winner: tie",
        ]
    )
    return [
        {"role": "system", "content": "You compare dialogues, fairly and to the point."},
        {"role": "user", "content": question},
    ]


def _lines(dialogue: Dialogue) -> list[str]:
    scenario = dialogue.scenario
    return [
        f"- {scenario.persuader if isinstance(turn, PersuaderTurn) else scenario.persuadee}: "
        f"{one_line(turn.response) or '(says nothing)'}"
        for turn in dialogue.turns
    ]


def read_verdict(text: str) -> Verdict:
    """The last verdict that a judge's answer names; `FAILED` without one."""
    found = _WINNER.findall(text)
    return _VERDICTS[found[-1].lower()] if found else Verdict.FAILED
