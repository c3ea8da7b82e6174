"""From a target to a report. Knows the kinds of rules, and none by name."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path

import polars as pl

from validators.budgets.families import find_family
from validators.budgets.templates import find_template
from validators.budgets.text import find_tokenizer
from validators.budgets.vocabulary import embedded
from validators.errors import UsageFault
from validators.findings import Finding, Found
from validators.model import MediaKind, Outcome, Role
from validators.probes.cache import ProbeCache, file_of
from validators.probes.decoder import audio_decoder_fault
from validators.probes.facts import Health, MediaFacts, facts_schema, of_frames
from validators.replay.advice import KnobAdvice, cutoffs, knobs
from validators.replay.align import misplaced, tag_balance, turn_counts
from validators.replay.budget import Budgeter, Conversation, RowBudget, Skeleton
from validators.replay.course import Course
from validators.report.model import DatasetSummary, Report, RowPrediction
from validators.rules.registry import RULES
from validators.rules.rule import BatchView, DatasetView, Rule, RunView, Scope, Stage, View
from validators.settings import TrainerSettings, trainer_version
from validators.sources.batch import Batch, Census
from validators.sources.flatten import flatten
from validators.sources.selection import batches, intervals
from validators.sources.target import DatasetPlan, resolve

BATCH_ROWS = 2048
MAX_SKELETONS = 50_000  # distinct rows with media that advice is computed from: about 50 MB
STAGES = list(Stage)
ENDING = frozenset([Outcome.DROPPED, Outcome.CRASH_STEP, Outcome.CRASH_LOAD])


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What the command line can add to a target."""

    template: str | None = None
    model: str | None = None
    tokenizer: str | None = None
    cutoff_len: int | None = None
    media_dir: str | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    batch_rows: int = BATCH_ROWS
    keep_rows: bool = False
    """Keep every row's prediction in the report: memory then grows with the dataset."""
    advise: bool = False
    """Compute the largest media limits even where nothing is cut."""


@dataclass(slots=True)
class Tally:
    """What is counted while one dataset passes."""

    fates: dict[int, tuple[int, Outcome]] = field(default_factory=dict)
    """Rows that do not train whole: the stage that seals it, and the outcome."""
    uncounted: Counter[str] = field(default_factory=Counter)
    counted: int = 0
    tokens: int = 0
    media: int = 0
    supervised: int = 0
    longest: int = 0
    longest_row: int | None = None
    totals: array[int] = field(default_factory=lambda: array("I"))
    """Tokens of each counted row before truncation."""
    skeletons: dict[Skeleton, None] = field(default_factory=dict)
    """Distinct rows with media, at most MAX_SKELETONS."""
    cut_media: bool = False
    stopped: int | None = None
    """The earliest stage at which a fault of the whole file or entry stops the run: the fate of all rows that have not
    ended before."""
    budgets: dict[int, RowBudget] | None = None

    def seal(self, row: int, stage: Stage, outcome: Outcome) -> None:
        """What ends a row's way decides, at the earliest stage; else the worst of what is done to it on its way.

        Within one stage the worst outcome counts.
        """
        place = STAGES.index(stage)
        known = self.fates.get(row)
        if known is None:
            self.fates[row] = (place, outcome)
            return
        ends, ended = outcome in ENDING, known[1] in ENDING
        if ends and ended and place != known[0]:
            replaces = place < known[0]
        elif ends is not ended:
            replaces = ends
        else:
            replaces = worse(outcome, known[1])
        if replaces:
            self.fates[row] = (place, outcome)

    def stop(self, stage: Stage, outcome: Outcome | None) -> None:
        """Note a fault of the whole dataset."""
        if outcome is Outcome.CRASH_LOAD:
            place = STAGES.index(stage)
            self.stopped = place if self.stopped is None else min(self.stopped, place)

    def leave_out(self, view: BatchView) -> None:
        """Note rows with media of a form that is not read."""
        rows = view.media.filter(pl.col("health") == Health.EMBEDDED.value)["row"].n_unique()
        if rows and view.run.template is not None:
            self.uncounted["their media are inside the data, in a form that is not read"] += rows

    def fate(self, row: int) -> Outcome:
        """What becomes of a row."""
        place, outcome = self.fates.get(row, (len(STAGES), Outcome.TRAINED))
        if self.stopped is None or (outcome in ENDING and place < self.stopped):
            return outcome
        return Outcome.CRASH_LOAD

    def add(self, budget: RowBudget, cutoff: int) -> None:
        """Count one row's tokens; a bound that fits the cutoff is as good as a count for the row's fate."""
        if self.budgets is not None:
            self.budgets[budget.row] = budget
        if not budget.exact:
            if budget.unknown:
                self.uncounted[budget.unknown] += 1
            elif not budget.error and budget.tokens > cutoff:
                self.uncounted["no tokenizer, and the bound by bytes does not fit cutoff_len"] += 1
            return
        self.counted += 1
        self.totals.append(budget.tokens)
        self.cut_media |= bool(budget.kept.media)
        if budget.skeleton is not None and len(self.skeletons) < MAX_SKELETONS:
            self.skeletons[budget.skeleton] = None
        self.tokens += budget.tokens
        self.media += budget.media
        self.supervised += budget.kept.supervised
        if budget.tokens > self.longest:
            self.longest, self.longest_row = budget.tokens, budget.row


