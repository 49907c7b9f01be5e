"""The operators as PyTorch sees them: autograd, opcheck, compile, autocast, strides, and every message."""

import os
import shutil

import pytest
import torch

from genomamba_kernels import causal_conv1d, selective_scan
from genomamba_kernels.conv.op import conv_backward_operator, conv_operator
from genomamba_kernels.scan.op import scan_backward_operator, scan_operator

SCAN_ORDER = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias", "initial_state")
LARGE, SMALL = (2, 70, 17, 5), (2, 18, 3, 2)
# opcheck calls an operator a dozen times, and judges its interface alone.
TINY = (2, 3, 2, 2)
DIRECTIONS = pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])


def on(device, inputs):
    return {name: tensor.to(device) for name, tensor in inputs.items()}


@DIRECTIONS
def test_scan_passes_gradcheck(backend, device, reverse, pick, make_scan):
    named = on(device, make_scan(*pick(backend, (2, 3, 2, 2), (1, 2, 1, 2)), torch.float64))
    inputs = [named[name].requires_grad_() for name in SCAN_ORDER]

    def function(u, delta, A, B, C, D, z, delta_bias, initial_state):
        return selective_scan(
            u, delta, A, B, C, D, z, delta_bias, True, initial_state, True, reverse, None, backend
        )  # fmt: skip

    assert torch.autograd.gradcheck(function, inputs)


@DIRECTIONS
def test_conv_passes_gradcheck(backend, device, reverse, pick, make_conv):
    named = on(device, make_conv(*pick(backend, (2, 5, 2, 3), (1, 3, 1, 2)), torch.float64))
    inputs = [tensor.requires_grad_() for tensor in named.values()]

    def function(x, weight, bias, initial_state):
        return causal_conv1d(x, weight, bias, "silu", initial_state, True, reverse, None, backend)

    assert torch.autograd.gradcheck(function, inputs)


