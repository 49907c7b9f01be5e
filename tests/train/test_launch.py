"""What launchers say in the environment, and how processes share the work: values alone."""

import pytest

from genomamba.config import PRESETS, ModelConfig, PretrainConfig
from genomamba.errors import ConfigError, RunError
from genomamba.model import LanguageModel, count_parameters
from genomamba.train.distributed import Ranks
from genomamba.train.launch import find_launch, read_layout
from genomamba.train.sharing import check_division, traffic
from genomamba.train.stages import Stage, Stages

SRUN = {
    "SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "7", "SLURM_NTASKS": "7", "SLURM_LOCALID": "1", "SLURM_NODEID": "2",
    "SLURM_STEP_NUM_NODES": "4", "SLURM_STEP_NODELIST": "gpu[07-09,12]-ib,login1", "SLURM_JOB_ID": "4190012",
    "SLURM_STEP_ID": "3", "SLURM_STEP_TASKS_PER_NODE": "2(x3),1",
}  # fmt: skip
TORCHRUN = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "node1",
    "MASTER_PORT": "4321", "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "2",
}  # fmt: skip


def test_a_process_by_itself_and_a_run_of_one_need_no_others():
    assert find_launch({}) is None
    assert find_launch(TORCHRUN | {"RANK": "0", "WORLD_SIZE": "1"}) is None
    assert find_launch(SRUN | {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}) is None


def test_torchrun_is_read_also_where_srun_started_it():
    launch = find_launch(SRUN | TORCHRUN)
    assert (launch.rank, launch.size, launch.local_rank, launch.local_size) == (3, 4, 1, 2)
    assert (launch.address, launch.port, launch.has_store, launch.attempt) == ("node1", 4321, True, 2)


def test_srun_is_read():
    launch = find_launch(SRUN)
    assert (launch.rank, launch.size, launch.local_rank, launch.local_size) == (5, 7, 1, 2)
    assert launch.address == "gpu07-ib"
    assert 10_000 <= launch.port < 30_000
    assert launch.port != find_launch(SRUN | {"SLURM_STEP_ID": "4"}).port
    assert find_launch(SRUN | {"SLURM_NODEID": "3", "SLURM_PROCID": "6"}).local_size == 1


def test_the_script_of_a_job_of_several_tasks_is_one_process():
    script = {name: text for name, text in SRUN.items() if not name.startswith("SLURM_STEP")}
    assert find_launch(script) is None


def test_processes_of_one_node_meet_on_its_loopback_device():
    launch = find_launch(SRUN | {"SLURM_STEP_NUM_NODES": "1"})
    assert launch.is_local
    assert not find_launch(SRUN).is_local


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("c1", "c1"), ("c1,c2", "c1"), ("c[3-4]", "c3"), ("c[010,012-014]", "c010"), ("r1-n[5,7].x,y", "r1-n5.x")],
)
def test_the_first_host_of_a_list(nodes, first):
    assert find_launch(SRUN | {"SLURM_STEP_NODELIST": nodes}).address == first


def test_a_variable_that_is_no_number_is_named():
    with pytest.raises(RunError, match="LOCAL_RANK is 'one' in the environment, not a number"):
        find_launch(TORCHRUN | {"LOCAL_RANK": "one"})


@pytest.mark.parametrize(
    ("text", "processes", "layout"),
    [("", 3, (3, 1)), ("context=2", 6, (3, 2)), ("data=2", 2, (2, 1)), ("data=2,context=4", 8, (2, 4))],
)
def test_layouts(text, processes, layout):
    assert read_layout(text.split(",") if text else (), processes) == layout


