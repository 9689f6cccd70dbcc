from experiments.benchmark.samples import dialogues_markdown, draw_dialogues
from persuade_env.dialogue import Decision
from persuade_env.rollout import rollout
from tests.helpers import FAILURE, ScriptedPersuader, ScriptedUser, felt, scenario


def played(*script, said="I'll lend you my tent.", n=12):
    scenarios = [scenario(f"leisure-{index:03d}") for index in range(n)]
    return rollout(
        ScriptedPersuader(said), ScriptedUser(*script), scenarios, list(range(n)), max_turns=2
    )


def test_dialogues_are_drawn_by_the_seed_without_those_that_failed():
    episodes = played(felt(4)) + played(FAILURE)
    drawn = draw_dialogues(episodes, 5, seed=0)
    assert drawn == draw_dialogues(episodes, 5, seed=0)
    assert drawn != draw_dialogues(episodes, 5, seed=1)
    assert [one for one in episodes if one in drawn] == drawn
    assert all(one.valid for one in drawn)
    assert draw_dialogues(episodes, 100, seed=0) == episodes[:12]
    assert draw_dialogues(episodes, 0, seed=0) == []


def test_markdown_has_every_turn_and_the_end():
    (episode,) = played(felt(3.5), felt(6, Decision.ACCEPT, "Fine."), n=1)
    lines = dialogues_markdown("sft", "learned", [episode]).splitlines()
    assert lines[0] == "#### 1. `leisure-000`: sft with learned"
    assert lines.count("**Ana**: I'll lend you my tent.") == 2
    assert "**Bo** (3.5, wary): Hm." in lines
    assert "**Bo** (6.0, wary): Fine." in lines
    assert lines[-1] == ("*accepted after 2 turns; attitude 3.0 at the start, 6.0 at the end*")
    assert dialogues_markdown("sft", "learned", []) == ""


def test_what_models_write_stays_text():
    from markdown_it import MarkdownIt

    words = "# No <script>x</script>\n\n- [a](http://b) *c* `d` \x1b[2J | e & f"
    (episode,) = played(felt(3), said=words, n=1)
    text = dialogues_markdown("a_b", "u", [episode])
    assert "\x1b" not in text
    kinds = {
        kind.type
        for token in MarkdownIt().parse(text)
        for kind in [token, *(token.children or [])]
        if "script" in token.content
    }
    assert kinds <= {"inline", "text", "strong_open", "strong_close"}
    assert dialogues_markdown("a", "u", played(felt(3), said="", n=1)).count("(says nothing)") == 2
