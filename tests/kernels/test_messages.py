"""Every message of the operators: where, what it is, what it should be, and the way out."""

import pytest
import torch

from genomamba_kernels import _checks, causal_conv1d, selective_scan, selective_scan_step


def scan_shapes(**changes):
    shapes = {"u": (2, 8, 3), "delta": (2, 8, 3), "A": (3, 4), "B": (2, 8, 4), "C": (2, 8, 4)} | changes
    return {name: torch.ones(shape) if isinstance(shape, tuple) else shape for name, shape in shapes.items()}


def conv_shapes(**changes):
    shapes = {"x": (2, 8, 3), "weight": (3, 4)} | changes
    return {name: torch.ones(shape) if isinstance(shape, tuple) else shape for name, shape in shapes.items()}


ONE_ROW = {"u": (1, 8, 3), "delta": (1, 8, 3), "B": (1, 8, 4), "C": (1, 8, 4)}
SCAN_MESSAGES = [
    ({"u": (8, 3)}, "u has shape (8, 3), expected (b l d)"),
    ({"u": (2, 0, 3)}, "u has shape (2, 0, 3), expected (b l d) without a 0"),
    ({"delta": (2, 8, 1)}, "delta has shape (2, 8, 1), expected (b l d) with d=3 as in u"),
    ({"delta": (8, 3)}, "delta has shape (8, 3), expected (b l d)"),
    ({"A": (3,)}, "A has shape (3,), expected (d n)"),
    ({"A": (5, 4)}, "A has shape (5, 4), expected (d n) with d=3 as in u"),
    ({"A": (3, 257)}, "A has d_state 257, expected 1 to 256"),
    ({"B": (2, 7, 4)}, "B has shape (2, 7, 4), expected (b l n) with l=8 as in u"),
    ({"C": (2, 8, 5)}, "C has shape (2, 8, 5), expected (b l n) with n=4 as in A"),
    ({"D": (4,)}, "D has shape (4,), expected (d) with d=3 as in u"),
    ({"z": (1, 8, 3)}, "z has shape (1, 8, 3), expected (b l d) with b=2 as in u"),
    ({"delta_bias": (3, 1)}, "delta_bias has shape (3, 1), expected (d)"),
    ({"initial_state": (2, 3, 5)}, "initial_state has shape (2, 3, 5), expected (b d n) with n=4 as in A"),
    ({"u": torch.ones(2, 8, 3).half()}, "u is torch.float16, expected float32, bfloat16 or float64"),
    ({"B": torch.ones(2, 8, 4).long()}, "B is torch.int64, expected float32, bfloat16 or float64"),
    (
        {"u": torch.ones(2, 8, 3).double()},
        "delta is torch.float32 but u is torch.float64; float64 does not mix with others, convert one of them",
    ),
    ({"B": torch.ones(2, 8, 4, device="meta")}, "B is on meta but u is on cpu"),
    ({"backend": "gpu"}, "backend is 'gpu', expected one of 'auto', 'cpu', 'triton', 'reference'"),
    ({"cu_seqlens": [0, 8]}, "cu_seqlens is a list, expected a tensor of int32 or int64"),
    ({"cu_seqlens": torch.tensor([[0, 8]])}, "cu_seqlens has shape (1, 2), expected (s+1) with s of 1 or more"),
    ({"cu_seqlens": torch.tensor([0])}, "cu_seqlens has shape (1,), expected (s+1) with s of 1 or more"),
    ({"cu_seqlens": torch.tensor([0.0, 8.0])}, "cu_seqlens is torch.float32, expected int32 or int64"),
    ({"cu_seqlens": torch.tensor([0, 8])}, "u has a batch of 2, expected 1 with cu_seqlens"),
    (
        ONE_ROW | {"cu_seqlens": torch.tensor([0, 3, 8]), "initial_state": (1, 3, 4)},
        "initial_state has shape (1, 3, 4), expected (s d n) with s=2 as in cu_seqlens",
    ),
]
CONV_MESSAGES = [
    ({"x": (8, 3)}, "x has shape (8, 3), expected (b l d)"),
    ({"x": (2, 0, 3)}, "x has shape (2, 0, 3), expected (b l d) without a 0"),
    ({"weight": (3,)}, "weight has shape (3,), expected (d k)"),
    ({"weight": (4, 4)}, "weight has shape (4, 4), expected (d k) with d=3 as in x"),
    ({"weight": (3, 0)}, "weight has shape (3, 0), expected (d k) with k of 1 or more"),
    ({"bias": (2,)}, "bias has shape (2,), expected (d) with d=3 as in x"),
    (
        {"initial_state": (2, 4, 3)},
        "initial_state has shape (2, 4, 3), expected (b k-1 d) with k-1=3 as in x and weight",
    ),
    ({"weight": torch.ones(3, 4).half()}, "weight is torch.float16, expected float32, bfloat16 or float64"),
    ({"cu_seqlens": torch.tensor([0, 8])}, "x has a batch of 2, expected 1 with cu_seqlens"),
    (
        {"x": (1, 8, 3), "cu_seqlens": torch.tensor([0, 3, 8]), "initial_state": (1, 3, 3)},
        "initial_state has shape (1, 3, 3), expected (s k-1 d) with s=2 as in cu_seqlens",
    ),
    ({"activation": "relu"}, "activation is 'relu', expected None or 'silu'"),
    ({"backend": "gpu"}, "backend is 'gpu', expected one of 'auto', 'cpu', 'triton', 'reference'"),
]


