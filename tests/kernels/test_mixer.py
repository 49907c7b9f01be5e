"""The fused mixer: the composition of its parts whatever the segments, keeping nothing of the length but its input."""

import itertools

import pytest
import torch

from exactness import device_of, is_interpreted, make_random
from genomamba_kernels import MixerState, MixerWeights, fused_mixer, mixer_step
from genomamba_kernels.mixer.op import mixer_backward_operator, mixer_operator
from genomamba_kernels.mixer.segments import GRAIN, POSITIONS, WORKSPACE_MIB, default_segment

# b, l, m, d, n, k, r: single, one tap, shorter than the taps, odd, across the chunks and blocks of the kernels.
CASES = [(1, 1, 3, 4, 1, 2, 1), (2, 30, 4, 8, 8, 1, 2), (3, 2, 4, 5, 3, 4, 1), (2, 75, 6, 17, 5, 4, 2),
         (1, 130, 16, 33, 16, 4, 3)]  # fmt: skip
DIRECTIONS = pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
SHAPES = pytest.mark.parametrize("shape", CASES, ids=lambda s: "b{}-l{}-m{}-d{}-n{}-k{}-r{}".format(*s))
PLAIN = pytest.mark.parametrize("backend", ["reference", "cpu"])
STATES = ("conv_state", "scan_state")
SLOW = 40
"""Positions of all rows above which the interpreter is left out."""


def make(batch, length, d_model, d_inner, d_state, d_conv, dt_rank, dtype=torch.float64, seed=0, sequences=None):
    """Random inputs with every optional one: x in a dtype, the others in that of the state."""
    random = make_random(seed)
    inputs = {
        "x": random(batch, length, d_model),
        "in_proj": random(2 * d_inner, d_model) / d_model**0.5,
        "conv_weight": random(d_inner, d_conv),
        "x_proj": random(dt_rank + 2 * d_state, d_inner) / d_inner**0.5,
        "dt_proj": random(d_inner, dt_rank) / dt_rank**0.5,
        "A": -random(d_inner, d_state).abs(),
        "out_proj": random(d_model, d_inner) / d_inner**0.5,
        "conv_bias": random(d_inner),
        "dt_bias": random(d_inner) - 1,
        "D": random(d_inner),
        "conv_state": random(sequences or batch, d_conv - 1, d_inner),
        "scan_state": random(sequences or batch, d_inner, d_state),
    }
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    return {name: tensor.to(dtype if name == "x" else wide) for name, tensor in inputs.items()}


def call(inputs, **options):
    """Call the mixer with what `make` returns; y, conv state and scan state."""
    weights = MixerWeights(**{name: tensor for name, tensor in inputs.items() if name in MixerWeights._fields})
    state = MixerState(*(inputs[name] for name in STATES)) if "conv_state" in inputs else None
    y, final = fused_mixer(inputs["x"], weights, state, return_final_state=True, **options)
    return y, *final


def make_seeds(inputs):
    """Random gradients of the three outputs, numbers that every dtype holds."""
    random = make_random(seed=1)
    return [random(*inputs[name].shape).bfloat16().double() for name in ("x", *STATES)]


def run(inputs, backend="cpu", device=None, seeds=None, **options):
    """Outputs and every gradient, by name, on the CPU, without the empty states of a single tap."""
    device = device or device_of(backend)
    leaves = {name: tensor.detach().to(device).clone().requires_grad_() for name, tensor in inputs.items()}
    outputs = call(leaves, backend=backend, **options)
    seeds = seeds or make_seeds(inputs)
    torch.autograd.backward(outputs, [seed.to(y) for seed, y in zip(seeds, outputs, strict=True)])
    results = dict(zip(("y", "final conv_state", "final scan_state"), outputs, strict=True))
    results |= {f"grad {name}": leaf.grad for name, leaf in leaves.items()}
    return {name: tensor.detach().cpu() for name, tensor in results.items() if tensor.numel()}


def assert_same(actual, expected, tolerance=1e-10):
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(
            actual[name], tensor, rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )


