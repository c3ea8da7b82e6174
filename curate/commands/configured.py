"""What configuration files, selection flags, baseline and gate add to a check."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from curate.progress import Progress
from curate.writers.atomic import write_whole
from validators import baseline
from validators.baseline import Baseline
from validators.config import Config, Level, find_config, level_of, read_config
from validators.engine import CheckOptions, check
from validators.errors import UsageFault
from validators.limit import Limit, parse_limit
from validators.policy import Layer, policy_of
from validators.report.model import Report
from validators.rules.registry import BY_CODE
from validators.rules.rule import Depth
from validators.settings import read_yaml
from validators.sources.dataset_info import FILE_NAME
from validators.sources.target import manifest_of, split_name
from validators.thresholds import thresholds_of

CODES = "codes, prefixes or ALL, separated by commas"


def add_targets(parser: argparse.ArgumentParser) -> None:
    """Declare the targets, and what passes over some of them."""
    parser.add_argument(
        "target",
        nargs="+",
        help="a train yaml, a dataset_info.json[:name], a .json/.jsonl of conversations, or a build folder",
    )
    parser.add_argument(
        "--skip-unrelated", action="store_true", help="pass over .json and .jsonl files that hold no conversations"
    )


def targets(args: argparse.Namespace) -> list[str]:
    """The targets that are not passed over."""
    return [each for each in args.target if not (args.skip_unrelated and is_unrelated(Path(each)))]


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a target can lack."""
    parser.add_argument("--template", help="chat template, where the target names none")
    parser.add_argument("--model", help="model folder or hub name, for tokenizer and processor settings")
    parser.add_argument("--tokenizer", help="a tokenizer.json or the folder that holds one")
    parser.add_argument("--cutoff-len", type=int, help="cutoff_len, where the target names none")
    add_environment(parser)
    parser.add_argument("--media-dir", help="the folder that media paths start from")


def add_environment(parser: argparse.ArgumentParser) -> None:
    """Declare the choice of an environment."""
    parser.add_argument(
        "--env",
        metavar="NAME",
        help="the environment to predict for and to train in: a locked one's name, or installed, for what lies beside "
        "this Python (default: the one that the run will use by itself)",
    )


def target_options(args: argparse.Namespace) -> CheckOptions:
    """What the command line says in place of the target."""
    return CheckOptions(
        template=args.template,
        model=args.model,
        tokenizer=args.tokenizer,
        cutoff_len=args.cutoff_len,
        media_dir=args.media_dir,
        environment=args.env,
        progress=Progress(),
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--select", metavar="CODES", help=f"only these rules: {CODES}; whatever the file selects")
    parser.add_argument("--extend-select", metavar="CODES", default="", help="these rules too")
    parser.add_argument("--ignore", metavar="CODES", default="", help="not these rules, instead of the file's ignore")
    parser.add_argument("--extend-ignore", metavar="CODES", default="", help="nor these")
    parser.add_argument(
        "--severity",
        metavar="CODE=LEVEL",
        action="append",
        default=[],
        help=f"what findings of a code or prefix count as: {', '.join(Level)}; can be given again",
    )
    parser.add_argument(
        "--threshold",
        metavar="NAME=NUMBER",
        action="append",
        default=[],
        help="the number from which a rule speaks (docs/config.md lists them); can be given again",
    )
    files = parser.add_mutually_exclusive_group()
    files.add_argument("--config", type=Path, metavar="FILE", help="this configuration, whatever lies near the target")
    files.add_argument("--isolated", action="store_true", help="no configuration file")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="findings that FILE knows do not fail")
    parser.add_argument(
        "--write-baseline", type=Path, metavar="FILE", help="write what is found to FILE, as known from now on"
    )
    parser.add_argument(
        "--max-lost",
        metavar="LIMIT",
        help="fail only when more training rows are lost, or the run would stop: 0.5%% or a number of rows",
    )


@dataclass(slots=True)
class Checker:
    """Checks targets, each under its own configuration file and the one command line."""

    args: argparse.Namespace
    line: Layer
    max_lost: Limit | None
    named: Config | None
    """The configuration that the command line names, or the empty one that it asks for."""
    numbers: list[tuple[str, object, str]] = field(default_factory=list)
    """The command line's thresholds: name, value, and the words that gave it."""
    written: Baseline = field(default_factory=Counter)

    def check(self, target: str, options: CheckOptions) -> Report:
        """Check one target; `options` are the command line's."""
        return self.settled(target, check(target, self.completed(target, options)), options.depth)

    def config(self, target: str) -> Config:
        """The configuration that a target is under."""
        return self.named if self.named is not None else find_config(folder_of(target))

    def completed(self, target: str, options: CheckOptions) -> CheckOptions:
        """The command line's options with what the target's configuration adds."""
        config = self.config(target)
        thresholds = thresholds_of(
            [(name, value, f"{config.file}: thresholds.{name}") for name, value in config.thresholds] + self.numbers
        )
        policy = policy_of(config, self.line)
        return replace(with_defaults(options, config, target), policy=policy, thresholds=thresholds)

    def settled(self, target: str, report: Report, depth: Depth) -> Report:
        """The report of a check of that depth under its gate and its baseline."""
        config = self.config(target)
        policy = policy_of(config, self.line)
        known_file = self.args.baseline or shown(config.baseline)
        writing: Path | None = self.args.write_baseline
        known = baseline.read(known_file) if known_file is not None and writing is None else None
        report = replace(
            report, max_lost=self.max_lost or config.max_lost, config=str(config.file) if config.file else None
        )
        file = writing or known_file
        if file is None:
            return report
        identified = baseline.entries(report, baseline.folder_of(file))
        if known is None:
            known = Counter(entry for _, entry in identified)
            self.written.update(known)

        def fails(code: str, path: str) -> bool:
            """Whether the rule ran, and fails for this file: what was not looked for has not gone."""
            return policy.fails(code, path) and BY_CODE[code].depth.rank <= depth.rank

        return baseline.settled(report, identified, known, file, fails)

    def finish(self) -> None:
        """Write the baseline, where that was asked."""
        if self.args.write_baseline is not None:
            write_whole(self.args.write_baseline, baseline.render(self.written))