@pytest.mark.parametrize(("changes", "message"), SCAN_MESSAGES, ids=[message for _, message in SCAN_MESSAGES])
def test_message_of_the_scan(changes, message):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        selective_scan(**scan_shapes(**changes))
    assert str(raised.value) == f"selective_scan: {message}"


STEP_MESSAGES = [
    ({"u": (2, 1, 3)}, "u has shape (2, 1, 3), expected (b d)"),
    ({"u": (0, 3)}, "u has shape (0, 3), expected (b d) without a 0"),
    ({"A": (3, 0)}, "A has d_state 0, expected 1 to 256"),
    ({"B": (2, 5)}, "B has shape (2, 5), expected (b n) with n=4 as in A"),
    ({"z": (1, 3)}, "z has shape (1, 3), expected (b d) with b=2 as in u"),
    ({"state": (2, 4, 3)}, "state has shape (2, 4, 3), expected (b d n) with d=3 as in u"),
    ({"C": torch.ones(2, 4).long()}, "C is torch.int64, expected float32, bfloat16 or float64"),
    ({"backend": "gpu"}, "backend is 'gpu', expected one of 'auto', 'cpu', 'triton', 'reference'"),
]


@pytest.mark.parametrize(("changes", "message"), STEP_MESSAGES, ids=[message for _, message in STEP_MESSAGES])
def test_message_of_the_step(changes, message):
    shapes = {"state": (2, 3, 4), "u": (2, 3), "delta": (2, 3), "A": (3, 4), "B": (2, 4), "C": (2, 4)} | changes
    given = {name: torch.ones(shape) if isinstance(shape, tuple) else shape for name, shape in shapes.items()}
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        selective_scan_step(**given)
    assert str(raised.value) == f"selective_scan_step: {message}"


@pytest.mark.parametrize(("changes", "message"), CONV_MESSAGES, ids=[message for _, message in CONV_MESSAGES])
def test_message_of_the_convolution(changes, message):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        causal_conv1d(**conv_shapes(**changes))
    assert str(raised.value) == f"causal_conv1d: {message}"


@pytest.mark.parametrize("kind", [torch.int32, torch.int64], ids=str)
@pytest.mark.parametrize(
    ("borders", "message"),
    [
        ([1, 8], "cu_seqlens goes from 1 to 8, expected 0 to 8, the length"),
        ([0, 3, 7], "cu_seqlens goes from 0 to 7, expected 0 to 8, the length"),
        ([0, 9], "cu_seqlens goes from 0 to 9, expected 0 to 8, the length"),
        ([0, 5, 5, 8], "cu_seqlens[1] is 5 and cu_seqlens[2] is 5, expected each border above the one before it"),
        ([0, 6, 5, 8], "cu_seqlens[1] is 6 and cu_seqlens[2] is 5, expected each border above the one before it"),
    ],
    ids=str,
)
def test_borders_that_are_no_packing_are_refused_by_every_backend(backend, device, borders, message, kind):
    cu_seqlens = torch.tensor(borders, dtype=kind)
    scan = {name: x.to(device) for name, x in scan_shapes(**ONE_ROW).items()}
    conv = {name: x.to(device) for name, x in conv_shapes(x=(1, 8, 3)).items()}
    for function, inputs in ((selective_scan, scan), (causal_conv1d, conv)):
        with pytest.raises(ValueError) as raised:  # noqa: PT011
            function(**inputs, cu_seqlens=cu_seqlens, backend=backend)
        assert str(raised.value) == f"{function.__name__}: {message}"


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("auto", "no kernel runs on meta; move the tensors to a CPU or a GPU, or pass backend='reference'"),
        ("cpu", "backend 'cpu' does not run on meta; move the tensors to the CPU, or pass backend='auto'"),
        (
            "triton",
            "backend 'triton' does not run on meta; move the tensors to a GPU, pass backend='auto', or set"
            " TRITON_INTERPRET=1 before the start to run its interpreter, slowly, on the CPU",
        ),
    ],
)
def test_a_device_without_kernels_is_refused_with_the_way_out(name, way_out, monkeypatch):
    monkeypatch.setattr(_checks, "HAS_TRITON", True)
    for function, inputs in ((selective_scan, scan_shapes()), (causal_conv1d, conv_shapes())):
        with pytest.raises(NotImplementedError) as raised:
            function(**{name: tensor.to("meta") for name, tensor in inputs.items()}, backend=name)
        assert str(raised.value) == f"{function.__name__}: {way_out}"


def test_triton_is_refused_on_the_cpu_without_its_interpreter(monkeypatch):
    monkeypatch.setattr(_checks, "HAS_TRITON", True)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(NotImplementedError, match=r"backend 'triton' does not run on cpu; .* set TRITON_INTERPRET=1"):
        selective_scan(**scan_shapes(), backend="triton")


def test_triton_is_refused_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(_checks, "HAS_TRITON", False)
    with pytest.raises(NotImplementedError) as raised:
        causal_conv1d(**conv_shapes(), backend="triton")
    way_out = "backend 'triton' needs the package triton: pip install 'genomamba[triton]'"
    assert str(raised.value) == f"causal_conv1d: {way_out}"
