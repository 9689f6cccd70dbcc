"""Perplexities of known likelihoods, their ratios and their tables."""

import math

import pytest

from experiments.fidelity.language_measures import likelihood_measures
from experiments.fidelity.perplexity import (
    domain_perplexities,
    perplexity,
    perplexity_ratio,
    perplexity_table,
    sample,
    unseen_table,
)
from experiments.fidelity.probes.likelihood import Likelihood
from persuade_env.errors import RunError
from persuade_env.scenarios import load_corpus

RECORDS = load_corpus("validation")


def test_perplexity_of_known_likelihoods():
    # One token in four each time is a perplexity of 4, whatever the number of tokens.
    likelihoods = [Likelihood(f"s-{n}", n * math.log(4), n) for n in (3, 10, 40)]
    result = perplexity(likelihoods)
    assert result.estimate.value == pytest.approx(4)
    assert (result.scenarios, result.tokens) == (3, 53)
    assert result.estimate.low == pytest.approx(4)
    with pytest.raises(RunError, match="says something"):
        perplexity([])


def test_a_sample_is_spread_over_the_file():
    records = load_corpus()
    assert sample(records, 10_000) == records
    sampled = sample(records, 5)
    assert len(sampled) == 5
    assert sampled[0] is records[0]
    assert sampled[-1] is records[-1]


def test_the_ratio_to_the_untuned_model_has_a_threshold():
    def likelihoods(perplexity, name="s"):
        return [Likelihood(f"{name}-{n}", n * math.log(perplexity), n) for n in (3, 10, 40)]

    assert perplexity_ratio(likelihoods(3), likelihoods(12)).value == pytest.approx(0.25)
    with pytest.raises(RunError, match="no scenario"):
        perplexity_ratio(likelihoods(3), likelihoods(12, "other"))
    baselines = {
        "untuned": likelihoods(12),
        "unigram": likelihoods(90),
        "copy-last": likelihoods(80),
    }
    for own, passes in ((3, True), (6, False)):
        measures = {
            measure.measure: measure
            for measure in likelihood_measures(likelihoods(own), baselines, "likelihood", 0)
        }
        assert measures["perplexity over the untuned model's"].passed is passes
        assert measures["perplexity, user"].estimate.value == pytest.approx(own)
        assert measures["perplexity, copy-last"].estimate.value == pytest.approx(80)
    elsewhere = likelihood_measures(likelihoods(6), baselines, "likelihood, CToMPersu", 0)
    assert all(measure.passed is None for measure in elsewhere)


def test_domains_left_out_of_training_are_compared_with_the_others():
    records = load_corpus("test")
    left_out = frozenset({"Health"})

    def likelihoods(seen, unseen):
        return [
            Likelihood(record.id, 10 * math.log(unseen if record.domain in left_out else seen), 10)
            for record in records
        ]

    trained_on = frozenset(record.domain for record in records) - left_out
    columns = {"learned": likelihoods(20, 22), "unseen": likelihoods(20, 40)}
    table = unseen_table(columns, records, trained_on)
    rows = [list(column.cells) for column in table.columns]
    assert rows[0] == ["trained on", "left out", "left out over trained on"]
    assert int(rows[1][0]) + int(rows[1][1]) == len(records)
    assert [cell.split()[0] for cell in rows[2]] == ["20.00", "22.00", "1.10"]
    assert [cell.split()[0] for cell in rows[3]] == ["20.00", "40.00", "2.00"]
    with pytest.raises(RunError, match="or of none"):
        unseen_table({"learned": likelihoods(20, 22)}, records, frozenset())


def test_perplexity_by_domain():
    (other,) = [record for record in load_corpus("test") if record.domain != RECORDS[0].domain][:1]
    unseen = RECORDS[0].model_copy(update={"id": "new-1", "domain": "Beekeeping [new]"})
    perplexities = domain_perplexities(
        [
            Likelihood(other.id, 5 * math.log(2), 5),
            Likelihood(unseen.id, 7 * math.log(9), 7),
            Likelihood(unseen.id, 3 * math.log(9), 3),
        ],
        [other, unseen],
    )
    assert {name: result.tokens for name, result in perplexities.items()} == {
        other.domain: 5,
        unseen.domain: 10,
    }
    assert perplexities[unseen.domain].estimate.value == pytest.approx(9)
    table = perplexity_table({"unigram": perplexities, "copy-last": {}})
    names = list(table.columns[0].cells)
    assert any(name.endswith("*") for name in names)
    assert other.domain in names  # in the training split, so without a star
    assert table.row_count == 2
