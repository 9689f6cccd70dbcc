"""The tagger against utterances labelled by hand."""

import pytest

from experiments.fidelity.probes.dialogue_acts import Act, dialogue_acts

LABELLED = [
    ("Hello there, nice to meet you.", "greeting"),
    ("Good morning!", "greeting"),
    ("Hi.", "greeting"),
    ("Goodbye.", "closing"),
    ("Have a great day!", "closing"),
    ("You too.", "closing"),
    ("Thank you for telling me.", "thanks"),
    ("Thanks, that was kind of you.", "thanks"),
    ("Who would feed the dog?", "question"),
    ("How much of it reaches the children?", "question"),
    ("And you're sure it holds?", "question"),
    ("What if it rains?", "question"),
    ("No.", "refusal"),
    ("No thanks, I give elsewhere.", "refusal"),
    ("I'm not interested.", "refusal"),
    ("I won't sign that.", "refusal"),
    ("Let's leave it.", "refusal"),
    ("I'd rather not give anything today.", "refusal"),
    ("I'm not doing this.", "refusal"),
    ("My answer is no and stays no.", "refusal"),
    ("Only if you come along.", "condition"),
    ("If the school agrees, we can talk.", "condition"),
    ("As long as nobody else hears of it.", "condition"),
    ("But that's far too late for my shift.", "objection"),
    ("I'm worried about the cost.", "objection"),
    ("I can't afford it this month.", "objection"),
    ("I don't trust charities much.", "objection"),
    ("It's too expensive for us.", "objection"),
    ("That doesn't help my mother.", "objection"),
    ("Yes, let's do it.", "agreement"),
    ("Okay.", "agreement"),
    ("All right, Tuesday then.", "agreement"),
    ("I'll try it for a week.", "agreement"),
    ("You're right about the roof.", "agreement"),
    ("That makes sense.", "agreement"),
    ("I would be happy to give fifty cents.", "agreement"),
    ("Hm.", "reaction"),
    ("Well, well.", "reaction"),
    ("My brother lost his savings that way.", "story"),
    ("We had a goat when I was small.", "story"),
    ("My shift starts at six.", "statement"),
    ("The museum opens on Sundays.", "statement"),
    # No pattern can read these: errors that are tolerated below.
    ("Sure, and pigs fly.", "refusal"),
    ("As if I had a choice.", "objection"),
]


def test_it_agrees_with_the_labels():
    wrong = [text for text, label in LABELLED if dialogue_acts(text) != (Act(label),)]
    assert len(wrong) <= 2, wrong


@pytest.mark.parametrize("act", list(Act))
def test_every_act_is_found_somewhere(act):
    assert any(dialogue_acts(text) == (act,) for text, label in LABELLED if label == act)


def test_each_sentence_has_one_act():
    acts = dialogue_acts("No problem. Who pays? “I won't do it!” Thanks.")
    assert acts == (Act.REACTION, Act.QUESTION, Act.REFUSAL, Act.THANKS)
    assert dialogue_acts("…") == ()
    assert dialogue_acts("I'm in") == (Act.AGREEMENT,)
