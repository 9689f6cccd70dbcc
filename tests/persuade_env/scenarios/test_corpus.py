"""The shipped corpus follows its specification (`docs/data/corpora.md`)."""

import json
from collections import Counter
from importlib import resources

import jsonschema
import pytest

from experiments.corpus.stats import blind_auc, corpus_stats, repeated_sentences
from persuade_env.dialogue import DOMAINS, TONES, Decision, Outcome, PersuadeeTurn, PersuaderTurn
from persuade_env.scenarios import json_schema, load_corpus

RECORDS = load_corpus()
DIALOGUES = [(record, dialogue) for record in RECORDS for dialogue in record.dialogues]


@pytest.fixture(scope="module")
def every():
    """The corpus as one row of `persuade scenarios stats`."""
    return corpus_stats(RECORDS)[-1]


def test_every_domain_has_six_scenarios_with_a_full_persona():
    assert Counter(record.domain for record in RECORDS) == dict.fromkeys(DOMAINS, 6)
    for record in RECORDS:
        assert record.id.startswith(record.domain.lower() + "-")
        assert len(record.strategies) >= 12
        assert record.facts
        assert record.persona
        assert 2 <= len(record.persona.concerns) <= 4


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.id)
def test_every_scenario_has_a_competent_a_poor_and_a_third_dialogue(record):
    competent, poor, third = record.dialogues
    assert (competent.quality, poor.quality, third.quality) == ("competent", "poor", "competent")
    assert (competent.id, poor.id) == ("competent", "poor")
    assert competent.persona is None
    assert poor.persona is None
    if third.id == "harder":
        assert third.persona is not None
        assert third.persona != record.persona
        assert record.dialogue(third).outcome is not Outcome.ACCEPTED
    else:
        assert third.id == "mended"
        attitudes = [turn.attitude for turn in third.turns if isinstance(turn, PersuadeeTurn)]
        assert min(attitudes) <= record.dialogue(third).scenario.initial_attitude
        assert max(attitudes) == attitudes[-1]


def test_persuader_turns_reason_choose_a_candidate_and_are_labelled():
    for record, dialogue in DIALOGUES:
        for turn in dialogue.turns:
            if isinstance(turn, PersuaderTurn):
                assert turn.analysis, record.id
                assert turn.response
                assert turn.strategy in record.strategies
                assert turn.appeal is not None
                assert not turn.bluff or dialogue.quality == "poor"


def test_bluffs_are_labelled_in_every_part_of_the_corpus():
    for numbers in (("001", "002"), ("003", "004"), ("005", "006")):
        bluffs = [
            turn.bluff
            for record, dialogue in DIALOGUES
            if record.id.endswith(numbers) and dialogue.quality == "poor"
            for turn in dialogue.turns
            if isinstance(turn, PersuaderTurn)
        ]
        assert 0.1 < sum(bluffs) / len(bluffs) < 0.4


def test_attitudes_move_in_steps_and_agree_with_decisions():
    for record, dialogue in DIALOGUES:
        assert dialogue.turns[0].role == "persuader"
        assert isinstance(dialogue.turns[-1], PersuadeeTurn)
        before = record.dialogue(dialogue).scenario.initial_attitude
        for turn in dialogue.turns:
            if not isinstance(turn, PersuadeeTurn):
                continue
            assert turn.attitude is not None
            assert turn.tone in TONES
            assert abs(turn.attitude - before) <= 2, (record.id, dialogue.id)
            assert turn.decision is not Decision.ACCEPT or turn.attitude >= 5.5
            assert turn.decision is not Decision.REFUSE or turn.attitude <= 3
            before = turn.attitude


def test_attitudes_fall_as_well_as_rise():
    steps = []
    for record, dialogue in DIALOGUES:
        before = record.dialogue(dialogue).scenario.initial_attitude
        for turn in dialogue.turns:
            if isinstance(turn, PersuadeeTurn):
                steps.append(turn.attitude - before)
                before = turn.attitude
    assert sum(step < 0 for step in steps) / len(steps) > 0.15
    assert sum(step > 0 for step in steps) / len(steps) > 0.4


def test_most_persuadee_turns_say_which_concern_is_at_stake():
    turns = [t for _, dialogue in DIALOGUES for t in dialogue.turns if isinstance(t, PersuadeeTurn)]
    assert sum(turn.concern is not None for turn in turns) / len(turns) > 0.6


def test_outcomes_are_spread_as_among_real_people(every):
    assert (every.scenarios, every.dialogues) == (210, 630)
    assert 0.40 <= every.accepted <= 0.50
    assert 0.25 <= every.undecided <= 0.35
    assert 0.20 <= every.refused <= 0.30
    assert every.competent_refused >= 0.15


def test_turns_have_the_length_of_speech(every):
    assert 12 <= every.persuadee_words <= 18
    assert 0.08 <= every.persuadee_under_5 <= 0.13
    assert 0.08 <= every.persuadee_over_30 <= 0.13
    assert 20 <= every.persuader_words <= 45


def test_nothing_is_repeated(every):
    assert repeated_sentences(RECORDS) == {}
    assert every.nearest_openings <= 0.6
    assert every.distinct_2 > 0.45
    assert every.most_used_name <= 4


def test_a_persuader_s_words_hint_at_its_quality_and_do_not_give_it_away():
    assert 0.6 <= blind_auc(RECORDS) <= 0.95


def test_the_published_schema_is_the_models_and_accepts_the_corpus():
    folder = resources.files("persuade_env.scenarios")
    schema = json.loads((folder / "schema.json").read_text())
    assert schema == json.loads(json.dumps(json_schema()))
    validator = jsonschema.Draft202012Validator(schema)
    for line in (folder / "corpus.jsonl").read_text().splitlines():
        validator.validate(json.loads(line))
