"""Several sequences through a causal model side by side, each a piece further with every pass.

A sequence holds a state of its own, so that any of those under way may be taken next, and another may begin where one
has ended. What a sequence gives does not depend on those beside it: rows of a matrix product share nothing. On a CPU a
pass is as wide as there are sequences, and tests hold it to the last bit; elsewhere, where products are
chosen by their size, every pass has the same width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from genomamba.alphabet import TokenArray, get_alphabet
from genomamba.errors import RunError
from genomamba.model import LanguageModel
from genomamba.model.block import Block
from genomamba.model.mixer import Mixer
from genomamba.model.state import MambaState
from genomamba.model.streaming import token_log_likelihood

__all__ = ["Float64Array", "Lanes", "Walk"]

Float64Array = npt.NDArray[np.float64]


class Walk(Protocol):
    """A sequence under way."""

    state: MambaState
    """After all that was read."""
    before: int
    """The last token that was read as a target, or [BOS]; it is what the next one is predicted from."""

    def targets(self, count: int) -> TokenArray:
        """Return the tokens that come next, (count,), filled up with any where the sequence ends."""

    def wants_terms(self, count: int) -> bool:
        """Say whether the log-likelihoods of the tokens that come next are of use."""

    def take(self, count: int, terms: Float64Array | None) -> None:
        """Note that tokens were read, and what the model says of them, in nats; NaN where one is no base."""


class Lanes:
    """A model, and how many sequences go through it at once.

    Parameters
    ----------
    model : LanguageModel
        Causal, in evaluation mode.
    width : int
        Most sequences of a pass.
    """

    @torch.no_grad()
    def __init__(self, model: LanguageModel, width: int) -> None:
        self.model, self.width = model, width
        self.alphabet = get_alphabet(model.config.alphabet)
        self.device = model.embedding.weight.device
        self._wide = torch.promote_types(model.embedding.weight.dtype, torch.float32)
        # A causal model alone has one.
        self.start()
        # What the first layer makes of a token before it looks at others: there are few tokens.
        self._first, *self._rest = model.blocks()
        self._projected = _mixer(self._first).project_in(self._first.norm(model.embedding.weight))

    def start(self) -> MambaState:
        """Return the state of one sequence before its first token."""
        return MambaState.start(self.model.config, 1, self.device, self._wide)

    @torch.no_grad()
    def advance(self, walks: Sequence[Walk], count: int) -> None:
        """Read the next `count` tokens of each sequence.

        Raises
        ------
        RunError
            Where what the model says of a base is not finite.
        """
        assert 0 < len(walks) <= self.width
        padding = 0 if self.device.type == "cpu" else self.width - len(walks)
        filled = [*walks, *padding * [walks[0]]]
        targets = np.stack([walk.targets(count) for walk in filled])
        before = np.array([[walk.before] for walk in filled])
        inputs = torch.from_numpy(np.concatenate([before, targets[:, :-1]], axis=1)).to(self.device)
        wanting = [walk.wants_terms(count) for walk in walks]
        hidden, state = self._read(inputs, MambaState.stack([walk.state for walk in filled]), any(wanting))
        terms = None if hidden is None else self._terms(hidden, targets)
        for row, (walk, wants) in enumerate(zip(walks, wanting, strict=True)):
            one = slice(row, row + 1)
            walk.state = MambaState(state.conv[:, one], state.scan[:, one], state.position[one])
            walk.before = int(targets[row, -1])
            walk.take(count, terms[row] if terms is not None and wants else None)

    def _read(self, inputs: Tensor, state: MambaState, wanted: bool) -> tuple[Tensor | None, MambaState]:
        """Do what `LanguageModel.advance` does; without the hidden states, where they are not wanted."""
        before, *befores = state.layers()
        mixer = _mixer(self._first)
        x_bld, z_bld = (F.embedding(inputs, table) for table in self._projected)
        y_bld, after = mixer.mix(x_bld, z_bld, before)
        x_blm, states = self.model.embedding(inputs) + mixer.out_proj(y_bld), [after]
        for layer, before in zip(self._rest, befores, strict=True):
            if wanted or layer is not self._rest[-1]:
                x_blm, after = layer.advance(x_blm, before)
            else:
                after = _mixer(layer).follow(layer.norm(x_blm), before)
            states.append(after)
        hidden = self.model.norm_f(x_blm) if wanted else None
        return hidden, MambaState.of_layers(states, state.position + inputs.shape[1])

    def _terms(self, hidden: Tensor, targets: TokenArray) -> Float64Array:
        there = torch.from_numpy(targets).to(self.device)
        nats = token_log_likelihood(self.model.logits_of(hidden), there, self.alphabet)
        terms: Float64Array = nats.double().cpu().numpy()
        if not np.isfinite(terms[self.alphabet.is_target_token[targets]]).all():
            raise RunError("the model's log-likelihoods are not finite; are its weights whole?")
        return terms


def _mixer(layer: Block) -> Mixer:
    assert isinstance(layer.mixer, Mixer), "a causal model has mixers of one direction"
    return layer.mixer
