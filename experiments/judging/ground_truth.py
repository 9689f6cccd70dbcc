"""Pairs of dialogues with a known better one, played with the rule-based user.

Its state is explicit, so that the better dialogue is known: the one with the better outcome, then
with the higher final attitude (`AttitudeJudge`). Scripted persuaders play the same scenarios with
the same seeds: the recorded competent and poor ones, the controls, and scripts that answer none,
half or all of the concerns.
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
from user_models.rule_based import RuleBasedUser

_NONE, _HALF, _ALL = "none answered", "half answered", "all answered"
COMPARED: Mapping[str, Sequence[tuple[str, str]]] = {
    "competent and poor": [("competent", "poor")],
    "competent and control": [("competent", control) for control in CONTROLS],
    "more and fewer concerns answered": [(_ALL, _HALF), (_ALL, _NONE), (_HALF, _NONE)],
}
"""Pairs of persuaders whose dialogues are compared, by the kind of comparison."""


@dataclass(frozen=True)
class KnownPair:
    """Two dialogues of one scenario, of which the first ended better."""

    kind: str
    scenario: str
    better: Dialogue
    worse: Dialogue


class ScriptedReplayPersuader:
    """A persuader that gives scripted responses turn by turn, and then empty ones.

    >>> from persuade_env.scenarios import load_corpus
    >>> scenario = load_corpus("test")[0].scenario
    >>> persuader = ScriptedReplayPersuader({scenario.id: ["Why not?"]})
    >>> persuader.act([Dialogue(scenario=scenario)], seeds=[0])[0].turn.response
    'Why not?'

    Args:
        responses: by scenario id.
    """

    def __init__(self, responses: Mapping[str, Sequence[str]]) -> None:
        self.responses = responses

    def act(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[PersuaderReply]:
        """See `Persuader.act`."""
        return [
            PersuaderReply(turn=PersuaderTurn(response=self._response(dialogue)))
            for dialogue in dialogues
        ]

    def _response(self, dialogue: Dialogue) -> str:
        turn, responses = len(dialogue.persuader_turns), self.responses[dialogue.scenario.id]
        return responses[turn] if turn < len(responses) else ""


def known_pairs(records: Sequence[ScenarioRecord], seed: int) -> list[KnownPair]:
    """Every pair of `COMPARED` that is no tie.

    Scenarios without a persona with concerns, or without both recorded scripts, are left out.
    """
    usable = [
        record
        for record in records
        if record.persona and record.persona.concerns and all(_scripts(record).values())
    ]
    if not usable:
        return []
    played = _play(usable, seed)
    judge = AttitudeJudge()
    pairs = []
    for kind, compared in COMPARED.items():
        for first_name, second_name in compared:
            for record in usable:
                first, second = played[first_name][record.id], played[second_name][record.id]
                verdict = judge.compare([(first, second)])[0]
                if verdict is Verdict.FIRST:
                    pairs.append(KnownPair(kind, record.id, first, second))
                elif verdict is Verdict.SECOND:
                    pairs.append(KnownPair(kind, record.id, second, first))
    return pairs


def _play(records: Sequence[ScenarioRecord], seed: int) -> dict[str, dict[str, Dialogue]]:
    """Dialogues by persuader and scenario id."""
    scenarios = [record.scenario for record in records]
    scripts: dict[str, dict[str, Sequence[str]]] = {
        quality: {record.id: _scripts(record)[quality] for record in records}
        for quality in ("competent", "poor")
    }
    for name, share in ((_NONE, 0.0), (_HALF, 0.5), (_ALL, 1.0)):
        scripts[name] = {
            script.scenario.id: script.responses for script in answering_scripts(scenarios, share)
        }
    persuaders: dict[str, Persuader] = {name: control() for name, control in CONTROLS.items()}
    persuaders |= {name: ScriptedReplayPersuader(texts) for name, texts in scripts.items()}
    seeds = [derive_seed(seed, "concerns", record.id) for record in records]
    turns = max(len(responses) for responses in scripts["competent"].values())
    return {
        name: {
            episode.scenario.id: episode.dialogue
            for episode in rollout(persuader, RuleBasedUser(), scenarios, seeds, max_turns=turns)
        }
        for name, persuader in persuaders.items()
    }


def _scripts(record: ScenarioRecord) -> dict[str, tuple[str, ...]]:
    """The recorded persuaders' responses to the scenario's own persona, by quality."""
    responses: dict[str, tuple[str, ...]] = {"competent": (), "poor": ()}
    for recorded in record.dialogues:
        # Mixed dialogues are neither one thing nor the other.
        known = recorded.quality in responses
        if recorded.persona is None and known and not responses[str(recorded.quality)]:
            turns = [turn for turn in recorded.turns if isinstance(turn, PersuaderTurn)]
            responses[str(recorded.quality)] = tuple(turn.response for turn in turns)
    return responses
