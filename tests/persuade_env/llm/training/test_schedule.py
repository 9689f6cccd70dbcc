import pytest

from persuade_env.llm.training.schedule import warm_cosine


@pytest.mark.parametrize(("steps", "warmup"), [(1, 1), (2, 1), (11, 1), (40, 4), (5, 5)])
def test_no_step_is_wasted_and_the_rate_rises_then_falls(steps, warmup):
    factors = [warm_cosine(step, steps=steps, warmup=warmup) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[: warmup + 1] == sorted(factors[: warmup + 1])
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)
    if steps > warmup:
        assert factors[warmup] == 1


def test_the_cosine_has_its_middle_in_the_middle():
    assert warm_cosine(12, steps=22, warmup=2) == pytest.approx(0.5)
