"""From a target to a report. Knows the kinds of rules, and none by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path

import polars as pl

from validators.budgets.families import find_family
from validators.budgets.templates import find_template
from validators.budgets.text import find_tokenizer
from validators.errors import UsageFault
from validators.findings import Finding, Found
from validators.model import MediaKind, Outcome, Role
from validators.probes.cache import ProbeCache
from validators.probes.decoder import audio_decoder_fault
from validators.probes.facts import Health, MediaFacts, facts_schema
from validators.replay.align import misplaced, tag_balance, turn_counts
from validators.replay.budget import Budgeter, Conversation, RowBudget
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
STAGES = list(Stage)


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
    stopped: bool = False
    """A fault of the whole file or entry stops loading: every row's fate."""
    budgets: dict[int, RowBudget] | None = None

    def seal(self, row: int, stage: Stage, outcome: Outcome) -> None:
        """The earliest stage decides; within one stage, the worst outcome."""
        place = STAGES.index(stage)
        known = self.fates.get(row)
        if known is None or place < known[0] or (place == known[0] and worse(outcome, known[1])):
            self.fates[row] = (place, outcome)

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
    are findings.
    """
    chosen = options or CheckOptions()
    rules = selected(chosen.select, chosen.ignore)
    overrides = TrainerSettings(template=chosen.template, model=chosen.model, tokenizer=chosen.tokenizer)
    if chosen.cutoff_len is not None:
        overrides = replace(overrides, cutoff_len=chosen.cutoff_len)
    plan = resolve(str(target), overrides, chosen.media_dir)
    settings = plan.settings
    template = find_template(settings.template) if settings.template is not None else None
    counter = find_tokenizer(settings.model, settings.tokenizer) if template is not None else None
    hears = any(dataset.entry.media_column(MediaKind.AUDIO) for dataset in plan.datasets)
    run = RunView(plan, settings, template, counter, audio_decoder_fault() if hears else "")
    findings = [
        finish(rule, found, str(target), "") for rule in rules if rule.scope is Scope.RUN for found in rule.find(run)
    ]
    probes = ProbeCache()
    summaries = []
    course = Course(settings)
    for number, dataset in enumerate(plan.datasets):
        if dataset.evaluates and number and not plan.datasets[number - 1].evaluates:
            course = course.evaluation()
        summary, more = check_dataset(run, dataset, rules, probes, chosen, course)
        summaries.append(summary)
        findings += more
    longest = max((summary.longest for summary in summaries if summary.counted), default=None)
    slack = settings.cutoff_len - settings.effective_cutoff
    return Report(
        target=str(target),
        findings=tuple(findings),
        datasets=tuple(summaries),
        trainer=f"LLaMA-Factory {trainer_version()}",
        template=settings.template,
        cutoff_len=settings.cutoff_len,
        lowest_cutoff=None if longest is None else longest + slack,
    )


def check_dataset(
    run: RunView,
    dataset: DatasetPlan,
    rules: Iterable[Rule],
    probes: ProbeCache,
    options: CheckOptions,
    course: Course,
) -> tuple[DatasetSummary, list[Finding]]:
    """One pass over one dataset's rows."""
    rules = list(rules)
    census = Census()
    tally = Tally(budgets={} if options.keep_rows else None)
    findings: list[Finding] = []
    budgeter = make_budgeter(run)
    loader = dataset.loader()
    course.begin(dataset.num_samples is not None)
    wanted = intervals(dataset, run.settings.max_samples, course.draw)
    for part in batches(loader, wanted, options.batch_rows, census):
        view = look_at(run, dataset, flatten(part, dataset.entry, census), probes, budgeter)
        course.see(view)
        for budget in view.budgets:
            tally.add(budget, run.settings.effective_cutoff)
        shift = part.start - part.first
        report(view, (Scope.ROW, Scope.MEDIA), rules, part.path, dataset, tally, findings, shift)
    census.load_faults += course.faults(census, loader.locate)
    end = DatasetView(run, dataset, census, loader.source_faults, tally.uncounted)
    report(end, (Scope.DATASET,), rules, dataset.files[0], dataset, tally, findings)
    findings.sort(key=lambda item: -1 if item.place.row is None else item.place.row)
    return summarize(dataset, census, tally), findings


