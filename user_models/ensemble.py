"""An ensemble of user models, which is harder to exploit for an agent than a single one.

The attitude is the mean or a quantile of the members' attitudes; a low quantile gives the more
cautious reward. A dialogue ends when most members would end it in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from persuade_env.dialogue import Decision, Dialogue, PersuadeeTurn
from persuade_env.errors import UserModelError
from persuade_env.llm.pool import ModelPool
from persuade_env.protocols import AttitudeUser, Usage, UserModel, UserReply
from persuade_env.registry import load_user_model
from persuade_env.seeding import derive_seed
from persuade_env.spec import SpecLike


class EnsembleUser:
    """Answers with the attitude and the decision that its members have together.

    The decision is the one that more than half of the members take, and `continue` where none has
    a majority. The words are those of the member whose attitude is nearest to the common one,
    among those who took that decision (among all, if none did).

    >>> from user_models.rule_based import RuleBasedUser
    >>> EnsembleUser([RuleBasedUser(), RuleBasedUser()], quantile=0.25).quantile
    0.25

    Args:
        members: at least one user model.
        quantile: of the members' attitudes, from 0 (the hardest to convince) to 1; None for the
            mean.

    Raises:
        UserModelError: if there are no members, or the quantile is not from 0 to 1.
    """

    def __init__(self, members: Sequence[UserModel], quantile: float | None = None) -> None:
        if not members:
            raise UserModelError("a population needs at least one user model")
        if quantile is not None and not 0 <= quantile <= 1:
            raise UserModelError(f"a quantile is from 0 to 1, not {quantile}")
        self.members = tuple(members)
        self.quantile = quantile

    def reply(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[UserReply]:
        """See `UserModel.reply`. A member that fails makes the reply an error."""
        by_member = [
            member.reply(dialogues, [derive_seed(seed, "member", index) for seed in seeds])
            for index, member in enumerate(self.members)
        ]
        return [self._combine(replies) for replies in zip(*by_member, strict=True)]

    def attitudes(self, dialogues: Sequence[Dialogue]) -> list[float]:
        """See `AttitudeUser.attitudes`; NaN where a member has none.

        Raises:
            UserModelError: if a member has no attitude without words.
        """
        by_member = []
        for member in self.members:
            if not isinstance(member, AttitudeUser):
                raise UserModelError(f"{type(member).__name__} has no attitude without words")
            by_member.append(member.attitudes(dialogues))
        return [self._common(np.asarray(of_one)) for of_one in zip(*by_member, strict=True)]

    def _common(self, attitudes: np.ndarray) -> float:
        """The members' attitude together; NaN if one of theirs is."""
        return float(
            attitudes.mean() if self.quantile is None else np.quantile(attitudes, self.quantile)
        )

    def _combine(self, replies: Sequence[UserReply]) -> UserReply:
        usage = sum((reply.usage for reply in replies), Usage())
        turns: list[PersuadeeTurn] = []
        for reply in replies:
            if reply.turn is None or reply.turn.attitude is None:
                error = reply.error or UserModelError("a member of the population has no attitude")
                return UserReply(error=error, usage=usage)
            turns.append(reply.turn)
        attitudes = np.asarray([turn.attitude for turn in turns], dtype=float)
        common = self._common(attitudes)
        decision = next(
            (
                kind
                for kind in (Decision.ACCEPT, Decision.REFUSE)
                if sum(turn.decision is kind for turn in turns) > len(turns) / 2
            ),
            Decision.CONTINUE,
        )
        order = np.argsort(np.abs(attitudes - common), kind="stable")
        nearest = [turns[index] for index in order]
        speaker = next((turn for turn in nearest if turn.decision is decision), nearest[0])
        turn = speaker.model_copy(update={"attitude": common, "decision": decision})
        return UserReply(turn=turn, usage=usage)


def from_spec(
    members: Sequence[SpecLike] = (),
    quantile: float | None = None,
    *,
    models: ModelPool | None = None,
) -> EnsembleUser:
    """The ensemble of a spec: `population=concerns+learned=FOLDER`, with `@0.25` a quantile.

    Raises:
        UserModelError: if no members are named, or the quantile is no number from 0 to 1.
        UnknownNameError: if there is no user model of a member's name.
    """
    if not members:
        raise UserModelError(
            "a population needs members: `population=concerns+learned=FOLDER`, and for a quantile "
            "in place of the mean `population=…@0.25`"
        )
    return EnsembleUser([load_user_model(member, models) for member in members], quantile)
