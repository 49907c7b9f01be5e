"""The state of a causal model as a value: what it needs to know of everything it has read.

From it follow streams of any length in constant memory, shared prefixes, generation, and training on pieces of a
sequence. The law: reading a sequence in pieces and passing the state on gives the numbers of reading it at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from genomamba.config import ModelConfig
from genomamba.errors import ConfigError, RunError
from genomamba.files import atomic_file
from genomamba_kernels import MixerState

__all__ = ["MambaState", "fingerprint"]

FORMAT = "genomamba-state"


@dataclass(frozen=True, slots=True)
class MambaState:
    """State of every layer, for each row of a batch.

    Attributes
    ----------
    conv : (num_layers, batch, d_conv - 1, d_inner), float32 or float64
        The last inputs of each convolution, oldest first.
    scan : (num_layers, batch, d_inner, d_state), float32 or float64
        The hidden state of each selective scan.
    position : (batch,), int64
        Tokens that each row has read.
    """

    conv: Tensor
    scan: Tensor
    position: Tensor

    @classmethod
    def start(
        cls,
        config: ModelConfig,
        batch: int = 1,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> MambaState:
        """Return the state before the first token: zeros.

        Raises
        ------
        ConfigError
            For a model that reads both directions: it has no state that later tokens do not change.
        """
        if config.direction != "causal" or config.equivariant:
            raise ConfigError("only a causal model of one strand has a state; this one reads both sides")
        layers = (config.num_layers, batch)
        return cls(
            conv=torch.zeros(*layers, config.d_conv - 1, config.d_inner, device=device, dtype=dtype),
            scan=torch.zeros(*layers, config.d_inner, config.d_state, device=device, dtype=dtype),
            position=torch.zeros(batch, dtype=torch.int64, device=device),
        )

    @classmethod
    def of_layers(cls, layers: Sequence[MixerState], position: Tensor) -> MambaState:
        """Join the states of the layers, first to last."""
        return cls(torch.stack([one.conv for one in layers]), torch.stack([one.scan for one in layers]), position)

    def layers(self) -> Iterator[MixerState]:
        """Give the state of each layer, first to last."""
        return map(MixerState, self.conv.unbind(0), self.scan.unbind(0))

    @property
    def batch(self) -> int:
        """Number of rows."""
        return self.position.shape[0]

    def select(self, rows: Tensor | Sequence[int]) -> MambaState:
        """Return the state of some rows, in the order given; a row may be taken more than once."""
        index = torch.as_tensor(rows, dtype=torch.int64, device=self.position.device)
        return MambaState(self.conv[:, index], self.scan[:, index], self.position[index])

    @staticmethod
    def stack(states: Sequence[MambaState]) -> MambaState:
        """Return the rows of several states as one batch."""
        return MambaState(
            torch.cat([one.conv for one in states], dim=1),
            torch.cat([one.scan for one in states], dim=1),
            torch.cat([one.position for one in states]),
        )

    def restart(self, rows: Tensor) -> MambaState:
        """Return the state with some rows, (batch,) bool, as before the first token."""
        return MambaState(
            self.conv.masked_fill(rows[None, :, None, None], 0),
            self.scan.masked_fill(rows[None, :, None, None], 0),
            self.position.masked_fill(rows, 0),
        )

    def detach(self) -> MambaState:
        """Return the same numbers cut off from the graph: no gradient flows to what was read before."""
        return MambaState(self.conv.detach(), self.scan.detach(), self.position)

    def to(self, device: torch.device | str) -> MambaState:
        """Return the state on a device."""
        return MambaState(self.conv.to(device), self.scan.to(device), self.position.to(device))

    def save(self, path: Path | str, model: nn.Module) -> None:
        """Write the state with the fingerprint of its model; the file is whole or absent.

        Raises
        ------
        RunError
            Where the file cannot be written.
        """
        tensors = {name: getattr(self, name).detach().cpu().contiguous() for name in ("conv", "scan", "position")}
        with atomic_file(Path(path)) as temporary:
            metadata = {"format": FORMAT, "model": fingerprint(model)}
            safetensors.torch.save_file(tensors, str(temporary), metadata=metadata)

    @classmethod
    def load(cls, path: Path | str, model: nn.Module, device: torch.device | str = "cpu") -> MambaState:
        """Read a state that this very model has made.

        Raises
        ------
        RunError
            Where the file is absent, damaged or no state, or was made by a model with other weights.
        """
        try:
            with safe_open(str(path), framework="pt", device=str(device)) as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise RunError(f"{path}: not a saved state; it should be a file that MambaState.save wrote")
                made_by, own = metadata.get("model", ""), fingerprint(model)
                if made_by != own:
                    raise RunError(
                        f"{path}: made by the model {made_by[:12]}, but this one is {own[:12]};"
                        " a state is of use to the model that made it alone, read the sequence again"
                    )
                return cls(*(file.get_tensor(name) for name in ("conv", "scan", "position")))
        except (SafetensorError, OSError) as error:
            raise RunError(f"{path}: damaged or unreadable ({error}); read the sequence again") from error


def fingerprint(model: nn.Module) -> str:
    """Return a hash over the names, shapes, dtypes and bits of all weights, in hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tuple(values.shape)} {values.dtype}\n".encode())
        digest.update(values.view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
