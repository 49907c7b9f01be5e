"""The operators as PyTorch sees them: autograd, opcheck, compile, autocast, strides, and every message."""

import pytest
import torch

from genomamba_kernels import causal_conv1d, selective_scan
from genomamba_kernels.conv.op import conv_backward_operator, conv_operator
from genomamba_kernels.scan.op import scan_backward_operator, scan_operator

BACKENDS = ["reference", "cpu"]
SCAN_ORDER = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias", "initial_state")


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_scan_passes_gradcheck(backend, reverse, make_scan):
    inputs = [make_scan(2, 3, 2, 2, torch.float64)[name].requires_grad_() for name in SCAN_ORDER]

    def function(u, delta, A, B, C, D, z, delta_bias, initial_state):
        return selective_scan(
            u, delta, A, B, C, D, z, delta_bias, True, initial_state, True, reverse, None, backend
        )  # fmt: skip

    assert torch.autograd.gradcheck(function, inputs)


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_conv_passes_gradcheck(backend, reverse, make_conv):
    inputs = [tensor.requires_grad_() for tensor in make_conv(2, 5, 2, 3, torch.float64).values()]

    def function(x, weight, bias, initial_state):
        return causal_conv1d(x, weight, bias, "silu", initial_state, True, reverse, None, backend)

    assert torch.autograd.gradcheck(function, inputs)


