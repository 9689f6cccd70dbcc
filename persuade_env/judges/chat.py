"""A chat model as judge: it explains, then names the winner."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from persuade_env.dialogue import Dialogue, PersuaderTurn
from persuade_env.errors import ChatError
from persuade_env.llm.pool import ModelPool
from persuade_env.llm.sanitize import sanitize
from persuade_env.protocols import ChatModel, Completion, Message, StopReason, Verdict
from persuade_env.registry import load_chat_model
from persuade_env.seeding import derive_seed
from persuade_env.spec import SpecLike
from persuade_env.text.normalize import one_line

_WINNER = re.compile(
    r"winner\**\s*[:=]\s*[*\[(\"']*\s*(?:an?\s+(?=tie))?(?:dialogue\s+)?(A|B|tie)\b", re.IGNORECASE
)
_VERDICTS = {"a": Verdict.FIRST, "b": Verdict.SECOND, "tie": Verdict.TIE}
_CHOICES = ("Winner: A", "Winner: B", "Winner: tie")

_log = logging.getLogger(__name__)


class ChatJudge:
    """Asks a chat model which of two dialogues of a scenario persuaded better.

    It reads what was said and nothing else: no attitudes, no persona, no reasoning. An answer
    without a verdict is shown to it once more, and the verdict alone asked for; without one the
    verdict is `FAILED`, which nobody averages in. A model that can't be reached fails at every
    pair. Order effects are the caller's to cancel (`persuade_env.judges.attitude.scores`).

    Args:
        chat: any chat model; a small one will hardly be a judge.
        max_reply_tokens: for explanation and verdict.
        seed: another one gives other answers, where the model is asked at a temperature.
    """

    def __init__(
        self,
        chat: ChatModel,
        *,
        max_reply_tokens: int = 200,
        seed: int = 0,
        temperature: float = 0.0,
    ) -> None:
        self.chat = chat
        self.max_reply_tokens = max_reply_tokens
        self.seed = seed
        self.temperature = temperature

    def compare(self, pairs: Sequence[tuple[Dialogue, Dialogue]]) -> list[Verdict]:
        """See `Judge.compare`."""
        questions = [judge_messages(first, second) for first, second in pairs]
        answers = self._ask(questions, "first")
        verdicts = [_verdict(one) for one in answers]
        again = [index for index, one in enumerate(verdicts) if one is Verdict.FAILED]
        if again:
            repeated = [_insist(questions[index], answers[index].text) for index in again]
            for index, answer in zip(again, self._ask(repeated, "again"), strict=True):
                verdicts[index] = _verdict(answer)
        return verdicts

    def _ask(self, prompts: Sequence[list[Message]], attempt: str) -> list[Completion]:
        try:
            return self.chat.generate(
                prompts,
                [derive_seed(self.seed, attempt, index) for index in range(len(prompts))],
                max_reply_tokens=self.max_reply_tokens,
                temperature=self.temperature,
            )
        except ChatError as error:  # the model as a whole: a failure is not a verdict either
            _log.warning("the judge gave no answer: %s", error)
            return [Completion("", StopReason.STOP, 0, 0, error=error) for _ in prompts]


def judge_messages(first: Dialogue, second: Dialogue) -> list[Message]:
    """The question as a chat. What was said stands on lines of its own, made inert."""
    scenario = first.scenario
    persuader, persuadee = _safe(scenario.persuader), _safe(scenario.persuadee)
    facts = "; ".join(_safe(fact).rstrip(".") for fact in scenario.facts)
    question = "\n".join(
        [
            f"{persuader} talks with {persuadee}.",
            _safe(scenario.background),
            f"The goal: {_safe(scenario.goal)}.",
            *([f"What {persuader} may state as fact: {facts}."] if facts else []),
            "",
            "Dialogue A:",
            *_lines(first),
            "",
            "Dialogue B:",
            *_lines(second),
            "",
            f"In which dialogue does {persuader} do more to bring "
            f"{persuadee} closer to the goal, by reasons that "
            f"{persuadee} can accept? Length and politeness alone count for nothing.",
            "Explain in one or two sentences. Then write a last line, exactly one of:",
            *_CHOICES,
        ]
    )
    return [
        {"role": "system", "content": "You compare dialogues, fairly and to the point."},
        {"role": "user", "content": question},
    ]


def _lines(dialogue: Dialogue) -> list[str]:
    scenario = dialogue.scenario
    names = {"persuader": _safe(scenario.persuader), "persuadee": _safe(scenario.persuadee)}
    return [
        f"- {names['persuader' if isinstance(turn, PersuaderTurn) else 'persuadee']}: "
        f"{_safe(turn.response) or '(says nothing)'}"
        for turn in dialogue.turns
    ]


def _safe(text: str) -> str:
    """On one line and without control tokens, whatever the backend does about them."""
    return sanitize(one_line(text))


def _insist(question: Sequence[Message], answer: str) -> list[Message]:
    """The question once more, with the answer that named no winner where there was one."""
    if not answer.strip():
        return list(question)
    return [
        *question,
        {"role": "assistant", "content": answer},
        {"role": "user", "content": f"Write the last line alone: {', '.join(_CHOICES)}."},
    ]


def _verdict(answer: Completion) -> Verdict:
    return Verdict.FAILED if answer.error else read_verdict(answer.text)


def read_verdict(text: str) -> Verdict:
    """The last verdict that a judge's answer names; `FAILED` without one."""
    found = _WINNER.findall(text)
    return _VERDICTS[found[-1].lower()] if found else Verdict.FAILED


def from_spec(
    model: SpecLike = "",
    seed: int = 0,
    temperature: float = 0.0,
    *,
    models: ModelPool | None = None,
) -> ChatJudge:
    """The judge that asks a chat model; see `ChatJudge` for the arguments."""
    return ChatJudge(load_chat_model(model, models), seed=seed, temperature=temperature)