@pytest.mark.parametrize(
    ("text", "processes", "says"),
    [
        ("data=2,context=4", 6, r"2 x 4 = 8 processes, and 6 processes run; .* give --parallel data=3,context=2$"),
        ("context=4", 2, r"1 x 4 = 4 processes, and 2 processes run; .* give --parallel data=1,context=2$"),
        ("context=2", 1, r"1 x 2 = 2 processes, and 1 process runs; .* give --parallel data=1,context=1$"),
        ("model=2", 2, r"has 'model=2'; it is of the form data=2,context=4"),
        ("data=0", 1, r"has 'data=0'"),
        ("context=2,context=2", 2, r"has context twice; give it once"),
    ],
)
def test_layouts_that_do_not_multiply_out_are_refused_with_the_product(text, processes, says):
    with pytest.raises(ConfigError, match=says):
        read_layout(text.split(","), processes)


@pytest.mark.parametrize(
    ("windows", "context", "data", "parts", "says"),
    [
        (6, 64, 4, 1, r"batch_size is 6 windows .* data=4 does not divide; take 4 or 8"),
        (2, 64, 4, 1, r"batch_size is 2 windows .* take 4, or other"),
        (4, 66, 1, 4, r"context is 66 bases, which context=4 does not divide; take 68"),
        (4, 8, 1, 4, r"context is 8 bases, 2 for each of context=4, and a convolution looks 3 back"),
    ],
)
def test_work_that_does_not_divide_is_refused_with_what_would(windows, context, data, parts, says):
    stages = Stages((Stage(context=context, windows=windows, rate=1e-3),))
    with pytest.raises(ConfigError, match=says):
        check_division(PretrainConfig(), stages, ModelConfig(d_model=8, num_layers=1), Ranks(0, data, parts))


def test_states_are_carried_from_window_to_window_or_from_process_to_process():
    stages = Stages((Stage(context=64, windows=4, rate=1e-3),))
    config, model = PretrainConfig(carry_state=True), ModelConfig(d_model=8, num_layers=1)
    check_division(config, stages, model, Ranks(0, 2, 1))
    with pytest.raises(ConfigError, match="leave one out"):
        check_division(config, stages, model, Ranks(0, 1, 2))


def test_ranks_of_one_window_are_next_to_one_another():
    places = [(ranks.data_rank, ranks.context_rank) for ranks in (Ranks(rank, 2, 3) for rank in range(6))]
    assert places == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_each_of_several_processes_has_a_gpu_of_its_own():
    assert Ranks().device_name("cuda:1") == "cuda:1"
    assert Ranks(1, 2, local_rank=1, local_size=2).device_name("cpu") == "cpu"
    with pytest.raises(ConfigError, match="one GPU for 2 processes; take cuda"):
        Ranks(1, 2, local_rank=1, local_size=2).device_name("cuda:1")


def test_what_is_exchanged_by_hand():
    config = ModelConfig(d_model=8, num_layers=3, d_state=4, direction="bidirectional")
    # d_inner is 16: four tails of 3 x 16 make two ways, and two pairs of 16 x 4 states, in float32.
    a_walk = 4 * 16 * 2 * (3 + 2 * 4)
    alone = traffic(config, 1000, data=1, context=1, windows=8)
    assert (alone.bytes, alone.messages) == (0, 0)
    data = traffic(config, 1000, data=4, context=1, windows=8)
    # Three sums of two turns there and two back, and a gathering of two.
    assert (data.gradient_bytes, data.state_bytes, data.messages) == (2 * 3 / 4 * 4000, 0, 3 * 4 + 2)
    both = traffic(config, 1000, data=2, context=4, windows=8)
    assert both.state_bytes == 3 * 4 * 3 * 2 * a_walk
    assert both.messages == 3 * 6 + 3 + 6 * 4 * 2
    assert both.seconds(latency_s=1.0, bytes_per_s=1e30) == pytest.approx(both.messages)


def test_no_part_of_what_is_exchanged_grows_with_the_context():
    config = ModelConfig(**PRESETS["small"])
    model = LanguageModel(config)
    assert traffic(config, count_parameters(model), data=1, context=8, windows=1).state_bytes < 2**24