@pytest.mark.parametrize("packed", [False, True], ids=["batch", "packed"])
@pytest.mark.parametrize("optional", [True, False], ids=["all", "fewest"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_scan_operator_passes_opcheck(kernels, dtype, optional, packed, pick, make_scan, cu_seqlens):
    _, length, *sizes = pick(kernels, LARGE, TINY)
    batch, sequences = (1, 2) if packed else (2, None)
    inputs = on(pick.device(kernels), make_scan(batch, length, *sizes, dtype, sequences=sequences))
    lengths = cu_seqlens([length - 1, 1]) if packed else None
    arguments = [inputs[name].requires_grad_() for name in SCAN_ORDER]
    if not optional:
        arguments[5:] = [None] * 4
    torch.library.opcheck(scan_operator, (*arguments, lengths, True, False, kernels, True))
    plain = [None if x is None else x.detach() for x in arguments]
    y, final_state, borders = scan_operator(*plain, lengths, True, False, kernels, True)
    torch.library.opcheck(
        scan_backward_operator,
        (y, final_state if optional else None, borders, *plain[:8], None, lengths, True, False, kernels),
    )


@pytest.mark.parametrize("packed", [False, True], ids=["batch", "packed"])
def test_conv_operator_passes_opcheck(kernels, packed, pick, make_conv, cu_seqlens):
    _, length, d_inner, _ = pick(kernels, LARGE, TINY)
    batch, sequences = (1, 2) if packed else (2, None)
    inputs = on(pick.device(kernels), make_conv(batch, length, d_inner, 4, torch.float32, sequences=sequences))
    lengths = cu_seqlens([length - 1, 1]) if packed else None
    arguments = [tensor.requires_grad_() for tensor in inputs.values()]
    torch.library.opcheck(conv_operator, (*arguments, lengths, True, False, kernels))
    plain = [tensor.detach() for tensor in arguments]
    torch.library.opcheck(conv_backward_operator, (plain[0], *plain, lengths, True, True, kernels))


@pytest.mark.parametrize("compiler", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_full_graph_compiles_to_the_same(kernels, compiler, pick, make_scan, make_conv):
    if compiler == "inductor" and shutil.which(os.environ.get("CXX", "g++")) is None:
        pytest.skip("there is no C++ compiler for inductor")
    batch, length, d_inner, d_state = pick(kernels, LARGE, SMALL)
    device = pick.device(kernels)
    scan = on(device, make_scan(batch, length, d_inner, d_state, torch.float32))
    conv = on(device, make_conv(batch, length, d_inner, 4, torch.float32))
    parameters = [*conv.values(), *(scan[name] for name in SCAN_ORDER if name != "u")]

    def function(x, weight, bias, past, delta, A, B, C, D, z, delta_bias, initial_state):
        u = causal_conv1d(x, weight, bias, "silu", past, backend=kernels)
        return selective_scan(
            u, delta, A, B, C, D, z, delta_bias, True, initial_state, return_final_state=True, backend=kernels
        )

    def results(callable_):
        leaves = [tensor.clone().requires_grad_() for tensor in parameters]
        y, state = callable_(*leaves)
        return y, state, *torch.autograd.grad(y.sum() + state.sum(), leaves)

    expected = results(function)
    actual = results(torch.compile(function, backend=compiler, fullgraph=True))
    for one, other in zip(actual, expected, strict=True):
        assert torch.equal(one, other)


def test_autocast_changes_no_number(backend, device, pick, make_scan, make_conv):
    batch, length, d_inner, d_state = pick(backend, LARGE, SMALL)
    scan = on(device, make_scan(batch, length, d_inner, d_state, torch.float32))
    conv = on(device, make_conv(batch, length, d_inner, 4, torch.float32))
    for function, inputs in ((selective_scan, scan | {"delta_softplus": True}), (causal_conv1d, conv)):
        expected = function(**inputs, backend=backend, return_final_state=True)
        with torch.autocast(device.type, torch.bfloat16):
            actual = function(**inputs, backend=backend, return_final_state=True)
        for one, other in zip(actual, expected, strict=True):
            assert one.dtype == other.dtype == torch.float32
            assert torch.equal(one, other)


def test_bfloat16_and_float32_sequences_mix(backend, pick, make_scan, run_scan):
    inputs = make_scan(1, *pick(backend, (20, 17, 5), (3, 5, 2)), torch.bfloat16)
    mixed = inputs | {"delta": inputs["delta"].float() * 1.001, "A": inputs["A"].bfloat16()}
    results = run_scan(mixed, backend=backend)
    assert results["y"].dtype == results["grad u"].dtype == results["grad A"].dtype == torch.bfloat16
    assert results["final state"].dtype == results["grad delta"].dtype == torch.float32
    # Nothing is rounded on the way in, and y once on the way out.
    exact = run_scan({name: tensor.float() for name, tensor in mixed.items()}, backend=backend)
    assert torch.equal(results["y"], exact["y"].bfloat16())


@pytest.mark.parametrize("name", SCAN_ORDER)
def test_one_input_alone_may_need_a_gradient(kernels, name, pick, make_scan, run_scan):
    inputs = make_scan(1, *pick(kernels, (70, 17, 5), (3, 2, 2)), torch.float64)
    expected = run_scan(inputs, backend="reference")
    results = run_scan(inputs, backend=kernels, gradients=[name])
    assert set(results) == {"y", "final state", f"grad {name}"}
    for key, tensor in results.items():
        torch.testing.assert_close(tensor, expected[key], rtol=1e-12, atol=1e-12, msg=key)


def test_gradient_through_the_final_state_alone(kernels, pick, make_scan):
    results = []
    for backend in (kernels, "reference"):
        named = on(pick.device(kernels), make_scan(1, *pick(kernels, (70, 17, 5), (3, 2, 2)), torch.float64))
        inputs = {name: x.requires_grad_() for name, x in named.items()}
        _, state = selective_scan(**inputs, delta_softplus=True, return_final_state=True, backend=backend)
        results.append(torch.autograd.grad(state.square().sum(), list(inputs.values()), materialize_grads=True))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_forward_mode_is_refused_where_its_tangents_would_be_lost(backend, device, make_scan, make_conv):
    for function, inputs in (
        (selective_scan, make_scan(1, 2, 2, 2, torch.float64)),
        (causal_conv1d, make_conv(1, 2, 2, 2, torch.float64)),
    ):
        names, tensors = zip(*on(device, inputs).items(), strict=True)
        for wanted in range(len(names)):

            def call(tensor, function=function, names=names, tensors=tensors, wanted=wanted):
                arguments = (*tensors[:wanted], tensor, *tensors[wanted + 1 :])
                return function(**dict(zip(names, arguments, strict=True)), backend=backend)

            one = tensors[wanted], torch.ones_like(tensors[wanted])
            if backend == "reference":
                backwards = torch.autograd.functional.jvp(call, *one)
                torch.testing.assert_close(torch.func.jvp(call, one[:1], one[1:]), backwards)
            else:
                message = f"^{function.__name__}: kernels know no forward-mode differentiation; .* backend='reference'$"
                with pytest.raises(NotImplementedError, match=message):
                    torch.func.jvp(call, one[:1], one[1:])


def test_strided_inputs_and_gradients_are_taken(backend, device, pick, make_scan, make_conv):
    batch, length, d_inner, d_state = pick(backend, (2, 30, 17, 5), SMALL)
    for function, inputs in (
        (selective_scan, make_scan(batch, length, d_inner, d_state, torch.float64)),
        (causal_conv1d, make_conv(batch, length, d_inner, 4, torch.float64)),
    ):
        inputs = on(device, inputs)
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


def test_inference_keeps_no_states(kernels, pick, make_scan):
    inputs = on(pick.device(kernels), make_scan(1, *pick(kernels, (200, 17, 5), (20, 2, 2)), torch.float32))
    arguments = [inputs[name] for name in SCAN_ORDER]
    assert scan_operator(*arguments, None, True, False, kernels, False)[2].numel() == 0
    assert scan_operator(*arguments, None, True, False, kernels, True)[2].numel() > 0
