"""How long a run will take: a forecast from measured rates, corrected as steps finish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.common.stage import seconds
from experiments.configs.schema import RunSettings
from experiments.pipeline.data import RunData
from persuade_env.llm.training.config import LoraSettings
from user_models.learned.training.config import AttitudeRegressorSettings

# Seconds on 2 cores (AVX-512, bf16) with the embedded model, from runs of the presets `default`
# and `smoke`. On another machine only their ratios matter, once a step was made there.
_PREPARE, _REPORT = 20.0, 5.0
_TRAINING_EXAMPLE = 1.9
"""Of a dialogue, in SFT and in the user model."""
_REGRESSED_LAYERS = 1.1
"""Of a share of layers, of what a dialogue in SFT takes: the attitude regressor's, with its
negative examples and without the vocabulary."""
_MODEL_SAMPLE = 0.5
_ATTITUDE_MODEL_SCENARIO = 0.7
_USER_REPLY, _DRAFTED_REPLY = 0.45, 1.1
"""A turn of a learned user at a batch of 16, without drafts and with four."""
_PERSUADER_REPLY = 0.9
_REPLY_TOKENS = 112
"""At which these replies were measured."""
_LABEL = 0.2
"""A candidate's attitude, without words."""
_DPO_PAIR = 3.2
_PPO_UPDATE = 1.2
"""Of a turn, for each epoch."""
_PROBE_SCENARIO = 14.0
_SENSE_CONTEXTS = 10
"""Turns of user and persuader for each probed scenario."""
_SCRIPTED = frozenset({"silent", "naive", "repeating", "flattering", "off-topic"})


@dataclass(frozen=True)
class Forecast:
    """Expected seconds of each step, in order.

    >>> Forecast({"sft": 60.0, "dpo": 30.0}).minutes
    1.5
    """

    steps: dict[str, float]

    @classmethod
    def of(cls, settings: RunSettings, names: Sequence[str]) -> Forecast:
        """Of these steps of a run with these settings."""
        data = RunData.load(settings)
        train = [len(record.dialogues) for record in data.train]
        good = sum(
            dialogue.quality != "poor" for record in data.train for dialogue in record.dialogues
        )
        half = len(train) // 2
        length = (settings.max_reply_tokens or _REPLY_TOKENS) / _REPLY_TOKENS
        regressor = settings.user_model.attitude_regressor
        reply = _USER_REPLY if regressor else _DRAFTED_REPLY
        learned = 0.0 if settings.train_user == "concerns" else reply
        linear = None if regressor else settings.user_model.attitude_model
        samples = linear.model_samples if linear else 0
        user = (
            _trained(sum(train[:half]), settings.user_model.epochs, settings.user_model.lora)
            + samples * _MODEL_SAMPLE
            + (half * _ATTITUDE_MODEL_SCENARIO if linear else 0.0)
            + (_regressed(sum(train[:half]), regressor) if regressor else 0.0)
        )
        preferences, ppo, benchmark = settings.preferences, settings.ppo, settings.benchmark
        pooled = settings.pool.n_contexts * settings.pool.n_candidates
        if preferences.method == "paths":
            candidates = settings.n_contexts * preferences.n_candidates
            pairs = min(settings.n_contexts * preferences.max_pairs, candidates)
        else:
            candidates, pairs = 0, settings.pool.n_contexts
        paths = candidates * preferences.n_paths
        if settings.dpo.max_steps > 0:
            dpo_pairs = settings.dpo.max_steps * settings.dpo.batch_size
        else:
            dpo_pairs = pairs * settings.dpo.epochs
        turns = ppo.iterations * ppo.episodes * settings.max_turns
        dialogues = len(data.test) * benchmark.episodes_per_scenario
        writing = [name for name in settings.agents if name not in _SCRIPTED]
        slow_users = [name for name in settings.user_models if name != "concerns"]
        played_turns = dialogues * settings.max_turns * 0.6  # many end before
        expected = {
            "prepare": _PREPARE,
            "user-model": user,
            "held-out": user,
            "unseen": user,
            "sft": _trained(good, settings.sft.epochs, settings.sft.lora),
            "pool": pooled * (length * _PERSUADER_REPLY + (_LABEL if learned else 0.0)),
            "rft": _trained(settings.pool.n_contexts, settings.rft.epochs, settings.rft.lora),
            "preferences": length
            * (
                candidates * _PERSUADER_REPLY
                + paths * (preferences.depth - 1) * _PERSUADER_REPLY
                + paths * preferences.depth * learned
            ),
            "dpo": _DPO_PAIR * dpo_pairs,
            "ppo": turns * (length * (_PERSUADER_REPLY + learned) + ppo.epochs * _PPO_UPDATE),
            "benchmark": length
            * played_turns
            * (
                len(writing) * len(settings.user_models) * _PERSUADER_REPLY
                + len(settings.agents) * len(slow_users) * reply
            ),
            "fidelity": settings.fidelity_scenarios
            * (_PROBE_SCENARIO + _SENSE_CONTEXTS * length * (reply + _PERSUADER_REPLY)),
            "report": _REPORT,
        }
        return cls({name: expected[name] for name in names if name in expected})

    @property
    def minutes(self) -> float:
        """All steps together."""
        return sum(self.steps.values()) / 60

    def announcement(self, root: Path) -> str:
        """What is said at the start: the steps, and how long those that are missing may take."""
        missing = {name: s for name, s in self.steps.items() if not seconds(root, name)}
        if not missing:
            return "steps: all made"
        parts = ", ".join(f"{name} {value / 60:.0f}" for name, value in missing.items())
        return (
            f"steps to make, and minutes forecast for 2 cores: {parts}; "
            f"{sum(missing.values()) / 60:.0f} in all"
        )

    def remaining(self, root: Path, after: str) -> str:
        """How long the steps after one may take, by how long the made ones took here."""
        names = list(self.steps)
        if after not in names or after == names[-1]:
            return ""
        made = [name for name in names[: names.index(after) + 1] if seconds(root, name)]
        expected = sum(self.steps[name] for name in made)
        taken = sum(seconds(root, name) for name in made)
        # The forecast counts as much as a minute's worth of steps, so that one short step that
        # took twice as long doesn't double the rest.
        factor = (taken + 60.0) / (expected + 60.0)
        rest = factor * sum(self.steps[name] for name in names[names.index(after) + 1 :])
        return f" (about {rest / 60:.0f} minutes to go)" if rest >= 60 else ""


def _trained(examples: int, epochs: int, lora: LoraSettings) -> float:
    count = examples * epochs
    if lora.max_steps > 0:
        count = min(count, lora.max_steps * lora.batch_size)
    return count * _TRAINING_EXAMPLE


def _regressed(dialogues: int, settings: AttitudeRegressorSettings) -> float:
    used = round((1 - settings.held_out_share) * dialogues)
    rate = settings.depth * _REGRESSED_LAYERS
    return rate * _trained(used, settings.epochs, settings.lora)
