"""The benchmark of environment steps."""

from itertools import islice

from experiments.performance.env_steps import (
    StepTiming,
    new_texts,
    time_embedding,
    time_single_env,
    time_sync_vector_env,
    time_vector_env,
)


def test_every_action_is_a_text_of_its_own():
    texts = list(islice(new_texts(), 3000))
    assert len(set(texts)) == len(texts)


def test_contestants_are_timed_at_the_width_they_name():
    timings = [
        time_single_env(3),
        time_embedding(2, 3),
        time_sync_vector_env(2, 3),
        time_vector_env(2, 3),
    ]
    assert [timing.width for timing in timings] == [1, 2, 2, 2]
    assert all(timing.milliseconds > 0 for timing in timings)
    assert StepTiming("x", 32, 1, 4.0).turns_per_second == 8000