def worse(left: Outcome, right: Outcome) -> bool:
    """Whether left is worse than right, in the enum's order."""
    order = list(Outcome)
    return order.index(left) > order.index(right)


def check(target: str | Path, options: CheckOptions | None = None) -> Report:
    """Read a target and judge it.

    Raises UsageFault when the target, or a file that configures it, cannot be read; faults of the data themselves
    are findings. Every rule runs, whatever is selected: what becomes of a row does not depend on what is reported.
    """
    chosen = options or CheckOptions()
    wanted = selected(chosen.select, chosen.ignore)
    run = make_run(str(target), chosen)
    findings = [
        finish(rule, found, str(target), "") for rule in RULES if rule.scope is Scope.RUN for found in rule.find(run)
    ]
    probes = ProbeCache()
    budgeter = make_budgeter(run, chosen.advise)
    tallies = [Tally(budgets={} if chosen.keep_rows else None) for _ in run.plan.datasets]
    summaries = []
    for summary, more in check_datasets(run, budgeter, probes, chosen.batch_rows, tallies):
        summaries.append(summary)
        findings += more
    settings = run.settings
    totals = [total for tally in tallies for total in tally.totals]
    return Report(
        target=str(target),
        findings=tuple(finding for finding in findings if finding.code in wanted),
        datasets=tuple(summaries),
        trainer=f"LLaMA-Factory {trainer_version()}",
        template=settings.template,
        cutoff_len=settings.cutoff_len,
        cutoffs=tuple(cutoffs(totals, settings.cutoff_len - settings.effective_cutoff)),
        knobs=advise(run, chosen, tallies, probes),
    )


def advise(run: RunView, options: CheckOptions, tallies: list[Tally], probes: ProbeCache) -> tuple[KnobAdvice, ...]:
    """The largest media limits, where that was asked or a medium is cut; the latter costs a second pass."""
    budgeter = make_budgeter(run, keep_skeletons=True)
    if budgeter is None or not (options.advise or any(tally.cut_media for tally in tallies)):
        return ()
    if not options.advise:
        tallies = [Tally() for _ in run.plan.datasets]
        list(check_datasets(run, budgeter, probes, options.batch_rows, tallies))
    return tuple(knobs(budgeter, {skeleton: None for tally in tallies for skeleton in tally.skeletons}))


def make_run(target: str, options: CheckOptions) -> RunView:
    """What is known before the first row: plan, settings, template, tokenizer."""
    overrides = TrainerSettings(template=options.template, model=options.model, tokenizer=options.tokenizer)
    if options.cutoff_len is not None:
        overrides = replace(overrides, cutoff_len=options.cutoff_len)
    plan = resolve(target, overrides, options.media_dir)
    settings = plan.settings
    template = find_template(settings.template) if settings.template is not None else None
    if template is not None and settings.tool_format is not None:
        template = template.with_tool_format(settings.tool_format)
    counter = find_tokenizer(settings.model, settings.tokenizer) if template is not None else None
    if template is not None and counter is None:
        counter = embedded(settings.model, template.name)
    if template is not None and counter is not None:
        counter.add_special(template.stop_words)
    hears = any(dataset.entry.media_column(MediaKind.AUDIO) for dataset in plan.datasets)
    return RunView(plan, settings, template, counter, audio_decoder_fault() if hears else "")


