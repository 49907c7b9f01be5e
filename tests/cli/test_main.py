"""The front door: commands, exit codes, and how errors, signals and logs are told."""

import logging
import os
import re
import signal
import subprocess
import sys
import types

import pytest

import genomamba
from genomamba.cli import main as front
from genomamba.errors import DataError


def stand_in(monkeypatch, run):
    """Put a command in the place of `report`."""
    monkeypatch.setitem(sys.modules, "genomamba.cli.report", types.SimpleNamespace(run=run))


def raiser(error):
    def run(argv):
        raise error

    return run


def test_version(capsys):
    assert front.main(["--version"]) == 0
    assert capsys.readouterr().out == f"genomamba {genomamba.__version__}\n"


def test_help_names_every_command(capsys):
    assert front.main(["-h"]) == 0
    assert set(re.findall(r"^  (\w[\w-]*) ", capsys.readouterr().out, re.M)) == set(front.COMMANDS)


@pytest.mark.parametrize("command", front.COMMANDS)
def test_help_of_a_command(command, capsys):
    assert front.main([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: genomamba {command} ")


REFUSALS = {
    "near command": (["pretain"], "unrecognised command pretain; did you mean pretrain?"),
    "far command": (["xyz"], f"unrecognised command xyz; it must be one of {', '.join(front.COMMANDS)}"),
    "option for a command": (["--verson"], "unrecognised option --verson; did you mean --version?"),
    "near option": (["pretrain", "--contxt", "4"], "unrecognised option --contxt; did you mean --context?"),
    "near option with =": (
        ["pretrain", "--contxt=4"],
        "unrecognised option --contxt; did you mean --context?",
    ),
    "abbreviation": (
        ["pretrain", "--max-st", "4"],
        "unrecognised option --max-st; did you mean --max-steps?",
    ),
    "far option": (["report", "run", "--zzz"], "unrecognised option --zzz; see genomamba report -h"),
    "stray file": (["pretrain", "a.fa"], "unexpected argument 'a.fa'; did you mean --fasta a.fa?"),
    "stray word": (["info", "run", "other"], "unexpected argument 'other'; see genomamba info -h"),
    "no value": (["pretrain", "--context"], "--context: expected one argument; see genomamba pretrain -h"),
    "no run": (["report"], "the following arguments are required: RUN; see genomamba report -h"),
    "bad value": (["pretrain", "--context", "big"], "--context is 'big'; it must be a whole number"),
    "fraction": (["pretrain", "--context", "1.5"], "--context is '1.5'; it must be a whole number"),
    "bad range": (["pretrain", "--warmup", "2"], "--warmup is 2.0; it must lie between 0 and 1"),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSALS.values(), ids=REFUSALS)
def test_wrong_usage_is_one_line_and_exit_2(arguments, message, capsys):
    assert front.main(arguments) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", message + "\n")


def test_no_command_shows_the_help_and_exits_2(capsys):
    assert front.main([]) == 2
    assert "commands:" in capsys.readouterr().err


def test_bad_data_is_one_line_and_exit_1(monkeypatch, capsys):
    stand_in(monkeypatch, raiser(DataError("a.fa:3: holds 'J'; mend it")))
    assert front.main(["report", "run"]) == 1
    assert capsys.readouterr().err == "a.fa:3: holds 'J'; mend it\n"


def test_a_bug_keeps_its_traceback(monkeypatch):
    stand_in(monkeypatch, raiser(ZeroDivisionError("by zero")))
    with pytest.raises(ZeroDivisionError):
        front.main(["report", "run"])


def test_interrupt_exits_130(monkeypatch, capsys):
    stand_in(monkeypatch, raiser(KeyboardInterrupt()))
    assert front.main(["report", "run"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_sigterm_exits_143_and_clears_up(monkeypatch):
    cleared = []

    def run(argv):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            cleared.append(True)

    stand_in(monkeypatch, run)
    before = signal.getsignal(signal.SIGTERM)
    assert front.main(["report", "run"]) == 143
    assert cleared
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_exit_code_of_the_command_is_passed_on(monkeypatch):
    stand_in(monkeypatch, lambda argv: 130)
    assert front.main(["report", "run"]) == 130


def test_log_goes_to_stderr_plainly_and_only_while_a_command_runs(monkeypatch, capsys):
    log = logging.getLogger("genomamba.data.cache")

    def run(argv):
        log.debug("detail")
        log.info("%s is made anew", "cache")
        log.warning("chr1 is taken for 1")
        return 0

    stand_in(monkeypatch, run)
    assert front.main(["report", "run"]) == 0
    assert capsys.readouterr().err == "cache is made anew\nwarning: chr1 is taken for 1\n"
    assert not logging.getLogger("genomamba").handlers


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("arguments", [["-h"], ["pretrain", "-h"], ["pretrain", "--print-config"]], ids=" ".join)
def test_a_reader_that_leaves_is_no_traceback(arguments, unbuffered):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "genomamba", *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode in (0, 1)
