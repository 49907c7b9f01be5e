"""What a part of a sequence asks of those who hold the other parts: two questions, of a size that no length changes."""

from typing import Protocol

from torch import Tensor


class Neighbours(Protocol):
    """The holders of the parts of one sequence, this one among them; all ask the same questions in the same order."""

    def before(self, local: Tensor, decay: Tensor, reverse: bool) -> Tensor:
        """Return what the parts before this one, on the walk, make of zero one after the other; zero for the first.

        Parameters
        ----------
        local, decay : (batch, d_inner, d_state), floating
            This part maps what comes before it, s, to decay s + local.
        reverse : bool
            Whether the walk goes from the last part to the first.
        """

    def shift(self, tail: Tensor, reverse: bool) -> Tensor:
        """Return the tail of the part before this one on the walk; zeros for the first."""
