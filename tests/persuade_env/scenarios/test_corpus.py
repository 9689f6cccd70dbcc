"""The corpus that ships keeps the rules it was written by."""

import json
import re
from collections import Counter, defaultdict
from importlib import resources

import jsonschema
import pytest

from persuade_env.dialogue import DOMAINS, TONES, Decision, Outcome, PersuadeeTurn
from persuade_env.scenarios import json_schema, load_corpus

RECORDS = load_corpus()
DIALOGUES = [(record, one) for record in RECORDS for one in record.dialogues]


def test_every_domain_has_two_scenarios_with_a_full_persona():
    count = Counter(record.domain for record in RECORDS)
    assert set(count) == set(DOMAINS)
    assert min(count.values()) >= 2
    for record in RECORDS:
        assert record.id.startswith(record.domain.lower() + "-")
        assert len(record.strategies) >= 12
        assert record.persona
        assert 2 <= len(record.persona.concerns) <= 4


def test_every_scenario_has_a_competent_and_a_poor_dialogue():
    for record in RECORDS:
        assert [one.quality for one in record.dialogues] == ["competent", "poor"]


def test_persuader_turns_reason_and_choose_a_candidate():
    for record, one in DIALOGUES:
        for turn in one.turns:
            if not isinstance(turn, PersuadeeTurn):
                assert turn.analysis, record.id
                assert turn.response
                assert turn.strategy in record.strategies


def test_minds_move_in_steps_and_end_as_they_feel():
    for record, one in DIALOGUES:
        assert one.turns[0].role == "persuader"
        assert isinstance(one.turns[-1], PersuadeeTurn)
        before = record.initial_attitude
        for turn in one.turns:
            if not isinstance(turn, PersuadeeTurn):
                continue
            assert turn.attitude is not None
            assert turn.tone in TONES
            assert abs(turn.attitude - before) <= 2, (record.id, one.id)
            assert turn.decision is not Decision.ACCEPT or turn.attitude >= 5.5
            assert turn.decision is not Decision.REFUSE or turn.attitude <= 3
            before = turn.attitude


def test_outcomes_are_spread_as_among_real_people():
    outcomes = Counter(record.dialogue(one).outcome for record, one in DIALOGUES)
    share = {outcome: count / len(DIALOGUES) for outcome, count in outcomes.items()}
    assert share[Outcome.ACCEPTED] == pytest.approx(0.45, abs=0.05)
    assert share[Outcome.UNDECIDED] == pytest.approx(0.30, abs=0.05)
    assert share[Outcome.REFUSED] == pytest.approx(0.25, abs=0.05)


def test_turns_have_the_length_of_speech():
    def mean_words(role):
        said = [len(t.response.split()) for _, d in DIALOGUES for t in d.turns if t.role == role]
        return sum(said) / len(said)

    assert 12 <= mean_words("persuadee") <= 20
    assert 20 <= mean_words("persuader") <= 45


def test_no_sentence_is_used_twice():
    places = defaultdict(set)
    for record, one in DIALOGUES:
        for turn in one.turns:
            for sentence in re.split(r"(?<=[.!?])\s+", turn.response):
                words = re.findall(r"[\w']+", sentence.lower())
                if len(words) >= 6:
                    places[" ".join(words)].add((record.id, one.id))
    assert {text: found for text, found in places.items() if len(found) > 1} == {}


def test_the_published_schema_is_the_models_and_accepts_the_corpus():
    folder = resources.files("persuade_env.scenarios")
    schema = json.loads((folder / "scenario.schema.json").read_text())
    assert schema == json.loads(json.dumps(json_schema()))
    validator = jsonschema.Draft202012Validator(schema)
    for line in (folder / "corpus.jsonl").read_text().splitlines():
        validator.validate(json.loads(line))
