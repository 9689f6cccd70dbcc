"""What goes on in the persuadee never reaches the persuader.

Every hidden field of a scenario and of a turn holds a word (or a number) that occurs nowhere else;
everything that a persuader is given is searched for them. `info` carries attitude, tone and
rewards by design, for whoever watches or trains; the persona isn't in it either.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import gymnasium as gym
import numpy as np
import pytest

import persuade_env  # noqa: F401 - registers the environments
from agents.persuaders.best_of_n import BestOfN
from agents.persuaders.intent_to_strategy import IntentToStrategyPersuader
from agents.persuaders.prompted import PromptedPersuader
from agents.persuaders.prompts import persuader_messages, spoken_messages
from agents.persuaders.scripted import CONTROLS
from agents.preferences.data import PreferenceSettings, preference_contexts
from agents.preferences.simulate import simulate
from persuade_env.action_format import render_turn
from persuade_env.dialogue import (
    Concern,
    Decision,
    Dialogue,
    Persona,
    PersuadeeTurn,
    PersuaderTurn,
    RecordedDialogue,
    Scenario,
    ScenarioRecord,
)
from persuade_env.envs.core import describe_scenario
from persuade_env.envs.realizers import ChatRealizer, TextRealizer
from persuade_env.judges.chat import ChatJudge
from persuade_env.protocols import Completion, StopReason, UserReply, persuader_view
from persuade_env.rollout import rollout
from tests.helpers import ScriptedUser
from user_models.rule_based import RuleBasedUser

PERSONA = Persona(
    traits=("zqtraitone", "zqtraittwo"),
    stubbornness=0.7173,
    initial_attitude=2.9291,
    concerns=(
        Concern(
            id="zqfirstid",
            text="Where would the zqtent come from?",
            settled_by="lending a tent zqsettled",
            worsened_by="saying that tents are cheap zqworsened",
        ),
        Concern(
            id="zqsecondid",
            text="Who feeds the zqdog?",
            settled_by="a neighbour feeding the dog zqsettled",
            worsened_by="saying that dogs cope zqworsened",
        ),
    ),
)
OF_PERSONA = ("zqtrait", "zqfirstid", "zqsecondid", "zqsettled", "zqworsened")
IN_WORDS = ("zqtent", "zqdog")
"""The concerns themselves, which the persuader may hear of from the user alone."""
NUMBERS = ("0.7173", "2.9291", "3.1371", "2.1371")
"""Stubbornness, initial attitude, attitudes of turns."""
HIDDEN = (*OF_PERSONA, *IN_WORDS, *NUMBERS, "zqtone")

SCENARIO = Scenario(
    id="leisure-901",
    domain="Leisure",
    background="Two neighbours talk over the fence.",
    persuader="Ana",
    persuadee="Bo",
    goal="persuade Bo to come camping",
    strategies=("lend the tent", "find somebody for the dog", "wait"),
    facts=("Ana has a second tent.",),
    persona=PERSONA,
)
FELT = PersuadeeTurn(attitude=3.1371, tone="zqtone", response="Hm, well.", concern="zqfirstid")
ENV_IDS = ("persuade_env/Persuasion-v1", "persuade_env/StrategyPersuasion-v1")


class Tactful(RuleBasedUser):
    """`concerns`, but for its habit of saying what bothers it: so nobody else may say it either."""

    def reply(self, dialogues, seeds):
        return [
            UserReply(turn=reply.turn.model_copy(update={"response": "Hm, go on."}))
            for reply in super().reply(dialogues, seeds)
        ]


USERS = {"concerns": Tactful, "scripted": lambda: ScriptedUser(FELT)}
WATCHED = ("attitude", "tone", "reward_terms", "final_info", "_final_info")


class Recorder:
    """A chat model that says one thing and keeps what it was asked."""

    def __init__(self, text="Analysis: Bo hesitates.\nStrategy: wait\nResponse: Come along."):
        self.text, self.asked = text, []

    def generate(self, prompts, seeds, *, max_reply_tokens, temperature=0.8, top_p=0.95):
        self.asked += [json.dumps(list(prompt), ensure_ascii=False) for prompt in prompts]
        return [Completion(self.text, StopReason.STOP, 9, 9, (1,), (2,), (-1.0,)) for _ in prompts]


def leaks(text: str, hidden: Sequence[str]) -> list[str]:
    return [one for one in hidden if one in text]


def numbers_in(observation: np.ndarray) -> list[float]:
    """Hidden numbers in a vector, as they are or scaled to 0..1 or -1..1."""
    hidden = np.asarray([float(one) for one in NUMBERS])
    scaled = np.concatenate([hidden, (hidden - 1) / 6, (hidden - 4) / 3])
    found = np.isclose(observation.reshape(-1, 1), scaled, rtol=0, atol=1e-6)
    return [float(one) for one in scaled[found.any(axis=0)]]


def plain(value: object) -> str:
    return json.dumps(value, default=lambda one: getattr(one, "tolist", lambda: str(one))())


def recorded() -> ScenarioRecord:
    said = PersuaderTurn(response="I have a second tent.")
    asked = FELT.model_copy(update={"decision": Decision.REFUSE, "attitude": 2.1371})
    dialogues = [
        RecordedDialogue(id="poor", quality="poor", turns=(said, FELT, said, asked)),
        RecordedDialogue(id="harder", quality="competent", persona=PERSONA, turns=(said, FELT)),
    ]
    return ScenarioRecord(**dict(SCENARIO), dialogues=tuple(dialogues))


def spoken() -> Dialogue:
    return Dialogue(
        scenario=SCENARIO, turns=(PersuaderTurn(response="I have a second tent."), FELT)
    )


def test_the_search_finds_what_is_there():
    everything = plain(recorded().model_dump(mode="json"))
    assert set(leaks(everything, HIDDEN)) == set(HIDDEN)
    assert numbers_in(np.asarray([[0.0, (3.1371 - 4) / 3]], np.float32))
    assert not numbers_in(np.asarray([0.0, 1.0]))


def action(env_id: str, step: int):
    return step % 3 if env_id.startswith("persuade_env/Strategy") else f"Come along, {step}."


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("env_id", ENV_IDS)
def test_no_observation_and_no_info_tells_the_persona(env_id, user):
    env = gym.make(
        env_id, user_model=USERS[user](), scenarios=[SCENARIO], render_mode="ansi", max_turns=4
    )
    observation, info = env.reset(seed=0)
    done, step = False, 0
    while not done:
        seen(observation, info)
        assert not leaks(env.render(), (*OF_PERSONA, *IN_WORDS))
        observation, _, terminated, truncated, info = env.step(action(env_id, step))
        done, step = terminated or truncated, step + 1
    seen(observation, info)
    assert step >= 2


@pytest.mark.parametrize("mode", ["same_step", "next_step"])
@pytest.mark.parametrize("env_id", ENV_IDS)
def test_no_vector_environment_does(env_id, mode):
    mode = gym.vector.AutoresetMode[mode.upper()]
    settings = {"scenarios": [SCENARIO], "max_turns": 2}
    if env_id == ENV_IDS[0]:
        envs = gym.make_vec(
            env_id, num_envs=2, user_model=Tactful(), autoreset_mode=mode, **settings
        )
    else:
        envs = gym.make_vec(
            env_id,
            num_envs=2,
            vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": mode},
            user_model=Tactful(),
            **settings,
        )
    observations, infos = envs.reset(seed=0)
    for step in range(4):
        seen(observations, infos)
        observations, *_, infos = envs.step([action(env_id, step)] * 2)
        if "final_obs" in infos:
            final = infos["final_info"]
            for index in range(2):
                info = {key: final[key][index] for key in final if key != "reward_terms"}
                seen(infos["final_obs"][index], info)
    seen(observations, infos)


def seen(observation: object, info: dict) -> None:
    """Fails if what a step gives tells what it mustn't."""
    public = {key: value for key, value in info.items() if key.lstrip("_") not in WATCHED}
    assert "messages" in public
    if isinstance(observation, np.ndarray):
        assert not numbers_in(observation)
    else:
        assert not leaks(plain(observation), HIDDEN)
    assert not leaks(plain(public), HIDDEN)
    # Whoever watches may see attitude, tone and rewards, but not who the persuadee is.
    watched = {key: value for key, value in info.items() if key not in public}
    assert not leaks(plain(watched), (*OF_PERSONA, *IN_WORDS))


