"""Interactive dialogues in the terminal, in which a person plays either side."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.prompt import FloatPrompt, Prompt

from persuade_env.dialogue import MAX_ATTITUDE, MIN_ATTITUDE, Decision, Dialogue, PersuadeeTurn
from persuade_env.envs.core import EnvCore, describe_scenario
from persuade_env.envs.rendering import render_ansi
from persuade_env.episode import Episode, step
from persuade_env.protocols import UserReply
from persuade_env.registry import load_persuader
from persuade_env.rollout import rollout
from persuade_env.scenarios import load_corpus
from persuade_env.seeding import generator
from persuade_env.spec import SpecLike
from persuade_env.text.normalize import one_line, printable

_DECISIONS = {"c": Decision.CONTINUE, "a": Decision.ACCEPT, "r": Decision.REFUSE}


def play_persuader(
    console: Console, user_model: SpecLike, scenario: str | None, max_turns: int, seed: int | None
) -> None:
    """Lets the person persuade a user model, and prints its replies with attitude and tone.

    Args:
        console: for input and output.
        user_model: its spec.
        scenario: its id; a random one by default.
        max_turns: persuader turns.
        seed: of the episode; a random one by default.
    """
    core = EnvCore.make(user_model, load_corpus(), None, max_turns)
    episode = _draw(core, scenario, seed)
    console.print(_shown(describe_scenario(episode.scenario)), highlight=False)
    name = episode.scenario.persuader
    while not episode.done:
        try:
            text = console.input(f"\n[bold]{_shown(name)}[/bold] (you): ")
        except EOFError:
            break
        (episode,) = step(
            [episode], [core.parse_action(text)], core.user_model, core.reward, core.max_turns
        )
        if episode.valid:
            answer = episode.dialogue.persuadee_turns[-1]
            console.print(
                f"[bold]{_shown(episode.scenario.persuadee)}[/bold] "
                f"[dim]({episode.dialogue.attitude:.1f}, {_shown(answer.tone)})[/dim]: "
                f"{_shown(one_line(answer.response))}",
                highlight=False,
            )
    _finish(console, episode)


class _Person:
    """A user model that asks the person at the keyboard for replies."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def reply(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[UserReply]:
        return [UserReply(turn=self._ask(dialogue)) for dialogue in dialogues]

    def _ask(self, dialogue: Dialogue) -> PersuadeeTurn:
        heading = f"[bold]{_shown(dialogue.scenario.persuader)}[/bold]"
        response = dialogue.persuader_turns[-1].response
        self.console.print(f"\n{heading}: {_shown(response)}", highlight=False)
        reply = ""
        while not reply:
            reply = one_line(Prompt.ask("You", console=self.console))
        attitude = 0.0
        while not MIN_ATTITUDE <= attitude <= MAX_ATTITUDE:
            attitude = FloatPrompt.ask("Your agreement, 1 to 7", console=self.console)
        decision = Prompt.ask(
            "continue, accept or refuse",
            choices=list(_DECISIONS),
            default="c",
            console=self.console,
        )
        return PersuadeeTurn(attitude=attitude, response=reply, decision=_DECISIONS[decision])


def play_persuadee(
    console: Console, agent: SpecLike, scenario: str | None, max_turns: int, seed: int | None
) -> None:
    """Lets an agent persuade the person, who is shown the persona to play.

    Args:
        console: for input and output.
        agent: its spec.
        scenario: its id; a random one by default.
        max_turns: persuader turns.
        seed: of the episode; a random one by default.
    """
    persuader = load_persuader(agent)
    core = EnvCore.make(_Person(console), load_corpus(), None, max_turns)
    episode = _draw(core, scenario, seed)
    drawn = episode.scenario
    console.print(f"You are {_shown(drawn.persuadee)}. {_shown(drawn.background)}")
    if drawn.persona:
        console.print(f"You are {_shown(', '.join(drawn.persona.traits))}. What worries you:")
        for concern in drawn.persona.concerns:
            console.print(f"- {_shown(concern.text)}", highlight=False)
    try:
        (episode,) = rollout(
            persuader, core.user_model, [drawn], [episode.seed], max_turns=max_turns
        )
    except EOFError:
        return
    _finish(console, episode)


def _draw(core: EnvCore, scenario: str | None, seed: int | None) -> Episode:
    rng = generator(secrets.randbits(62) if seed is None else seed)
    return core.draw(rng, {"scenario_id": scenario} if scenario else None)


def _finish(console: Console, episode: Episode) -> None:
    console.print()
    console.print(_shown(render_ansi(episode)), highlight=False)
    console.print(f"return {episode.episode_return:+.2f}", highlight=False)


def _shown(text: str) -> str:
    """The text without markup, and without what could drive the terminal."""
    return escape(printable(text))