def skip_if_slow(backend, batch, length, *_):
    if is_interpreted(backend) and batch * length > SLOW:
        pytest.skip("slow in the interpreter")


@DIRECTIONS
@SHAPES
def test_it_is_the_composition_of_its_parts(shape, reverse, kernels):
    skip_if_slow(kernels, *shape)
    inputs = make(*shape)
    assert_same(run(inputs, kernels, reverse=reverse), run(inputs, "reference", reverse=reverse))


@DIRECTIONS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@SHAPES
def test_it_is_as_exact_as_eager(shape, dtype, reverse, kernels, hold_to_eager):
    skip_if_slow(kernels, *shape)
    if is_interpreted(kernels) and dtype == torch.bfloat16:
        pytest.skip("the interpreter cuts bfloat16 off where hardware rounds it")
    hold_to_eager(run, lambda seed: make(*shape, dtype=dtype, seed=seed), backend=kernels, reverse=reverse, segment=32)


@DIRECTIONS
@pytest.mark.parametrize("segment", [1, 2, 3, 20, 64, 74, 75, 1000])
def test_any_segment_gives_the_same(segment, reverse):
    inputs = make(2, 75, 6, 17, 5, 4, 2)
    assert_same(run(inputs, reverse=reverse, segment=segment), run(inputs, "reference", reverse=reverse))


def test_sums_over_many_segments_lose_no_digits():
    inputs = make(1, 1024, 4, 5, 3, 4, 2, torch.bfloat16)
    exact = run({name: tensor.double() for name, tensor in inputs.items()}, "reference")
    one, many = ({n: (t - exact[n]).norm() for n, t in run(inputs, segment=size).items()} for size in (1024, 8))
    # A sum of bfloat16 over the segments would make it 1.8.
    ratios = [many[f"grad {name}"] / one[f"grad {name}"] for name in ("in_proj", "x_proj", "dt_proj", "out_proj")]
    assert sum(ratios) / len(ratios) <= 1.3


def test_segments_change_nothing_on_any_kernels(kernels):
    inputs = make(1, 20, 4, 5, 3, 4, 2)
    assert_same(run(inputs, kernels, segment=7), run(inputs, kernels))


@PLAIN
@DIRECTIONS
@pytest.mark.parametrize("place", [1, 2, 64, 74])
def test_any_cut_gives_the_same(place, reverse, backend):
    inputs = make(2, 75, 6, 17, 5, 4, 2)
    leaves = {name: tensor.requires_grad_() for name, tensor in inputs.items()}
    options = {"reverse": reverse, "backend": backend, "segment": 32}
    whole = call(leaves, **options)
    pieces, ys, state = [slice(0, place), slice(place, 75)], [], {name: leaves[name] for name in STATES}
    for piece in reversed(pieces) if reverse else pieces:
        y, *after = call(leaves | state | {"x": leaves["x"][:, piece]}, **options)
        state = dict(zip(STATES, after, strict=True))
        ys.append(y)
    parts = (torch.cat(ys[::-1] if reverse else ys, dim=1), *state.values())
    torch.testing.assert_close(parts, whole, rtol=1e-10, atol=1e-10)
    seeds = [seed.to(whole[0]) for seed in make_seeds(inputs)]
    expected, actual = (torch.autograd.grad(outputs, list(leaves.values()), seeds) for outputs in (whole, parts))
    for name, one, other in zip(leaves, actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10, msg=f"gradient of {name}")


@PLAIN
def test_reverse_is_flip_mix_flip(backend):
    inputs = make(2, 75, 6, 17, 5, 4, 2)
    along = ("x", "y", "conv_state")

    def flip(named):
        return {name: tensor.flip(1) if name.split()[-1] in along else tensor for name, tensor in named.items()}

    dy, dconv_state, dscan_state = make_seeds(inputs)
    backwards = run(inputs, backend, reverse=True, segment=32)
    flipped = run(flip(inputs), backend, seeds=(dy.flip(1), dconv_state.flip(1), dscan_state), segment=32)
    assert_same(flip(flipped), backwards)


