"""The Bradley–Terry judge: accuracy on held-out domains, controls, symmetry, and its file."""

import sys

import numpy as np
import pytest

from agents.persuaders.scripted import CONTROLS
from experiments.judging.ground_truth import ScriptedReplayPersuader
from experiments.judging.padding import padded
from persuade_env.dialogue import Decision, Dialogue, PersuadeeTurn, PersuaderTurn
from persuade_env.errors import JudgeError
from persuade_env.judges.attitude import scores
from persuade_env.judges.learned import (
    ANSWER_FEATURES,
    SIGNS,
    TURN_FEATURES,
    LearnedJudge,
    comparison_start,
    read_learned_judge,
)
from persuade_env.judges.learned_training import (
    fit_judge,
    recorded_pairs,
    unseen_domains,
)
from persuade_env.llm.pool import ModelPool
from persuade_env.protocols import Judge, Verdict
from persuade_env.registry import load_judge
from persuade_env.rollout import rollout
from persuade_env.scenarios import load_corpus
from persuade_env.spec import hide_password
from tests.helpers import felt, scenario
from user_models.rule_based import RuleBasedUser

HELD_OUT = load_corpus("validation")
PAIRS = [(pair.better, pair.worse) for pair in recorded_pairs(HELD_OUT)]


@pytest.fixture(scope="module")
def judge():
    return load_judge("learned")


def dialogue_of(*responses):
    dialogue = Dialogue(scenario=scenario())
    for number, response in enumerate(responses):
        turn = felt(4, response=response) if number % 2 else PersuaderTurn(response=response)
        dialogue = dialogue.extended(turn)
    return dialogue


def test_it_is_right_in_domains_that_it_never_saw():
    held_out = unseen_domains(load_corpus())
    wins = {kind: [] for kind in ("competent", "harder", "mended")}
    for pair in held_out:
        wins.setdefault(pair.pair.kind, []).append(pair.score > 0)
    assert np.mean(wins["competent"]) > 0.75
    assert all(np.mean(won) > 0.6 for won in wins.values() if len(won) > 20)


@pytest.mark.parametrize("control", CONTROLS)
def test_it_prefers_competent_persuaders_over_each_control(judge, control):
    scripts = {
        record.id: [turn.response for turn in record.dialogues[0].turns if turn.role == "persuader"]
        for record in HELD_OUT
        if record.dialogues[0].quality == "competent"
    }
    scenarios = [record.scenario for record in HELD_OUT if record.id in scripts]
    seeds = list(range(len(scenarios)))
    competent, other = (
        rollout(persuader, RuleBasedUser(), scenarios, seeds, max_turns=4)
        for persuader in (ScriptedReplayPersuader(scripts), CONTROLS[control]())
    )
    pairs = [(a.dialogue, b.dialogue) for a, b in zip(competent, other, strict=True)]
    assert np.mean(scores(judge, pairs)) > 0.5  # three wins in four


def test_exchanging_the_dialogues_exchanges_the_verdict_and_nothing_else(judge):
    forward = judge.scores(PAIRS)
    assert [-score for score in forward] == judge.scores([(b, a) for a, b in PAIRS])
    assert judge.compare([(a, a) for a, _ in PAIRS]) == [Verdict.TIE] * len(PAIRS)
    assert isinstance(judge, Judge)


def test_it_reads_responses_and_nothing_hidden(judge):
    def hidden(dialogue):
        changed = dialogue.scenario.model_copy(update={"strategies": ("shout",), "persona": None})
        turns = tuple(
            turn.model_copy(update={"attitude": 1.0, "tone": "angry", "concern": None,
                                    "decision": Decision.REFUSE})
            if isinstance(turn, PersuadeeTurn)
            else turn.model_copy(update={"analysis": "x", "strategy": "y", "bluff": True})
            for turn in dialogue.turns
        )  # fmt: skip
        return Dialogue.model_construct(scenario=changed, turns=turns)

    assert judge.scores([(hidden(a), b) for a, b in PAIRS[:10]]) == judge.scores(PAIRS[:10])


