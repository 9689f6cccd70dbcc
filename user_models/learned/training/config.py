"""Settings of the learned user's training; this module imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from persuade_env.llm.training.config import LoraSettings


@dataclass(frozen=True)
class AttitudeModelSettings:
    """How the attitude model is fitted; see `fit_attitude_model`.

    >>> AttitudeModelSettings(negative_share=0.5).negative_step
    -0.25
    """

    negative_share: float = 1.0
    """Negative examples per recorded turn: empty responses, small talk, repetitions, shuffled
    words, turns from another scenario. They give no reason, so they must not raise the attitude."""
    negative_step: float = -0.25
    """Change of attitude after a negative example, in Likert points. It is below 0 because people
    resent turns that ignore them: recorded turns of poor persuaders cost 0.2 on average."""
    reaction_quantile: float = 0.2
    """Share of the turns of competent persuaders to which the reaction is negative all the same."""
    model_samples: int = 400
    """Recorded persuadee turns at which the chat model is sampled, as implausible examples."""


@dataclass(frozen=True)
class AttitudeRegressorSettings:
    """How the attitude regressor is fitted; see `fit_attitude_regressor`.

    >>> AttitudeRegressorSettings(epochs=1).lora.rank
    16
    """

    depth: float = 2 / 3
    """Share of the model's layers that are used; at least one is left out."""
    epochs: int = 2
    """Passes over the dialogues; each draws other negative examples."""
    negative_share: float = 0.5
    """Negative examples per recorded turn: empty responses, small talk, repetitions, shuffled
    words, turns from another scenario. They give no reason, so they must not raise the attitude."""
    negative_step: float = -0.25
    """Change of attitude after a negative example, in Likert points; see
    `AttitudeModelSettings.negative_step`."""
    held_out_share: float = 0.15
    """Scenarios that are not learned from, on which steps are stretched and decisions fitted."""
    lora: LoraSettings = field(
        default_factory=lambda: LoraSettings(learning_rate=1e-3, batch_size=4)
    )


@dataclass(frozen=True)
class UserModelSettings:
    """How the learned user is trained; see `train_user_model`.

    >>> UserModelSettings(epochs=2).lora.batch_size
    1
    """

    epochs: int = 1
    """Passes over the dialogues; each rounds half attitudes anew."""
    adapter_scale: float = 0.7
    """Factor on the chat model's LoRA update after training, 0 (the base) to 1. Below 1 the model
    fits the corpus's persuadees slightly less well and other people better."""
    attitude_regressor: AttitudeRegressorSettings | None = field(
        default_factory=AttitudeRegressorSettings
    )
    """How the attitude regressor is fitted; None for `attitude_model` in its place."""
    attitude_model: AttitudeModelSettings | None = field(default_factory=AttitudeModelSettings)
    """How the linear attitude model is fitted where there is no regressor; None, without a
    regressor, to let the language model write its own attitude."""
    lora: LoraSettings = field(
        default_factory=lambda: LoraSettings(learning_rate=7e-4, batch_size=1)
    )
