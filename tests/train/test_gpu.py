"""Training on a GPU, as far as it shows without one: where a run trains, its memory as told, what a step asks."""

import dataclasses
import shutil

import pytest
import safetensors.torch
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from genomamba.config import ModelConfig
from genomamba.data.stream import make_loader
from genomamba.errors import ConfigError, RunError
from genomamba.model import LanguageModel
from genomamba.model import device as passes
from genomamba.train import estimate
from genomamba.train.device import choose_precision, choose_training_device
from genomamba.train.estimate import bytes_per_token, check_fits, free_memory_mib, memory_told
from genomamba.train.objective import Batch
from genomamba.train.optimizer import make_optimizer
from genomamba.train.plan import Cost, _resolve, make_plan
from genomamba.train.resume import GPU_GENERATOR, checkpoints
from genomamba.train.step import backward
from genomamba_kernels import _checks
from genomamba_kernels.selftest import Result
from runs import assert_same, fingerprint

GPU = torch.device("cuda", 0)


@pytest.fixture
def gpu(monkeypatch):
    """A GPU whose numbers are those in the list that the fixture gives, with 10 GiB free; and what became current."""
    results, current = [Result("selective_scan forwards y", 0.0, 1e-6)], []
    passes._check_numbers.cache_clear()
    monkeypatch.setattr(passes.selftest, "check", lambda *_: results)
    answers = {
        "is_available": lambda: True, "current_device": lambda: 0, "device_count": lambda: 2,
        "set_device": current.append, "get_device_capability": lambda device: (9, device.index - 1),
        "mem_get_info": lambda device: (10 * 2**30, 16 * 2**30), "memory_reserved": lambda device: 2**30,
    }  # fmt: skip
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, answer)
    yield results, current
    passes._check_numbers.cache_clear()


@pytest.mark.parametrize(("name", "index"), [("auto", 0), ("cuda", 0), ("cuda:1", 1)])
def test_a_gpu_is_taken_by_its_number_and_becomes_the_current_one(gpu, name, index):
    assert choose_training_device(name) == torch.device("cuda", index)
    assert gpu[1] == [torch.device("cuda", index)]
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_gpu_of_wrong_numbers_is_left_by_auto_with_a_word_and_refused_by_name(gpu, caplog):
    gpu[0].append(Result("selective_scan backwards y", 1.0, 1e-6))
    assert choose_training_device("auto") == torch.device("cpu")
    assert "training on the CPU, since the GPU cannot be used: device is 'cuda', which computes wrong" in caplog.text
    with pytest.raises(ConfigError, match=r"wrong numbers \(selective_scan backwards y\)"):
        choose_training_device("cuda")
    assert choose_training_device("cpu") == torch.device("cpu")


def test_auto_precision_of_a_gpu_goes_by_its_kind(gpu, monkeypatch):
    assert choose_precision("auto", GPU) == "bfloat16"
    assert choose_precision("float32", GPU) == "float32"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert choose_precision("auto", GPU) == "float32"


def test_defaults_of_a_gpu(gpu, make_config):
    bare = make_config(context=None, batch_size=None, d_model=None, num_layers=None, d_state=None)
    config = _resolve(bare, GPU)
    told = (config.preset, config.context, config.batch_size, config.workers, config.precision)
    assert told == ("small", 1_024, 128, 4, "bfloat16")


def test_memory_is_that_of_the_gpu(gpu, make_config, monkeypatch):
    plan = dataclasses.replace(make_plan(make_config(device="cpu", context=1_024, batch_size=8)), device=GPU)
    assert free_memory_mib(GPU) == 10 * 1024
    # Half of what is free, or what fills it.
    assert estimate._measured_tokens(plan) == 2**18
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**20, 2**30))
    each = bytes_per_token(plan.model.config, plan.precision, 0)
    assert estimate._measured_tokens(plan) == int(2**19 / each)
    cost = Cost(1.0, 1.0, 11 * 1024)
    check_fits(plan, cost, 10 * 1024)
    with pytest.raises(RunError, match=r"takes about 11.00 GiB of cuda:0's memory, and there are 10\.50 GiB; --recomp"):
        check_fits(plan, cost, 9.5 * 1024)
    with pytest.raises(RunError, match=r"^cuda:0: its memory ran out over 8 x 1,024 bases; give"), memory_told(plan):
        raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    ("shape", "recomputed"),
    [
        ({"direction": "causal"}, 0),
        ({"direction": "bidirectional", "equivariant": True}, 0),
        ({"direction": "bidirectional"}, 2),
    ],
    ids=["causal", "equivariant", "recomputed"],
)
@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
def test_a_step_asks_its_device_for_no_number(shape, recomputed):
    # Tensors without values: whoever would wait for one raises.
    with FakeTensorMode() as fake:
        model = LanguageModel(ModelConfig(d_model=8, num_layers=2, d_state=4, **shape))
        if recomputed:
            model.set_recompute(True, recomputed)
        tokens = torch.full((4, 64), 7)
        batch = Batch(0, tokens, tokens, torch.ones(4, 64), torch.ones(4, dtype=torch.bool))
        loss, _ = backward(model, batch, 2, torch.bfloat16)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        make_optimizer(model, 0.1).step()
        assert loss.fake_mode is norm.fake_mode is fake


