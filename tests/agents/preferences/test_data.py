import json
from dataclasses import asdict

from agents.preferences.data import (
    Candidate,
    Comparison,
    Preference,
    PreferenceSettings,
    SimulatedPath,
    SimulatedPreferences,
    load_preferences,
    preference_contexts,
)
from persuade_env.scenarios import load_corpus

PATH = SimulatedPath(seed=1, attitudes=(3.0, 4.5), outcome="undecided")
CANDIDATE = Candidate("Hi.", 2, (1, 2), (3,), (-0.5,), False, "", (PATH,))
SIMULATED = SimulatedPreferences("c", "leisure-001", 1, (CANDIDATE,), (Comparison(0, 0, 0.0),))


def test_what_was_simulated_is_read_back():
    stored = json.loads(json.dumps(SIMULATED.to_json()))
    assert SimulatedPreferences.from_json(stored) == SIMULATED


def test_pairs_are_read_back_with_their_token_ids(tmp_path):
    pair = Preference("c", (1, 2), (3,), (4, 5), 0.5)
    file = tmp_path / "preferences.jsonl"
    file.write_text(json.dumps(asdict(pair)) + "\n")
    assert load_preferences(file) == [pair]


def test_a_candidate_is_usable_if_nothing_about_it_failed():
    settings = PreferenceSettings()
    assert CANDIDATE.usable(settings)
    broken = SimulatedPath(seed=1, attitudes=(), outcome="undecided", error_kind="user_model")
    for change in (
        {"malformed": True}, {"error_kind": "persuader"}, {"token_ids": ()}, {"paths": (broken,)},
    ):  # fmt: skip
        assert not Candidate(**{**vars(CANDIDATE), **change}).usable(settings)
    kept = PreferenceSettings(keep_malformed=True)
    assert Candidate(**{**vars(CANDIDATE), "malformed": True}).usable(kept)


def test_contexts_end_where_the_persuader_has_to_speak():
    records = load_corpus("test")[:3]
    contexts = preference_contexts(records)
    assert len({context.id for context in contexts}) == len(contexts)
    for context in contexts:
        turns = context.dialogue.turns
        assert not turns or turns[-1].role == "persuadee"
    openings = [context for context in contexts if context.id.endswith("/opening")]
    assert len(openings) == len(records)
