import pytest

from persuade_env.dialogue import Dialogue
from persuade_env.envs.realizers import ChatRealizer, Realizer, TextRealizer
from persuade_env.errors import ChatError, PersuaderError
from persuade_env.protocols import Completion, StopReason
from tests.helpers import scenario

START = Dialogue(scenario=scenario())


class Chat:
    def __init__(self, completion):
        self.completion, self.prompts = completion, []

    def generate(self, prompts, seeds, *, max_reply_tokens, temperature=0.8, top_p=0.95):
        self.prompts += prompts
        return [self.completion for _ in prompts]


def test_a_strategy_is_said_with_the_fact_that_backs_it_up():
    realizer = TextRealizer()
    assert isinstance(realizer, Realizer)
    said = realizer.realize([START] * 3, ["lend the tent", "wait", ""], [0, 1, 2])
    assert said == ["Let me lend the tent. Ana has a second tent.", "Let me wait.", ""]


def test_a_chat_model_is_told_the_strategy_and_no_persona():
    chat = Chat(Completion("I have a tent for you. And", StopReason.LENGTH, 10, 8))
    said = ChatRealizer(chat).realize([START] * 2, ["lend the tent", ""], [0, 1])
    assert said == ["I have a tent for you.", ""]
    (prompt,) = chat.prompts
    assert "lend the tent" in str(prompt)
    assert "Nobody would feed" not in str(prompt)


def test_a_failing_chat_model_is_a_typed_error():
    chat = Chat(Completion("", StopReason.STOP, 0, 0, error=ChatError("down")))
    with pytest.raises(PersuaderError, match="down"):
        ChatRealizer(chat).realize([START], ["wait"], [0])
