"""Preferences against scores worked out by hand, with scripted models."""

import json

import pytest

from agents.preferences.data import (
    Candidate,
    Comparison,
    PreferenceContext,
    PreferenceSettings,
    SimulatedPath,
    SimulatedPreferences,
    preference_contexts,
)
from agents.preferences.simulate import preferences, simulate
from persuade_env.dialogue import Decision, Dialogue, PersuaderTurn
from persuade_env.protocols import Completion, PersuaderReply, StopReason, UserReply
from persuade_env.scenarios import load_corpus
from persuade_env.seeding import derive_seed
from tests.helpers import FAILURE, felt, scenario


class TwoCandidates:
    """Says "good" or "bad", by its seed's parity at the candidate turn."""

    def __init__(self):
        self.calls = []

    def act(self, dialogues, seeds):
        self.calls.append(len(dialogues))
        return [self._one(seed) for seed in seeds]

    def _one(self, seed):
        word = "good" if seed == GOOD else "bad"
        done = Completion(word, StopReason.STOP, 3, 2, (1, 2, 3), (7 if seed == GOOD else 8, 2))
        return PersuaderReply(turn=PersuaderTurn(response=word), completion=done)


class Listener:
    """Attitude 5 after "good" was said, 3 otherwise."""

    def __init__(self, fails_on=None):
        self.calls = []
        self.fails_on = fails_on

    def reply(self, dialogues, seeds):
        self.calls.append(len(dialogues))
        return [self._one(dialogue) for dialogue in dialogues]

    def _one(self, dialogue):
        said = [turn.response for turn in dialogue.persuader_turns]
        if self.fails_on in said:
            return UserReply(error=FAILURE)
        return UserReply(turn=felt(5 if "good" in said else 3))


CONTEXT = PreferenceContext("leisure-901/opening", Dialogue(scenario=scenario()))
GOOD = derive_seed(0, CONTEXT.id, "candidate", 1)
TWO = PreferenceSettings(n_candidates=2)


def test_the_better_turn_is_chosen_with_the_tokens_that_were_sampled():
    settings = PreferenceSettings(n_candidates=2, n_paths=2, depth=2)
    persuader, user = TwoCandidates(), Listener()
    simulated = simulate([CONTEXT], persuader, user, settings=settings)
    (pair,) = preferences(simulated, settings)
    assert (pair.chosen_ids, pair.rejected_ids, pair.margin) == ((7, 2), (8, 2), 1.0)
    assert pair.prompt_ids == (1, 2, 3)


def test_a_path_ends_where_its_dialogue_would():
    persuader, user = TwoCandidates(), Listener()
    simulate([CONTEXT], persuader, user, settings=TWO, max_turns=1)
    assert (persuader.calls, user.calls) == ([2], [2])


def test_everything_goes_through_the_same_batches():
    settings = PreferenceSettings(n_candidates=3, n_paths=2, depth=2)
    persuader, user = TwoCandidates(), Listener()
    contexts = [CONTEXT, PreferenceContext("other", CONTEXT.dialogue)]
    simulate(contexts, persuader, user, settings=settings)
    assert persuader.calls == [6, 12]
    assert user.calls == [12, 12]


def test_a_failed_path_makes_no_preference():
    simulated = simulate([CONTEXT], TwoCandidates(), Listener(fails_on="bad"), settings=TWO)
    assert preferences(simulated) == []
    assert simulated[0].candidates[0].paths[0].error_kind == "user_model"


def test_the_margin_drops_what_is_not_clear():
    simulated = simulate([CONTEXT], TwoCandidates(), Listener(fails_on=None), settings=TWO)
    assert preferences(simulated, PreferenceSettings(margin=1.01)) == []


def test_a_context_gives_its_clearest_pairs_only():
    def candidate(token, end):
        path = SimulatedPath(0, (4.0, end), "undecided")
        return Candidate("", 0, (1,), (token,), (0.0,), False, "", (path,))

    one = SimulatedPreferences(
        "context",
        "scenario",
        0,
        tuple(candidate(token, end) for token, end in enumerate((4.0, 5.0, 6.0))),
        (Comparison(0, 1, -1.0), Comparison(0, 2, -1.0), Comparison(1, 2, -0.5)),
    )
    for count, expected in ((1, [(2, 0)]), (2, [(2, 0), (1, 0)]), (9, [(2, 0), (1, 0), (2, 1)])):
        pairs = preferences([one], PreferenceSettings(max_pairs=count))
        assert [(*pair.chosen_ids, *pair.rejected_ids) for pair in pairs] == expected


def test_the_score_is_the_weighted_sum_over_depth():
    class LateListener(Listener):
        """The good turn shows only at the second further turn."""

        def _one(self, dialogue):
            said = [turn.response for turn in dialogue.persuader_turns]
            return UserReply(turn=felt(5 if "good" in said and len(said) > 1 else 3))

    settings = PreferenceSettings(n_candidates=2, n_paths=1, depth=3, decay=0.5)
    (one,) = simulate([CONTEXT], TwoCandidates(), LateListener(), settings=settings)
    assert one.comparisons[0].score == pytest.approx(-(0.5 + 0.25) / 1.75)


def test_a_path_that_ended_stands_at_its_end():
    class Convinced(Listener):
        def _one(self, dialogue):
            good = dialogue.persuader_turns[-1].response == "good"
            return UserReply(turn=felt(6, Decision.ACCEPT) if good else felt(3))

    user = Convinced()
    settings = PreferenceSettings(n_candidates=2, n_paths=1, depth=2)
    (one,) = simulate([CONTEXT], TwoCandidates(), user, settings=settings)
    assert user.calls == [2, 1]
    assert one.comparisons[0].score == -1.0


def test_provenance_survives_json():
    (one,) = simulate([CONTEXT], TwoCandidates(), Listener(), settings=TWO)
    assert SimulatedPreferences.from_json(json.loads(json.dumps(one.to_json()))) == one
    assert one.candidates[1].seed == GOOD
    assert one.candidates[1].paths[0].attitudes == (5.0, 5.0)
    assert one.candidates[0].paths[0].seed == one.candidates[1].paths[0].seed


def test_contexts_are_where_a_persuader_speaks():
    record = load_corpus()[0]
    found = preference_contexts([record])
    turns = sum(turn.role == "persuader" for one in record.dialogues for turn in one.turns)
    assert len(found) == turns - 1  # the opening is one context for both dialogues
    assert all(not c.dialogue.turns or c.dialogue.turns[-1].role == "persuadee" for c in found)
