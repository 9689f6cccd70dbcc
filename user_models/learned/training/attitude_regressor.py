"""Fits the attitude regressor (`user_models.learned.attitude_regressor`), end to end.

A LoRA adapter and a linear map of the hidden state learn, by squared error,

- the recorded step after each persuader turn of a dialogue, all of them in one forward pass;
- a small loss of attitude after turns that give no reason
  (`user_models.learned.training.examples.negative_turn`), drawn anew in each epoch and packed into
  their dialogue's row (`user_models.learned.training.packed_rows`).

Some scenarios are held out. On them the predictions are stretched until steps vary as much
as recorded ones, the decision is fitted, and the fit is measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from persuade_env.dialogue import Dialogue, PersuadeeTurn, PersuaderTurn, ScenarioRecord
from persuade_env.llm.builtin_model import EMBEDDED
from persuade_env.llm.loading import load_merged, load_model, load_tokenizer
from persuade_env.llm.precision import training_dtype
from persuade_env.llm.training.lora import lora_config
from persuade_env.llm.training.schedule import warm_cosine
from persuade_env.seeding import derive_seed, generator
from user_models.learned.attitude_regressor import ADAPTER, AttitudeRegressor
from user_models.learned.encoder import TurnEncoder
from user_models.learned.features import has_concerns
from user_models.learned.training.attitude_model import check_records, usable_records
from user_models.learned.training.config import AttitudeRegressorSettings
from user_models.learned.training.decision_model import fit_decision_model
from user_models.learned.training.examples import TrainingExample, until
from user_models.learned.training.packed_rows import Row, attends, training_row
from user_models.querying import Progress


class StepRegression:
    """A language model's first layers with an adapter, and a linear map of their output.

    Args:
        model: the base model, in training format; it is changed.
        depth: layers that are used.
        rank: of the adapter.
    """

    def __init__(self, model: Any, depth: int, rank: int) -> None:
        import torch
        from peft import get_peft_model

        config = lora_config(rank)
        config.layers_to_transform = list(range(depth))
        self.depth = depth
        self.adapted = get_peft_model(model, config)
        self._body: Any = self.adapted.get_base_model().get_decoder()
        # Layers after `depth` would be computed for nothing.
        self._body.layers = self._body.layers[:depth]
        self._body.norm = torch.nn.Identity()
        size = model.config.get_text_config().hidden_size
        self.head = torch.nn.Linear(size, 1, device=model.device)
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)
        self._length = math.sqrt(size)

    def __call__(self, row: Row) -> Any:
        """The predicted steps, (number of places read,)."""
        import torch

        device = self.head.weight.device
        hidden = self._body(
            input_ids=torch.tensor([row.ids], device=device),
            position_ids=torch.tensor([row.positions], device=device),
            attention_mask=attends(row)[None, None].to(device),
            use_cache=False,
        ).last_hidden_state[0, list(row.read)]
        states = torch.nn.functional.normalize(hidden.float(), dim=-1)
        # Inputs of the size that a normalized layer has, so that the map learns as fast as it.
        return self.head(states * self._length)[:, 0]

    def linear(self) -> tuple[tuple[float, ...], float]:
        """Weights of a hidden state of length 1, and the intercept."""
        weights = self.head.weight[0].detach().double().cpu().numpy() * self._length
        return tuple(weights.tolist()), float(self.head.bias[0].detach())

    def parameters(self) -> list[Any]:
        """What is trained."""
        adapter = [weight for weight in self.adapted.parameters() if weight.requires_grad]
        return [*adapter, *self.head.parameters()]


def fit_attitude_regressor(
    records: Sequence[ScenarioRecord],
    folder: Path,
    seed: int,
    *,
    base: str = EMBEDDED,
    settings: AttitudeRegressorSettings | None = None,
    progress: Progress = lambda _: None,
) -> AttitudeRegressor:
    """Fits a regressor to the steps and decisions in `records`; its adapter goes to `folder`.

    Args:
        records: at least two scenarios with a persona with concerns and dialogues with attitudes.
        folder: of the user model's checkpoint.
        seed: of the split, the negative examples, the order and the adapter's first weights.
        base: name or path of the model.
        settings: of the fit.
        progress: called with the number of dialogues just learned from.

    Raises:
        UserModelError: as `check_records`.
    """
    import torch

    check_records(records)
    records = usable_records(records)
    settings = settings or AttitudeRegressorSettings()
    tokenizer = load_tokenizer(base)
    held_out, train = _split(records, settings.held_out_share, seed)
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(seed, "adapter") % 2**32)
        model = load_model(base, dtype=training_dtype())
        layers = model.config.get_text_config().num_hidden_layers
        # Below all of them: transformers gives the states after the last layer normalized.
        depth = max(1, min(round(settings.depth * layers), layers - 1))
        regression = StepRegression(model, depth, settings.lora.rank)
        _train(regression, train, tokenizer, settings, seed, progress)
    adapter = folder / ADAPTER
    regression.adapted.save_pretrained(adapter)
    weights, intercept = regression.linear()
    encoder = TurnEncoder(load_merged(base, [adapter]), tokenizer, depth=regression.depth)
    return calibrate(regression.depth, weights, intercept, held_out, encoder)


def _endings(records: Sequence[ScenarioRecord]) -> set[str]:
    """The decisions that occur in these records."""
    return {
        turn.decision.value
        for record in records
        for recorded in record.dialogues
        for turn in recorded.turns
        if isinstance(turn, PersuadeeTurn)
    }


def _split(
    records: Sequence[ScenarioRecord], share: float, seed: int
) -> tuple[list[ScenarioRecord], list[ScenarioRecord]]:
    """Held-out scenarios and the others, at least one of each.

    More than the share are held out, at most half, until every decision of `records` occurs.
    """
    order = generator(derive_seed(seed, "held out")).permutation(len(records)).tolist()
    count, most = max(1, round(share * len(records))), max(1, len(records) // 2)
    decisions = _endings(records)
    while count < most and _endings([records[index] for index in order[:count]]) < decisions:
        count += 1
    chosen = set(order[: min(count, most)])
    held_out = [record for index, record in enumerate(records) if index in chosen]
    return held_out, [record for index, record in enumerate(records) if index not in chosen]


def _train(
    regression: StepRegression,
    records: Sequence[ScenarioRecord],
    tokenizer: Any,
    settings: AttitudeRegressorSettings,
    seed: int,
    progress: Progress,
) -> None:
    import torch

    places = [(record, recorded) for record in records for recorded in record.dialogues]
    turns = [
        (record.id, turn)
        for record, recorded in places
        for turn in recorded.turns
        if isinstance(turn, PersuaderTurn)
    ]
    foreign = {
        record.id: [turn for scenario, turn in turns if scenario != record.id] for record in records
    }
    lora = settings.lora
    steps = settings.epochs * math.ceil(len(places) / lora.batch_size)
    if lora.max_steps > 0:
        steps = min(steps, lora.max_steps)
    parameters = regression.parameters()
    optimizer = torch.optim.AdamW(parameters, lr=lora.learning_rate, weight_decay=0.0)
    warmup = max(1, round(lora.warmup_share * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, partial(warm_cosine, steps=steps, warmup=warmup)
    )
    done = 0
    for epoch in range(settings.epochs):
        rng = generator(derive_seed(seed, "epoch", epoch))
        order = rng.permutation(len(places))
        for start in range(0, len(places), lora.batch_size):
            if done == steps:
                return
            batch = [places[index] for index in order[start : start + lora.batch_size]]
            for record, recorded in batch:
                row = training_row(record, recorded, foreign[record.id], tokenizer, rng, settings)
                if row is not None:
                    targets = torch.tensor(row.targets, device=regression.head.weight.device)
                    weights = torch.tensor(row.weights, device=targets.device)
                    errors = weights * (regression(row) - targets) ** 2
                    (errors.sum() / weights.sum() / len(batch)).backward()
                progress(1)
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            done += 1


def calibrate(
    depth: int,
    weights: tuple[float, ...],
    intercept: float,
    records: Sequence[ScenarioRecord],
    encoder: TurnEncoder,
) -> AttitudeRegressor:
    """The regressor with its decision and measures of its fit, from held-out scenarios.

    A regression's predictions vary less than its targets, so that no user would ever be won or
    lost: they are stretched about their mean to the recorded mean and spread.
    """
    examples, dialogues = _recorded(records)
    fitted = AttitudeRegressor(
        depth=depth,
        weights=weights,
        intercept=intercept,
        ending_classes=("continue",),
        ending_weights=((0.0,) * 4,),
        ending_intercepts=(0.0,),
    )
    predicted = fitted.step(encoder(dialogues))
    recorded = np.asarray([example.step for example in examples])
    spread = float(predicted.std())
    stretch = min(max(float(recorded.std()) / spread, 1.0), _MAX_STRETCH) if spread > 0 else 1.0
    calibrated = fitted.model_copy(
        update={
            "weights": tuple(stretch * weight for weight in weights),
            "intercept": float(recorded.mean() + stretch * (intercept - predicted.mean())),
        }
    )
    steps = calibrated.step(encoder(dialogues))
    classes, coefficients, intercepts = fit_decision_model(examples, steps)
    median_errors = np.abs(recorded - np.median(recorded))
    correlation = float(np.corrcoef(steps, recorded)[0, 1]) if spread > 0 else 0.0
    return calibrated.model_copy(
        update={
            "ending_classes": tuple(classes),
            "ending_weights": tuple(tuple(float(w) for w in row) for row in coefficients),
            "ending_intercepts": tuple(float(value) for value in intercepts),
            "fit": {
                "held_out_scenarios": float(len({example.scenario for example in examples})),
                "turns": float(len(examples)),
                "step_correlation": correlation,
                "step_mean_absolute_error": float(np.abs(steps - recorded).mean()),
                "step_mean_absolute_error_unstretched": float(np.abs(predicted - recorded).mean()),
                "step_mean_absolute_error_of_the_median": float(median_errors.mean()),
                "stretch": stretch,
            },
        }
    )


_MAX_STRETCH = 2.0
"""A model that predicts almost nothing must not be blown up to people's spread."""


def _recorded(
    records: Sequence[ScenarioRecord],
) -> tuple[list[TrainingExample], list[Dialogue]]:
    """Every recorded persuader turn with its effect, and the dialogue up to it."""
    examples, dialogues = [], []
    for record in records:
        for recorded in record.dialogues:
            whole = record.dialogue(recorded)
            attitude = whole.scenario.initial_attitude
            persona = whole.scenario.persona
            for index, turn in enumerate(whole.turns):
                if not isinstance(turn, PersuadeeTurn) or turn.attitude is None or not index:
                    continue
                if persona is None or not has_concerns(whole):
                    continue
                dialogue = until(whole, index)
                examples.append(
                    TrainingExample(
                        scenario=record.id,
                        dialogue=recorded.id,
                        poor=not recorded.is_good(dialogue.persuader_turns[-1]),
                        features=np.empty(0),
                        encoded_turn=np.empty(0),
                        step=turn.attitude - attitude,
                        decision=turn.decision,
                        initial_attitude=whole.scenario.initial_attitude,
                        stubbornness=persona.stubbornness,
                    )
                )
                dialogues.append(dialogue)
                attitude = turn.attitude
    return examples, dialogues
