"""Permuted and fluent nonsense."""

from collections import Counter

import numpy as np

from experiments.fidelity.probes.nonsense import fluent_scripts, permuted_scripts
from experiments.fidelity.probes.scripted import Script
from persuade_env.dialogue import PersuaderTurn
from persuade_env.scenarios import load_corpus
from tests.helpers import scenario


def test_longer_words_are_permuted_within_a_script_and_all_else_stays():
    tents = Script(scenario(), ("I could lend you my tent, Bo!", "It keeps dry: 2 metres wide."))
    other = Script(scenario("leisure-902"), ("Come along.",))
    permuted, alone = permuted_scripts([tents, other], np.random.default_rng(0))
    assert permuted.responses != tents.responses
    assert Counter(" ".join(permuted.responses)) == Counter(" ".join(tents.responses))
    for word in ("could", "lend", "tent", "keeps", "metres", "wide"):
        assert word in " ".join(permuted.responses)
    first, second = (response.split() for response in permuted.responses)
    assert (first[0], first[3], first[4], first[-1]) == ("I", "you", "my", "Bo!")
    assert (second[0], second[3]) == ("It", "2")
    assert sorted(alone.responses[0].split()) in (["Come", "along."], ["Come.", "along"])


def test_fluent_nonsense_exists_for_every_test_scenario_and_for_no_other():
    test = load_corpus("test")
    scripts = [Script(record.scenario, ("",) * 4) for record in test]
    known = fluent_scripts(scripts)
    assert [script.scenario.id for script in known] == [record.id for record in test]
    assert all(len(script.responses) == 4 and all(script.responses) for script in known)
    assert not fluent_scripts([Script(record.scenario, ("",)) for record in load_corpus("train")])
    assert not fluent_scripts([Script(test[0].scenario, ("",) * 5)])
    recorded = {
        turn.response
        for record in load_corpus()
        for dialogue in record.dialogues
        for turn in dialogue.turns
        if isinstance(turn, PersuaderTurn)
    }
    assert not recorded & {response for script in known for response in script.responses}
