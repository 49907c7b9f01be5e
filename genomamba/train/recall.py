"""Whether a model uses distance at all: trained on made DNA for minutes, and asked over distances far beyond those."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genomamba.alphabet import get_alphabet
from genomamba.data.recall import BASES, RecallTask
from genomamba.errors import ConfigError
from genomamba.model import LanguageModel
from genomamba.model.state import MambaState
from genomamba.model.streaming import read
from genomamba.train.optimizer import make_optimizer
from genomamba.train.schedule import learning_rate

__all__ = ["Recalled", "Stage", "TrainingStep", "recall_accuracy", "stages_to", "train_recall"]

_DNA = get_alphabet("dna")
_TOKENS = torch.from_numpy(_DNA.encode(BASES))


@dataclass(frozen=True, slots=True)
class Stage:
    """What is trained on at a time: so many markers, payloads of so many bases, in sequences of one length."""

    markers: int
    payload: int
    length: int


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """One step: its number, its stage, mean loss in nats, and a moving mean of the share that was right."""

    step: int
    stage: Stage
    loss: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Recalled:
    """How many payload bases were asked for over a distance, and how many of them came out right."""

    distance: int
    asked: int
    right: int

    @property
    def accuracy(self) -> float:
        """Share that came out right; a guess among four gives 0.25."""
        return self.right / self.asked


def stages_to(task: RecallTask, longest: int) -> list[Stage]:
    """Return stages from one marker with a payload of one base to the whole task, then up to the longest sequences."""
    markers, payload = 1, 1
    stages = [Stage(1, 1, 64)]
    while (markers, payload) != (len(task.markers), task.payload):
        if (payload <= markers and payload < task.payload) or markers == len(task.markers):
            payload = min(2 * payload, task.payload)
        else:
            markers = min(2 * markers, len(task.markers))
        stages.append(Stage(markers, payload, max(64, 4 * markers * (len(task.markers[0]) + payload))))
    length = 2 * stages[-1].length
    while length <= longest:
        stages.append(Stage(markers, payload, length))
        length *= 2
    return stages


def train_recall(
    model: LanguageModel,
    task: RecallTask,
    stages: Sequence[Stage],
    *,
    steps: int,
    tokens_per_step: int = 2_048,
    peak: float = 5e-3,
    enough: float = 0.97,
    fewest: int = 50,
) -> Iterator[TrainingStep]:
    """Train on one stage after another, each until it is learnt.

    Only payload bases that came before count in the loss: filler is random, and the rest is as well.

    Parameters
    ----------
    model : LanguageModel
        Causal, over `dna`.
    task : RecallTask
        Where the sequences come from.
    stages : sequence of Stage
        From easy to hard.
    steps : int
        How many in all.
    tokens_per_step : int
        Bases that a step reads, in as many sequences as they make, at least one.
    peak : float
        Largest learning rate; it rises over a fiftieth of the steps and then falls on a half cosine.
    enough : float
        Share of right answers, over the last twenty steps or so, at which a stage is done.
    fewest : int
        Steps of a stage.

    Yields
    ------
    TrainingStep
        After every step.
    """
    _check_causal(model)
    optimizer = make_optimizer(model, weight_decay=0.0)
    index = since = at = 0
    accuracy = 1 / len(BASES)
    for step in range(steps):
        stage = stages[at]
        count = max(1, tokens_per_step // stage.length)
        tokens, is_asked = _batch(task, stage, range(index, index + count), model.embedding.weight.device)
        index += count
        logits = model(_moved_right(tokens))[is_asked]
        loss = F.cross_entropy(logits, tokens[is_asked])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate((step + 1) / steps, peak=peak, warmup=0.02)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        right = _is_right(logits.detach(), tokens[is_asked]).float().mean().item()
        accuracy += (right - accuracy) / 20
        yield TrainingStep(step + 1, stage, loss.item(), accuracy)
        since += 1
        if accuracy >= enough and since >= fewest and at + 1 < len(stages):
            at, since = at + 1, 0


@torch.no_grad()
def recall_accuracy(
    model: LanguageModel,
    task: RecallTask,
    distances: Sequence[int],
    *,
    sequences: int,
    forget: bool = False,
    chunk: int = 2_048,
    after_chunk: Callable[[int], None] = lambda _: None,
) -> list[Recalled]:
    """Ask for every payload over every distance, of sequences that are streamed once, in constant memory.

    At each distance the state is kept, the marker and its payload are read by a copy of it, and the stream goes on as
    if nobody had asked.

    Parameters
    ----------
    model : LanguageModel
        Causal, over `dna`, in evaluation mode.
    task : RecallTask
        Where the sequences come from.
    distances : sequence of int
        Ascending, `task.unit` or more: from a base of the last marker's payload to the same base as it is asked for.
        The payloads of the other markers lie before that, by up to `task.head`.
    sequences : int
        How many are read, side by side.
    forget : bool
        Ask a state that has read nothing: what comes out right then has been guessed.
    chunk : int
        Positions of a pass.
    after_chunk : callable, optional
        Called with the bases read.

    Returns
    -------
    list of Recalled
        One a distance.
    """
    _check_causal(model)
    if list(distances) != sorted(set(distances)) or distances[0] < task.unit:
        raise ConfigError(f"distances are {', '.join(map(str, distances))}; they must ascend, from {task.unit} or more")
    device = model.embedding.weight.device
    questions = [task.question(index, distances[-1]) for index in range(sequences)]
    # A byte a base: the stories are the longest thing here.
    story = torch.from_numpy(np.stack([question.story.astype(np.uint8) for question in questions]))
    pairs = _TOKENS[torch.from_numpy(np.stack([question.asked for question in questions]))].to(device)
    state = MambaState.start(model.config, sequences, device)
    start = torch.full((sequences, 1), _DNA.bos)
    _, state = next(iter(read(model, [start], state)))
    nothing, at, found = state, 0, []
    for distance in distances:
        end = task.read_before(distance)
        pieces = (story[:, first : min(first + chunk, end)] for first in range(at, end, chunk))
        for hidden, after in read(model, (_TOKENS[piece.long()] for piece in pieces), state):
            state = after
            after_chunk(hidden.shape[0] * hidden.shape[1])
        at = end
        right = [_ask(model, pairs[:, marker], task, nothing if forget else state) for marker in range(pairs.shape[1])]
        found.append(Recalled(distance, sequences * len(right) * task.payload, sum(right)))
    return found


def _ask(model: LanguageModel, pair: Tensor, task: RecallTask, state: MambaState) -> int:
    """Return how many bases of a payload come out right behind its marker, each after those before it."""
    hidden, _ = model.advance(pair[:, :-1], state)
    logits = model.logits_of(hidden[:, -task.payload :])
    return int(_is_right(logits, pair[:, -task.payload :]).sum())


def _is_right(logits: Tensor, tokens: Tensor) -> Tensor:
    """Whether the likeliest of A, C, G and T is the token."""
    bases = _TOKENS.to(logits.device)
    return bases[logits[..., bases].argmax(-1)] == tokens


def _batch(task: RecallTask, stage: Stage, indices: range, device: torch.device) -> tuple[Tensor, Tensor]:
    samples = [task.sample(i, stage.length, markers=stage.markers, payload=stage.payload) for i in indices]
    codes = torch.from_numpy(np.stack([sample.codes for sample in samples]))
    is_asked = torch.from_numpy(np.stack([sample.is_asked for sample in samples]))
    return _TOKENS[codes].to(device), is_asked.to(device)


def _moved_right(tokens: Tensor) -> Tensor:
    return torch.cat([torch.full_like(tokens[:, :1], _DNA.bos), tokens[:, :-1]], dim=1)


def _check_causal(model: LanguageModel) -> None:
    config = model.config
    if config.direction != "causal" or config.equivariant or config.alphabet != "dna":
        raise ConfigError("recall asks what comes next after what was read; it needs a causal model over dna")
