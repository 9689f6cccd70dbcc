import pytest

from persuade_env.errors import UnknownNameError, UserModelError
from persuade_env.registry import USER_MODELS, load_user_model
from tests.helpers import ScriptedPersuader, ScriptedUser, felt
from user_models.rule_based import RuleBasedUser

SILENT_USER = ScriptedUser(felt(4))


def test_the_suite_registers_its_user_models_as_entry_points():
    assert {"concerns", "learned", "prompted"} <= set(USER_MODELS.names())
    assert isinstance(load_user_model("concerns"), RuleBasedUser)


def test_any_module_attribute_is_a_user_model():
    assert load_user_model("tests.persuade_env.test_registry:SILENT_USER") is SILENT_USER
    assert isinstance(load_user_model("user_models.rule_based:RuleBasedUser"), RuleBasedUser)


@pytest.mark.parametrize(
    "name", ["nobody", "no.such.module:thing", "user_models.rule_based:Nobody"]
)
def test_an_unknown_name_lists_what_exists(name):
    with pytest.raises(UnknownNameError, match=r"concerns.*learned.*prompted.*module:attribute"):
        load_user_model(name)


def test_what_has_no_reply_is_refused():
    with pytest.raises(UserModelError, match="no user model"):
        load_user_model(ScriptedPersuader())


def test_a_learned_user_needs_its_folder():
    with pytest.raises(UserModelError, match="learned=FOLDER"):
        load_user_model("learned")