def check_datasets(
    run: RunView, budgeter: Budgeter | None, probes: ProbeCache, batch_rows: int, tallies: list[Tally]
) -> Iterator[tuple[DatasetSummary, list[Finding]]]:
    """All datasets in the order in which the trainer loads them: those to train on, then those to evaluate with."""
    course = Course(run.settings)
    datasets = run.plan.datasets
    for number, (dataset, tally) in enumerate(zip(datasets, tallies, strict=True)):
        if number and dataset.evaluates is not datasets[number - 1].evaluates:
            course = course.evaluation()
        last = number + 1 == len(datasets) or datasets[number + 1].evaluates is not dataset.evaluates
        course.begin(dataset.num_samples is not None, last)
        yield check_dataset(run, dataset, budgeter, probes, batch_rows, tally, course)


def check_dataset(
    run: RunView,
    dataset: DatasetPlan,
    budgeter: Budgeter | None,
    probes: ProbeCache,
    batch_rows: int,
    tally: Tally,
    course: Course,
) -> tuple[DatasetSummary, list[Finding]]:
    """One pass over one dataset's rows; counts go to `tally`."""
    census = Census()
    findings: list[Finding] = []
    loader = dataset.loader()
    wanted = intervals(dataset, run.settings.max_samples, course.draw)
    for part in batches(loader, wanted, batch_rows, census):
        view = look_at(run, dataset, flatten(part, dataset.entry, census), probes, budgeter)
        course.see(view)
        tally.leave_out(view)
        for budget in view.budgets:
            tally.add(budget, run.settings.effective_cutoff)
        report(view, (Scope.ROW, Scope.MEDIA), part.path, dataset, tally, findings, part.start - part.first)
    census.load_faults += course.faults(census, loader.locate)
    end = DatasetView(run, dataset, census, loader.source_faults, tally.uncounted)
    report(end, (Scope.DATASET,), dataset.files[0], dataset, tally, findings)
    findings.sort(key=lambda item: -1 if item.place.row is None else item.place.row)
    return summarize(dataset, census, tally), findings


