"""A benchmark's folder: agents and users are added to it, and nothing in it is replaced.

`benchmark.json` says under which conditions its dialogues were played, and with which agents and
user models. Others are played beside them; the same name for another model is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from experiments.benchmark.config import BenchmarkSettings
from experiments.benchmark.dialogues import load_episodes, play_pairs
from experiments.benchmark.summary import Row, write_rows
from experiments.common.resolve import agent_loader, checkpoint_digests, user_model_loader
from experiments.common.stage import StageMismatchError, differences, digest_of, move_aside
from experiments.common.storage import damage_named, read_json, write_json
from persuade_env.dialogue import Scenario
from persuade_env.llm.pool import ModelPool
from persuade_env.metrics import MetricsLogger
from persuade_env.spec import Spec, hide_password

MANIFEST = "benchmark.json"
"""What a benchmark's folder says of itself."""
_SHOWN_ONLY = ("baseline", "judge")
"""Settings that dialogues don't depend on: the table is made anew with them."""


@dataclass(frozen=True)
class BenchmarkFolder:
    """Dialogues of agents with user models under the same conditions."""

    folder: Path
    scenarios: Sequence[Scenario]
    settings: BenchmarkSettings
    max_reply_tokens: int | None = None

    def add(
        self,
        agents: Mapping[str, Spec],
        user_models: Mapping[str, Spec],
        models: ModelPool,
        *,
        fresh: bool = False,
        progress: Callable[[str, int], None] = lambda _name, _count: None,
        metrics: MetricsLogger | None = None,
    ) -> list[Row]:
        """Plays what is missing of every agent against every user model.

        Args:
            agents: resolved specs by the name to show.
            user_models: resolved specs by the name to show.
            models: where loaded language models are shared.
            fresh: move a folder of other conditions aside, and begin anew.
            progress: told the pair at work and how many dialogues were added.
            metrics: takes running means after each batch.

        Returns:
            The rows of all pairs in the folder, those of earlier calls too.

        Raises:
            StageMismatchError: if the folder holds dialogues that were played under other
                conditions, or with another model of the same name; it names the differences.
        """
        manifest = self._manifest(agents, user_models)
        stored = self._stored()
        if problem := self._problem(stored, manifest):
            if not fresh:
                raise StageMismatchError(
                    f"{self.folder}: {problem}\nNothing was changed. Choose another folder with "
                    "--out, or begin anew with --fresh, which moves the old results aside."
                )
            move_aside(self.folder, self.folder.parent / "earlier")
            stored = None
        known = stored or manifest
        for kind in ("agents", "user_models"):
            manifest[kind] = {**known[kind], **manifest[kind]}
        added = [[agent, user] for user, agent in product(user_models, agents)]
        order = [*known.get("pairs", []), *added]
        manifest["pairs"] = [pair for index, pair in enumerate(order) if pair not in order[:index]]
        write_json(self.folder / MANIFEST, manifest)
        play_pairs(
            {
                name: agent_loader(spec, models, self.max_reply_tokens)
                for name, spec in agents.items()
            },
            {
                name: user_model_loader(spec, models, self.max_reply_tokens)
                for name, spec in user_models.items()
            },
            self.scenarios,
            self.folder,
            self.settings,
            progress,
            metrics=metrics,
        )
        # Rows of a user model stand together, in the order in which it was added.
        users = list(dict.fromkeys(user for _, user in manifest["pairs"]))
        pairs = sorted(manifest["pairs"], key=lambda pair: users.index(pair[1]))
        played = {(agent, user): load_episodes(self.folder, agent, user) for agent, user in pairs}
        return write_rows(
            {pair: episodes for pair, episodes in played.items() if episodes},
            self.folder,
            self.settings,
        )

    def _manifest(
        self, agents: Mapping[str, Spec], user_models: Mapping[str, Spec]
    ) -> dict[str, Any]:
        conditions = {k: v for k, v in asdict(self.settings).items() if k not in _SHOWN_ONLY}
        scenarios = [scenario.model_dump(mode="json") for scenario in self.scenarios]
        conditions |= {
            "max_reply_tokens": self.max_reply_tokens,
            "scenarios": digest_of(scenarios),
        }
        return {
            "conditions": json.loads(json.dumps(conditions)),  # lists, as they are read back
            "agents": {name: _described(spec) for name, spec in agents.items()},
            "user_models": {name: _described(spec) for name, spec in user_models.items()},
        }

    def _stored(self) -> dict[str, Any] | None:
        """The manifest in the folder; None where there is none.

        Raises:
            RunError: if it is something else.
        """
        path = self.folder / MANIFEST
        stored = read_json(path)
        if stored is None:
            return None
        with damage_named(path):
            pairs = [[agent, user] for agent, user in stored.get("pairs", [])]
            if not all(isinstance(name, str) for pair in pairs for name in pair):
                raise TypeError("a name is a text")
            tables = {key: dict(stored[key]) for key in ("conditions", "agents", "user_models")}
        return {**tables, "pairs": pairs}

    def _problem(self, stored: Any, manifest: Mapping[str, Any]) -> str:
        """What stands against adding to the folder; empty if nothing does."""
        if stored is None:
            episodes = self.folder / "episodes"
            if episodes.is_dir() and any(episodes.iterdir()):
                return f"it holds dialogues, and no {MANIFEST} that says how they were played"
            return ""
        lines = differences(stored["conditions"], manifest["conditions"])
        for kind in ("agents", "user_models"):
            for name, described in manifest[kind].items():
                if name in stored[kind]:
                    lines += differences(stored[kind][name], described, f"{kind}.{name}")
        if not lines:
            return ""
        return "it was played with others:\n" + "\n".join(f"  {line}" for line in lines)


def _described(spec: Spec) -> dict[str, Any]:
    """What tells a model from another one of the same name; a URL without its password."""
    table = json.loads(hide_password(json.dumps(spec.to_json())))
    return {"spec": table, "checkpoints": sorted(checkpoint_digests(spec).values())}
