"""One HTML file about a run: table, plots, dialogues. Nothing in it is fetched from anywhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
import numpy as np

from experiments.benchmark.dialogues import load_episodes, load_seconds
from experiments.benchmark.summary import METRICS, Row, load_rows
from experiments.benchmark.tables import HEADINGS, judged_by, show
from experiments.common import stage as stages
from experiments.common.measures import MEASURES_FILE, read_measures
from experiments.common.storage import read_json, write_atomically
from experiments.safety.misconduct_rates import RATE_NAMES, benchmark_rates
from persuade_env.dialogue import PersuadeeTurn
from persuade_env.episode import Episode
from persuade_env.errors import RunError
from persuade_env.safety.misconduct import DESCRIPTIONS
from persuade_env.text.normalize import printable

matplotlib.use("Agg")

TRAINED = ("user-model", "held-out", "sft", "rft", "dpo")
"""What is trained on recorded or simulated examples, and has a loss."""
REINFORCED = ("ppo", "grpo")
"""What learns in the environment, and has a return."""
DIALOGUES_PER_AGENT = 2
_SHOWN_AGENTS = ("ppo", "dpo", "rft", "sft", "prompted", "flattering")


@dataclass(frozen=True)
class Sample:
    """A dialogue as the report shows it."""

    agent: str
    user_model: str
    episode: Episode

    @property
    def turns(self) -> list[dict[str, Any]]:
        """Each turn with the name of who speaks."""
        scenario = self.episode.scenario
        return [
            {
                "who": scenario.persuadee
                if isinstance(turn, PersuadeeTurn)
                else scenario.persuader,
                "persuadee": isinstance(turn, PersuadeeTurn),
                "turn": turn,
            }
            for turn in self.episode.dialogue.turns
        ]


def write_html_report(root: Path, path: Path) -> None:
    """Writes the report of the run in `root`.

    Raises:
        RunError: if the run has no benchmark yet.
    """
    rows = load_rows(root / "benchmark")
    if not rows:
        raise RunError(f"{root} has no benchmark yet; `persuade run` goes on with it")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("experiments.reporting", "."),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    simulated = read_json(root / "preferences" / "summary.json")
    settings = read_json(root / "prepare" / "settings.json") or {}
    html = environment.get_template("report.html.j2").render(
        headings=HEADINGS,
        metric_descriptions=METRICS,
        rows=rows,
        judged_by=judged_by(rows),
        show=show,
        seconds=load_seconds(root / "benchmark"),
        settings=settings,
        train_user=settings.get("train_user", settings.get("against", "learned")),
        splits=read_json(root / "prepare" / "splits.json"),
        simulated=simulated,
        plots=_plots(root, rows),
        samples=sample_dialogues(root, rows),
        measures=read_measures(root / "fidelity"),
        why_no_measures=(read_json(root / "fidelity" / MEASURES_FILE) or {}).get("why"),
        conduct=benchmark_rates(root / "benchmark"),
        misconduct_kinds=RATE_NAMES,
        kind_descriptions=DESCRIPTIONS,
    )
    write_atomically(path, html)


def _shown(value: Any) -> Any:
    """A value as the page has it: a model's words can't turn or hide those around them."""
    return printable(value) if type(value) is str else value


def _plots(root: Path, rows: Sequence[Row]) -> list[dict[str, str]]:
    from matplotlib.figure import Figure

    def plot(title: str, figure: Figure) -> dict[str, str]:
        buffer = io.BytesIO()
        # No date in the file, so that the same run gives the same report.
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
        return {"title": title, "svg": base64.b64encode(buffer.getvalue()).decode()}

    with matplotlib.rc_context({"svg.hashsalt": "persuade-env", "font.size": 9}):
        made = [
            plot("Attitude gain and success, with 95 % intervals", _gains(rows)),
            plot("Attitude by turn", _attitudes(root, rows)),
            plot("Training", _curves(root)),
        ]
        logs = {name: read_json(root / name / "log.json") for name in REINFORCED}
        learned = {name: log for name, log in logs.items() if log}
        if learned:
            title = "Learning in the environment, by iteration: its own dialogues, no held-out ones"
            made.append(plot(title, _learning(learned)))
        return made


def _gains(rows: Sequence[Row]) -> Any:
    from matplotlib.figure import Figure

    users = list(dict.fromkeys(row.user_model for row in rows))
    agents = list(dict.fromkeys(row.agent for row in rows))[::-1]
    figure = Figure(figsize=(9, 0.42 * len(agents) + 1.2))
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (name, label) in zip(
        axes,
        (("attitude_gain", "attitude gain (Likert points)"), ("success", "success rate")),
        strict=True,
    ):
        for number, user in enumerate(users):
            for row in rows:
                if row.user_model != user:
                    continue
                one = row.metrics[name]
                height = agents.index(row.agent) + 0.22 * (number - (len(users) - 1) / 2)
                axis.plot([one.low, one.high], [height, height], color=f"C{number}", lw=1.5)
                axis.plot(one.value, height, "o", color=f"C{number}", ms=4)
        axis.axvline(0, color="0.7", lw=0.8, zorder=0)
        axis.set_xlabel(label)
        axis.set_yticks(range(len(agents)), agents)
        axis.spines[["top", "right"]].set_visible(False)
    for number, user in enumerate(users):
        axes[1].plot([], [], "o", color=f"C{number}", label=user)
    figure.legend(loc="upper center", ncols=len(users), frameon=False, bbox_to_anchor=(0.5, 1.06))
    return figure


def _attitudes(root: Path, rows: Sequence[Row]) -> Any:
    """Mean attitude after each turn; a dialogue that has ended counts on with its last attitude."""
    from matplotlib.figure import Figure

    users = list(dict.fromkeys(row.user_model for row in rows))
    agents = list(dict.fromkeys(row.agent for row in rows))
    figure = Figure(figsize=(9, 2.9))
    axes = np.atleast_1d(figure.subplots(1, len(users), sharey=True))
    for axis, user in zip(axes, users, strict=True):
        for number, agent in enumerate(agents):
            curves = [
                attitudes(one)
                for one in load_episodes(root / "benchmark", agent, user)
                if one.valid
            ]
            if not curves:
                continue
            longest = max(map(len, curves))
            filled = [curve + [curve[-1]] * (longest - len(curve)) for curve in curves]
            axis.plot(range(longest), np.mean(filled, axis=0), f"C{number}.-", label=agent)
        axis.set_title(user)
        axis.set_xlabel("persuader turns")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("mean attitude (1–7)")
    axes[-1].legend(frameon=False, bbox_to_anchor=(1.0, 1.0), fontsize=8)
    return figure


def attitudes(episode: Episode) -> list[float]:
    """The attitude before the first turn and after each."""
    known = [one.attitude for one in episode.dialogue.persuadee_turns if one.attitude is not None]
    return [episode.scenario.initial_attitude, *known]


def _curves(root: Path) -> Any:
    from matplotlib.figure import Figure

    logs = {name: read_json(root / name / "log.json") for name in TRAINED}
    known = {name: log for name, log in logs.items() if log}
    figure = Figure(figsize=(9, 2.5))
    axes = np.atleast_1d(figure.subplots(1, max(1, len(known))))
    for axis, (name, log) in zip(axes, known.items(), strict=False):
        losses = [float(one["loss"]) for one in log]
        axis.plot(range(1, len(losses) + 1), losses, color="0.75", lw=0.8)
        width = max(1, len(losses) // 10)
        smooth: Any = np.convolve(losses, np.ones(width) / width, "valid") if losses else []
        axis.plot(range(width, len(losses) + 1), smooth, color="C0")
        axis.set_title(f"{name}: loss")
        axis.set_xlabel("step")
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return figure


def _learning(logs: Mapping[str, Sequence[Mapping[str, float]]]) -> Any:
    """What is earned, and the cheap ways to earn it: length, and leaving the format."""
    from matplotlib.figure import Figure

    shown = {
        "attitude_gain": "attitude gain",
        "words": "words per turn",
        "malformed": "malformed turns",
        "kl": "KL to SFT, nats per token",
    }
    figure = Figure(figsize=(9, 2.5))
    for axis, (key, title) in zip(figure.subplots(1, len(shown)), shown.items(), strict=True):
        for name, log in logs.items():
            values = [one.get(key, np.nan) for one in log]
            axis.plot(range(1, len(values) + 1), values, ".-", label=name)
        axis.set_title(title)
        axis.set_xlabel("iteration")
        axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    figure.tight_layout()
    return figure


def sample_dialogues(root: Path, rows: Sequence[Row]) -> list[Sample]:
    """Dialogues of the same scenarios with each of the more telling agents, never hand-picked.

    They are the first of the benchmark, against its first user model.
    """
    user = rows[0].user_model
    agents = [row.agent for row in rows if row.user_model == user]
    chosen = [name for name in _SHOWN_AGENTS if name in agents] or agents
    return [
        Sample(agent, user, episode)
        for number in range(DIALOGUES_PER_AGENT)
        for agent in chosen
        for episode in load_episodes(root / "benchmark", agent, user)[number : number + 1]
    ]


def stage_seconds(root: Path, names: Sequence[str]) -> Mapping[str, float]:
    """How long the stages of a run took."""
    return {name: stages.seconds(root, name) for name in names}