def report(
    view: View,
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
    for rule in RULES:
        if rule.scope in scopes:
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


def look_at(
    run: RunView, dataset: DatasetPlan, batch: Batch, probes: ProbeCache, budgeter: Budgeter | None
) -> BatchView:
    """Everything that rules may want to know of a batch."""
    facts, media = probe(batch, dataset.media_dir, probes, run.settings)
    view = BatchView(
        run,
        dataset,
        batch,
        media,
        misplaced(batch, dataset.entry),
        turn_counts(batch),
        tag_balance(batch),
        (),
    )
    if budgeter is None:
        return view
    return replace(view, budgets=tuple(budgeter.count(list(conversations(view, facts, budgeter.takes)))))


def probe(
    batch: Batch, media_dir: Path, probes: ProbeCache, settings: TrainerSettings
) -> tuple[list[MediaFacts], pl.DataFrame]:
    """The facts of each media entry, as objects and as columns beside the entries.

    For a list of frames, the path beside it is that of the first frame that is not well.
    """
    facts: list[MediaFacts] = []
    outside: list[bool] = []
    shown: list[str | None] = []
    for row, name, slot, path in batch.media.select("row", "kind", "slot", "path").iter_rows():
        paths: tuple[str, ...] = (path,) if path is not None else ()
        if path is None and name == MediaKind.VIDEO.value:
            paths = batch.frames.get((row, slot), ())
        kind = MediaKind.IMAGE if path is None else MediaKind(name)
        found = [probes.facts(kind, each, media_dir) for each in paths]
        data = batch.inside.get((row, name, slot))
        if path is not None:
            facts.append(found[0])
        elif data is not None:
            facts.append(probes.facts_inside(MediaKind(name), data))
        else:
            facts.append(of_frames(found, settings) if found else MediaFacts(Health.EMBEDDED))
        sick = (each for each, fact in zip(paths, found, strict=True) if fact.health is not Health.OK)
        shown.append(path if path is not None else next(sick, None))
        outside.append(any(probes.is_outside(file_of(each, kind), media_dir) for each in paths))
    columns = pl.DataFrame(
        {name: [getattr(fact, name) for fact in facts] for name in facts_schema().names()},
        schema=facts_schema(),
    )
    listed = [(row, slot) in batch.frames for row, slot in batch.media.select("row", "slot").iter_rows()]
    beside = batch.media.with_columns(
        pl.Series("path", shown, dtype=pl.String), pl.Series("listed", listed, pl.Boolean)
    )
    return facts, beside.hstack(columns).with_columns(pl.Series("outside", outside, dtype=pl.Boolean))


def conversations(view: BatchView, facts: list[MediaFacts], takes: frozenset[Health]) -> Iterator[Conversation]:
    """The rows that reach the tokenizer: readable, in order, tags in balance, every file in a state that it takes."""
    sound = view.turn_counts.filter((pl.col("n") > 0) & (pl.col("n") % 2 == 0))
    sound = sound.join(view.misplaced, on="row", how="anti")
    template = view.run.template
    if template is not None and template.takes_media:
        unequal = view.tag_balance.filter(pl.col("tags") != pl.col("entries"))
        sound = sound.join(unequal, on="row", how="anti")
    faulty = {fault.row for fault in view.batch.faults}
    refused = [kind.value for kind in MediaKind if template is not None and not template.accepts(kind)]
    healthy = pl.col("health").is_in([health.value for health in takes])
    sick = view.media.filter(~healthy | pl.col("kind").is_in(refused))
    rows = set(sound.join(sick, on="row", how="anti")["row"]) - faulty
    media: dict[int, dict[MediaKind, list[MediaFacts]]] = {}
    for (row, kind), fact in zip(view.media.select("row", "kind").iter_rows(), facts, strict=True):
        if row in rows:
            media.setdefault(row, {}).setdefault(MediaKind(kind), []).append(fact)
    tools = dict(view.batch.rows.select("row", "tools").iter_rows())
    turns = view.batch.turns.select("row", "turn", "canon", "content", "system").iter_rows()
    for row, group in groupby(turns, key=itemgetter(0)):
        if row in rows:
            system = ""
            spoken: list[tuple[int, Role, str]] = []
            for _, turn, canon, content, is_system in group:
                if is_system:
                    system = content or ""
                else:
                    spoken.append((turn, Role(canon), content or ""))
            yield Conversation(row, spoken, system, tools.get(row) or "", media.get(row, {}))


def make_budgeter(run: RunView, keep_skeletons: bool) -> Budgeter | None:
    """The token counter for the run's template; None without one."""
    if run.template is None:
        return None
    family = find_family(run.template, run.settings, run.counter)
    return Budgeter(run.template, run.settings, run.counter, family, keep_skeletons)


def finish(rule: Rule, found: Found, file: str, dataset: str) -> Finding:
    """A rule's words with its code, severity and file."""
    return Finding(
        code=rule.code,
        name=rule.name,
        severity=rule.severity,
        file=found.file or file,
        dataset=dataset,
        place=found.place,
        found=found.found,
        expected=found.expected,
        cure=found.cure,
        outcome=found.outcome or rule.outcome,
    )


def summarize(dataset: DatasetPlan, census: Census, tally: Tally) -> DatasetSummary:
    """Rows by outcome. A fault of the whole file or entry that stops loading is every row's fate."""
    outcomes = Counter(tally.fate(row) for row in tally.fates)
    outcomes[Outcome.TRAINED if tally.stopped is None else Outcome.CRASH_LOAD] += census.rows - len(tally.fates)
    return DatasetSummary(
        dataset.entry.name,
        census.rows,
        {outcome: outcomes[outcome] for outcome in Outcome if outcomes[outcome]},
        tally.counted,
        tally.tokens,
        tally.media,
        tally.supervised,
        tally.longest,
        tally.longest_row,
        None if tally.budgets is None else predictions(tally, tally.budgets, census),
    )


def predictions(tally: Tally, budgets: dict[int, RowBudget], census: Census) -> dict[int, RowPrediction]:
    """Each row's fate and, where it is known, its length."""
    result = {}
    for row in chain.from_iterable(range(*stretch) for stretch in census.judged):
        budget = budgets.get(row)
        known = budget is not None and budget.exact
        result[row] = RowPrediction(
            tally.fate(row),
            budget.kept.tokens if budget is not None and known else None,
            budget.kept.supervised if budget is not None and known else None,
        )
    return result


def selected(select: tuple[str, ...], ignore: tuple[str, ...]) -> frozenset[str]:
    """The codes to report: by code or prefix, the longest matching prefix deciding."""
    for prefix in (*select, *ignore):
        if not any(rule.code.startswith(prefix) for rule in RULES):
            raise UsageFault(f"rule {prefix!r}", "no rule begins so", "a code or prefix that `curate rules` lists")

    def wanted(rule: Rule) -> bool:
        chosen = max((len(prefix) for prefix in select if rule.code.startswith(prefix)), default=-1)
        left_out = max((len(prefix) for prefix in ignore if rule.code.startswith(prefix)), default=-1)
        return chosen > left_out if select else left_out < 0

    return frozenset(rule.code for rule in RULES if wanted(rule))
