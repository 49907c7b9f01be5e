"""What a layout says of a checkpoint: the network, what its files call our tensors, and how their values turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from torch import Tensor

from genomamba.config import ModelConfig
from genomamba.errors import ConfigError, RunError

__all__ = ["Layout", "Tensors", "Values", "padded", "state_space_fields", "unturned"]

Tensors = dict[str, Tensor]

# Settings of a published mixer that only say how its weights were drawn, or which of its kernels ran.
_WITHOUT_EFFECT: Final = frozenset({
    "dt_min", "dt_max", "dt_init", "dt_scale", "dt_init_floor", "use_fast_path", "initializer", "layer",
})  # fmt: skip
_SSM_CFG: Final = frozenset({"d_state", "d_conv", "expand", "dt_rank", "bias", "conv_bias"})


def unturned(tensors: Tensors) -> Tensors:
    """Leave the tensors as they are stored."""
    return tensors


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How one checkpoint is read.

    Attributes
    ----------
    kind : str
        `genomamba`, `state-spaces`, `huggingface` or `caduceus`.
    config : ModelConfig
        The network as it runs here.
    stored : ModelConfig
        The network whose tensors the files hold; `turn` makes those of `config` out of them.
    published : str -> str
        Name in the files of a tensor that is called so here.
    prefix : str
        What all names but those of the head begin with; a file may leave it out in all.
    complements : frozenset of str
        Tensors that may be there and hold the complement of each token id.
    turn : tensors -> tensors
        Both by our names.
    training : dict
        How it was trained, as far as the files say.
    """

    kind: str
    config: ModelConfig
    stored: ModelConfig
    published: Callable[[str], str]
    prefix: str = ""
    complements: frozenset[str] = frozenset()
    turn: Callable[[Tensors], Tensors] = unturned
    training: Mapping[str, Any] = field(default_factory=dict)


class Values:
    """The values of a JSON object, taken by key and type.

    Parameters
    ----------
    values : mapping
        What the file holds.
    where : str
        The file, and the object in it, for messages.
    """

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values, self.where = values, where

    def whole(self, key: str, default: int | None = None) -> int:
        """Return a whole number; without a default the key must be there. Raises `RunError`, as all of these do."""
        return int(self._take(key, (int,), "a whole number", default))

    def number(self, key: str, default: float) -> float:
        """Return a number."""
        return float(self._take(key, (int, float), "a number", default))

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        return bool(self._take(key, (bool,), "true or false", default))

    def text(self, key: str, default: str) -> str:
        """Return text."""
        return str(self._take(key, (str,), "text", default))

    def object(self, key: str) -> Values:
        """Return a nested object, empty where it is absent or null."""
        return Values(self._take(key, (dict,), "an object", {}), f"{self.where}: {key}")

    def rank(self, key: str) -> int:
        """Return the rank of delta's projection: 0 where it is "auto", ceil(d_model / 16)."""
        return 0 if self._values.get(key, "auto") == "auto" else self.whole(key)

    def keys(self) -> set[str]:
        """Return the keys that are there."""
        return set(self._values)

    def raw(self, key: str) -> Any:
        """Return a value as it stands, None where it is absent."""
        return self._values.get(key)

    def model(self, **fields: Any) -> ModelConfig:
        """Build the config of a network from what the object says."""
        try:
            return ModelConfig(**fields)
        except ConfigError as error:
            raise self.refuse(str(error)) from error

    def refuse(self, reason: str) -> RunError:
        """Make the error that says why the object cannot be taken."""
        return RunError(f"{self.where}: {reason}")

    def _take(self, key: str, kinds: tuple[type, ...], expected: str, default: Any) -> Any:
        value = self._values.get(key)
        if value is None:
            value = default
        if value is None:
            raise self.refuse(f"has no {key}, which says the shape of the network")
        # To Python true is a number; to the person who wrote the file it is not.
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise self.refuse(f"{key} is {value!r}; it must be {expected}")
        return value


def state_space_fields(ssm_cfg: Values) -> dict[str, Any]:
    """Return the fields of `ModelConfig` that `ssm_cfg` gives. Raises `RunError` for what no Mamba-1 mixer has."""
    if (layer := ssm_cfg.text("layer", "Mamba1")) != "Mamba1":
        raise ssm_cfg.refuse(f"layer is {layer!r}; only Mamba1 is read")
    if unknown := sorted(ssm_cfg.keys() - _SSM_CFG - _WITHOUT_EFFECT):
        raise ssm_cfg.refuse(f"{', '.join(unknown)} is no setting of a Mamba-1 mixer that is known here")
    return {
        "d_state": ssm_cfg.whole("d_state", 16),
        "d_conv": ssm_cfg.whole("d_conv", 4),
        "expand": ssm_cfg.whole("expand", 2),
        "dt_rank": ssm_cfg.rank("dt_rank"),
        "proj_bias": ssm_cfg.flag("bias", False),
        "conv_bias": ssm_cfg.flag("conv_bias", True),
    }


def padded(vocab_size: int, multiple: int) -> int:
    """Rows of an embedding whose vocabulary is padded up to a multiple."""
    return -(-vocab_size // multiple) * multiple
