import gc
import weakref

import pytest

from persuade_env.llm.pool import ModelPool


class Model:
    pass


def test_who_names_the_same_model_shares_it():
    with ModelPool() as models:
        first = models.get("a", Model)
        assert models.get("a", Model) is first
        assert models.get("b", Model) is not first


def test_clearing_lets_go():
    models = ModelPool()
    reference = weakref.ref(models.get("a", Model))
    models.clear()
    gc.collect()
    assert reference() is None


def test_the_least_recently_used_goes_first():
    models = ModelPool(max_models=2)
    first, second = models.get("a", Model), models.get("b", Model)
    models.get("a", Model)
    models.get("c", Model)
    assert models.get("a", Model) is first
    assert models.get("b", Model) is not second


def test_what_fails_to_load_lets_nothing_go():
    models = ModelPool(max_models=1)
    kept = models.get("a", Model)

    def fail():
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        models.get("b", fail)
    assert models.get("a", Model) is kept