@DIRECTIONS
@pytest.mark.parametrize("segment", [None, 1, 5, 16, 31])
def test_packed_is_one_by_one(segment, reverse, backend, cu_seqlens):
    lengths = [1, 2, 20, 3, 1, 4]
    if is_interpreted(backend) and segment != 5:
        pytest.skip("slow in the interpreter")
    packed = make(1, sum(lengths), 4, 5, 3, 4, 2, sequences=len(lengths))
    seeds = make_seeds(packed)
    together = run(packed, backend, seeds=seeds, reverse=reverse, segment=segment, cu_seqlens=cu_seqlens(lengths))
    edges = [0, *itertools.accumulate(lengths)]
    alone = []
    for i, (start, end) in enumerate(itertools.pairwise(edges)):
        own = packed | {"x": packed["x"][:, start:end]} | {name: packed[name][i : i + 1] for name in STATES}
        own_seeds = (seeds[0][:, start:end], *(seed[i : i + 1] for seed in seeds[1:]))
        alone.append(run(own, "reference", seeds=own_seeds, reverse=reverse))
    expected = {}
    for name in alone[0]:
        parts, kind = [part[name] for part in alone], name.split()[-1]
        if kind in ("x", "y"):
            expected[name] = torch.cat(parts, dim=1)
        else:
            expected[name] = torch.cat(parts) if kind in STATES else torch.stack(parts).sum(0)
    assert_same(together, expected)


def test_a_packed_sequence_is_cut_without_end(cu_seqlens):
    """One sequence over many segments, between short ones; some segments begin where a sequence does."""
    lengths = [3, 190, 7]
    packed = make(1, 200, 4, 5, 3, 4, 2, sequences=3)
    borders = cu_seqlens(lengths)
    expected = run(packed, "reference", cu_seqlens=borders)
    assert_same(run(packed, "cpu", cu_seqlens=borders, segment=10), expected)


@pytest.mark.parametrize("segment", [None, 6])
def test_a_row_does_not_depend_on_its_batch(segment, kernels):
    inputs = make(2, 8, 6, 17, 5, 4, 2)
    seeds = make_seeds(inputs)
    together = run(inputs, kernels, seeds=seeds, segment=segment)
    by_row = {"x", "y", *STATES}
    for row in range(2):
        at = slice(row, row + 1)
        alone = {name: tensor[at] if name in by_row else tensor for name, tensor in inputs.items()}
        results = run(alone, kernels, seeds=[seed[at] for seed in seeds], segment=segment)
        for name, tensor in results.items():
            if name.split()[-1] in by_row:
                torch.testing.assert_close(tensor, together[name][at], rtol=1e-12, atol=1e-12, msg=name)


@pytest.mark.parametrize("given", [True, False], ids=["from-a-state", "from-zero"])
def test_step_by_step_equals_the_whole(given, backend):
    inputs = make(2, 9, 6, 17, 5, 4, 2)
    inputs = {name: tensor.to(device_of(backend)) for name, tensor in inputs.items() if given or name not in STATES}
    weights = MixerWeights(**{name: tensor for name, tensor in inputs.items() if name in MixerWeights._fields})
    whole = call(inputs, backend=backend)
    state, ys = MixerState(*(inputs[name] for name in STATES)) if given else None, []
    for x in inputs["x"].unbind(1):
        y, state = mixer_step(x, weights, state, backend=backend)
        ys.append(y)
    torch.testing.assert_close((torch.stack(ys, dim=1), *state), whole, rtol=1e-10, atol=1e-10)


@DIRECTIONS
def test_it_passes_gradcheck(reverse):
    inputs = make(2, 5, 2, 2, 2, 3, 1)

    def function(*tensors):
        return call(dict(zip(inputs, tensors, strict=True)), reverse=reverse, segment=2)

    assert torch.autograd.gradcheck(function, [tensor.requires_grad_() for tensor in inputs.values()])


