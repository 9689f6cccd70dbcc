import pytest

from experiments.corpus.turn_errors import is_repeated, leaves_role, names_itself
from persuade_env.scenarios import load_corpus

OFFER = "You can borrow my second tent on Saturday, and my sleeping bag is dry again."
NAMES = ("Ana", "Bo")


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        (OFFER, True),
        (OFFER.upper().replace(",", ";"), True),
        (f"I mean it. {OFFER}", True),
        ("You can borrow my second tent on Saturday, and I'll cook for us both.", True),
        ("My tent has room for two, so you wouldn't have to buy one of your own.", False),
        ("Saturday the on tent second my borrow can you again dry is bag sleeping my and", False),
        ("Borrow my tent.", False),  # short, and other words
        ("Thank you, I see.", True),
        ("thank you; I see", True),
        ("", False),
    ],
)
def test_near_copies_are_repetitions(text, repeats):
    assert is_repeated(text, ["Thank you, I see.", OFFER]) is repeats
    assert is_repeated(text, []) is False


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Ana, I know that you worry about the dog.", True),
        ("That's kind of you, Ana!", True),
        ("Ana would love to see you there.", True),
        ("Ana's tent is dry.", True),
        ("Bo, I know that you worry about the dog.", False),
        ("Good morning, I'm Ana from next door.", False),
        ("My name’s Ana, we met at the lake.", False),
        ("This is Ana speaking.", False),
        ('Your mother said, "Ana will come", and I did.', False),
        ("The savana and Anahit are something else.", False),
        ("ana", False),
    ],
)
def test_whoever_speaks_of_itself_by_name_has_mixed_up_the_names(text, wrong):
    assert names_itself(text, "Ana") is wrong
    assert names_itself(text, "") is False


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Analysis: He fears the cost.", True),
        ("I see. Strategy: Offer a tent", True),
        ("**Response:** You could borrow it.", True),
        ("3 continue wary", True),
        ("3 continue I don't know.", True),
        ("I don't know. 6 accept warm", True),
        ("I can't. Ana: But why?", True),
        ("Bo: I can't.", True),
        ("Assistant: Of course.", True),
        ("I made an analysis: it costs 40 euros.", False),
        ("All 5 accept the plan, and 3 continue tomorrow.", False),
        ("There are two of us: Ana and Bo.", False),
        ("My only strategy is to wait.", False),
        ("", False),
    ],
)
def test_formats_and_labels_are_out_of_role(text, left):
    assert leaves_role(text, NAMES) is left


def test_recorded_turns_have_next_to_no_error():
    turns = repeated = named = out = 0
    for record in load_corpus("test", "plain"):
        names = {"persuader": record.persuader, "persuadee": record.persuadee}
        for recorded in record.dialogues:
            texts = [turn.response for turn in recorded.turns]
            for index, turn in enumerate(recorded.turns):
                turns += 1
                repeated += is_repeated(turn.response, texts[:index])
                named += names_itself(turn.response, names[turn.role])
                out += leaves_role(turn.response, names.values())
    assert turns > 3000
    assert max(repeated, named, out) <= 0.003 * turns
