"""What a run does, as frozen dataclasses; the presets that ship are TOML files beside this one.

The module imports no torch: a command reads, checks and refuses settings in a fraction of a second.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from agents.preferences.data import PreferenceSettings
from agents.preferences.pool import PoolSettings
from agents.training.config import (
    DEFAULT_REWARD,
    DPOSettings,
    GRPOSettings,
    PPOSettings,
    RFTSettings,
    SFTSettings,
)
from experiments.benchmark.config import BenchmarkSettings
from persuade_env.episode import DEFAULT_MAX_TURNS
from persuade_env.llm.builtin_model import EMBEDDED
from user_models.learned.training.config import UserModelSettings

SHARED = ("max_turns", "reward")
"""Settings of the top level that take the place of those in `SHARED_BY`."""
SHARED_BY = ("ppo", "grpo", "benchmark")
"""What trains or tests in whole dialogues, all under the same conditions."""


@dataclass(frozen=True)
class RunSettings:
    """Everything that a run's results depend on, beside code and corpus.

    >>> RunSettings().dpo.beta
    0.1
    """

    base: str = EMBEDDED
    """The chat model that user models and persuaders start from: `embedded`, a Hugging Face id, or
    a folder."""
    seed: int = 0
    """The seed of every random draw of the run."""
    scenarios: str | None = None
    """A scenario file, or a corpus that ships (`literary`, `plain`), to train and test on; none for
    the default corpus."""
    max_turns: int = DEFAULT_MAX_TURNS
    """Persuader turns per dialogue, of preferences, PPO, GRPO and the benchmark alike: what is
    trained for is what is tested."""
    reward: tuple[tuple[str, float], ...] = DEFAULT_REWARD
    """Terms and weights (`persuade_env.rewards`) that PPO and GRPO optimize and the benchmark
    reports."""
    user_model: UserModelSettings = field(default_factory=UserModelSettings)
    sft: SFTSettings = field(default_factory=SFTSettings)
    train_user: str = "learned"
    """The user that labels the pool, that preferences are simulated with and that PPO and GRPO
    learn from: `learned`, `held-out` or any other user model; `learned+concerns` for an ensemble of
    both."""
    pool: PoolSettings = field(default_factory=PoolSettings)
    """Candidate turns that RFT, DPO and `rerank-N` learn from."""
    rft: RFTSettings = field(default_factory=RFTSettings)
    n_contexts: int = 24
    """Dialogue contexts at which preferences are simulated by `preferences.method=paths`."""
    contexts_per_batch: int = 8
    """Of these, simulated side by side, and the unit in which they are stored."""
    preferences: PreferenceSettings = field(default_factory=PreferenceSettings)
    dpo: DPOSettings = field(default_factory=DPOSettings)
    ppo: PPOSettings = field(default_factory=PPOSettings)
    grpo: GRPOSettings = field(default_factory=GRPOSettings)
    """Of `persuade train grpo`; no part of a run."""
    benchmark: BenchmarkSettings = field(default_factory=BenchmarkSettings)
    fidelity_scenarios: int = 12
    """Test scenarios in which the learned user's attitude model is probed."""
    max_reply_tokens: int | None = None
    """Of persuaders and user models alike; none for what each has by itself."""
    agents: tuple[str, ...] = (
        "silent", "naive", "repeating", "flattering", "off-topic", "prompted", "sft", "rft", "dpo",
        "ppo",
    )  # fmt: skip
    """Who is benchmarked."""
    user_models: tuple[str, ...] = ("learned", "concerns")
    """Whom the agents are benchmarked against; they learn from `train_user` and from no other.
    `held-out` is a second learned user, trained on the other half of the training scenarios."""
    max_train_scenarios: int | None = 96
    """Only this many training scenarios, so that a run stays near an hour on 2 slow cores; none for
    all."""
    max_test_scenarios: int | None = 14
    """Only this many test scenarios, so that a run stays under an hour on 2 slow cores; none for
    all."""

    def __post_init__(self) -> None:
        """Hands what is shared to those that share it."""
        shared = {name: getattr(self, name) for name in SHARED}
        for part in SHARED_BY:
            object.__setattr__(self, part, replace(getattr(self, part), **shared))