def test_empty_words_do_not_win(judge):
    dialogues = [dialogue for pair in PAIRS for dialogue in pair]
    for sentences in (1, 3):
        assert (
            np.mean(
                scores(judge, [(padded(dialogue, sentences), dialogue) for dialogue in dialogues])
            )
            < 0
        )


def test_repeating_a_response_is_worth_less_than_continuing(judge):
    wins = []
    for better, _ in PAIRS:
        first = better.turns[0]
        turns = tuple(first if turn.role == "persuader" else turn for turn in better.turns)
        again = Dialogue.model_construct(scenario=better.scenario, turns=turns)
        wins += scores(judge, [(better, again)])
    assert np.mean(wins) > 0.5


def test_a_turn_on_the_subject_beats_one_of_another_scenario(judge):
    """Compares two next responses to the same history, both of them unanswered."""
    wins = []
    for (here, _), (elsewhere, _) in zip(PAIRS, PAIRS[7:], strict=False):
        history = Dialogue.model_construct(scenario=here.scenario, turns=here.turns[:2])
        pair = (history.extended(here.turns[2]), history.extended(elsewhere.turns[2]))
        wins += scores(judge, [pair])
    assert np.mean(wins) > 0.3


def test_only_what_comes_after_a_common_beginning_is_compared():
    dialogue = dialogue_of("Come along.", "Why?", "For the lake.", "Hm.")
    assert comparison_start(dialogue, dialogue_of("Stay here.", "Why?")) == 0
    assert comparison_start(dialogue, dialogue_of("Come along.", "Why?", "Because.", "Hm.")) == 2
    assert (
        comparison_start(dialogue, dialogue_of("Come along.", "Never.", "For the lake.", "Hm."))
        == 0
    )
    assert (
        comparison_start(dialogue, dialogue_of("Come along.", "Why?", "For the lake.", "Fine."))
        == 2
    )
    assert comparison_start(dialogue, dialogue_of("Come along.", "Why?")) == 0


def test_no_weight_has_the_wrong_sign(judge):
    for names, weights in (
        ((*TURN_FEATURES, *ANSWER_FEATURES), judge.weights),
        (TURN_FEATURES, judge.spoken_weights),
    ):
        for name, weight in zip(names, weights, strict=True):
            assert weight * SIGNS[name] >= 0
    assert judge.fit["unseen_domain_accuracy"] > 0.7


def test_a_judge_is_one_file(judge, tmp_path):
    path = tmp_path / "judge.json"
    path.write_text(judge.model_dump_json())
    assert load_judge(f"learned={path}") == judge
    models = ModelPool()
    assert load_judge("learned", models) is load_judge("learned", models)
    path.write_text(judge.model_copy(update={"spoken": ("charm",)}).model_dump_json())
    with pytest.raises(JudgeError, match="other features"):
        read_learned_judge(path)
    with pytest.raises(JudgeError, match="missing"):
        load_judge(f"learned={tmp_path / 'missing.json'}")


def test_fitting_says_what_it_lacks(monkeypatch):
    with pytest.raises(JudgeError, match="two domains"):
        fit_judge([record for record in HELD_OUT if record.domain == HELD_OUT[0].domain])
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(JudgeError, match=r"persuade-env\[train\]"):
        fit_judge(HELD_OUT[:4])


def test_fitting_again_gives_the_same_judge():
    assert fit_judge(HELD_OUT) == fit_judge(HELD_OUT)
    assert isinstance(load_judge("learned"), LearnedJudge)


def test_results_never_show_a_password():
    assert hide_password("https://me:secret@host:8000/v1#m") == "https://host:8000/v1#m"
    assert hide_password("learned=runs/a@b.json") == "learned=runs/a@b.json"
