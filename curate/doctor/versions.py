"""Versions and requirements, compared as pip compares them."""

from __future__ import annotations

from curate.doctor.environment import Environment, Package, normal


def release(version: str) -> tuple[int, int]:
    """`2.11.0+cu130` as (2, 11); (0, 0) where there are no numbers."""
    parts = [int(part) for part in version.split("+", maxsplit=1)[0].split(".")[:2] if part.isdigit()]
    return (parts[0], parts[1]) if len(parts) == 2 else (0, 0)


def dotted(pair: tuple[int, int]) -> str:
    """(2, 11) as `2.11`."""
    return f"{pair[0]}.{pair[1]}"


def cuda_of(build: str) -> tuple[int, int] | None:
    """`cu130` as (13, 0), `cu128` as (12, 8); None for cpu, rocm and unknown."""
    digits = build[2:] if build.startswith("cu") and build[2:].isdigit() else ""
    return (int(digits[:-1]), int(digits[-1])) if len(digits) >= 3 else None


def parse_requirement(text: str, environment: Environment) -> tuple[str, str] | None:
    """A requirement's name and bounds (`>=4.55,<=5.6.0`); None where its marker does not hold or it is no PEP 508."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None
    system = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}.get(environment.platform, "")
    facts = {
        "extra": "",
        "python_version": dotted(release(environment.python)),
        "python_full_version": environment.python,
        "sys_platform": environment.platform,
        "platform_system": system,
    }
    if requirement.marker is not None and not requirement.marker.evaluate(facts):
        return None
    return normal(requirement.name), str(requirement.specifier)


def fits(version: str, bounds: str) -> bool:
    """Whether a version is within bounds, pre-releases too; a version or bound that cannot be read fits."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        return SpecifierSet(bounds).contains(Version(version), prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return True


def pin_of(package: Package, name: str, environment: Environment) -> str:
    """The bounds that a package's own metadata sets on another, "" where it sets none."""
    for text in package.requires:
        parsed = parse_requirement(text, environment)
        if parsed is not None and parsed[0] == name:
            return parsed[1]
    return ""


def install(*requirements: str) -> str:
    """The pip command for these."""
    return "pip install " + " ".join(f"'{text}'" if set(text) & set("<>![ ;") else text for text in requirements)


def tested(environment: Environment, *names: str) -> str:
    """The pip command for the versions of these packages that mmcurate[train] asks for."""
    wanted = {
        parsed[0]: text.replace(" ", "")
        for text in environment.tested
        if (parsed := parse_requirement(text, environment)) is not None
    }
    return install(*(wanted.get(name, name) for name in names))


TRAIN = ("torch", "torchvision", "torchaudio", "torchcodec")


def one_train(environment: Environment) -> str:
    """The pip command for torch and its companions of one release."""
    return tested(environment, *TRAIN)
