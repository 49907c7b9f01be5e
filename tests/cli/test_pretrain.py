"""Options of pretrain: where a value may come from, which wins, and what is refused."""

import dataclasses
import inspect
import re
import sys
import types

import pytest

from genomamba.cli.main import main
from genomamba.cli.pretrain import parser
from genomamba.config import PretrainConfig
from genomamba.settings import from_yaml, settings_of, to_yaml

SETTINGS = settings_of(PretrainConfig)


@pytest.fixture
def trained(monkeypatch):
    """Run pretrain with a trainer that only notes what it was asked."""
    asked = {}

    def pretrain(config, *, command, emit):
        asked.update(config=config, command=command)
        return 0

    monkeypatch.setitem(sys.modules, "genomamba.train.loop", types.SimpleNamespace(pretrain=pretrain))
    monkeypatch.delenv("GENOMAMBA_CACHE_DIR", raising=False)

    def run(*arguments):
        assert main(["pretrain", *arguments]) == 0
        return asked["config"]

    run.asked = asked
    return run


@pytest.fixture
def yaml_file(tmp_path):
    def write(text):
        path = tmp_path / "run.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_defaults(trained):
    assert trained() == PretrainConfig()


def test_every_field_has_help_a_section_and_a_flag():
    shown = parser().format_help()
    for setting in SETTINGS.values():
        assert setting.help.endswith(".")
        assert f"\n  {setting.flag}" in shown
    titles = [line[:-1] for line in shown.splitlines() if re.fullmatch(r"[A-Z]\w+:", line)]
    assert titles == list(PretrainConfig.SECTIONS.values())


def test_sections_are_those_of_the_comments():
    headed = re.findall(r"^    # (\w+)\n    (\w+):", inspect.getsource(PretrainConfig), re.M)
    assert {field: title for title, field in headed} == PretrainConfig.SECTIONS


def test_a_flag_wins_over_the_file_wherever_it_stands_and_the_file_over_the_environment(
    trained, yaml_file, monkeypatch
):
    config = yaml_file("context: 256\nd_state: 8\nvalid: [chrI]\n")
    monkeypatch.setenv("GENOMAMBA_CONTEXT", "64")
    monkeypatch.setenv("GENOMAMBA_D_STATE", "64")
    monkeypatch.setenv("GENOMAMBA_SEED", "64")
    flags = ["--context", "512", "--valid", "chrII"]
    for arguments in (["--config", config, *flags], [*flags, "--config", config]):
        got = trained(*arguments)
        assert (got.context, got.d_state, got.seed) == (512, 8, 64)
        assert got.valid == ("chrII",)


VALUES = [
    (["--max-minutes", "1.5"], "max_minutes", 1.5),
    (["--max_minutes", "1.5"], "max_minutes", 1.5),
    (["--max-minutes=1.5"], "max_minutes", 1.5),
    (["--max-tokens", "1e9"], "max_tokens", 1_000_000_000),
    (["--max-tokens", "1_000"], "max_tokens", 1000),
    (["--preset", "small"], "preset", "small"),
    (["--fasta", "a.fa", "b,c.fa", "dir/"], "fasta", ("a.fa", "b,c.fa", "dir/")),
    (["--fasta", "a_b.fa", "--fasta=c_d.fa"], "fasta", ("a_b.fa", "c_d.fa")),
    (["--valid", "IV,XII"], "valid", ("IV", "XII")),
    (["--valid", "IV", "XII", "--valid", "XVI,"], "valid", ("IV", "XII", "XVI")),
    (["--resume", "--fasta", "a.fa"], "resume", True),
]


@pytest.mark.parametrize(("arguments", "name", "value"), VALUES, ids=lambda part: str(part))
def test_values(trained, arguments, name, value):
    assert getattr(trained(*arguments), name) == value


@pytest.mark.parametrize("arguments", [[], ["--out", "absent"]], ids=["bare", "absent"])
def test_resume_of_nothing_is_refused_in_place_of_training_the_example(arguments, capsys):
    assert main(["pretrain", "--resume", *arguments]) == 1
    assert "no run here to go on with" in capsys.readouterr().err


def test_resume_of_a_classifier_is_refused(tmp_path, capsys):
    for name in ("config.yaml", "data.yaml"):
        (tmp_path / name).write_text("seed: 0\n")
    assert main(["pretrain", "--resume", "--out", str(tmp_path)]) == 1
    assert "holds a classifier" in capsys.readouterr().err


