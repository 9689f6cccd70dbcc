"""A reply under a constraint can always be read."""

from persuade_env.dialogue import TONES, Decision, Dialogue, PersuaderTurn
from tests.helpers import felt, scenario
from user_models.learned.prompt import user_messages
from user_models.reply_format import (
    StateConstraint,
    ToneConstraint,
    consistent,
    given_state,
    render_reply,
)


def test_the_constraint_allows_every_readable_state_and_nothing_else(tokenizer):
    constraint = StateConstraint(tokenizer)
    written = set()

    def walk(prefix):
        choice = constraint(prefix)
        if choice is None:
            written.add(tokenizer.decode(prefix))
            return
        for token in choice.ids:
            walk((*prefix, token))

    walk(())
    expected = {
        f"{digit} {decision.value} {tone}\n"
        for digit in range(1, 8)
        for decision in Decision
        for tone in TONES
        if consistent(digit, decision)
    }
    assert written == expected


def test_a_given_state_is_not_sampled(chat, tokenizer):
    dialogue = Dialogue(scenario=scenario()).extended(PersuaderTurn(response="Come along."))
    (completion,) = chat.generate(
        [user_messages(dialogue)],
        [0],
        max_reply_tokens=8,
        constraint=ToneConstraint(tokenizer),
        beginnings=[given_state("6", Decision.ACCEPT)],
    )
    assert tokenizer.decode(completion.prompt_ids).endswith("6 accept")
    assert completion.text.partition("\n")[0] in TONES


def test_halves_are_rounded_up_and_unknown_states_are_neutral():
    assert render_reply(felt(3.5)).splitlines()[0] == "4 continue wary"
    unknown = felt(3.0).model_copy(update={"attitude": None, "tone": ""})
    assert render_reply(unknown, None).splitlines()[0] == "4 continue polite"
