"""From a target to a report. Knows the kinds of rules, and none by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import repeat
from pathlib import Path

from validators.budgets.families import find_family
from validators.budgets.templates import find_template
from validators.budgets.text import find_tokenizer
from validators.budgets.vocabulary import embedded
from validators.findings import Finding, Found, Severity
from validators.gallery import Gallery, Stock
from validators.lengths import LossCurve, lengths_of, trials
from validators.llamafactory.batches.gather import BatchGather
from validators.llamafactory.batches.replay import BatchReplay
from validators.llamafactory.batches.words import summary_of
from validators.llamafactory.environment.choose import environment_words
from validators.look import look_at
from validators.model import MediaKind, Outcome
from validators.policy import Policy
from validators.previews.make import with_previews
from validators.probes.cache import ProbeCache
from validators.probes.decoder import audio_decoder_fault
from validators.replay.advice import KnobAdvice, cutoffs, knobs
from validators.replay.budget import Budgeter
from validators.replay.course import Course
from validators.report.model import DatasetSummary, Report
from validators.rules.registry import RULES
from validators.rules.rule import BatchView, DatasetView, Depth, EndView, Rule, RunView, Scope, Stage
from validators.settings import TrainerSettings
from validators.sources.batch import Batch, Census
from validators.sources.flatten import flatten, flatten_rows
from validators.sources.rows import RawRow
from validators.sources.selection import batches, intervals
from validators.sources.target import CheckPlan, DatasetPlan, resolve
from validators.tally import Tally, summarize
from validators.thresholds import Thresholds
from validators.traces.gather import Gather

BATCH_ROWS = 2048


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What the command line can add to a target."""

    template: str | None = None
    model: str | None = None
    tokenizer: str | None = None
    cutoff_len: int | None = None
    media_dir: str | None = None
    environment: str | None = None
    """The environment to predict for: a locked one's name, or `installed`; None for the one that the run will use."""
    policy: Policy = field(default_factory=Policy)
    """What is reported, and as what."""
    depth: Depth = Depth.HEADER
    """How much is read; rules that need more do not run."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    batch_rows: int = BATCH_ROWS
    keep_rows: bool = False
    """Keep every row's prediction in the report: memory then grows with the dataset."""
    advise: bool = False
    """Compute the largest media limits even where nothing is cut."""
    instead: Mapping[Path, Path] = field(default_factory=dict)
    """Changed copies of data files and dataset_info.json, to be read in place of them."""
    previews: int | None = None
    """Keep some rows to show, and how long all are, with previews of at most this many media; None for neither."""
    progress: Callable[[str, int], None] = lambda dataset, rows: None
    """Told after each batch: the dataset's name and how many of its rows have passed."""
    watch: Callable[[BatchView], None] = lambda view: None
    """Shown each batch as the rules see it."""
    processes: int = 1
    """Of the run, over all nodes: each takes batches of its own."""
    plugins: bool = False
    """Judge the run as `curate train` starts it, with this project's plugins beside the trainer."""


def check(target: str | Path, options: CheckOptions | None = None) -> Report:
    """Read a target and judge it.

    Raises UsageFault when the target, or a file that configures it, cannot be read; faults of the data themselves
    are findings. Every rule of the chosen depth runs, whatever is selected: what becomes of a row does not depend on
    what is reported.
    """
    chosen = options or CheckOptions()
    return judge(make_run(str(target), chosen), chosen)


