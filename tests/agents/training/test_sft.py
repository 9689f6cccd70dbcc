"""Training examples of supervised fine-tuning."""

from agents.persuaders.prompts import persuader_messages
from agents.training.sft import sft_examples
from persuade_env.action_format import parse_turn
from persuade_env.dialogue import Dialogue, PersuaderTurn
from persuade_env.llm.training.logprobs import IGNORED
from persuade_env.scenarios import load_corpus
from tests.helpers import scenario


def test_the_loss_sees_competent_persuader_turns_in_the_format(tokenizer):
    records = load_corpus("train")[:5]
    examples = sft_examples(records, tokenizer)
    competent = [
        recorded
        for record in records
        for recorded in record.dialogues
        if recorded.quality == "competent"
    ]
    assert len(competent) == 10
    for recorded, example in zip(competent, examples, strict=True):
        trained_text = tokenizer.decode([label for label in example.labels if label != IGNORED])
        turns = [parse_turn(text) for text in trained_text.split("<|im_end|>") if text.strip()]
        expected = [t for t in recorded.turns if isinstance(t, PersuaderTurn)]
        assert [t.response for t in turns] == [t.response for t in expected]


def test_the_persuader_is_told_facts_and_strategies_and_no_persona():
    text = str(persuader_messages(Dialogue(scenario=scenario())))
    assert "Ana has a second tent." in text
    assert "find somebody for the dog" in text
    assert "feed my dog" not in text
    assert "calm" not in text
