"""Caduceus, Ph and PS, and PlantCaduceus, which shares the architecture.

A PS network runs on both strands at once. Ours does so too, as a batch of two, and is the same function of the same
weights where the published code ran with `fused_add_norm` false. Where it is true, as in the released weights, the
published path exchanges the two halves of its stream in every layer, which is another function. With a and b the
streams of the two strands, and R the reversal of both length and channels, the published stream [a ; R(b)] becomes
[R(b) ; a], in which R f R acts in the place of f. R f R is again a layer: channels reversed where it reads and writes
the stream, and its two directions exchanged. Two exchanges undo each other, so layers 0, 2, ... turn and others stay.
After an odd number of layers the final norm and the head find the halves exchanged, and turn as well.

References
----------
Schiff et al. 2024, "Caduceus", arXiv:2403.03234.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from torch import Tensor

from genomamba.alphabet import get_alphabet
from genomamba.config import ModelConfig
from genomamba.model.checkpoint.layout import Layout, Tensors, Values, padded, state_space_fields, unturned

__all__ = ["caduceus_layout"]

AlphabetOf = Callable[[int, bool | None], str]

_STRATEGIES: Final = {"add": "add", "ew_multiply": "multiply"}
# The axis along which a tensor of a layer meets the residual stream.
_STREAM_AXES: Final = {"norm.weight": 0, "norm.bias": 0, "in_proj.weight": 1, "out_proj.weight": 0, "out_proj.bias": 0}


def caduceus_layout(values: Values, alphabet_of: AlphabetOf) -> Layout:
    """Return the layout of a `CaduceusForMaskedLM` checkpoint, or of the network below its head.

    Parameters
    ----------
    values : Values
        What `config.json` holds.
    alphabet_of : (int, bool or None) -> str
        Gives the alphabet of a model with that many rows in its embedding; told whether the complements of
        the config are those of `dna`, None where it has none.

    Raises
    ------
    RunError
        For a strategy that is not known, for complements that are not the alphabet's, and for a config that lacks
        a size.
    """
    rcps, fused = values.flag("rcps", False), values.flag("fused_add_norm", True)
    bidirectional = values.flag("bidirectional", True)
    if rcps and fused and not bidirectional:
        raise values.refuse(
            "rcps and fused_add_norm with bidirectional false: its layers read in turns from the left and from the "
            "right, which is not read"
        )
    strategy = values.text("bidirectional_strategy", "add")
    if strategy not in _STRATEGIES:
        raise values.refuse(f"bidirectional_strategy is {strategy!r}; it must be one of {', '.join(_STRATEGIES)}")
    rows = padded(values.whole("vocab_size"), values.whole("pad_vocab_size_multiple", 8))
    complements = _complements(values, rows)
    own = None if complements is None else complements == get_alphabet("dna").complements(rows).tolist()
    stored = values.model(
        alphabet=alphabet_of(rows, own),
        vocab_rows=rows,
        d_model=values.whole("d_model"),
        num_layers=values.whole("n_layer"),
        direction="bidirectional" if bidirectional else "causal",
        tie_directions=values.flag("bidirectional_weight_tie", True),
        merge=_STRATEGIES[strategy],
        equivariant=rcps,
        norm="rms" if values.flag("rms_norm", True) else "layer",
        norm_eps=values.number("norm_epsilon", 1e-5),
        # The published code ties the head of a PS model whatever the config says.
        tie_head=rcps or values.flag("tie_word_embeddings", True),
        **state_space_fields(values.object("ssm_cfg")),
    )
    _check_complements(values, stored, complements)
    turns = rcps and fused
    return Layout(
        kind="caduceus",
        config=dataclasses.replace(stored, tie_head=False) if turns and stored.num_layers % 2 else stored,
        stored=stored,
        published=partial(_published, stored, fused),
        prefix="caduceus.",
        complements=frozenset({"caduceus.backbone.embeddings.word_embeddings.complement_map", "lm_head.complement_map"})
        if rcps
        else frozenset(),
        turn=partial(_turn, stored) if turns else unturned,
        training={"objective": "masked" if bidirectional else "next_token"},
    )


def _complements(values: Values, rows: int) -> list[int] | None:
    """Return the complement of each id by the config, padding being its own; None where it has no map."""
    given = values.raw("complement_map")
    if given is None:
        return None
    complements = list(range(rows))
    try:
        # JSON has turned the keys into text.
        for key, other in given.items():
            complements[int(key)] = int(other)
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise values.refuse(f"complement_map does not map ids below {rows} to ids ({error})") from error
    return complements


def _check_complements(values: Values, stored: ModelConfig, complements: list[int] | None) -> None:
    alphabet = get_alphabet(stored.alphabet)
    if complements is None or not alphabet.has_complement:
        return
    for token, other in enumerate(alphabet.complements(stored.vocab_size).tolist()):
        if complements[token] != other:
            raise values.refuse(
                f"complement_map sends {token} to {complements[token]}, but the alphabet {alphabet.name} sends it to "
                f"{other}; name the right one by --alphabet"
            )


def _published(stored: ModelConfig, fused: bool, name: str) -> str:
    """Name in the files of one of our tensors."""
    embedding = "word_embeddings.embedding" if stored.equivariant else "word_embeddings"
    if name == "embedding.weight":
        return f"caduceus.backbone.embeddings.{embedding}.weight"
    if name == "head.weight":
        return "lm_head.lm_head.weight" if stored.equivariant else "lm_head.weight"
    if stored.direction == "causal":
        name = name.replace(".mixer.", ".mixer.mamba_fwd.")
    if stored.equivariant:
        name = name.replace(".mixer.", ".mixer.submodule.")
        if not fused:
            name = re.sub(r"\b(norm|norm_f)\.", r"\1.submodule.", name)
    return f"caduceus.backbone.{name}"


def _turn(stored: ModelConfig, tensors: Tensors) -> Tensors:
    """Turn the tensors of a fused PS network, by our names, into those of the plain form."""
    turned: Tensors = {}
    for name, tensor in tensors.items():
        layer = re.match(r"layers\.(\d+)\.", name)
        turned |= _turn_layer(name, tensor) if layer and int(layer[1]) % 2 == 0 else {name: tensor}
    if stored.num_layers % 2:
        for name in ("norm_f.weight", "norm_f.bias"):
            if name in turned:
                turned[name] = turned[name].flip(0)
        complements = get_alphabet(stored.alphabet).complements(stored.vocab_size)
        turned["head.weight"] = tensors["embedding.weight"].flip(1)[complements]
    return turned


def _turn_layer(name: str, tensor: Tensor) -> Mapping[str, Any]:
    other = {"mamba_fwd": "mamba_rev", "mamba_rev": "mamba_fwd"}
    axes = [axis for ending, axis in _STREAM_AXES.items() if name.endswith(f".{ending}")]
    return {re.sub("mamba_(fwd|rev)", lambda found: other[found[0]], name): tensor.flip(axes) if axes else tensor}
