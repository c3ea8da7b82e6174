from __future__ import annotations

import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from curate.cli import COMMANDS, main
from curate.completion import bash, fish, zsh
from curate.completion.words import words_of
from curate.parsers import CommandLine, Kind, command_lines
from validators.rules.registry import BY_CODE

BASH = shutil.which("bash") or "/bin/bash"


@pytest.fixture(scope="module")
def lines() -> tuple[CommandLine, ...]:
    return command_lines()


@pytest.fixture(scope="module")
def script(lines: tuple[CommandLine, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("completion") / "curate.bash"
    file.write_text(bash.script(lines))
    return file


def complete(script: Path, *words: str, cwd: Path | None = None) -> set[str]:
    """What bash would offer for the last word."""
    typed = " ".join(shlex.quote(word) for word in ("curate", *words))
    code = f"source {shlex.quote(str(script))}; COMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
    code += '_curate; for word in "${COMPREPLY[@]}"; do printf "%s\\n" "$word"; done'
    done = subprocess.run([BASH, "-c", code], capture_output=True, text=True, check=True, cwd=cwd)
    assert not done.stderr
    return set(done.stdout.splitlines())


def test_bash_offers_every_command_option_and_choice(script: Path, lines: tuple[CommandLine, ...]) -> None:
    """For each subcommand, bash offers just the parser's flags, and for each option with words just those."""
    assert complete(script, "") == {command.name for command in COMMANDS}
    for line in lines:
        before = [line.name] if line.name else []
        assert complete(script, *before, "-") == {flag for option in line.options for flag in option.flags}
        for option in line.options if line.name == "check" else ():
            if words_of(option) and option.kind is not Kind.CODES:
                assert complete(script, *before, option.flags[-1], "") == set(words_of(option))
    assert complete(script, "che") == {"check"} and complete(script, "completion", "") == {"bash", "zsh", "fish"}


def test_bash_completes_rule_codes(script: Path) -> None:
    """explain takes one code; --select takes families and codes, and goes on after each comma and equals sign."""
    some = {code for code in BY_CODE if code.startswith("TAG")}
    assert complete(script, "explain", "TAG") == some
    assert complete(script, "check", "--select", "TAG") == some | {"TAG"}
    assert complete(script, "check", "--ignore", "BUD,TAG2") == {f"BUD,{c}" for c in some if c.startswith("TAG2")}
    assert complete(script, "check", "--select", "=") == complete(script, "check", "--select", "")
    assert complete(script, "check", "x.json", "--select", "=", "TAG") == some | {"TAG"}


def test_bash_completes_files_with_any_name(script: Path, tmp_path: Path) -> None:
    """Targets and file options give file names, spaces, stars and quotes in them unharmed; numbers give nothing."""
    names = {"a b.json", "it's.json", "$(touch owned).json", "a*.json"}
    for name in names:
        (tmp_path / name).touch()
    assert complete(script, "check", "", cwd=tmp_path) == names
    assert complete(script, "check", "--rows", "a", cwd=tmp_path) == {"a b.json", "a*.json"}
    assert complete(script, "check", "--cutoff-len", "", cwd=tmp_path) == set()
    assert {item.name for item in tmp_path.iterdir()} == names


def test_an_interactive_bash_completes_as_a_person_types(script: Path, tmp_path: Path) -> None:
    """In a real terminal, TAB finishes the command, a rule's code, and a file."""
    (tmp_path / "only.json").touch()
    code = next(code for code in BY_CODE if sum(other.startswith(code[:-1]) for other in BY_CODE) == 1)
    lead, follow = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "TERM": "dumb", "PS1": "$ ", "HOME": str(tmp_path)}
    with subprocess.Popen(
        [BASH, "--norc", "--noprofile", "-i"],
        stdin=follow,
        stdout=follow,
        stderr=follow,
        cwd=tmp_path,
        env=environment,
        start_new_session=True,
    ) as shell:
        os.close(follow)
        try:
            typed = f"source {shlex.quote(str(script))}\ncurate() {{ printf 'got:%s;' \"$@\"; }}\n"
            typed += f"curate expl\t{code[:-1]}\t\ncurate chec\ton\t --select=TA\t\nexit\n"
            os.write(lead, typed.encode())
            seen = read_until(lead, b"select", 120.0)
        finally:
            shell.kill()
            os.close(lead)
    calls = re.findall(r"(got:[^\r\n$]*;)", seen)
    assert f"got:explain;got:{code};" in calls
    assert any(call.startswith("got:check;got:only.json;got:--select=TAG") for call in calls)


def read_until(lead: int, word: bytes, seconds: float) -> str:
    """What the terminal shows until the shell ends, or has shown the last call's output."""
    seen, until = b"", time.monotonic() + seconds
    while time.monotonic() < until:
        if not select.select([lead], [], [], 0.1)[0]:
            continue
        try:
            piece = os.read(lead, 65536)
        except OSError:  # Linux ends a terminal whose last user left with EIO
            break
        seen += piece
        if not piece or seen.count(b"got:--" + word):
            break
    return seen.decode(errors="replace")


def test_zsh_and_fish_know_every_flag(lines: tuple[CommandLine, ...]) -> None:
    """Each flag of each subcommand stands in the scripts, and their quotes are balanced as a shell reads them."""
    zsh_text, fish_text = zsh.script(lines), fish.script(lines)
    for line in lines[1:]:
        part = zsh_text.split(f"                {line.name})\n")[1].split(";;")[0]
        rows = [row for row in fish_text.splitlines() if f"'__fish_seen_subcommand_from {line.name}'" in row]
        for option in line.options:
            for flag in option.flags:
                assert re.search(rf"'\*?{re.escape(flag)}=?\[", part), (line.name, flag)
                wanted = f"-l {flag[2:]} " if flag.startswith("--") else f"-s {flag[1:]} "
                assert any(wanted in f"{row} " for row in rows), (line.name, flag)
    # zsh reads quotes and ${…} as bash does, and fish as a shell with \' inside quotes
    assert subprocess.run([BASH, "-n"], input=zsh_text, capture_output=True, text=True, check=False).returncode == 0
    for row in fish_text.splitlines():
        bare = re.sub(r"'(?:[^'\\]|\\.)*'", "", row)
        assert "'" not in bare


def test_completion_prints_a_script_for_each_shell(capsys: pytest.CaptureFixture[str]) -> None:
    """`curate completion SHELL` is the script, and another shell a usage fault."""
    for shell, room in (("bash", bash), ("zsh", zsh), ("fish", fish)):
        assert main(["completion", shell]) == 0
        assert capsys.readouterr().out == room.script(command_lines())
    with pytest.raises(SystemExit) as ended:
        main(["completion", "tcsh"])
    assert ended.value.code == 2