def checker(args: argparse.Namespace) -> Checker:
    """Read what the command line says; UsageFault for what it cannot mean."""
    line = Layer(
        select=None if args.select is None else codes(args.select),
        extend_select=codes(args.extend_select),
        ignore=codes(args.ignore),
        extend_ignore=codes(args.extend_ignore),
        severity=tuple(severity(word) for word in args.severity),
    )
    named = Config() if args.isolated else read_config(args.config) if args.config is not None else None
    policy_of(named or Config(), line)  # a code that no rule has is refused before anything is read
    max_lost = None if args.max_lost is None else parse_limit(args.max_lost, "--max-lost")
    if args.write_baseline is not None:
        spare(args.write_baseline)
    numbers = [threshold(word) for word in args.threshold]
    thresholds_of(numbers)
    return Checker(args, line, max_lost, named, numbers)


def check_configured(target: str, options: CheckOptions | None = None) -> Report:
    """Check a target as `curate check TARGET` does: under the configuration file nearest to it, if there is one."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return checker(parser.parse_args([])).check(target, options or CheckOptions())


def spare(file: Path) -> None:
    """Refuse to write a baseline over anything else."""
    if file.exists() and not (file.is_file() and file.stat().st_size == 0):
        try:
            baseline.read(file)
        except UsageFault as fault:
            raise UsageFault(
                file, "is there and is no baseline", "a new file, or a baseline", "name another"
            ) from fault


def codes(text: str) -> tuple[str, ...]:
    """`TAG,BUD201` as a tuple."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def severity(word: str) -> tuple[str, Level]:
    """`TAG=warning` as code and level."""
    code, _, level = word.partition("=")
    return code.strip(), level_of(f"--severity {word}", level.strip())


def threshold(word: str) -> tuple[str, object, str]:
    """`min-image-side=28` as name, value, and the words themselves."""
    name, _, text = word.partition("=")
    try:
        value: object = float(text)
    except ValueError:
        value = text.strip()
    return name.strip(), value, f"--threshold {word}"


def folder_of(target: str) -> Path:
    """The folder from which a target's configuration is looked for."""
    path, _ = split_name(target)
    return path if path.is_dir() else path.parent


def with_defaults(options: CheckOptions, config: Config, target: str) -> CheckOptions:
    """The configuration's defaults where neither the command line nor the target says anything."""
    path, name = split_name(target)
    raw = read_yaml(path) if path.suffix in (".yaml", ".yml") else {}
    home = path if path.is_dir() else path.parent if path.name == FILE_NAME else None
    rooted = home is not None and name is None and manifest_of(home) is not None  # a build names its media root
    media_dir = None if rooted or raw.get("media_dir") is not None else shown(config.media_dir)
    tokenizer = shown(config.tokenizer)
    return replace(
        options,
        template=options.template or (None if raw.get("template") is not None else config.template),
        tokenizer=options.tokenizer or (None if tokenizer is None else str(tokenizer)),
        environment=options.environment or config.environment,
        media_dir=options.media_dir or (None if media_dir is None else str(media_dir)),
        cutoff_len=options.cutoff_len
        if options.cutoff_len is not None
        else (None if raw.get("cutoff_len") is not None else config.cutoff_len),
    )


def shown(path: Path | None) -> Path | None:
    """A configured path as it is shown: from the working folder where it lies below that."""
    return Path(os.path.relpath(path)) if path is not None and path.is_relative_to(Path.cwd()) else path


def is_unrelated(path: Path) -> bool:
    """Whether a JSON file's first row shows that it is no conversation data; broken files are not passed over."""
    from validators.sources.rows import SourceFault, iter_rows

    if path.suffix not in (".json", ".jsonl"):
        return False
    try:
        first = next(iter_rows(path), None)
    except SourceFault:
        return False
    value = None if first is None else first.value
    return not (isinstance(value, dict) and ("messages" in value or "conversations" in value))
