"""The better dialogue of a pair is known from the rule-based user."""

from experiments.judging.ground_truth import COMPARED, known_pairs
from persuade_env.judges.attitude import AttitudeJudge
from persuade_env.protocols import Verdict
from persuade_env.scenarios import load_corpus

RECORDS = load_corpus("validation")


def test_the_better_dialogue_is_the_rule_based_user_s():
    pairs = known_pairs(RECORDS, 3)
    assert {pair.kind for pair in pairs} == set(COMPARED)
    for pair in pairs:
        assert pair.better.scenario.id == pair.worse.scenario.id == pair.scenario
    verdicts = AttitudeJudge().compare([(pair.better, pair.worse) for pair in pairs])
    assert set(verdicts) == {Verdict.FIRST}
