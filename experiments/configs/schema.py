"""What a run does: its settings, and the presets that ship."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from agents.preferences.simulate import PreferenceSettings
from agents.training.dpo import DPOSettings
from agents.training.grpo_settings import GRPOSettings
from agents.training.ppo_settings import PPOSettings
from agents.training.sft import SFTSettings
from experiments.benchmark.dialogues import BenchmarkSettings
from persuade_env.errors import UnknownNameError
from persuade_env.llm.builtin_model import EMBEDDED
from persuade_env.llm.training.config import LoraSettings
from user_models.learned.training.config import AttitudeModelSettings, UserModelSettings


@dataclass(frozen=True)
class RunSettings:
    """Everything that a run's results depend on, beside code and corpus."""

    base: str = EMBEDDED
    """The chat model that user models and persuaders start from."""
    seed: int = 0
    scenarios: str | None = None
    """A scenario file to train and test on, split as the corpus is; None for the corpus."""
    user_model: UserModelSettings = field(default_factory=UserModelSettings)
    sft: SFTSettings = field(default_factory=SFTSettings)
    train_user: str = "learned"
    """The user that preferences are simulated with and that PPO and GRPO learn from: `learned`,
    `held-out` or any other user model; `learned+concerns` for a population of both."""
    n_contexts: int = 24
    """Dialogue contexts at which preferences are simulated."""
    contexts_per_batch: int = 8
    """Contexts simulated side by side, and the unit in which they are stored."""
    preferences: PreferenceSettings = field(default_factory=PreferenceSettings)
    dpo: DPOSettings = field(default_factory=DPOSettings)
    ppo: PPOSettings = field(default_factory=PPOSettings)
    grpo: GRPOSettings = field(default_factory=GRPOSettings)
    """Of `persuade train grpo`; no part of a run."""
    benchmark: BenchmarkSettings = field(default_factory=BenchmarkSettings)
    fidelity_scenarios: int = 12
    """Test scenarios in which the learned user's mind is probed for its fidelity card."""
    max_reply_tokens: int | None = None
    """Of persuaders and user models alike; None for what each has by itself."""
    agents: tuple[str, ...] = (
        "silent", "naive", "repeating", "flattering", "off-topic", "prompted", "sft", "dpo", "ppo",
    )  # fmt: skip
    user_models: tuple[str, ...] = ("learned", "concerns")
    """Whom the agents are benchmarked against; they learn from `train_user` and from no other.
    `held-out` is a second learned user, trained on the other half of the training scenarios."""
    max_train_scenarios: int | None = None
    """Only this many training scenarios; None for all."""
    max_test_scenarios: int | None = 14
    """Only this many test scenarios, so that a run stays under an hour on 2 slow cores; None for
    all."""


_A_FEW_STEPS = LoraSettings(max_steps=2, batch_size=1, max_tokens=512)

PRESETS: Mapping[str, RunSettings] = MappingProxyType(
    {
        "default": RunSettings(),
        # The same models, more simulated, twice the test scenarios and a user of its own for tests.
        "full": RunSettings(
            n_contexts=40, max_test_scenarios=28, user_models=("learned", "held-out", "concerns")
        ),
        "smoke": RunSettings(
            user_model=UserModelSettings(
                epochs=1, attitude_model=AttitudeModelSettings(model_samples=12), lora=_A_FEW_STEPS
            ),
            sft=SFTSettings(epochs=1, lora=_A_FEW_STEPS),
            n_contexts=4,
            contexts_per_batch=2,
            max_reply_tokens=24,
            preferences=PreferenceSettings(
                n_candidates=2, n_paths=1, depth=1, margin=0.0, keep_malformed=True
            ),
            dpo=DPOSettings(max_steps=2, batch_size=2, max_tokens=512),
            ppo=PPOSettings(iterations=1, episodes=2, max_turns=1, max_reply_tokens=24),
            grpo=GRPOSettings(steps=1, groups=1, group_size=2, max_turns=1, max_reply_tokens=24),
            benchmark=BenchmarkSettings(max_turns=1, batch_size=2),
            fidelity_scenarios=2,
            agents=("silent", "sft", "dpo", "ppo"),
            user_models=("learned", "concerns"),
            max_train_scenarios=8,
            max_test_scenarios=2,
        ),
    }
)
"""Settings by name."""


def preset(name: str) -> RunSettings:
    """The settings of that name.

    Raises:
        UnknownNameError: if there are none; it lists what exists.
    """
    if name not in PRESETS:
        raise UnknownNameError("preset", name, list(PRESETS))
    return PRESETS[name]