def test_resume_takes_what_the_run_was_told_below_all_other_sources(trained, tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text("fasta: [a.fa]\nkeep: 3\nthreads: 1\nmax_steps: 5\n")
    monkeypatch.setenv("GENOMAMBA_THREADS", "2")
    got = trained("--resume", "--out", str(tmp_path), "--max-steps", "9")
    assert (got.fasta, got.keep, got.threads, got.max_steps) == (("a.fa",), 3, 2, 9)


def test_a_flag_can_unset_what_the_file_says(trained, yaml_file):
    got = trained(
        "--config",
        yaml_file("resume: true\nmax_steps: 4\nvalid: [a]\n"),
        "--no-resume",
        "--max-steps=",
        "--valid=",
    )
    assert (got.resume, got.max_steps, got.valid) == (False, None, ())


def test_environment_takes_lists_and_switches(trained, monkeypatch):
    monkeypatch.setenv("GENOMAMBA_VALID", "IV, XII")
    monkeypatch.setenv("GENOMAMBA_FASTA", "my genome, final.fa")
    monkeypatch.setenv("GENOMAMBA_DRY_RUN", "yes")
    got = trained()
    assert (got.valid, got.fasta, got.dry_run) == (("IV", "XII"), ("my genome, final.fa",), True)


def test_yaml_text_is_taken_as_it_stands(trained, yaml_file):
    names = "valid: [010, NO, 1:20]\ntest: 20\ninit: 'null'\n"
    numbers = "learning_rate: 4e-3\nmax_tokens: 1e6\npreset: null\nmax-steps: 7\n"
    got = trained("--config", yaml_file(names + numbers))
    assert (got.valid, got.test) == (("010", "NO", "1:20"), ("20",))
    assert (got.learning_rate, got.max_tokens, got.preset) == (0.004, 1_000_000, None)
    assert (got.init, got.max_steps) == ("null", 7)


ODD = PretrainConfig(
    fasta=("a, b.fa", "~/x y.fa", "010"),
    valid=("NO", "1e3", "null", "ref|NC_001133|"),
    init="null",
    chrom_map="caf\u00e9: # 'x'.tsv",
    max_minutes=1e-7,
    max_tokens=10**12,
    resume=True,
)


@pytest.mark.parametrize("config", [PretrainConfig(), ODD], ids=["default", "odd"])
def test_yaml_gives_back_the_same_settings(config):
    assert from_yaml(PretrainConfig, to_yaml(config)) == config


def test_printed_config_is_taken_back(trained, yaml_file, capsys):
    flags = ["--max-minutes", "2.5", "--valid", "NO,010", "--fasta", "a, b.fa", "--objective", "masked"]
    assert main(["pretrain", *flags, "--print-config"]) == 0
    assert not trained.asked
    path = yaml_file(capsys.readouterr().out)
    assert trained("--config", path) == trained(*flags)
    assert trained("--config", path) != PretrainConfig()


BAD_FILES = {
    "unknown key": ("seed: 1\ncontxt: 4\n", ":2: unrecognised setting contxt; did you mean context?"),
    "far key": ("zzz: 4\n", ":1: unrecognised setting zzz"),
    "twice": ("seed: 1\nseed: 2\n", ":2: seed is set twice; keep one of the two"),
    "bad value": ("\ncontext: big\n", ":2: context is 'big'; it must be a whole number"),
    "bad choice": (
        "preset: smal\n",
        ":1: preset is 'smal'; it must be one of tiny, small, base, large, xl; did you mean small?",
    ),
    "bad switch": ("force: maybe\n", ":1: force is 'maybe'; it must be true or false"),
    "null where none is allowed": ("seed: null\n", ":1: seed is ''; it must be a whole number"),
    "list": ("context: [1, 2]\n", ":1: context is a list; it must be a whole number"),
    "mapping": (
        "valid: {a: b}\n",
        ":1: valid holds a mapping or a list of lists; it must be one value or one list",
    ),
    "no mapping": ("- a\n", ":1: is not a list of settings; write one a line, as in context: 1024"),
    "no YAML": ("seed: [1\n", ":2: is not YAML: expected ',' or ']', but got '<stream end>'"),
    "not finite": ("clip: nan\n", ":1: clip is 'nan'; it must be a number"),
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_refused_by_line(text, message, yaml_file, capsys):
    path = yaml_file(text)
    assert main(["pretrain", "--config", path]) == 2
    assert capsys.readouterr().err == f"{path}{message}\n"


def test_a_file_that_is_not_there(tmp_path, capsys):
    assert main(["pretrain", "--config", str(tmp_path / "no.yaml")]) == 2
    assert capsys.readouterr().err == f"{tmp_path}/no.yaml: No such file or directory; --config needs a YAML file\n"


BAD_VARIABLES = {
    "GENOMAMBA_CONTXT": (
        "4",
        "unrecognised environment variable GENOMAMBA_CONTXT; did you mean GENOMAMBA_CONTEXT?",
    ),
    "GENOMAMBA_CONTEXT": ("big", "GENOMAMBA_CONTEXT is 'big'; it must be a whole number"),
    "GENOMAMBA_PRESET": ("xs", "GENOMAMBA_PRESET is 'xs'; it must be one of tiny, small, base, large, xl"),
}


@pytest.mark.parametrize("name", BAD_VARIABLES)
def test_a_bad_variable_is_refused_by_name(name, monkeypatch, capsys):
    value, message = BAD_VARIABLES[name]
    monkeypatch.setenv(name, value)
    assert main(["pretrain", "--dry-run"]) == 2
    assert capsys.readouterr().err == message + "\n"


def test_the_command_line_is_kept_as_it_can_be_typed_again(trained):
    trained("--fasta", "my genome.fa", "--seed", "3")
    assert trained.asked["command"] == "genomamba pretrain --fasta 'my genome.fa' --seed 3"


def test_all_kinds_of_field_are_covered():
    kinds = {(setting.kind, setting.many, bool(setting.choices)) for setting in SETTINGS.values()}
    assert kinds == {(str, True, False), (str, False, True), (str, False, False), (int, False, False),
                     (float, False, False), (bool, False, False)}  # fmt: skip
    assert list(SETTINGS) == [field.name for field in dataclasses.fields(PretrainConfig)]
