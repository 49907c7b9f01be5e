"""Heads over a pretrained network: what it holds of a sequence is pooled, and turned into classes or numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from genomamba.alphabet import get_alphabet
from genomamba.classify.labels import Kind
from genomamba.config import ModelConfig
from genomamba.errors import ConfigError
from genomamba.model import LanguageModel
from genomamba.model.packing import borders_of, reverse_each, unpad

__all__ = ["Head", "HeadConfig", "HeadPool", "HeadStrand", "SequenceModel", "pool_each"]

HeadPool = Literal["mean", "sum", "max", "last", "middle", "concat"]
"""Of the positions: mean, sum, maximum, the last alone, the mean of the two in the middle, or mean beside maximum."""

HeadStrand = Literal["given", "both", "pooled"]
"""given: one strand is read. both: mean of the logits of the two. pooled: the head reads the mean of their pools."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadConfig:
    """What a head tells, and how it is built."""

    kind: Kind
    """One class a sequence, any number of them, a number, or a class for each base."""
    classes: tuple[str, ...] = ()
    """Names of the classes; none for regression."""
    pool: HeadPool = "mean"
    """What is made of the positions; not for labels of bases."""
    strand: HeadStrand = "given"
    """Which strands are read."""
    hidden: int = 0
    """Width of a hidden layer; 0 for a linear head."""
    dropout: float = 0.0
    """Share of what the head reads that is set to 0 in training."""
    mean: float = 0.0
    """Regression: what 0 stands for."""
    scale: float = 1.0
    """Regression: what 1 stands for, beyond the mean."""
    length: float = 1.0
    """Sums: they are divided by so many positions, so that a head does not start with logits as long as sequences."""

    def __post_init__(self) -> None:
        for name, choices in (("kind", Kind), ("pool", HeadPool), ("strand", HeadStrand)):
            if (value := getattr(self, name)) not in get_args(choices):
                raise ConfigError(f"head.{name} is {value!r}; it must be one of {', '.join(get_args(choices))}")
        needed = {"regression": 0, "multi": 1}.get(self.kind, 2)
        if len(self.classes) < needed or (self.kind == "regression" and self.classes):
            raise ConfigError(f"head.classes has {len(self.classes)} names; {self.kind} needs {needed or 'none'}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"head.dropout is {self.dropout}; it must be 0 or more, and below 1")
        if self.hidden < 0:
            raise ConfigError(f"head.hidden is {self.hidden}; it must be 0 for a linear head, or above")
        for name in ("scale", "length"):
            if not (value := getattr(self, name)) > 0:
                raise ConfigError(f"head.{name} is {value}; it must be above 0")

    @property
    def outputs(self) -> int:
        """Numbers that the head gives for a sequence, or for a base."""
        return len(self.classes) or 1

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, for JSON."""
        return dataclasses.asdict(self) | {"classes": list(self.classes)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> HeadConfig:
        """Read back what `to_dict` gave. Raises `ConfigError` that names fields that are unknown or of another type."""
        known = {field.name: field for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - set(known)):
            raise ConfigError(f"head has unknown fields {', '.join(unknown)}")
        if "kind" not in values:
            raise ConfigError("head has no kind, which says what it tells")
        read = dict(values)
        for name, kinds in _KINDS.items():
            value = read.get(name, known[name].default)
            # To Python true is a number; to the person who wrote the file it is not.
            if name != "kind" and (not isinstance(value, kinds) or isinstance(value, bool)):
                raise ConfigError(f"head.{name} is {value!r}; it must be of type {kinds[0].__name__}")
        classes = read.get("classes", [])
        if not all(isinstance(name, str) for name in classes):
            raise ConfigError(f"head.classes is {classes!r}; it must be a list of names")
        return cls(**(read | {"classes": tuple(classes)}))


_KINDS: dict[str, tuple[type, ...]] = {
    "classes": (list, tuple), "pool": (str,), "strand": (str,), "hidden": (int,), "dropout": (float, int),
    "mean": (float, int), "scale": (float, int), "length": (float, int),
}  # fmt: skip


def pool_each(hidden: Tensor, lengths: Tensor, pool: HeadPool) -> Tensor:
    """Pool packed positions, sequence by sequence.

    Parameters
    ----------
    hidden : (total, channels), floating
    lengths : (sequences,), int64
        1 or more each.
    pool : {"mean", "sum", "max", "last", "middle", "concat"}
        Of an odd length there is one position in the middle.

    Returns
    -------
    (sequences, channels), or (sequences, 2 * channels) for concat
        Each from its own positions alone.
    """
    if pool == "last":
        return hidden[lengths.cumsum(0) - 1]
    if pool == "middle":
        starts = lengths.cumsum(0) - lengths
        return (hidden[starts + (lengths - 1) // 2] + hidden[starts + lengths // 2]) / 2
    if pool == "concat":
        return torch.cat([pool_each(hidden, lengths, "mean"), pool_each(hidden, lengths, "max")], dim=-1)
    if pool == "sum":
        return pool_each(hidden, lengths, "mean") * lengths[:, None].to(hidden.dtype)
    first = int(lengths[0])
    if bool((lengths == first).all()):
        x_slm = hidden.view(lengths.numel(), first, -1)
        return x_slm.mean(1) if pool == "mean" else x_slm.amax(1)
    pieces = hidden.split(lengths.tolist())
    return torch.stack([piece.mean(0) if pool == "mean" else piece.amax(0) for piece in pieces])


class Head(nn.Module):
    """Linear, or one hidden layer.

    Parameters
    ----------
    config : HeadConfig
    width : int
        Channels of the network.
    """

    def __init__(self, config: HeadConfig, width: int) -> None:
        super().__init__()
        features = width * (2 if config.pool == "concat" and config.kind != "per-base" else 1)
        self.dropout = nn.Dropout(config.dropout)
        self.inner = nn.Linear(features, config.hidden) if config.hidden else None
        self.output = nn.Linear(config.hidden or features, config.outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Return (..., outputs) of (..., features)."""
        if self.inner is not None:
            features = nn.functional.gelu(self.inner(self.dropout(features)))
        outputs: Tensor = self.output(self.dropout(features))
        return outputs


class SequenceModel(nn.Module):
    """A language model's trunk under a head.

    An equivariant trunk is the plain network, run on both strands; here a strand is one run of it, and what is made of
    the two is the head's matter.

    Parameters
    ----------
    network : LanguageModel
        Its weights are used, not copied. Its own head has no part here.
    config : HeadConfig
    """

    complement: Tensor

    def __init__(self, network: LanguageModel, config: HeadConfig) -> None:
        super().__init__()
        self.network, self.config = network, config
        self.head = Head(config, network.config.d_model)
        alphabet = get_alphabet(network.config.alphabet)
        if config.strand != "given":
            if not alphabet.has_complement:
                raise ConfigError(
                    f"is {config.strand}, and the {alphabet.name} alphabet has one strand alone; take given",
                    option="strand",
                )
            table = torch.tensor(alphabet.complements(network.config.vocab_size), device="cpu")
            self.register_buffer("complement", table, persistent=False)

    @property
    def model_config(self) -> ModelConfig:
        """Shape of the network."""
        return self.network.config

    def features(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return what the head reads of packed sequences.

        Parameters
        ----------
        tokens : (total,), int64
            Sequences end to end.
        lengths : (sequences,), int64

        Returns
        -------
        (strands, sequences, features), or (strands, total, features) for labels of bases
            `strands` is 2 where the head reads two, and the bases of both are in the order given; else 1.
        """
        given = self._features_of(tokens, lengths)
        if self.config.strand == "given":
            return given[None]
        mirror = reverse_each(borders_of(lengths))
        other = self._features_of(self.complement[tokens[mirror]], lengths)
        if self.config.kind == "per-base":
            other = other[mirror]
        if self.config.strand == "both":
            return torch.stack([given, other])
        return (given + other)[None] / 2

    def features_of_one(self, tokens: Tensor, lengths: Tensor, flips: Tensor) -> Tensor:
        """Return what the head reads of one strand: (sequences, features), or (total, features) of bases as given.

        Parameters
        ----------
        tokens, lengths
            As of `features`.
        flips : (sequences,), bool
            Sequences that are read along the other strand.
        """
        mirror = reverse_each(borders_of(lengths))
        is_flipped = flips.repeat_interleave(lengths)
        read = torch.where(is_flipped, self.complement[tokens[mirror]], tokens)
        found = self._features_of(read, lengths)
        if self.config.kind != "per-base":
            return found
        return found[torch.where(is_flipped, mirror, torch.arange(mirror.numel(), device=mirror.device))]

    def logits_of(self, features: Tensor) -> Tensor:
        """Return logits of what `features` gives: its shape without the strands, and outputs for features."""
        logits: Tensor = self.head(features)
        return logits[0] if len(logits) == 1 else (logits[0] + logits[1]) / 2

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits of sequences; what one gives does not depend on the others.

        Parameters
        ----------
        tokens : (total,) or (sequences, longest), int64
            Packed end to end, or right-padded; what follows the end of a padded row is not read.
        lengths : (sequences,), int64
            1 or more each.

        Returns
        -------
        logits : (sequences, outputs); for labels of bases (total, outputs), packed
            With strand both or pooled, the reverse complements of the sequences have the same logits; those of bases,
            in reverse order.

        Raises
        ------
        ValueError
            Where the lengths do not fit the tokens.
        """
        if tokens.ndim == 2:
            if lengths.shape != tokens.shape[:1] or int(lengths.min()) < 1 or int(lengths.max()) > tokens.shape[1]:
                raise ValueError(
                    f"lengths are {lengths.tolist()}, expected {tokens.shape[0]} numbers from 1 to {tokens.shape[1]}"
                )
            tokens = tokens.flatten()[unpad(lengths, tokens.shape[1])]
        if int(lengths.min()) < 1 or int(lengths.sum()) != tokens.numel():
            raise ValueError(
                f"lengths are {lengths.tolist()}, expected numbers above 0 that add up to {tokens.numel()}"
            )
        return self.logits_of(self.features(tokens, lengths))

    def _features_of(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return the pooled stream, or that of each base, of one strand."""
        first = int(lengths[0])
        if bool((lengths == first).all()):
            hidden = self.network.hidden(tokens.view(-1, first)).flatten(0, 1)
        else:
            hidden = self.network.hidden(tokens[None], borders_of(lengths))[0]
        if self.config.kind == "per-base":
            return hidden
        pooled = pool_each(hidden, lengths, self.config.pool)
        return pooled / self.config.length if self.config.pool == "sum" else pooled