def judge(run: RunView, chosen: CheckOptions) -> Report:
    """Judge all rows of a run."""
    target = run.plan.target
    findings = [finish(rule, found, target, "") for rule in rules_of(run, Scope.RUN) for found in rule.find(run)]
    # a row's finding stops nothing where the row is dropped before: there the outcomes tell
    stops = any(finding.outcome is Outcome.CRASH_LOAD for finding in findings)
    probes = ProbeCache(whole=chosen.depth is Depth.DECODE)
    budgeter = make_budgeter(run, chosen.advise)
    tallies = [Tally(budgets={} if chosen.keep_rows else None) for _ in run.plan.datasets]
    if chosen.previews is not None:
        hang(run, budgeter, tallies)
    ends, summaries = [], []
    gather = Gather(closely=run.depth is Depth.DECODE)
    collated = BatchGather(run, budgeter.family if budgeter is not None else None, chosen.processes, chosen.plugins)
    for end, summary, more in check_datasets(run, budgeter, probes, chosen, tallies, gather, collated):
        ends.append(end)
        summaries.append(summary)
        findings += more
        stops |= Outcome.CRASH_LOAD in summary.outcomes
    replays = collated.replay(tallies)
    for number in seal_batches(replays, tallies):
        summaries[number] = summarize(ends[number].dataset, ends[number].census, tallies[number])
    whole = EndView(run, ends, summaries, gather.traces(), replays)
    last = [finish(rule, found, target, "") for rule in rules_of(run, Scope.END) for found in rule.find(whole)]
    findings += last
    stops |= any(finding.outcome is Outcome.CRASH_LOAD for finding in last)
    settings = run.settings
    slack = settings.slack
    if chosen.previews is not None:
        summaries = with_previews([*map(with_lengths, summaries, tallies, repeat(slack))], chosen.previews)
    totals = [total for tally in tallies for total in tally.totals]
    return Report(
        target=target,
        findings=chosen.policy.applied(findings),
        datasets=tuple(summaries),
        trainer=f"LLaMA-Factory {settings.trainer.llamafactory}",
        environment=environment_words(settings.environment, settings.trainer),
        template=settings.template,
        cutoff_len=settings.cutoff_len,
        cutoffs=tuple(cutoffs(totals, slack)),
        knobs=advise(run, chosen, tallies, probes),
        stops=stops or any(tally.stopped is not None for tally in tallies),
        depth=chosen.depth.value,
        batches=summary_of(replays),
    )


def seal_batches(replays: Sequence[BatchReplay], tallies: Sequence[Tally]) -> set[int]:
    """Give the rows of bad batches their outcome; the datasets that have such, by their place in the plan."""
    touched = set()
    for replay in replays:
        for bad in replay.bad:
            if not replay.repairs(bad.fault):
                for number, row in bad.rows:
                    tallies[number].seal(row, Stage.BATCH, bad.fault.outcome)
                    touched.add(number)
    return touched


def hang(run: RunView, budgeter: Budgeter | None, tallies: list[Tally]) -> None:
    """Let each dataset gather the rows to show."""
    stock, settings = Stock(), run.settings
    for tally in tallies:
        curve = (
            LossCurve(budgeter.masking, settings.slack, trials(settings.cutoff_len)) if budgeter is not None else None
        )
        tally.gallery = Gallery(stock, curve)


def with_lengths(summary: DatasetSummary, tally: Tally, slack: int) -> DatasetSummary:
    """The summary with the lengths of all counted rows."""
    return replace(summary, lengths=lengths_of(tally.totals, slack, tally.gallery.curve if tally.gallery else None))


def rules_of(run: RunView, *scopes: Scope) -> Iterator[Rule]:
    """The rules of these scopes that do not need more than the run reads, in the registry's order."""
    return (rule for rule in RULES if rule.scope in scopes and rule.depth.rank <= run.depth.rank)


def advise(run: RunView, options: CheckOptions, tallies: list[Tally], probes: ProbeCache) -> tuple[KnobAdvice, ...]:
    """The largest media limits, where that was asked or a medium is cut; the latter costs a second pass."""
    if not (options.advise or any(tally.cut_media for tally in tallies)):
        return ()
    budgeter = make_budgeter(run, keep_skeletons=True)
    if budgeter is None:
        return ()
    if not options.advise:
        tallies = [Tally() for _ in run.plan.datasets]
        unwatched = replace(options, watch=lambda view: None)
        list(check_datasets(run, budgeter, probes, unwatched, tallies, None, None))
    return tuple(knobs(budgeter, {skeleton: None for tally in tallies for skeleton in tally.skeletons}))


