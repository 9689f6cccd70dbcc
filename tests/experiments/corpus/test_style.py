from experiments.corpus.style import style_measures, style_table
from persuade_env.dialogue import PersuaderTurn, RecordedDialogue, ScenarioRecord
from tests.helpers import felt, scenario


def record(name, *responses):
    turns = [
        felt(4, response=text)
        if index % 2
        else PersuaderTurn(response=text, analysis="He hesitates, so I should ask.")
        for index, text in enumerate(responses)
    ]
    dialogue = RecordedDialogue(id="a", quality="competent", turns=tuple(turns))
    return ScenarioRecord(**scenario(name).model_dump(), dialogues=(dialogue,))


def test_figures_are_those_of_a_count_by_hand():
    records = [
        record("leisure-001", "One two three.", "But why? I don't know. Tell me."),
        record("leisure-002", "One two three four five six seven eight nine.", "Fine."),
    ]
    figures = {measure.name: measure.value for measure in style_measures(records)}
    assert figures["words, median and ninth decile"] == "5, 8"
    assert figures["turns of 8 words or fewer"] == "75.0 %"
    assert figures["turns of one, two, three+ sentences"] == "75.0 %, 0.0 %, 25.0 %"
    assert figures["persuadee turns with but, still, though"] == "50.0 %"
    assert figures['analyses with "so I should"'] == "100.0 %"
    assert figures["commonest first three words"].endswith("25.0 %")
    assert figures["dialogues of 6 or more pairs of turns"] == "0.0 %"


def test_corpora_stand_side_by_side():
    measures = style_measures([record("leisure-001", "One two three.", "Fine.")])
    table = style_table({"mine": measures, "theirs": measures[:4]})
    assert [column.heading for column in table.columns] == ["measure", "mine", "theirs", "wanted"]
    assert table.rows[-1][2] == "–"
    assert style_measures([]) == []