@pytest.mark.parametrize("optional", [True, False], ids=["all", "fewest"])
def test_optional_inputs_may_be_left_out(optional, kernels):
    inputs = make(2, 20, 4, 5, 3, 4, 2)
    kept = {name: t for name, t in inputs.items() if optional or name not in ("conv_bias", "dt_bias", "D", *STATES)}
    seeds = make_seeds(inputs)
    expected = run(kept, "reference", seeds=seeds)
    assert_same(run(kept, kernels, seeds=seeds, segment=7), expected)


@pytest.mark.parametrize("name", ["x", "in_proj", "A", "D", "scan_state"])
def test_one_input_alone_may_need_a_gradient(name):
    inputs = make(1, 20, 4, 5, 3, 4, 2)
    expected = run(inputs, "reference")
    inputs[name].requires_grad_()
    torch.autograd.backward(call(inputs, segment=7), make_seeds(inputs))
    torch.testing.assert_close(inputs[name].grad, expected[f"grad {name}"], rtol=1e-10, atol=1e-10)


def test_gradient_through_one_output_alone():
    for output in range(3):
        results = []
        for backend in ("reference", "cpu"):
            inputs = {name: tensor.requires_grad_() for name, tensor in make(1, 20, 4, 5, 3, 4, 2).items()}
            y = call(inputs, segment=7, backend=backend)[output]
            results.append(torch.autograd.grad(y.square().sum(), list(inputs.values()), materialize_grads=True))
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_nothing_of_the_length_is_kept_but_the_input():
    """What autograd keeps beyond x and the weights are the states between segments."""
    kept = {}
    for length in (640, 1280):
        inputs = {name: t.requires_grad_() for name, t in make(1, length, 4, 5, 3, 4, 2, torch.float32).items()}
        sizes = []

        def pack(tensor, sizes=sizes):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            call(inputs, segment=640)
        assert sizes.count(length * 4) == 1
        kept[length] = sum(sizes) - length * 4
    a_border = (4 - 1) * 5 + 5 * 3
    assert kept[1280] - kept[640] == a_border


def test_inference_keeps_no_states():
    inputs = make(1, 200, 4, 5, 3, 4, 2)
    assert all(kept.numel() == 0 for kept in mixer_operator(*inputs.values(), None, False, 64, "cpu", False)[3:])
    assert all(kept.numel() > 0 for kept in mixer_operator(*inputs.values(), None, False, 64, "cpu", True)[3:])


def test_strided_inputs_are_taken():
    inputs = make(2, 20, 4, 5, 3, 4, 2)
    strided = {name: x.transpose(0, -1).contiguous().transpose(0, -1) for name, x in inputs.items()}
    assert not strided["x"].is_contiguous()
    results = []
    for arguments in (inputs, strided):
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in arguments.items()}
        y, *_ = call(leaves, segment=7)
        # The gradient of a sum is expanded: its strides are 0.
        results.append((y, *torch.autograd.grad(y.sum(), list(leaves.values()))))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.thorough
