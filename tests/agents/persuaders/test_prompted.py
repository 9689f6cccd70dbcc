from agents.persuaders.prompted import PromptedPersuader
from agents.persuaders.prompts import spoken_messages
from persuade_env.dialogue import Dialogue, PersuaderTurn
from persuade_env.protocols import Completion, StopReason, persuader_view
from persuade_env.registry import load_persuader
from tests.helpers import felt, scenario


class Says:
    """A chat model that says what it is given, one text a call."""

    def __init__(self, *texts, stop=StopReason.STOP):
        self.texts, self.stop, self.prompts = list(texts), stop, []

    def generate(self, prompts, seeds, *, max_reply_tokens, temperature=0.8, top_p=0.95):
        self.prompts += prompts
        return [Completion(self.texts.pop(0), self.stop, 10, 5) for _ in prompts]


START = persuader_view(Dialogue(scenario=scenario()))


def said(chat):
    (reply,) = PromptedPersuader(chat).act([START], [0])
    return reply


def test_it_speaks_plainly_without_name_or_quotes():
    assert said(Says('Ana: "Come along, I have a second tent."')).turn == PersuaderTurn(
        response="Come along, I have a second tent."
    )


def test_a_cut_sentence_is_left_out():
    reply = said(Says("I have a tent. And besides, I", stop=StopReason.LENGTH))
    assert reply.turn.response == "I have a tent."


def test_nothing_said_is_asked_for_once_more_then_malformed():
    assert not said(Says(" ", "Come along.")).malformed
    silent = said(Says(" ", '""'))
    assert silent.malformed
    assert silent.turn.response == ""
    assert silent.usage.completion_tokens == 10


def test_the_prompt_holds_facts_and_history_and_no_persona():
    dialogue = Dialogue(scenario=scenario()).extended(PersuaderTurn(response="Hello."))
    messages = spoken_messages(persuader_view(dialogue.extended(felt(3, response="Who are you?"))))
    assert [one["role"] for one in messages] == ["system", "user", "assistant", "user"]
    text = str(messages)
    assert "second tent" in text
    assert "Who are you?" in text
    assert "Nobody would feed my dog" not in text


def test_the_embedded_model_speaks(chat):
    (reply,) = PromptedPersuader(chat, max_reply_tokens=16).act([START], [3])
    assert reply.turn.response
    assert isinstance(load_persuader("prompted"), PromptedPersuader)
