"""TensorBoard reads what metrics.jsonl holds, once each, also where a run was broken off and went on."""

import importlib.util
import json
import struct

import pytest

from genomamba.errors import RunError
from genomamba.train.events import VALUES
from genomamba.train.loop import pretrain


def read_events(run):
    """Tag, step and value of every number, and the time, in the order of the file."""
    from tensorboard.compat.proto.event_pb2 import Event

    (path,) = (run / "tensorboard").iterdir()
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        event = Event.FromString(data[at + 12 : at + 12 + length])
        at += length + 16
        found += [(one.tag, event.step, one.simple_value, event.wall_time) for one in event.summary.value]
    return found


def expected(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        ("/".join(row[key] for key in ("kind", "genome", "class") if row[key]) + f"/{name}", row["step"], row[name])
        for row in rows
        for name in VALUES
        if row[name] is not None
    ]


def test_events_are_the_rows_after_a_run_went_on(make_config, make_trainer):
    broken = make_trainer(make_config(tensorboard=True), leave_at=10)
    broken.train()
    # Rows and events that no checkpoint knows of, as a kill leaves them.
    broken.metrics.write(kind="train", step=11, bases=1, time_s=9.0, loss=1.0, bits_per_base=99.0)
    broken.metrics.close()
    rest = make_trainer(make_config(tensorboard=True), resume=True)
    rest.train()
    rest.metrics.close()
    run = rest.folder.path
    found = read_events(run)
    assert [one[:2] for one in found] == [one[:2] for one in expected(run)]
    assert [one[2] for one in found] == pytest.approx([one[2] for one in expected(run)], rel=1e-6)
    assert {"train/peak_share", "train/bases_per_s", "valid/bits_per_base"} <= {one[0] for one in found}
    times = [one[3] for one in found]
    assert times == sorted(times)


def test_without_the_package_the_run_is_refused_before_it_starts(make_config, monkeypatch, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "tensorboard" else find(name))
    with pytest.raises(RunError, match=r"pip install 'genomamba\[tensorboard\]'"):
        pretrain(make_config(tensorboard=True), command="", emit=print)
    assert not (tmp_path / "run").exists()
