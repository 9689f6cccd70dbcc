"""Best of n: sample n turns, try each on a user model, say the one that is taken best.

It is built on the look-ahead that simulated preferences are made of. The user model that it asks
knows the persona, which no persuader may: so it is an upper bound of what preference optimization
could learn from that user model, and a test of it, since what merely exploits one user model gains
nothing against others.
"""

from __future__ import annotations

from collections.abc import Sequence

from agents.preferences.lookahead import look_ahead
from persuade_env.dialogue import Dialogue, Scenario
from persuade_env.episode import Episode
from persuade_env.errors import PersuaderError
from persuade_env.llm.pool import ModelPool
from persuade_env.protocols import Persuader, PersuaderReply, Usage, UserModel
from persuade_env.registry import load_persuader, load_user_model
from persuade_env.rewards import Reward, Transition, default_reward
from persuade_env.scenarios import load_corpus
from persuade_env.seeding import derive_seed
from persuade_env.spec import SpecLike


class BestOfN:
    """A persuader without training, on top of another one.

    Args:
        persuader: whose turns are tried.
        user_model: on whom.
        scenarios: with personas; where a dialogue's scenario is among them (by id), the user
            model is given its persona.
        n: turns to try.
        depth: persuader turns per path, the tried one included.
        reward: what makes a path good; attitude gain and outcome by default.
    """

    def __init__(
        self,
        persuader: Persuader,
        user_model: UserModel,
        scenarios: Sequence[Scenario] = (),
        *,
        n: int = 4,
        depth: int = 1,
        reward: Reward | None = None,
    ) -> None:
        if n < 1 or depth < 1:
            raise PersuaderError(f"best-of-n needs n and depth of at least 1, got {n} and {depth}")
        self.persuader = persuader
        self.user_model = user_model
        self.n = n
        self.depth = depth
        self.reward = reward or default_reward()
        self._personas = {one.id: one.persona for one in scenarios}

    def act(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[PersuaderReply]:
        """See `Persuader.act`. All turns of all dialogues are tried in the same batches."""
        slots = [index for index in range(len(dialogues)) for _ in range(self.n)]
        # The first turn is the one that the persuader would say by itself.
        drawn = [
            derive_seed(seed, "best-of", index) if index else seed
            for seed in seeds
            for index in range(self.n)
        ]
        replies = self.persuader.act([dialogues[index] for index in slots], drawn)
        # What follows is drawn alike for all turns of a dialogue, as in simulated preferences.
        episodes = look_ahead(
            [self._with_persona(dialogues[index]) for index in slots],
            replies,
            [derive_seed(seeds[index], "look-ahead") for index in slots],
            self.persuader,
            self.user_model,
            depth=self.depth,
            reward=self.reward,
        )
        return [
            self._best(
                self._with_persona(dialogue),
                replies[index * self.n : (index + 1) * self.n],
                episodes[index * self.n : (index + 1) * self.n],
            )
            for index, dialogue in enumerate(dialogues)
        ]

    def _best(
        self, dialogue: Dialogue, replies: Sequence[PersuaderReply], episodes: Sequence[Episode]
    ) -> PersuaderReply:
        def worth(index: int) -> tuple[bool, float]:
            episode = episodes[index]
            if not episode.valid:  # a failure is worth nothing, not 0
                return False, 0.0
            transition = Transition(dialogue, episode.dialogue)
            return True, sum(self.reward.terms(transition).values())

        best = replies[max(range(len(replies)), key=worth)]
        usage = sum((reply.usage for reply in replies), Usage())
        return PersuaderReply(best.turn, best.error, usage, best.malformed, best.completion)

    def _with_persona(self, dialogue: Dialogue) -> Dialogue:
        persona = self._personas.get(dialogue.scenario.id)
        scenario = dialogue.scenario.model_copy(update={"persona": persona})
        return Dialogue.model_construct(scenario=scenario, turns=dialogue.turns)


def from_spec(
    n: int, agent: SpecLike = "", user_model: SpecLike = "", *, models: ModelPool | None = None
) -> BestOfN:
    """The agent of `best-of-N=AGENT@USER_MODEL`, with the personas of the shipped corpus.

    Raises:
        PersuaderError: if it isn't said whose turns are tried, and on whom.
    """
    if not agent or not user_model:
        raise PersuaderError(
            f"name whose turns are tried, and on whom: best-of-{n}=AGENT@USER_MODEL"
        )
    return BestOfN(
        load_persuader(agent, models), load_user_model(user_model, models), load_corpus(), n=n
    )