@pytest.mark.parametrize("optional", [True, False], ids=["all", "fewest"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_scan_operator_passes_opcheck(dtype, optional, make_scan):
    inputs = make_scan(2, 70, 17, 5, dtype)
    arguments = [inputs[name].requires_grad_() for name in SCAN_ORDER]
    if not optional:
        arguments[5:] = [None] * 4
    torch.library.opcheck(scan_operator, (*arguments, None, True, False, "cpu", True))
    plain = [None if x is None else x.detach() for x in arguments]
    y, final_state, borders = scan_operator(*plain, None, True, False, "cpu", True)
    torch.library.opcheck(
        scan_backward_operator,
        (y, final_state if optional else None, borders, *plain[:8], None, None, True, False, "cpu"),
    )


def test_conv_operator_passes_opcheck(make_conv):
    arguments = [tensor.requires_grad_() for tensor in make_conv(2, 70, 17, 4, torch.float32).values()]
    torch.library.opcheck(conv_operator, (*arguments, None, True, False, "cpu"))
    plain = [tensor.detach() for tensor in arguments]
    torch.library.opcheck(conv_backward_operator, (plain[0], *plain, None, True, True, "cpu"))


def test_full_graph_compiles_to_the_same(make_scan, make_conv):
    scan, conv = make_scan(2, 70, 17, 5, torch.float32), make_conv(2, 70, 17, 4, torch.float32)
    parameters = [*conv.values(), *(scan[name] for name in SCAN_ORDER if name != "u")]

    def function(x, weight, bias, past, delta, A, B, C, D, z, delta_bias, initial_state):
        u = causal_conv1d(x, weight, bias, "silu", past)
        return selective_scan(u, delta, A, B, C, D, z, delta_bias, True, initial_state, return_final_state=True)

    def results(callable_):
        leaves = [tensor.clone().requires_grad_() for tensor in parameters]
        y, state = callable_(*leaves)
        return y, state, *torch.autograd.grad(y.sum() + state.sum(), leaves)

    expected = results(function)
    actual = results(torch.compile(function, backend="aot_eager", fullgraph=True))
    for one, other in zip(actual, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("backend", BACKENDS)
def test_autocast_changes_no_number(backend, make_scan, make_conv):
    scan, conv = make_scan(2, 70, 17, 5, torch.float32), make_conv(2, 70, 17, 4, torch.float32)
    for function, inputs in ((selective_scan, scan | {"delta_softplus": True}), (causal_conv1d, conv)):
        expected = function(**inputs, backend=backend, return_final_state=True)
        with torch.autocast("cpu", torch.bfloat16):
            actual = function(**inputs, backend=backend, return_final_state=True)
        for one, other in zip(actual, expected, strict=True):
            assert one.dtype == other.dtype == torch.float32
            assert torch.equal(one, other)


@pytest.mark.parametrize("backend", BACKENDS)
def test_bfloat16_and_float32_sequences_mix(backend, make_scan, run_scan):
    inputs = make_scan(1, 20, 17, 5, torch.bfloat16)
    mixed = inputs | {"delta": inputs["delta"].float() * 1.001, "A": inputs["A"].bfloat16()}
    results = run_scan(mixed, backend=backend)
    assert results["y"].dtype == results["grad u"].dtype == results["grad A"].dtype == torch.bfloat16
    assert results["final state"].dtype == results["grad delta"].dtype == torch.float32
    # Nothing is rounded on the way in, and y once on the way out.
    exact = run_scan({name: tensor.float() for name, tensor in mixed.items()}, backend=backend)
    assert torch.equal(results["y"], exact["y"].bfloat16())


@pytest.mark.parametrize("name", SCAN_ORDER)
def test_one_input_alone_may_need_a_gradient(name, make_scan, run_scan):
    inputs = make_scan(1, 70, 17, 5, torch.float64)
    expected = run_scan(inputs, backend="reference")
    inputs[name].requires_grad_()
    y, state = selective_scan(**inputs, delta_softplus=True, return_final_state=True)
    generator = torch.Generator().manual_seed(1)
    seeds = [torch.randn(x.shape, generator=generator, dtype=torch.float64) for x in (y, state)]
    torch.autograd.backward([y, state], seeds)
    torch.testing.assert_close(inputs[name].grad, expected[f"grad {name}"], rtol=1e-12, atol=1e-12)


def test_gradient_through_the_final_state_alone(make_scan):
    results = []
    for backend in BACKENDS:
        inputs = {name: x.requires_grad_() for name, x in make_scan(1, 70, 17, 5, torch.float64).items()}
        _, state = selective_scan(**inputs, delta_softplus=True, return_final_state=True, backend=backend)
        results.append(torch.autograd.grad(state.square().sum(), list(inputs.values()), materialize_grads=True))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_strided_inputs_and_gradients_are_taken(backend, make_scan, make_conv):
    for function, inputs in (
        (selective_scan, make_scan(2, 30, 17, 5, torch.float64)),
        (causal_conv1d, make_conv(2, 30, 17, 4, torch.float64)),
    ):
        strided = {name: x.transpose(0, -1).contiguous().transpose(0, -1) for name, x in inputs.items()}
        assert not next(iter(strided.values())).is_contiguous()
        results = []
        for arguments in (inputs, strided):
            leaves = {name: tensor.detach().requires_grad_() for name, tensor in arguments.items()}
            y = function(**leaves, backend=backend)
            # The gradient of a sum is expanded: its strides are 0.
            results.append((y, *torch.autograd.grad(y.sum(), list(leaves.values()))))
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_inference_keeps_no_states(make_scan):
    inputs = make_scan(1, 200, 17, 5, torch.float32)
    arguments = [inputs[name] for name in SCAN_ORDER]
    assert scan_operator(*arguments, None, True, False, "cpu", False)[2].numel() == 0
    assert scan_operator(*arguments, None, True, False, "cpu", True)[2].numel() > 0


def scan_shapes(**changes):
    shapes = {"u": (2, 8, 3), "delta": (2, 8, 3), "A": (3, 4), "B": (2, 8, 4), "C": (2, 8, 4)} | changes
    return {name: torch.ones(shape) if isinstance(shape, tuple) else shape for name, shape in shapes.items()}


def conv_shapes(**changes):
    shapes = {"x": (2, 8, 3), "weight": (3, 4)} | changes
    return {name: torch.ones(shape) if isinstance(shape, tuple) else shape for name, shape in shapes.items()}


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
    ({"activation": "relu"}, "activation is 'relu', expected None or 'silu'"),
    ({"backend": "gpu"}, "backend is 'gpu', expected one of 'auto', 'cpu', 'triton', 'reference'"),
]


@pytest.mark.parametrize(("changes", "message"), SCAN_MESSAGES, ids=[message for _, message in SCAN_MESSAGES])
def test_message_of_the_scan(changes, message):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        selective_scan(**scan_shapes(**changes))
    assert str(raised.value) == f"selective_scan: {message}"


@pytest.mark.parametrize(("changes", "message"), CONV_MESSAGES, ids=[message for _, message in CONV_MESSAGES])
def test_message_of_the_convolution(changes, message):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        causal_conv1d(**conv_shapes(**changes))
    assert str(raised.value) == f"causal_conv1d: {message}"


@pytest.mark.parametrize("backend", ["auto", "cpu"])
def test_a_device_without_kernels_is_refused_with_the_way_out(backend):
    inputs = {name: tensor.to("meta") for name, tensor in scan_shapes().items()}
    with pytest.raises(NotImplementedError) as raised:
        selective_scan(**inputs, backend=backend)
    way_out = {
        "auto": "no kernel runs on meta; move the tensors to a CPU or a GPU, or pass backend='reference'",
        "cpu": "backend 'cpu' does not run on meta; move the tensors to the CPU, or pass backend='auto'",
    }
    assert str(raised.value) == f"selective_scan: {way_out[backend]}"
