"""`curate convert`: rows from one format to another."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from curate.ingest.registry import BY_NAME as SOURCES
    from curate.writers.shapes import BY_NAME

    parser.add_argument("source", type=Path, help="a file, a folder, or owner/name on the Hub")
    parser.add_argument("output", type=Path, help="a .json, .jsonl or, for parquet, .parquet file")
    parser.add_argument("--to", required=True, choices=tuple(BY_NAME), help="the output's format")
    parser.add_argument("--from", dest="source_format", choices=tuple(SOURCES), help="the source's; told by its looks")
    parser.add_argument("--split", help="the split to read, or all, where the source has several")
    parser.add_argument("--media-root", type=Path, help="where media paths start (the source's folder)")
    parser.add_argument("--strict", action="store_true", help="exit 1 if anything could not come along")
    parser.add_argument("--force", action="store_true", help="replace an output that is there")


def run(args: argparse.Namespace) -> int:
    """Convert, name what was lost on stderr, and print the entry for dataset_info.json where the trainer reads it."""
    from curate.build import counted
    from curate.convert import convert
    from curate.ingest.detect import detect
    from curate.ingest.raw import Options
    from curate.ingest.registry import BY_NAME as SOURCES
    from curate.recipe import Source, check_place
    from curate.writers.shapes import BY_NAME
    from validators.errors import UsageFault

    path, out, shape = args.source, args.output.resolve(), BY_NAME[args.to]
    options = Options(split=args.split)
    if out.suffix not in shape.suffixes:
        raise UsageFault(out, f"a {out.suffix or 'nameless'} file for {shape.name}", " or ".join(shape.suffixes))
    if out.exists() and not args.force:
        raise UsageFault(out, "already there", "a new file", "--force replaces it")
    if path.exists() and out == path.resolve():
        raise UsageFault(out, "the source itself", "another file")
    if args.source_format is None and not path.exists():
        raise UsageFault(path, "not found", "an existing source")
    chosen = SOURCES[args.source_format] if args.source_format else detect(path, options)
    check_place(path, "source", path, chosen)
    if args.source_format is None:
        sys.stdout.write(f"{path.name} read as {chosen.name}\n")
    root = args.media_root or (path if path.is_dir() else path.parent if path.exists() else out.parent)
    done = convert(Source(chosen.name, path, options), root.resolve(), out, shape)
    sys.stdout.write(f"wrote {out}: {done.rows} rows\n")
    if shape.entry is not None:
        entry = json.dumps({"file_name": out.name} | shape.entry(done.form), ensure_ascii=False)
        sys.stdout.write(f"in dataset_info.json: {entry}\n")
    losses = [f"{shape.name} cannot hold {counted(done.left)}"] if done.left else []
    losses += [f"dropped {count}: {reason}" for reason, count in done.dropped.items()]
    losses += list(done.notes)
    sys.stderr.writelines(f"curate: {line}\n" for line in losses)
    return 1 if args.strict and losses else 0