def make_run(target: str, options: CheckOptions) -> RunView:
    """What is known before the first row: plan, settings, template, tokenizer."""
    overrides = TrainerSettings(
        template=options.template,
        model=options.model,
        tokenizer=options.tokenizer,
        environment=options.environment or "",
    )
    if options.cutoff_len is not None:
        overrides = replace(overrides, cutoff_len=options.cutoff_len)
    return run_of(resolve(target, overrides, options.media_dir, options.instead), options)


def run_of(plan: CheckPlan, options: CheckOptions) -> RunView:
    """What a plan's settings stand for: template and tokenizer."""
    settings = plan.settings
    template = find_template(settings.template) if settings.template is not None else None
    if template is not None and settings.tool_format is not None:
        template = template.with_tool_format(settings.tool_format)
    counts = template is not None and options.depth is not Depth.SHAPE
    counter = find_tokenizer(settings.model, settings.tokenizer) if counts else None
    if template is not None and counts and counter is None:
        counter = embedded(settings.model, template.name)
    if template is not None and counter is not None:
        counter.add_special(template.stop_words)
    hears = any(dataset.entry.media_column(MediaKind.AUDIO) for dataset in plan.datasets)
    fault = audio_decoder_fault() if hears else ""
    return RunView(plan, settings, template, counter, fault, options.depth, options.thresholds)


def check_datasets(
    run: RunView,
    budgeter: Budgeter | None,
    probes: ProbeCache,
    options: CheckOptions,
    tallies: list[Tally],
    gather: Gather | None,
    collated: BatchGather | None,
) -> Iterator[tuple[DatasetView, DatasetSummary, list[Finding]]]:
    """All datasets in the order in which the trainer loads them: those to train on, then those to evaluate with."""
    course = Course(run.settings)
    datasets = run.plan.datasets
    for number, (dataset, tally) in enumerate(zip(datasets, tallies, strict=True)):
        if number and dataset.evaluates is not datasets[number - 1].evaluates:
            course = course.evaluation()
        last = number + 1 == len(datasets) or datasets[number + 1].evaluates is not dataset.evaluates
        course.begin(dataset.num_samples is not None, last)
        if collated is not None:
            collated.begin(number, dataset)
        yield check_dataset(run, dataset, budgeter, probes, options, tally, course, gather, collated)


def check_dataset(
    run: RunView,
    dataset: DatasetPlan,
    budgeter: Budgeter | None,
    probes: ProbeCache,
    options: CheckOptions,
    tally: Tally,
    course: Course,
    gather: Gather | None,
    collated: BatchGather | None,
) -> tuple[DatasetView, DatasetSummary, list[Finding]]:
    """One pass over one dataset's rows; counts go to `tally`."""
    census = Census()
    findings: list[Finding] = []
    loader = dataset.loader()
    if gather is not None:
        gather.begin(dataset, loader)
    wanted = intervals(dataset, run.settings.max_samples, course.draw)
    for part in batches(loader, wanted, options.batch_rows, census):
        view = look_at(run, dataset, flatten(part, dataset.entry, census), probes, budgeter)
        course.see(view)
        options.watch(view)
        if gather is not None:
            gather.see(view)
        if collated is not None:
            collated.see(view)
        tally.leave_out(view)
        for budget in view.budgets:
            tally.add(budget, run.settings.effective_cutoff)
        reported = len(findings)
        report(view, (Scope.ROW, Scope.MEDIA), part.path, dataset, tally, findings, part.start - part.first)
        if tally.gallery is not None:
            tally.gallery.see(view, part.path, part.start - part.first, findings[reported:])
        options.progress(dataset.entry.name, census.rows)
    census.load_faults += course.faults(census, loader.locate)
    end = DatasetView(run, dataset, census, loader.source_faults, tally.uncounted)
    report(end, (Scope.DATASET,), dataset.files[0], dataset, tally, findings)
    findings.sort(key=lambda item: -1 if item.place.row is None else item.place.row)
    return end, summarize(dataset, census, tally), findings


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row's findings and what becomes of it."""

    findings: tuple[Finding, ...]
    outcome: Outcome


