"""All checks over one environment, and the report in words or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from curate.doctor.checks import CHECKS
from curate.doctor.diagnosis import Diagnosis
from curate.doctor.environment import NAMED, Environment
from curate.doctor.needs import NEEDS, Run
from validators.findings import Severity

SCHEMA = 1
WIDTH = 18


@dataclass(frozen=True, slots=True)
class Finding:
    """A diagnosis and the check that made it."""

    check: str
    diagnosis: Diagnosis


def examine(environment: Environment, runs: Sequence[Run] = ()) -> list[Finding]:
    """Every check, then every need of every run; errors first, else in the tables' order."""
    found = [Finding(check.name, item) for check in CHECKS for item in check.find(environment)]
    found += [Finding(need.name, item) for run in runs for need in NEEDS for item in need.find(environment, run)]
    order = list(Severity)
    return sorted(found, key=lambda finding: order.index(finding.diagnosis.severity))


def exit_code(findings: Sequence[Finding]) -> int:
    """1 where something is broken, else 0."""
    return int(any(finding.diagnosis.severity is Severity.ERROR for finding in findings))


def facts(environment: Environment) -> dict[str, str]:
    """What is installed that matters, name by name; "-" for what is not."""
    lines = {"Python": f"{environment.python}  {environment.prefix}".strip()}
    for name in NAMED:
        package = environment.package(name)
        build = f"+{package.build}" if package and package.build and "+" not in package.version else ""
        lines[name] = f"{package.version}{build}" if package else "-"
    driver = environment.driver
    lines["libavutil"] = ", ".join(map(str, environment.libavutil)) or "-"
    lines["C++ compiler"] = next(
        (environment.tools[name] for name in ("c++", "g++", "clang++") if name in environment.tools), "-"
    )
    lines["NVIDIA driver"] = (
        f"{driver.version}, CUDA {driver.cuda[0]}.{driver.cuda[1]}" if driver.version else f"- ({driver.evidence})"
    )
    for number, gpu in enumerate(driver.gpus):
        lines[f"GPU {number}"] = (
            f"{gpu.name}, {gpu.memory / 2**30:.0f} GiB, compute capability {gpu.capability[0]}.{gpu.capability[1]}"
        )
    if driver.other:
        lines["accelerator"] = driver.other
    for disk in environment.disks:
        lines[disk.purpose] = f"{disk.free / 1e9:.1f} GB free  {disk.path}"
    lines |= {f"${name}": value for name, value in environment.variables.items()}
    return lines


def render_text(environment: Environment, findings: Sequence[Finding]) -> str:
    """For people."""
    lines = [f"{name:<{WIDTH}}  {value}" for name, value in facts(environment).items()]
    for finding in findings:
        diagnosis = finding.diagnosis
        lines += [
            "",
            f"{diagnosis.severity.value}: {diagnosis.found}  [{finding.check}]",
            f"  why: {diagnosis.reason}",
            f"  fix: {diagnosis.cure}",
            f"  seen in: {diagnosis.evidence}",
        ]
    counts = {severity: sum(finding.diagnosis.severity is severity for finding in findings) for severity in Severity}
    said = [f"{count} {severity.value}{'s' * (count != 1)}" for severity, count in counts.items() if count]
    verdict = ", ".join(said) if said else "nothing wrong found"
    return "\n".join([*lines, "", verdict]) + "\n"


def render_json(environment: Environment, findings: Sequence[Finding]) -> str:
    """For programs: `schema`, `ok`, `environment`, `findings`."""
    packages = {name: package.version for name in NAMED if (package := environment.package(name))}
    report = {
        "schema": SCHEMA,
        "ok": exit_code(findings) == 0,
        "environment": {
            "python": environment.python,
            "executable": environment.executable,
            "platform": environment.platform,
            "packages": packages,
            "builds": {name: package.build for name, package in sorted(environment.packages.items()) if package.build},
            "libavutil": environment.libavutil,
            "tools": dict(environment.tools),
            "variables": dict(environment.variables),
            "driver": asdict(environment.driver),
            "disks": [asdict(disk) for disk in environment.disks],
            "shared_memory": environment.shared_memory,
        },
        "findings": [{"check": finding.check, **asdict(finding.diagnosis)} for finding in findings],
    }
    return json.dumps(report, indent=2) + "\n"
