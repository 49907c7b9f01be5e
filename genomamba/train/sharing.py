"""Whether the work of a step divides among the ranks, and what they tell one another to do it."""

from __future__ import annotations

from dataclasses import dataclass

from genomamba.config import ModelConfig, PretrainConfig
from genomamba.errors import ConfigError
from genomamba.train.distributed import BUCKET, Ranks
from genomamba.train.stages import Stages

__all__ = ["Traffic", "check_division", "describe_sharing", "traffic"]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one rank sends in a step.

    Attributes
    ----------
    gradient_bytes, state_bytes : float
        Of gradients, to all ranks; of states and tails of convolutions, to those that hold parts of the same windows.
    messages : int
        Turns of sending and receiving, each of which waits for the one before it.
    """

    gradient_bytes: float
    state_bytes: float
    messages: int

    @property
    def bytes(self) -> float:
        """All that is sent."""
        return self.gradient_bytes + self.state_bytes

    def seconds(self, *, latency_s: float, bytes_per_s: float) -> float:
        """Time of a step in which nothing is computed: messages times latency, plus bytes over bandwidth."""
        return self.messages * latency_s + self.bytes / bytes_per_s


def traffic(
    config: ModelConfig, parameters: int, *, data: int, context: int, windows: int, accumulate: int = 1
) -> Traffic:
    """Count what a rank sends in a step; no part of it grows with the context.

    A sum over N ranks sends 2 (N - 1) / N of its bytes in 2 log2 N turns, a gathering N - 1 times its bytes in log2 N.
    Summed are the weight of the targets, the gradients and the loss; gathered are clocks and signals. In each layer and
    direction a rank tells the other holders of its windows four things: forward the tail of the convolution, then state
    and decay; backward the gradient of the state and the decay, then that of the tail.

    Parameters
    ----------
    config : ModelConfig
    parameters : int
        Weights, in float32.
    data, context : int
        Ranks over windows and over positions.
    windows, accumulate : int
        Of a batch, over all ranks; batches a step.
    """
    size, others = data * context, context - 1
    rows = windows // data * accumulate * (2 if config.equivariant else 1)
    walks = config.num_layers * (2 if config.direction == "bidirectional" else 1)
    a_row = 4 * config.d_inner * 2 * (config.d_conv - 1 + 2 * config.d_state)
    sums = 2 + -(-parameters // BUCKET)
    return Traffic(
        gradient_bytes=2 * (size - 1) / size * 4 * parameters,
        state_bytes=float(others * rows * walks * a_row),
        messages=(2 * sums + 1) * _turns(size) + 4 * walks * accumulate * _turns(context),
    )


def _turns(ranks: int) -> int:
    """Return how many turns of doubling reach all ranks."""
    return (ranks - 1).bit_length()


def check_division(config: PretrainConfig, stages: Stages, model: ModelConfig, ranks: Ranks) -> None:
    """Raise `ConfigError` where windows or positions do not divide among the ranks; the message counts."""
    for turn in stages.turns:
        if turn.windows % ranks.data:
            below = turn.windows // ranks.data * ranks.data
            fits = " or ".join(f"{number}" for number in (below, below + ranks.data) if number)
            raise ConfigError(
                f"is {turn.windows} windows over all processes, which data={ranks.data} does not divide; take {fits}, "
                "or other numbers in --parallel",
                option="batch_size",
            )
        if turn.context % ranks.context:
            below = turn.context // ranks.context * ranks.context
            raise ConfigError(
                f"is {turn.context:,} bases, which context={ranks.context} does not divide; take "
                f"{below + ranks.context:,}, or other numbers in --parallel",
                option="context",
            )
        if ranks.context > 1 and turn.context // ranks.context < model.d_conv - 1:
            raise ConfigError(
                f"is {turn.context:,} bases, {turn.context // ranks.context} for each of context={ranks.context}, and "
                f"a convolution looks {model.d_conv - 1} back; take fewer processes in --parallel",
                option="context",
            )
    if config.carry_state and ranks.context > 1:
        raise ConfigError(
            f"passes states from window to window, and context={ranks.context} from process to process; leave one out",
            option="carry_state",
        )


def describe_sharing(ranks: Ranks, model: ModelConfig, parameters: int, stages: Stages) -> str:
    """Say in a line how the processes share a step; empty for one process."""
    if ranks.size == 1:
        return ""
    last = stages.last
    sent = traffic(
        model, parameters, data=ranks.data, context=ranks.context, windows=last.windows, accumulate=stages.accumulate
    )
    windows, part = last.windows // ranks.data, last.context // ranks.context
    return (
        f"{ranks.size} processes, data={ranks.data},context={ranks.context}: each runs {windows:,} "
        f"{'window' if windows == 1 else 'windows'} of {part:,} bases at once, and sends {sent.bytes / 2**20:,.1f} MiB "
        "a step"
    )
