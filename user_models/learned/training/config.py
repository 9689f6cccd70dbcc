"""Hyperparameters of the learned user; the module imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from persuade_env.llm.training.config import LoraSettings


@dataclass(frozen=True)
class AttitudeModelSettings:
    """How the mind is fitted."""

    negative_share: float = 1.0
    """Fruitless turns per recorded one: silence, small talk, a repetition, words in no order, a
    turn from another scenario. They give no reason, so they must not raise the attitude."""
    negative_step: float = -0.25
    """What such a turn does to the attitude: being talked past is not neutral. Recorded turns of
    poor persuaders cost 0.2 on average."""
    reaction_quantile: float = 0.2
    """Share of the turns of persuaders who aren't poor that displease a little nevertheless."""
    model_samples: int = 400
    """Places at which the chat model is asked, to tell its words from people's."""


@dataclass(frozen=True)
class UserModelSettings:
    """How the learned user is trained."""

    epochs: int = 1
    """Passes over the dialogues; each rounds half attitudes anew."""
    adapter_scale: float = 0.7
    """What the chat model's update is multiplied by once it is trained, 0 (the base) to 1. Below 1
    it knows the corpus's persuadees a little less well and other people better: at 0.7 it foresees
    what is said better than the base on all three data sets (`docs/user-models.md`)."""
    attitude_model: AttitudeModelSettings | None = field(default_factory=AttitudeModelSettings)
    """How the mind is fitted; None to let the language model write its own attitude."""
    lora: LoraSettings = field(
        default_factory=lambda: LoraSettings(learning_rate=7e-4, batch_size=1)
    )
