"""Dialogues played with the `concerns` user: its mind is known, so who did better is a fact.

Scripted persuaders talk to it on the same scenarios with the same seeds: the recorded competent
and poor ones, the controls, and scripts that answer none, half or all of its concerns. The truth
is `AttitudeJudge`'s: the better outcome, then the higher final attitude.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.persuaders.scripted import CONTROLS
from experiments.fidelity.probes.scripted import answering_scripts
from persuade_env.dialogue import Dialogue, PersuaderTurn, ScenarioRecord
from persuade_env.judges.attitude import AttitudeJudge
from persuade_env.protocols import Persuader, PersuaderReply, Verdict
from persuade_env.rollout import rollout
from persuade_env.seeding import derive_seed
from user_models.rule_based import ConcernsUser

_NONE, _HALF, _ALL = "none answered", "half answered", "all answered"
COMPARED: Mapping[str, Sequence[tuple[str, str]]] = {
    "competent and poor": [("competent", "poor")],
    "competent and control": [("competent", control) for control in CONTROLS],
    "more and fewer concerns answered": [(_ALL, _HALF), (_ALL, _NONE), (_HALF, _NONE)],
}
"""Which persuaders' dialogues are compared, by the kind of comparison."""


@dataclass(frozen=True)
class KnownPair:
    """Two dialogues of one scenario, of which the first ended better."""

    kind: str
    scenario: str
    better: Dialogue
    worse: Dialogue


class ScriptedReplayPersuader:
    """A persuader that says what it was given, turn by turn, and then nothing."""

    def __init__(self, responses: Mapping[str, Sequence[str]]) -> None:
        self.responses = responses
        """By scenario id."""

    def act(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[PersuaderReply]:
        """See `Persuader.act`."""
        return [PersuaderReply(turn=PersuaderTurn(response=self._say(one))) for one in dialogues]

    def _say(self, dialogue: Dialogue) -> str:
        turn, said = len(dialogue.persuader_turns), self.responses[dialogue.scenario.id]
        return said[turn] if turn < len(said) else ""


def known_pairs(records: Sequence[ScenarioRecord], seed: int) -> list[KnownPair]:
    """Every comparison of `COMPARED` in which the user was not left equally convinced.

    Scenarios without a persona with concerns, or without both recorded scripts, are left out.
    """
    usable = [
        record
        for record in records
        if record.persona and record.persona.concerns and all(_scripts(record).values())
    ]
    if not usable:
        return []
    played = _played(usable, seed)
    truth = AttitudeJudge()
    pairs = []
    for kind, compared in COMPARED.items():
        for one, other in compared:
            for record in usable:
                first, second = played[one][record.id], played[other][record.id]
                verdict = truth.compare([(first, second)])[0]
                if verdict is Verdict.FIRST:
                    pairs.append(KnownPair(kind, record.id, first, second))
                elif verdict is Verdict.SECOND:
                    pairs.append(KnownPair(kind, record.id, second, first))
    return pairs


def _played(records: Sequence[ScenarioRecord], seed: int) -> dict[str, dict[str, Dialogue]]:
    """Dialogues by persuader and scenario id."""
    scenarios = [record.scenario for record in records]
    scripts: dict[str, dict[str, Sequence[str]]] = {
        quality: {record.id: _scripts(record)[quality] for record in records}
        for quality in ("competent", "poor")
    }
    for name, share in ((_NONE, 0.0), (_HALF, 0.5), (_ALL, 1.0)):
        scripts[name] = {
            one.scenario.id: one.responses for one in answering_scripts(scenarios, share)
        }
    persuaders: dict[str, Persuader] = {name: control() for name, control in CONTROLS.items()}
    persuaders |= {name: ScriptedReplayPersuader(said) for name, said in scripts.items()}
    seeds = [derive_seed(seed, "concerns", record.id) for record in records]
    turns = max(len(said) for said in scripts["competent"].values())
    return {
        name: {
            episode.scenario.id: episode.dialogue
            for episode in rollout(persuader, ConcernsUser(), scenarios, seeds, max_turns=turns)
        }
        for name, persuader in persuaders.items()
    }


def _scripts(record: ScenarioRecord) -> dict[str, tuple[str, ...]]:
    """What the recorded persuaders said to the scenario's own persona, by quality."""
    said: dict[str, tuple[str, ...]] = {"competent": (), "poor": ()}
    for recorded in record.dialogues:
        if recorded.persona is None and recorded.quality and not said[recorded.quality]:
            turns = [turn for turn in recorded.turns if isinstance(turn, PersuaderTurn)]
            said[recorded.quality] = tuple(turn.response for turn in turns)
    return said
