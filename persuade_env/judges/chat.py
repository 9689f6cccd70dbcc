"""A chat model as judge of dialogue pairs: it explains, then names the winner."""

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
    r"winner\**\s*[:=][\s*\[(\"']*(?:an?\s+(?=tie))?(?:dialogue\s+)?(A|B|tie)\b", re.IGNORECASE
)
_VERDICTS = {"a": Verdict.FIRST, "b": Verdict.SECOND, "tie": Verdict.TIE}
_CHOICES = ("Winner: A", "Winner: B", "Winner: tie")

_log = logging.getLogger(__name__)


class ChatJudge:
    """Asks a chat model which of two dialogues of a scenario persuaded better.

    The prompt contains the responses of both sides and the facts, but no attitudes, no persona and
    no reasoning. Where the answer contains no verdict, the model is shown its answer and asked for
    the verdict alone, once; where that fails too, the verdict is `FAILED`, which averages exclude.
    A model that can't be reached fails at every pair. The judge does not correct for order effects;
    `persuade_env.judges.attitude.scores` does.

    >>> from persuade_env.dialogue import Scenario
    >>> class FirstWins:
    ...     def generate(self, prompts, seeds, **settings):
    ...         return [Completion("Winner: A", StopReason.STOP, 9, 3) for _ in prompts]
    >>> dialogue = Dialogue(scenario=Scenario(id="a", domain="Leisure", background="A garden.",
    ...     persuader="Ana", persuadee="Bo", goal="persuade Bo to come camping"))
    >>> ChatJudge(FirstWins()).compare([(dialogue, dialogue)])
    [<Verdict.FIRST: 'first'>]

    Args:
        chat: any chat model; small ones are unreliable judges.
        max_reply_tokens: for explanation and verdict.
        seed: of the model's random draws.
        temperature: of the model's answers; 0 is greedy.
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
        verdicts = [_verdict(answer) for answer in answers]
        failed = [index for index, verdict in enumerate(verdicts) if verdict is Verdict.FAILED]
        if failed:
            retries = [_retry_messages(questions[index], answers[index].text) for index in failed]
            for index, answer in zip(failed, self._ask(retries, "again"), strict=True):
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
        except ChatError as error:  # the model as a whole is unavailable: every pair fails
            _log.warning("the judge gave no answer: %s", error)
            return [Completion("", StopReason.STOP, 0, 0, error=error) for _ in prompts]


def judge_messages(first: Dialogue, second: Dialogue) -> list[Message]:
    """The judge's prompt, with both dialogues sanitized and one line for each turn."""
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
    """The text on one line and without control tokens, which could forge a verdict."""
    return sanitize(one_line(text))


def _retry_messages(question: Sequence[Message], answer: str) -> list[Message]:
    """The question again, with the answer that named no winner where it was not empty."""
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
    r"""The last verdict in a judge's answer; `FAILED` where there is none.

    >>> read_verdict("The tent helps.\nWinner: A")
    <Verdict.FIRST: 'first'>
    """
    winners = _WINNER.findall(text)
    return _VERDICTS[winners[-1].lower()] if winners else Verdict.FAILED


def from_spec(
    model: SpecLike = "",
    seed: int = 0,
    temperature: float = 0.0,
    *,
    models: ModelPool | None = None,
) -> ChatJudge:
    """The judge that asks a chat model.

    Args:
        model: spec of the chat model.
        seed: see `ChatJudge`.
        temperature: see `ChatJudge`.
        models: the pool to load the model from.
    """
    return ChatJudge(load_chat_model(model, models), seed=seed, temperature=temperature)
