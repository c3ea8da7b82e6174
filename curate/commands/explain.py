"""`curate explain CODE`: a rule's page."""

from __future__ import annotations

import argparse
import sys
from difflib import get_close_matches

from validators.errors import UsageFault
from validators.rules.registry import BY_CODE, RULES
from validators.rules.rule import Rule


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("code", help="a rule's code or name, as `curate rules` lists them")


def run(args: argparse.Namespace) -> int:
    """Print the page in Markdown."""
    rule = BY_CODE.get(args.code.upper()) or next((rule for rule in RULES if rule.name == args.code), None)
    if rule is None:
        known = [*BY_CODE, *(rule.name for rule in RULES)]
        near = get_close_matches(args.code, known, n=1)
        raise UsageFault(
            args.code,
            "no such rule",
            "a code or name of `curate rules`",
            f"did you mean {near[0]}?" if near else "",
        )
    sys.stdout.write(page(rule) + "\n")
    return 0


def page(rule: Rule) -> str:
    """The rule's page under its title and facts."""
    outcome = rule.outcome.value if rule.outcome else "none for rows"
    return (
        f"# {rule.name} ({rule.code})\n\n"
        f"Severity {rule.severity.value} · scope {rule.scope.value} · depth {rule.depth.value} · "
        f"outcome {outcome} · automatic fix {rule.fixable} · since {rule.since}\n\n{rule.page}"
    )