def test_the_vector_of_a_strategy_environment_does_not_depend_on_what_is_hidden():
    other = SCENARIO.model_copy(
        update={"persona": Persona(traits=("calm",), stubbornness=0.1, initial_attitude=6.0)}
    )
    happier = FELT.model_copy(update={"attitude": 6.5, "tone": "warm", "concern": None})
    seen_in = []
    for scenario, turn in ((SCENARIO, FELT), (other, happier)):
        env = gym.make(ENV_IDS[1], user_model=ScriptedUser(turn), scenarios=[scenario])
        seen_in.append([env.reset(seed=0)[0], *(env.step(step)[0] for step in range(2))])
    for one, another in zip(*seen_in, strict=True):
        np.testing.assert_array_equal(one, another)


@pytest.mark.parametrize("make", [PromptedPersuader, IntentToStrategyPersuader])
@pytest.mark.parametrize("user", USERS)
def test_no_prompt_of_a_persuader_does(make, user):
    chat = Recorder()
    rollout(make(chat), USERS[user](), [SCENARIO, SCENARIO], [0, 1], max_turns=3)
    searched(chat, at_least=4)


def test_best_of_n_looks_into_the_mind_and_does_not_tell_its_persuader():
    chat = Recorder()
    persuader = BestOfN(PromptedPersuader(chat), Tactful(), [SCENARIO], n=2, depth=2)
    rollout(persuader, Tactful(), [SCENARIO], [0], max_turns=2)
    searched(chat, at_least=6)