@pytest.mark.parametrize("optional", [True, False], ids=["all", "fewest"])
@pytest.mark.parametrize("packed", [False, True], ids=["rows", "packed"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_operators_pass_opcheck(dtype, packed, optional, cu_seqlens):
    borders = cu_seqlens([7, 1, 22]) if packed else None
    inputs = make(1 if packed else 2, 30, 4, 5, 3, 4, 2, dtype, sequences=3 if packed else None)
    arguments = [tensor.requires_grad_() for tensor in inputs.values()]
    if not optional:
        arguments[7:] = [None] * 5
    torch.library.opcheck(mixer_operator, (*arguments, borders, True, 8, "cpu", True))
    plain = [None if x is None else x.detach() for x in arguments]
    y, conv_state, scan_state, *kept = mixer_operator(*plain, borders, True, 8, "cpu", True)
    states = (conv_state, scan_state) if optional else (None, None)
    torch.library.opcheck(mixer_backward_operator, (y, *states, *kept, *plain, borders, True, 8, "cpu"))


@pytest.mark.parametrize("autocast", [False, True], ids=["plain", "autocast"])
def test_full_graph_compiles_to_the_same(autocast):
    inputs = make(2, 70, 4, 5, 3, 4, 2, torch.float32)

    def function(*tensors):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return call(dict(zip(inputs, tensors, strict=True)))

    def results(function):
        leaves = [tensor.clone().requires_grad_() for tensor in inputs.values()]
        outputs = function(*leaves)
        return *outputs, *torch.autograd.grad(sum(y.float().sum() for y in outputs), leaves)

    expected = results(function)
    actual = results(torch.compile(function, backend="aot_eager", fullgraph=True))
    for one, other in zip(actual, expected, strict=True):
        assert torch.equal(one, other)


def test_autocast_converts_x_alone(backend):
    inputs = make(2, 10, 6, 17, 5, 4, 2, torch.float32)
    device = device_of(backend).type
    rounded = run(inputs | {"x": inputs["x"].bfloat16()}, backend, segment=6)
    with torch.autocast(device, torch.bfloat16):
        actual = run(inputs, backend, segment=6)
    assert actual["y"].dtype == torch.bfloat16
    for name, tensor in actual.items():
        if name != "y":
            assert tensor.dtype == torch.float32, name
        assert torch.equal(tensor, rounded[name].to(tensor.dtype)), name


def test_backward_is_in_the_dtype_of_forward_whatever_autocast_says_then(kernels):
    device = device_of(kernels).type
    leaves = {name: t.to(device).requires_grad_() for name, t in make(1, 20, 4, 5, 3, 4, 2, torch.float32).items()}
    y, *_ = call(leaves, backend=kernels, segment=7)
    expected = torch.autograd.grad(y.sum(), list(leaves.values()), retain_graph=True)
    with torch.autocast(device, torch.bfloat16):
        actual = torch.autograd.grad(y.sum(), list(leaves.values()))
    for one, other in zip(actual, expected, strict=True):
        assert torch.equal(one, other)


def test_autocast_leaves_float64_alone(backend):
    inputs = make(1, 20, 4, 5, 3, 4, 2)
    device = device_of(backend).type
    expected = run(inputs, backend)
    with torch.autocast(device, torch.bfloat16):
        actual = run(inputs, backend)
    for name, tensor in expected.items():
        assert torch.equal(actual[name], tensor), name


def test_forward_mode_is_refused(kernels):
    inputs = {name: tensor.to(device_of(kernels)) for name, tensor in make(1, 2, 2, 2, 2, 2, 1).items()}
    with pytest.raises(NotImplementedError, match=r"^fused_mixer: kernels know no forward-mode differentiation; "):
        torch.func.jvp(
            lambda A: call(inputs | {"A": A}, backend=kernels)[0], (inputs["A"],), (torch.ones_like(inputs["A"]),)
        )


def test_gradients_come_in_the_dtypes_of_the_weights():
    inputs = make(1, 20, 4, 5, 3, 4, 2, torch.float32)
    mixed = {name: tensor.bfloat16() if name in ("in_proj", "A", "D") else tensor for name, tensor in inputs.items()}
    results = run(mixed, segment=7)
    for name, tensor in mixed.items():
        assert results[f"grad {name}"].dtype == tensor.dtype, name
    exact = run({name: tensor.double() for name, tensor in mixed.items()}, "reference")
    for name, tensor in results.items():
        tolerance = 1e-2 if tensor.dtype == torch.bfloat16 else 1e-5
        torch.testing.assert_close(tensor.double(), exact[name], rtol=tolerance, atol=tolerance, msg=name)


@pytest.mark.parametrize("batch", [1, 8, 4096])
def test_default_segment_fits_its_memory_in_whole_chunks(batch):
    positions = default_segment(torch.empty(batch, 1, 256, dtype=torch.bfloat16), 512)
    assert positions % GRAIN == 0
    a_tensor = batch * 512 * 2 * positions
    assert a_tensor * 8 < WORKSPACE_MIB["cpu"] * 2**20 or positions == GRAIN
    assert batch * positions <= POSITIONS["cpu"] or positions == GRAIN


def shapes(**changes):
    fitting = {
        "x": (2, 8, 3), "in_proj": (10, 3), "conv_weight": (5, 4), "x_proj": (9, 5), "dt_proj": (5, 1), "A": (5, 4),
        "out_proj": (3, 5), "conv_bias": (5,), "dt_bias": (5,), "D": (5,),
        "conv_state": (2, 3, 5), "scan_state": (2, 5, 4),
    } | changes  # fmt: skip
    return {name: torch.ones(shape) if isinstance(shape, tuple) else shape for name, shape in fitting.items()}


MESSAGES = [
    ({"x": (8, 3)}, "x has shape (8, 3), expected (b l m)"),
    ({"x": (2, 0, 3)}, "x has shape (2, 0, 3), expected (b l m) without a 0"),
    ({"A": (5,)}, "A has shape (5,), expected (d n)"),
    ({"A": (5, 257)}, "A has d_state 257, expected 1 to 256"),
    ({"in_proj": (10, 4)}, "in_proj has shape (10, 4), expected (2d m) with m=3 as in A and x"),
    ({"in_proj": (5, 3)}, "in_proj has shape (5, 3), expected (2d m) with 2d=10 as in A and x"),
    ({"conv_weight": (5, 1, 4)}, "conv_weight has shape (5, 1, 4), expected (d k)"),
    ({"conv_weight": (4, 4)}, "conv_weight has shape (4, 4), expected (d k) with d=5 as in A"),
    ({"conv_weight": (5, 0)}, "conv_weight has shape (5, 0), expected (d k) without a 0"),
    ({"x_proj": (8, 5)}, "x_proj has shape (8, 5), expected (r+2n d) with r+2n=9 as in dt_proj and A"),
    ({"dt_proj": (4, 1)}, "dt_proj has shape (4, 1), expected (d r) with d=5 as in A"),
    ({"out_proj": (5, 3)}, "out_proj has shape (5, 3), expected (m d) with m=3 as in x and A"),
    ({"dt_bias": (1,)}, "dt_bias has shape (1,), expected (d) with d=5 as in A"),
    (
        {"conv_state": (2, 4, 5)},
        "initial_state.conv has shape (2, 4, 5), expected (b k-1 d) with k-1=3 as in x and the weights",
    ),
    (
        {"scan_state": (1, 5, 4)},
        "initial_state.scan has shape (1, 5, 4), expected (b d n) with b=2 as in x and the weights",
    ),
    ({"D": torch.ones(5).half()}, "D is torch.float16, expected float32, bfloat16 or float64"),
    ({"segment": 0}, "segment is 0, expected 1 or more positions"),
    ({"cu_seqlens": torch.tensor([0, 8])}, "x has a batch of 2, expected 1 with cu_seqlens"),
    ({"backend": "gpu"}, "backend is 'gpu', expected one of 'auto', 'cpu', 'triton', 'reference'"),
]


@pytest.mark.parametrize(("changes", "message"), MESSAGES, ids=[message for _, message in MESSAGES])
def test_message(changes, message):
    options = {name: changes[name] for name in ("segment", "cu_seqlens", "backend") if name in changes}
    inputs = shapes(**{name: shape for name, shape in changes.items() if name not in options})
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call(inputs, **options)
    assert str(raised.value) == f"fused_mixer: {message}"


def test_borders_that_do_not_fit_are_refused_by_name(kernels):
    inputs = make(1, 8, 3, 5, 4, 4, 1, sequences=2)
    with pytest.raises(ValueError, match=r"^fused_mixer: cu_seqlens goes from 0 to 9, expected 0 to 8, the length$"):
        call(inputs, cu_seqlens=torch.tensor([0, 3, 9]), backend=kernels)