def test_steps_that_are_read_together_are_the_same_steps(make_config, make_trainer, tmp_path):
    each = make_trainer(make_config(out=str(tmp_path / "each")))
    together = make_trainer(make_config())
    together.read_every = together.row_every = 4
    assert each.train()
    assert together.train()
    weights, rows = fingerprint(each)[0], [row for row in fingerprint(each)[1] if row[0] == "valid" or row[1] % 4 == 0]
    assert_same((fingerprint(together)[0], fingerprint(together)[1], *fingerprint(together)[2:]),
                (weights, rows, *fingerprint(each)[2:]))  # fmt: skip


def test_a_bad_step_among_those_read_together_is_named_and_nothing_is_written_of_it(make_config, make_trainer):
    trainer = make_trainer(make_config(valid_every=12, checkpoint_every=5))
    trainer.read_every = trainer.row_every = 8
    honest = trainer._step

    def step(batch):
        if trainer.progress.step == 8:
            with torch.no_grad():
                next(trainer.plan.model.parameters()).fill_(float("nan"))
        return honest(batch)

    trainer._step = step
    with pytest.raises(
        RunError, match=r"^step 9: loss nan.* on samples 16 to 17 .*last good checkpoint: .*step-000000"
    ):
        trainer.train()
    assert [path.name for path in checkpoints(trainer.folder.path)] == ["step-00000005"]


def test_a_run_of_a_gpu_goes_on_here(make_config, make_trainer, tmp_path):
    unbroken = make_trainer(make_config(out=str(tmp_path / "unbroken"), checkpoint_every=1, keep=30))
    assert unbroken.train()
    folder = tmp_path / "cut"
    shutil.copytree(unbroken.folder.path, folder)
    for path in checkpoints(folder)[7:]:
        shutil.rmtree(path)
    state = checkpoints(folder)[-1] / "state.safetensors"
    tensors = safetensors.torch.load_file(state)
    safetensors.torch.save_file(tensors | {GPU_GENERATOR: torch.zeros(16, dtype=torch.uint8)}, state)
    cut = make_config(out=str(folder), checkpoint_every=1, keep=30, device="cpu")
    resumed = make_trainer(cut, resume=True)
    assert resumed.progress.step == 7
    assert resumed.train()
    assert_same(fingerprint(resumed), fingerprint(unbroken))


def test_batches_for_a_gpu_are_pinned(monkeypatch, make_config, make_trainer):
    trainer, pinned = make_trainer(make_config()), []
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: GPU)
    monkeypatch.setattr(Batch, "pin_memory", lambda batch: pinned.append(batch.first) or batch)
    batches = make_loader(
        trainer.plan.stream, first=4, batch_size=2, collate=trainer.collate, workers=0, pin=True
    )  # fmt: skip
    assert [next(batches).first, next(batches).first] == pinned == [4, 6]


def test_a_run_by_the_kernels_of_gpus_loses_what_one_by_those_of_cpus_does(
    make_config, make_trainer, tmp_path, monkeypatch
):
    pytest.importorskip("triton")
    small = {"d_model": 2, "d_state": 1, "context": 3, "batch_size": 1, "max_steps": 1, "valid_every": 9}
    rows = []
    for backend in ("cpu", "triton"):
        config = make_config(**small, valid_share=0.0, test=(), test_share=0.0, out=str(tmp_path / backend))
        trainer = make_trainer(dataclasses.replace(config, precision="float32"))
        monkeypatch.setattr(_checks, "resolve_backend", lambda *_, backend=backend: backend)
        assert trainer.train()
        rows.append([row[3] for row in fingerprint(trainer)[1]])
    assert rows[1] == pytest.approx(rows[0], rel=1e-4)