def test_simulated_preferences_do_not():
    chat = Recorder()
    simulated = simulate(
        preference_contexts([recorded()]),
        IntentToStrategyPersuader(chat),
        Tactful(),
        settings=PreferenceSettings(n_candidates=2, depth=2),
        judge=ChatJudge(judge := Recorder("Winner: A")),
    )
    assert len(simulated) == 3  # the opening, the harder one's, and what follows the first turn
    searched(chat, at_least=8)
    searched(judge, at_least=2)


def test_a_judge_reads_what_was_said_and_nothing_else():
    chat = Recorder("Winner: A")
    ChatJudge(chat).compare([(spoken(), spoken())])
    searched(chat)


def test_realizers_are_told_what_the_persuader_knows():
    chat = Recorder("Come along.")
    env = gym.make(
        ENV_IDS[1], user_model=Tactful(), scenarios=[SCENARIO], realizer=ChatRealizer(chat)
    )
    env.reset(seed=0)
    for step in range(2):
        env.step(step)
    searched(chat, at_least=2)
    for strategy in SCENARIO.strategies:
        assert not leaks(TextRealizer().words(SCENARIO, strategy), (*OF_PERSONA, *IN_WORDS))


@pytest.mark.parametrize("render", [persuader_messages, spoken_messages])
@pytest.mark.parametrize("view", [persuader_view, lambda dialogue: dialogue])
def test_prompts_hold_nothing_hidden_even_of_a_dialogue_that_does(render, view):
    """Supervised examples, PPO, GRPO and DPO all render through these."""
    for dialogue in (spoken(), Dialogue(scenario=SCENARIO)):
        text = plain(render(view(dialogue)))
        assert "second tent" in text
        assert not leaks(text, HIDDEN)


def test_the_view_itself_holds_nothing_hidden():
    view = plain(persuader_view(spoken()).model_dump(mode="json"))
    assert not leaks(view, HIDDEN)
    assert not leaks(describe_scenario(SCENARIO), (*OF_PERSONA, *IN_WORDS))


@pytest.mark.parametrize("name", CONTROLS)
def test_scripted_persuaders_say_nothing_hidden(name):
    episodes = rollout(CONTROLS[name](), ScriptedUser(FELT), [SCENARIO], [0], max_turns=3)
    said = [render_turn(turn) for turn in episodes[0].dialogue.persuader_turns]
    assert not leaks(" ".join(said), HIDDEN)


def searched(chat: Recorder, at_least: int = 1) -> None:
    assert len(chat.asked) >= at_least
    for prompt in chat.asked:
        assert "Two neighbours talk over the fence." in prompt
        assert not leaks(prompt, HIDDEN)