def judge_values(
    run: RunView, dataset: DatasetPlan, values: Sequence[object], probes: ProbeCache, budgeter: Budgeter | None
) -> list[Verdict]:
    """Rows by themselves, out of their file: what the rules of rows and media say of each."""
    census = Census()
    census.columns.update(name for name in dataset.entry.columns.values() if name)
    rows = [RawRow(number, 0, value) for number, value in enumerate(values)]
    findings, tally = judge_batch(run, dataset, flatten_rows(rows, dataset.entry, census), probes, budgeter)
    of_row: dict[int | None, list[Finding]] = {}
    for finding in findings:
        of_row.setdefault(finding.place.row, []).append(finding)
    return [Verdict(tuple(of_row.get(row.row, ())), tally.fate(row.row)) for row in rows]


def judge_batch(
    run: RunView, dataset: DatasetPlan, batch: Batch, probes: ProbeCache, budgeter: Budgeter | None
) -> tuple[list[Finding], Tally]:
    """What the rules of rows and media say of a batch by itself, and what becomes of its rows."""
    tally = Tally()
    findings: list[Finding] = []
    view = look_at(run, dataset, batch, probes, budgeter)
    report(view, (Scope.ROW, Scope.MEDIA), dataset.files[0], dataset, tally, findings)
    return findings, tally


def report(
    view: BatchView | DatasetView,
    scopes: tuple[Scope, ...],
    path: Path,
    dataset: DatasetPlan,
    tally: Tally,
    findings: list[Finding],
    shift: int = 0,
) -> None:
    """Run the rules of these scopes, keep their findings and seal the fates of their rows.

    shift: the number, in the dataset, of the file's first row; findings name the row in its file.
    """
    for rule in rules_of(view.run, *scopes):
        for found in rule.find(view):
            finding = finish(rule, found, str(path), dataset.entry.name)
            row = finding.place.row
            if rule.scope is Scope.DATASET:
                tally.stop(rule.stage, finding.outcome)
            elif finding.outcome is not None and row is not None:
                tally.seal(row, rule.stage, finding.outcome)
            if row is not None and (shift or isinstance(view, BatchView)):
                line = view.line(row) if isinstance(view, BatchView) else None
                finding = replace(finding, place=replace(finding.place, row=row - shift, line=line))
            findings.append(finding)


def make_budgeter(run: RunView, keep_skeletons: bool) -> Budgeter | None:
    """The token counter for the run's template; None without one, or where the depth asks for no lengths."""
    if run.template is None or run.depth is Depth.SHAPE:
        return None
    family = find_family(run.template, run.settings, run.counter)
    return Budgeter(run.template, run.settings, run.counter, family, keep_skeletons)


@cache
def ordinary_cure(rule: Rule) -> str:
    """What the rule's page says to do, as a finding words it; nothing for notes, which ask for nothing."""
    if rule.severity is Severity.NOTE:
        return ""
    advice = " ".join(rule.page.partition("## Fix")[2].split()).removesuffix(".")
    return advice[:1].lower() + advice[1:]


def finish(rule: Rule, found: Found, file: str, dataset: str) -> Finding:
    """A rule's words with its code, severity and file."""
    return Finding(
        code=rule.code,
        name=rule.name,
        severity=rule.severity,
        file=found.file or file,
        dataset=found.dataset or dataset,
        place=found.place,
        found=found.found,
        expected=found.expected,
        cure=found.cure or ordinary_cure(rule),
        outcome=found.outcome or rule.outcome,
    )
