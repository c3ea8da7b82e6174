"""What SARIF 2.1.0 (OASIS standard, section 3) asks of the objects that we write: keys, types, required ones.

No package of the index ships the standard's JSON schema, so the part that is used is written out: any other key,
and any other type, is an error here as it is there.
"""

from __future__ import annotations

from urllib.parse import urlsplit

# kind → key → type; a list type holds that kind; "!" marks required keys
SHAPE: dict[str, dict[str, object]] = {
    "log": {"$schema": "uri", "version!": "2.1.0", "runs!": ["run"]},  # 3.13
    "run": {"tool!": "tool", "invocations": ["invocation"], "results": ["result"]},  # 3.14
    "tool": {"driver!": "component"},  # 3.18
    "component": {"name!": str, "version": str, "rules": ["descriptor"]},  # 3.19
    "descriptor": {  # 3.49
        "id!": str,
        "name": str,
        "shortDescription": "text",
        "fullDescription": "text",
        "help": "text",
        "defaultConfiguration": "configuration",
        "properties": "properties",
    },
    "text": {"text!": str, "markdown": str},  # 3.12
    "configuration": {"level": "level"},  # 3.50
    "properties": {"tags": [str], "precision": str, "problem.severity": str},  # 3.8, keys of GitHub
    "invocation": {"executionSuccessful!": bool, "toolExecutionNotifications": ["notification"]},  # 3.20
    "notification": {"message!": "text", "level": "level"},  # 3.58
    "result": {  # 3.27
        "ruleId": str,
        "ruleIndex": int,
        "level": "level",
        "message!": "text",
        "locations": ["location"],
        "relatedLocations": ["location"],
        "occurrenceCount": int,
        "partialFingerprints": "fingerprints",
    },
    "fingerprints": {"primaryLocationLineHash": str, "mmcurateRuleAndFile/v1": str},
    "location": {  # 3.28
        "id": int,
        "message": "text",
        "physicalLocation": "physical",
        "logicalLocations": ["logical"],
    },
    "physical": {"artifactLocation!": "artifact", "region": "region"},  # 3.29
    "artifact": {"uri!": "uri", "uriBaseId": str},  # 3.4
    "region": {"startLine!": int},  # 3.30
    "logical": {"name": str, "fullyQualifiedName": str, "kind": str},  # 3.33
}
LEVELS = ("none", "note", "warning", "error")


def conform(value: object, kind: object = "log", at: str = "$") -> None:
    """Raise AssertionError where the value is not of this kind."""
    if isinstance(kind, list):
        assert isinstance(value, list), at
        for number, each in enumerate(value):
            conform(each, kind[0], f"{at}[{number}]")
    elif isinstance(kind, type):
        assert type(value) is kind, f"{at}: {value!r}"
        if kind is int:
            assert isinstance(value, int) and value >= 0, at
    elif kind == "level":
        assert value in LEVELS, at
    elif kind == "uri":
        assert isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value, at
        assert urlsplit(value).scheme in ("", "file", "https"), at
    elif kind == "2.1.0":
        assert value == kind, at
    else:
        assert isinstance(kind, str) and isinstance(value, dict), at
        keys = {key.rstrip("!"): each for key, each in SHAPE[kind].items()}
        assert value.keys() <= keys.keys(), f"{at}: {value.keys() - keys.keys()}"
        missing = {key[:-1] for key in SHAPE[kind] if key.endswith("!")} - value.keys()
        assert not missing, f"{at}: {missing}"
        for key, each in value.items():
            conform(each, keys[key], f"{at}.{key}")
