"""Examples for the attitude model: one for each recorded answer, by how good the turn was."""

from persuade_env.scenarios import load_corpus
from persuade_env.text.embedding import Embedder
from tests.helpers import ConstantEncoder
from user_models.learned.features import TextEncoders
from user_models.learned.semantic_embedding import CommonComponents, SemanticEmbedder
from user_models.learned.training.examples import recorded_examples


def test_a_turn_of_a_mixed_dialogue_is_poor_by_its_own_mark():
    encoder = ConstantEncoder()
    semantic = SemanticEmbedder(encoder.mean_state, CommonComponents(mean=(0.0,), directions=()))
    records = [
        record
        for record in load_corpus(name="plain")
        if any(recorded.quality == "mixed" for recorded in record.dialogues)
    ][:3]
    examples = recorded_examples(
        records, TextEncoders(Embedder(), semantic, lambda text: 1.0), encoder
    )
    for record in records:
        mixed = next(recorded for recorded in record.dialogues if recorded.quality == "mixed")
        marks = [turn.good for turn in mixed.turns[::2]][: len(mixed.turns) // 2]
        assert {True, False} <= set(marks)
        found = [
            example.poor
            for example in examples
            if (example.scenario, example.dialogue) == (record.id, mixed.id)
        ]
        assert found == [not good for good in marks]
    assert {example.poor for example in examples if example.dialogue == "competent"} == {False}
    assert {example.poor for example in examples if example.dialogue == "poor"} == {True}
