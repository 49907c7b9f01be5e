"""Three parts of a sequence, held by three threads that take turns, are the whole: one between two others, too."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from genomamba.model.context_parallel import SequenceParts
from genomamba.model.strand import stack_strands
from genomamba_kernels.mixer import segments
from gradients_of_ranks import A_PART, KINDS, make_model

PARTS = 3


class InTurn(SequenceParts):
    """One of several threads, of which one runs at a time, and all exchange."""

    def __init__(self, rank, strands, turn, barrier, shown):
        super().__init__(rank, PARTS, None, strands)
        self._turn, self._barrier, self._shown = turn, barrier, shown

    def _gather(self, own):
        self._shown[self.rank] = own.clone()
        self._turn.release()
        self._barrier.wait()
        everywhere = list(self._shown)
        self._barrier.wait()
        self._turn.acquire()
        return everywhere


def run(model, tokens, weights, neighbours=None):
    """Return the residual stream, and the gradients of a weighted sum of it; of both strands, `weights` has both."""
    read = stack_strands(tokens, model.complement) if model.config.equivariant else tokens
    x_blm = model.residual(read, neighbours=neighbours)
    (x_blm * weights).sum().backward()
    return x_blm.detach(), {name: one.grad for name, one in model.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("recomputed", [0, 1], ids=["kept", "recomputed"])
@pytest.mark.parametrize("kind", KINDS)
def test_three_parts_are_the_whole(kind, recomputed, monkeypatch):
    # Several segments in each part, or no state would cross a border between them.
    monkeypatch.setitem(segments.WORKSPACE_MIB, "cpu", 0)
    strands = 2 if kind == "equivariant" else 1
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(7, 11, (2, PARTS * A_PART), generator=generator)
    weights = torch.rand(2 * strands, PARTS * A_PART, 8, dtype=torch.float64, generator=generator)
    expected, gradients = run(make_model(kind, recomputed), tokens, weights)
    turn, barrier, shown = threading.Lock(), threading.Barrier(PARTS, timeout=60), [None] * PARTS

    def places(x, rank):
        """Return a part: of the other strand, in the second half of the rows, the one that holds the same bases."""
        own = x.reshape(strands, 2, *x.shape[1:])
        parts = (one.split(A_PART, dim=1) for one in own)
        return torch.cat([of[PARTS - 1 - rank if strand else rank] for strand, of in enumerate(parts)])

    def one(rank):
        with turn:
            neighbours = InTurn(rank, strands, turn, barrier, shown)
            at = slice(rank * A_PART, (rank + 1) * A_PART)
            try:
                return run(make_model(kind, recomputed), tokens[:, at], places(weights, rank), neighbours)
            except BaseException:
                barrier.abort()
                raise

    with ThreadPoolExecutor(PARTS) as pool:
        found = list(pool.map(one, range(PARTS)))
    for rank, (x_blm, _) in enumerate(found):
        torch.testing.assert_close(x_blm, places(expected, rank), rtol=1e-9, atol=1e-12)
    for name, gradient in gradients.items():
        summed = sum(of_part[name] for _, of_part in found)
        torch.testing.assert_close(summed, gradient, rtol=1e-9, atol=1e-9 * float(gradient.abs().max()), msg=name)
