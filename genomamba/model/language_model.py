"""The language model: embedding, residual blocks, norm, head."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from genomamba.alphabet import get_alphabet
from genomamba.config import ModelConfig
from genomamba.errors import ConfigError
from genomamba.model.block import Block, make_norm
from genomamba.model.mixer import Mixer
from genomamba.model.packing import borders_of, unpad
from genomamba.model.state import MambaState
from genomamba.model.strand import merge_strands, pack_strands, stack_strands, unpack_strands
from genomamba_kernels import MixerState, Neighbours

__all__ = ["LanguageModel", "count_parameters"]

EMBEDDING_STD = 0.02


class LanguageModel(nn.Module):
    """Mamba-1 language model over one alphabet: causal, bidirectional, or equivariant to reverse complement.

    Parameters
    ----------
    config : ModelConfig
        Shape of the network.

    Attributes
    ----------
    predicts_bases : bool
        False where the network was trained on to tell labels, so that its logits mean nothing any more.

    References
    ----------
    Gu & Dao 2023, "Mamba", arXiv:2312.00752; Schiff et al. 2024, "Caduceus", arXiv:2403.03234.
    """

    complement: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.predicts_bases = True
        self.recompute_layers = 1
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm_f = make_norm(config)
        if not config.tie_head:
            self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.equivariant:
            complement = get_alphabet(config.alphabet).complements(config.vocab_size)
            # On the CPU also where weights are made on the meta device, which holds no values.
            self.register_buffer("complement", torch.tensor(complement, device="cpu"), persistent=False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw every weight anew from torch's generator.

        As in the published Mamba: embedding and head normal with deviation 0.02; projections uniform within
        fan_in^-0.5, those that write to the residual stream divided by sqrt(num_layers); their biases 0. On the meta
        device, which holds no values, nothing is drawn.
        """
        if self.embedding.weight.is_meta:
            return
        nn.init.normal_(self.embedding.weight, std=EMBEDDING_STD)
        if not self.config.tie_head:
            nn.init.normal_(self.head.weight, std=EMBEDDING_STD)
        mixers = [module for module in self.modules() if isinstance(module, Mixer)]
        for mixer in mixers:
            mixer.conv1d.reset_parameters()
            mixer.reset_state_space()
            for projection in (mixer.in_proj, mixer.x_proj, mixer.out_proj):
                nn.init.kaiming_uniform_(projection.weight, a=math.sqrt(5))
                if projection.bias is not None:
                    nn.init.zeros_(projection.bias)
            # A tied projection is drawn twice and scaled after the last draw.
            mixer.out_proj.weight.div_(math.sqrt(self.config.num_layers))

    def blocks(self) -> Iterator[Block]:
        """Give the residual blocks, first to last."""
        return (cast("Block", layer) for layer in self.layers)

    def set_recompute(self, recompute: bool, layers: int = 1) -> None:
        """Let every block keep only its input for backward and compute the rest again: less memory, more time.

        Parameters
        ----------
        recompute : bool
            Whether to.
        layers : int
            Keep the input of every so many blocks alone, and in backward run those between a second time.

        Raises
        ------
        ConfigError
            For a model with biases on its projections, and for several layers without `recompute`.
        """
        if recompute and self.config.proj_bias:
            raise ConfigError("is not for a model with biases on its projections; leave it out", option="recompute")
        if layers > 1 and not recompute:
            raise ConfigError(f"is {layers}, which is a part of --recompute; give both", option="recompute_layers")
        self.recompute_layers = layers
        for module in self.modules():
            if isinstance(module, Mixer | Block):
                module.recompute = recompute

    def residual(
        self, tokens: Tensor, cu_seqlens: Tensor | None = None, neighbours: Neighbours | None = None
    ) -> Tensor:
        """Return the residual stream after the last block, not normalised, (batch, length, d_model).

        Of a part of each sequence, as it is in the whole, where `neighbours` hold the others; then none are packed.
        """
        cu_seqlens = _on_the_cpu(cu_seqlens)

        def run(x_blm: Tensor, blocks: list[Block]) -> Tensor:
            for block in blocks:
                x_blm = block(x_blm, cu_seqlens, neighbours)
            return x_blm

        x_blm: Tensor = self.embedding(tokens)
        for blocks in self._groups():
            x_blm = self._run_group(run, x_blm, blocks)
        return x_blm

    def hidden(self, tokens: Tensor, cu_seqlens: Tensor | None = None) -> Tensor:
        """Return the normalised residual stream of tokens (batch, length): (batch, length, d_model)."""
        normalised: Tensor = self.norm_f(self.residual(tokens, cu_seqlens))
        return normalised

    def residual_streams(self, tokens: Tensor, layers: Sequence[int], cu_seqlens: Tensor | None = None) -> list[Tensor]:
        """Return the residual stream of one strand at chosen depths.

        Parameters
        ----------
        tokens : (batch, length), int64
        layers : sequence of int
            0: the embedding of the tokens; i: after i blocks; num_layers: after all, and normalised, as of `hidden`.
        cu_seqlens : (sequences + 1,), int64, optional
            As of `forward`.

        Returns
        -------
        list of (batch, length, d_model), floating
            One a layer. Blocks above the deepest are not run.
        """
        cu_seqlens = _on_the_cpu(cu_seqlens)
        x_blm: Tensor = self.embedding(tokens)
        streams = [x_blm]
        for block in itertools.islice(self.blocks(), max(layers)):
            x_blm = block(x_blm, cu_seqlens)
            streams.append(x_blm)
        return [self.norm_f(x_blm) if layer == self.config.num_layers else streams[layer] for layer in layers]

    def _groups(self) -> list[list[Block]]:
        blocks = list(self.blocks())
        return [blocks[i : i + self.recompute_layers] for i in range(0, len(blocks), self.recompute_layers)]

    def _run_group(self, run: Callable[..., Any], x_blm: Tensor, *arguments: Any) -> Any:
        if self.recompute_layers == 1 or not torch.is_grad_enabled():
            return run(x_blm, *arguments)
        # The reentrant form, since the blocks' own hooks would escape the other one. It goes through what needs a
        # gradient alone, and the weights do where a frozen embedding does not.
        x_blm = x_blm if x_blm.requires_grad else x_blm.detach().requires_grad_()
        return checkpoint(run, x_blm, *arguments, use_reentrant=True, preserve_rng_state=False)

    def logits_of(self, hidden: Tensor) -> Tensor:
        """Return logits (..., vocab_size) of the normalised residual stream (..., d_model) of one strand."""
        return F.linear(hidden, self.embedding.weight if self.config.tie_head else self.head.weight)

    def forward(self, tokens: Tensor, *, lengths: Tensor | None = None, cu_seqlens: Tensor | None = None) -> Tensor:
        """Return the logits of every position.

        Sequences of different lengths come right-padded with their `lengths`, or end to end with `cu_seqlens`; either
        way each gives what it gives by itself, in both directions.

        Parameters
        ----------
        tokens : (batch, length), int64
            Ids of the model's alphabet.
        lengths : (batch,), int64, optional
            Tokens of each row that count, 1 to length; what follows them is not read.
        cu_seqlens : (sequences + 1,), int64, optional
            Borders of sequences packed in a batch of 1, from 0 to length.

        Returns
        -------
        logits : (batch, length, vocab_size), floating
            Unnormalised log-probabilities. At position t, of the token after t for a causal model, of the token at t
            for a bidirectional one. 0 in the padding.

        Raises
        ------
        ValueError
            Where lengths or borders do not fit the tokens, or both are given.
        """
        if lengths is not None:
            if cu_seqlens is not None:
                raise ValueError("lengths are of padded rows, and cu_seqlens of packed ones; give one of them")
            return self._unpadded(tokens, lengths)
        if not self.config.equivariant:
            return self.logits_of(self.hidden(tokens, cu_seqlens))
        if cu_seqlens is None:
            return merge_strands(self.logits_of(self.hidden(stack_strands(tokens, self.complement))), self.complement)
        both, borders = pack_strands(tokens, cu_seqlens, self.complement)
        return unpack_strands(self.logits_of(self.hidden(both, borders)), cu_seqlens, self.complement)

    def _unpadded(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        batch, length = tokens.shape
        if lengths.shape != (batch,) or int(lengths.min()) < 1 or int(lengths.max()) > length:
            raise ValueError(
                f"lengths are {lengths.tolist()}, expected {batch} numbers from 1 to {length}, one a row of tokens"
            )
        index = unpad(lengths, length)
        packed = self(tokens.flatten()[index][None], cu_seqlens=borders_of(lengths))
        logits: Tensor = packed.new_zeros(batch * length, packed.shape[-1]).index_copy(0, index, packed[0])
        return logits.view(batch, length, -1)

    def advance(self, tokens: Tensor, state: MambaState) -> tuple[Tensor, MambaState]:
        """Read the next piece of a sequence, causal models only.

        Parameters
        ----------
        tokens : (batch, length), int64
        state : MambaState
            After all that came before: `MambaState.start`, or what the last call returned.

        Returns
        -------
        hidden : (batch, length, d_model), floating
            Normalised residual stream, as of `hidden` over the whole sequence.
        state : MambaState
            After this piece.
        """
        x_blm, state = self.advance_residual(tokens, state)
        hidden: Tensor = self.norm_f(x_blm)
        return hidden, state

    def advance_residual(self, tokens: Tensor, state: MambaState) -> tuple[Tensor, MambaState]:
        """Do what `advance` does, and return the residual stream as it is before the last norm."""

        def run(x_blm: Tensor, blocks: list[Block], *before: Tensor) -> tuple[Tensor, ...]:
            after: list[Tensor] = []
            for block, one in zip(blocks, map(MixerState, before[::2], before[1::2]), strict=True):
                x_blm, own = block.advance(x_blm, one)
                after += own
            return (x_blm, *after)

        x_blm: Tensor = self.embedding(tokens)
        states: list[Tensor] = []
        before = [tensor for layer in state.layers() for tensor in layer]
        for blocks in self._groups():
            own, before = before[: 2 * len(blocks)], before[2 * len(blocks) :]
            x_blm, *after = self._run_group(run, x_blm, blocks, *own)
            states += after
        layers = list(map(MixerState, states[::2], states[1::2]))
        return x_blm, MambaState.of_layers(layers, state.position + tokens.shape[1])


def _on_the_cpu(cu_seqlens: Tensor | None) -> Tensor | None:
    """Fetch borders of sequences once: each kernel would fetch them from a GPU, and wait for it."""
    return None if cu_seqlens is None else cu_seqlens.cpu()


def count_parameters(model: nn.Module) -> int:
    """Number of trainable weights, tied ones counted once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
