"""The assignment of scenarios to splits and halves."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from persuade_env.dialogue import DOMAINS
from persuade_env.scenarios import SPLITS, halves, load_corpus, split_of
from tests.helpers import scenario


def numbered(domain: str, number: int):
    return scenario(f"{domain.lower()}-{number:03d}").model_copy(update={"domain": domain})


@given(
    st.text(min_size=1, max_size=200).filter(
        lambda text: text.strip() and text.isprintable() and not set("/\\.") & set(text)
    )
)
def test_any_id_has_a_split(name):
    assert split_of(scenario(name)) in SPLITS


@given(st.sampled_from(DOMAINS), st.integers(1, 900))
def test_five_in_a_row_of_a_domain_are_three_one_one(domain, first):
    five = Counter(split_of(numbered(domain, first + i)) for i in range(5))
    assert five == {"train": 3, "validation": 1, "test": 1}


def test_splits_are_disjoint_and_complete():
    ids = [record.id for split in SPLITS for record in load_corpus(split)]
    assert sorted(ids) == sorted(record.id for record in load_corpus())
    assert min(len(load_corpus(split)) for split in SPLITS) >= 9


def test_the_splits_of_these_scenarios_never_move():
    known = {
        "education-001": "train",
        "education-002": "validation",
        "negotiation-001": "train",
        "science-002": "train",
    }
    records = {record.id: record for record in load_corpus()}
    assert {name: split_of(records[name]) for name in known} == known


@given(st.lists(st.tuples(st.sampled_from(DOMAINS), st.integers(1, 99)), unique=True))
def test_halves_are_disjoint_and_don_t_depend_on_the_others(names):
    scenarios = [numbered(domain, number) for domain, number in names]
    first, second = halves(scenarios)
    assert len(first) + len(second) == len(scenarios)
    for member in scenarios:
        assert (member in first) == (member in halves([member])[0])
