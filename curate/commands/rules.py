"""`curate rules`: the table of rules."""

from __future__ import annotations

import argparse
import json
import sys

from validators.rules.registry import RULES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--output-format", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    if args.output_format == "json":
        table = [
            {
                "code": rule.code,
                "name": rule.name,
                "severity": rule.severity.value,
                "scope": rule.scope.value,
                "depth": rule.depth.value,
                "fix": rule.fixable.fix.value,
                "fix_safety": rule.fixable.safety.value if rule.fixable.safety else None,
                "since": rule.since,
                "outcome": rule.outcome.value if rule.outcome else None,
            }
            for rule in RULES
        ]
        sys.stdout.write(json.dumps(table, indent=2) + "\n")
        return 0
    width = max(len(rule.name) for rule in RULES)
    for rule in RULES:
        outcome = rule.outcome.value if rule.outcome else ""
        safety = rule.fixable.safety
        fix = f"fix: {safety.value}" if safety else ""
        sys.stdout.write(
            f"{rule.code}  {rule.name:<{width}}  {rule.severity.value:<7}  {outcome:<10}  {fix}".rstrip() + "\n"
        )
    return 0
