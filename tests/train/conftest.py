"""A made genome small enough that a whole run takes a second."""

from types import SimpleNamespace

import numpy as np
import pytest

from genomamba.config import PretrainConfig
from genomamba.train.plan import Cost, make_plan, run_path
from genomamba.train.run_folder import RunFolder
from genomamba.train.trainer import Trainer


@pytest.fixture(scope="session")
def made_fasta(tmp_path_factory):
    """Two contigs, 12 kb and 6 kb, of a first-order chain, so that there is something to learn."""
    generator = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("genome") / "made.fa"
    with path.open("w") as file:
        for name, length in (("one", 12_000), ("two", 6_000)):
            steps = generator.choice(4, length, p=[0.1, 0.6, 0.2, 0.1])
            sequence = "".join("ACGT"[i] for i in np.cumsum(steps) % 4)
            file.write(f">{name}\n")
            file.writelines(sequence[i : i + 60] + "\n" for i in range(0, length, 60))
    return path


@pytest.fixture
def make_config(made_fasta, tmp_path):
    """Settings of a run of 20 small steps; keywords override."""

    def make(**changes):
        settings = {
            "fasta": (str(made_fasta),), "test": ("two",), "d_model": 8, "num_layers": 1, "d_state": 4, "context": 64,
            "batch_size": 2, "max_steps": 20, "valid_every": 7, "valid_bases": 500, "threads": 1,
            "out": str(tmp_path / "run"), "learning_rate": 0.01,
        }  # fmt: skip
        return PretrainConfig(**(settings | changes))

    return make


@pytest.fixture
def make_trainer():
    """A trainer of these settings, without measuring a step first; `leave_at` asks it to leave after a step."""

    def make(config, *, resume=False, leave_at=None):
        plan = make_plan(config)
        folder = RunFolder(run_path(config), resume=resume, force=False)
        folder.start(command="made", inputs=plan.genome.inputs)
        folder.write_config(plan.config)
        signals = SimpleNamespace(leave=None, take_checkpoint=lambda: False)
        trainer = Trainer(plan, folder, Cost(0.01, 0.01, 100.0), signals)
        if leave_at is not None:
            after = trainer._after_step

            def leave():
                after()
                signals.leave = 15 if trainer.progress.step >= leave_at else None

            trainer._after_step = leave
        return trainer

    return make
