from pathlib import Path

import pytest

from experiments.common.resolve import (
    agent_loader,
    checkpoint_digests,
    ensemble_members,
    resolve_agent_spec,
    resolve_user_spec,
    user_model_loader,
    user_stages,
    validate_judge,
    validate_resolved_agent,
    validate_resolved_user,
    validate_user,
)
from persuade_env.errors import RunError, SpecError, UnknownNameError
from persuade_env.llm.pool import ModelPool
from persuade_env.spec import Spec


def test_what_a_name_speaks_of():
    assert ensemble_members("learned+concerns@0.25") == [Spec.of("learned"), Spec.of("concerns")]
    assert user_stages("learned+held-out+concerns") == ["user-model", "held-out"]
    assert user_stages("learned=elsewhere") == []


@pytest.mark.parametrize(
    "name", ["learned", "held-out+concerns", "learned=x", "user_models:RuleBasedUser", "concerns"]
)
def test_users_that_exist(name):
    validate_user(name)


def test_users_that_don_t():
    with pytest.raises(UnknownNameError, match=r"'consern'; known: learned, held-out"):
        validate_user("learned+consern")
    with pytest.raises(SpecError, match="no quantile"):
        validate_user("learned+concerns@low")
    with pytest.raises(UnknownNameError, match=r"unknown user model 'a\.b:C'"):
        validate_user("a.b:C")


def test_a_folder_without_a_model_is_said_before_anything_is_loaded(tmp_path):
    with pytest.raises(RunError, match=r"no trained model in .*/sft"):
        validate_resolved_agent(resolve_agent_spec(tmp_path, "sft"))
    with pytest.raises(RunError, match="no trained model"):
        validate_resolved_agent(resolve_agent_spec(tmp_path, "best-of-4"))
    with pytest.raises(RunError, match="no trained model"):
        validate_resolved_user(resolve_user_spec(tmp_path, "learned+concerns"))
    with pytest.raises(UnknownNameError, match="best-of-N"):
        validate_resolved_agent(resolve_agent_spec(tmp_path, "nobody"))
    validate_resolved_agent(resolve_agent_spec(tmp_path, "flattering"))


def test_judges(tmp_path):
    for name in ("attitude", "learned", "http://h/v1#m", "org/model", str(tmp_path)):
        validate_judge(name)
    with pytest.raises(UnknownNameError, match="attitude, chat, learned"):
        validate_judge("nosuch")
    with pytest.raises(RunError, match="no judge in"):
        validate_judge(f"learned={tmp_path / 'none.json'}")


def test_digests_are_of_every_folder_in_a_spec(tmp_path):
    for name in ("sft", "user-model"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text(name)
    digests = checkpoint_digests(resolve_agent_spec(tmp_path, "best-of-4"))
    assert {Path(folder).name for folder in digests} == {"sft", "user-model"}
    assert len(set(digests.values())) == 2


def test_loaders_load_when_they_are_called():
    models = ModelPool()
    assert agent_loader("flattering", models, 24)().act is not None
    assert user_model_loader("concerns", models, 24)().reply is not None
    load = agent_loader("nobody", models)
    with pytest.raises(UnknownNameError):
        load()
