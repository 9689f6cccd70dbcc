"""`persuade fidelity` and `persuade perplexity`: whether a user model is like people."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from experiments.cli.options import RUNS, OfRun, ScenarioFile, Seed, Split, names_in
from experiments.common.console import out, quiet_libraries
from persuade_env.errors import RunError


def fidelity(
    user_model: Annotated[
        str,
        typer.Option(
            help="concerns, learned or held-out (of --run), learned=FOLDER, prompted=MODEL, "
            "module:attribute."
        ),
    ] = "learned",
    split: Split = "test",
    scenarios: ScenarioFile = None,
    run_folder: OfRun = RUNS / "default",
    folder: Annotated[Path, typer.Option("--out", help="Where the report goes.")] = RUNS
    / "fidelity",
    ctompersu: Annotated[
        Path | None, typer.Option(help="CToMPersu's file: likelihood and turns on it, too.")
    ] = None,
    persuasion_for_good: Annotated[
        Path | None,
        typer.Option(help="PersuasionForGood's folder: the same, and whether people gave."),
    ] = None,
    attitude_only_report: Annotated[
        bool,
        typer.Option(
            "--without-words",
            help="A learned user's attitude model alone: minutes less, and nothing about words.",
        ),
    ] = False,
    without_attitude: Annotated[
        bool,
        typer.Option(
            "--without-attitude",
            "--without-mind",
            help="What it says alone: likelihood, turns and outcomes, the other part of a report.",
        ),
    ] = False,
    persuader: Annotated[
        str | None,
        typer.Option(
            help="An agent, such as sft (of --run): whether its turns make sense, beside the "
            "user's."
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            min=2,
            help="Scenarios in which the attitude model is probed; ten turns for each show "
            "whether the words make sense.",
        ),
    ] = 12,
    compare_to: Annotated[
        Path | None,
        typer.Option(
            "--compare-to",
            "--beside",
            help="Folder of another user's report, such as the untuned model's: a column.",
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Whether a user model can be trusted: its answers where it is known what people do."""
    from experiments.common import resolve
    from experiments.common.measures import (
        ReferenceReport,
        ReportSection,
        measures_table,
        write_measures,
    )
    from experiments.common.progress import counting_bar
    from experiments.fidelity.language_measures import realism
    from experiments.fidelity.probes.replay import attitude_only
    from experiments.fidelity.report import fidelity_report
    from experiments.fidelity.sense import (
        CONTEXTS_PER_SCENARIO,
        PERSUADER,
        USER,
        sense_of_persuader,
        sense_of_user,
    )
    from persuade_env import scenarios as files
    from persuade_env.registry import load_persuader, load_user_model

    quiet_libraries()
    if attitude_only_report and without_attitude:
        raise RunError("--without-words and --without-attitude together leave nothing to measure")
    source = str(scenarios) if scenarios else split
    asked = {"scenarios": source, "limit": limit, "seed": seed}
    other = ReferenceReport.read(compare_to, asked) if compare_to else None
    records = files.load_source(scenarios, split)
    public = (
        files.load(ctompersu, "ctompersu") if ctompersu else None,
        files.load(persuasion_for_good, "persuasion_for_good") if persuasion_for_good else None,
    )
    model = load_user_model(resolve.resolve_user_spec(run_folder, user_model))
    agent = resolve.resolve_agent_spec(run_folder, persuader) if persuader else None
    if agent is not None:
        resolve.validate_resolved_agent(agent)
    if attitude_only_report:
        model = attitude_only(model, records)
    with counting_bar("fidelity", None, "reply") as progress:
        measures = (
            []
            if without_attitude
            else fidelity_report(model, records, seed=seed, limit=limit, progress=progress)
        )
        part = ReportSection(())
        if not attitude_only_report:
            part = realism(
                model,
                records,
                seed=seed,
                ctompersu=public[0],
                persuasion_for_good=public[1],
                progress=progress,
            )
            measures += sense_of_user(
                model,
                records,
                limit=CONTEXTS_PER_SCENARIO * limit,
                seed=seed,
                progress=partial(progress, USER),
            )
        if agent is not None:
            measures += sense_of_persuader(
                load_persuader(agent),
                records,
                limit=CONTEXTS_PER_SCENARIO * limit,
                seed=seed,
                progress=partial(progress, PERSUADER),
            )
    measures = [*measures, *part.measures]
    place = folder / re.sub(r"[^\w-]+", "-", user_model)
    write_measures(
        measures,
        place,
        {
            "user_model": user_model,
            **asked,
            **({"persuader": persuader} if persuader else {}),
            "words": not attitude_only_report,
            "mind": not without_attitude,
        },
        histograms=part.histograms,
        reliability=part.reliability,
        reference=other,
    )
    title = f"{user_model} on {len(records)} scenarios of {source}"
    out.print(measures_table(measures, title, other))
    failed = sum(one.passed is False for one in measures)
    out.print(f"{failed} of {sum(one.passed is not None for one in measures)} thresholds missed")
    out.print(f"report: {place / 'card.md'}", soft_wrap=True, highlight=False)


def perplexity_of(
    user_models: Annotated[
        str,
        typer.Option(
            help="Comma-separated: learned and held-out (of --run), learned=FOLDER; unseen, which "
            "`persuade train unseen` trains without a third of the domains; untuned, the "
            "model that they were trained from; unigram, word frequencies of the corpus; "
            "copy-last, these mixed with the persuader's last words."
        ),
    ] = "learned,untuned,unigram,copy-last",
    file: Annotated[
        Path | None, typer.Argument(help="Recorded dialogues; the corpus's --split by default.")
    ] = None,
    format: Annotated[str, typer.Option(help="Of the file.")] = "persuade_env",
    split: Split = "test",
    limit: Annotated[int, typer.Option(min=1, help="Scenarios, spread over the file.")] = 100,
    run_folder: OfRun = RUNS / "default",
    by_domain: Annotated[bool, typer.Option("--by-domain", help="A row for each domain.")] = False,
) -> None:
    """How well learned users foresee what recorded persuadees said; lower is better."""
    from experiments.common.progress import progress_bar
    from experiments.common.storage import read_json
    from experiments.fidelity.perplexity import (
        domain_perplexities,
        likelihoods,
        perplexity,
        perplexity_table,
        sample,
        unseen_table,
    )
    from experiments.pipeline.data import DOMAINS
    from persuade_env import scenarios as files

    quiet_libraries()
    records = sample(files.load(file, format) if file else files.load_corpus(split), limit)
    dialogues = sum(len(record.dialogues) for record in records)
    columns = {}
    known = {}
    for name in names_in(user_models):
        with progress_bar(name, dialogues, "dialogue") as bar:
            known[name] = likelihoods(name, run_folder, records, bar.update)
        found = perplexity(known[name])
        columns[name] = domain_perplexities(known[name], records) if by_domain else {}
        out.print(
            f"{name}: perplexity {found.estimate}, {found.scenarios} scenarios, "
            f"{found.tokens} tokens",
            highlight=False,
            markup=False,
        )
    if by_domain:
        out.print(perplexity_table(columns))
    if "unseen" in known:
        domains = read_json(run_folder / "unseen" / DOMAINS) or []
        out.print(unseen_table(known, records, frozenset(domains)))