def report(
    view: View,
    scopes: tuple[Scope, ...],
    rules: Iterable[Rule],
    path: Path,
    dataset: DatasetPlan,
    tally: Tally,
    findings: list[Finding],
    shift: int = 0,
) -> None:
    """Run the rules of these scopes, keep their findings and seal the fates of their rows.

    shift: the number, in the dataset, of the file's first row; findings name the row in its file.
    """
    for rule in rules:
        if rule.scope in scopes:
            for found in rule.find(view):
                finding = finish(rule, found, str(path), dataset.entry.name)
                row = finding.place.row
                if rule.scope is Scope.DATASET:
                    tally.stopped |= finding.outcome is Outcome.CRASH_LOAD
                elif finding.outcome is not None and row is not None:
                    tally.seal(row, rule.stage, finding.outcome)
                if shift and row is not None:
                    finding = replace(finding, place=replace(finding.place, row=row - shift))
                findings.append(finding)


def look_at(
    run: RunView, dataset: DatasetPlan, batch: Batch, probes: ProbeCache, budgeter: Budgeter | None
) -> BatchView:
    """Everything that rules may want to know of a batch."""
    facts, media = probe(batch, dataset.media_dir, probes)
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
    return replace(view, budgets=tuple(budgeter.count(list(conversations(view, facts)))))


def probe(batch: Batch, media_dir: Path, probes: ProbeCache) -> tuple[list[MediaFacts], pl.DataFrame]:
    """The facts of each media entry, as objects and as columns beside the entries."""
    facts = []
    outside = []
    for kind, path in batch.media.select("kind", "path").iter_rows():
        facts.append(MediaFacts(Health.EMBEDDED) if path is None else probes.facts(MediaKind(kind), path, media_dir))
        outside.append(path is not None and probes.is_outside(path, media_dir))
    columns = pl.DataFrame(
        {name: [getattr(fact, name) for fact in facts] for name in facts_schema().names()},
        schema=facts_schema(),
    )
    return facts, batch.media.hstack(columns).with_columns(pl.Series("outside", outside, dtype=pl.Boolean))


def conversations(view: BatchView, facts: list[MediaFacts]) -> Iterator[Conversation]:
    """The rows that reach the tokenizer: readable, in order, tags in balance, every file healthy."""
    sound = view.turn_counts.filter((pl.col("n") > 0) & (pl.col("n") % 2 == 0))
    sound = sound.join(view.misplaced, on="row", how="anti")
    template = view.run.template
    if template is not None and template.plugin != "BasePlugin":
        unequal = view.tag_balance.filter(pl.col("tags") != pl.col("entries"))
        sound = sound.join(unequal, on="row", how="anti")
    refused = [kind.value for kind in MediaKind if template is not None and not template.accepts(kind)]
    sick = view.media.filter((pl.col("health") != Health.OK.value) | pl.col("kind").is_in(refused))
    rows = set(sound.join(sick, on="row", how="anti")["row"])
    media: dict[int, dict[MediaKind, list[MediaFacts]]] = {}
    for (row, kind), fact in zip(view.media.select("row", "kind").iter_rows(), facts, strict=True):
        if row in rows:
            media.setdefault(row, {}).setdefault(MediaKind(kind), []).append(fact)
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
            yield Conversation(row, spoken, system, media.get(row, {}))


def make_budgeter(run: RunView) -> Budgeter | None:
    """The token counter for the run's template; None without one."""
    if run.template is None:
        return None
    family = find_family(run.template, run.settings, run.counter)
    return Budgeter(run.template, run.settings, run.counter, family)


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
    outcomes = Counter(outcome for _, outcome in tally.fates.values())
    outcomes[Outcome.TRAINED] += census.rows - sum(outcomes.values())
    if tally.stopped:
        outcomes = Counter({Outcome.CRASH_LOAD: census.rows})
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
        _, outcome = tally.fates.get(row, (0, Outcome.TRAINED))
        budget = budgets.get(row)
        known = budget is not None and budget.exact
        result[row] = RowPrediction(
            outcome,
            budget.kept.tokens if budget is not None and known else None,
            budget.kept.supervised if budget is not None and known else None,
        )
    return result


def selected(select: tuple[str, ...], ignore: tuple[str, ...]) -> list[Rule]:
    """The rules to run: by code or prefix, the longest matching prefix deciding."""
    for prefix in (*select, *ignore):
        if not any(rule.code.startswith(prefix) for rule in RULES):
            raise UsageFault(f"rule {prefix!r}", "no rule begins so", "a code or prefix that `curate rules` lists")

    def wanted(rule: Rule) -> bool:
        chosen = max((len(prefix) for prefix in select if rule.code.startswith(prefix)), default=-1)
        left_out = max((len(prefix) for prefix in ignore if rule.code.startswith(prefix)), default=-1)
        return chosen > left_out if select else left_out < 0

    return [rule for rule in RULES if wanted(rule)]
