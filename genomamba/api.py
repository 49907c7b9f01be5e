"""The front door of `import genomamba`: a model by name, and what it says of sequences.

Everything here is a few lines over rooms below: `genomamba.model` runs the network, `genomamba.score` cuts and packs
what it reads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, overload

import torch
from huggingface_hub import ModelCard, PyTorchModelHubMixin
from torch import Tensor, nn

from genomamba.alphabet import Alphabet, get_alphabet
from genomamba.config import ModelConfig
from genomamba.errors import ConfigError, RunError
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import open_checkpoint, save_model
from genomamba.model.generation import Sampling, generate
from genomamba.model.streaming import Output, stream
from genomamba.report.model_card import render_card
from genomamba.report.model_facts import provenance_of
from genomamba.score.config import Strands
from genomamba.score.likelihood import check_causal, default_chunk
from genomamba.score.reading import Strand
from genomamba.score.sequences import Form, Sequences, Single, passes, pieces_of, read_sequences
from genomamba.train.device import choose_device

__all__ = ["GeneratedSequence", "Model", "from_pretrained"]

Pieces = Iterator[tuple[Tensor, Tensor]]
StreamOutput = Literal["logits", "embedding", "log_likelihood"]


@dataclass(frozen=True, slots=True)
class GeneratedSequence:
    """One sequence that a model drew.

    Attributes
    ----------
    sequence : str
        The new bases, without the prompt. Of a bytes model, a character for each byte (Latin-1).
    log_likelihood : float
        log2 of their probability after the prompt, in bits, under the model as it is, whatever the temperature was.
    prompt, sample : int
        Number of the prompt, and of the sequence among those of that prompt, from 0.
    tokens : (length,), uint8 or int64
        The new bases as ids of the model's alphabet.
    """

    sequence: str
    log_likelihood: float
    prompt: int
    sample: int
    tokens: Tensor


def from_pretrained(
    model: str | Path, revision: str | None = None, *, alphabet: str | None = None, device: str = "auto"
) -> Model:
    """Load a model. No code that lies beside its weights is run.

    Parameters
    ----------
    model : str or Path
        A run folder, a checkpoint folder, or OWNER/NAME on the Hugging Face hub; in our own layout or in that of
        state-spaces Mamba-1, Hugging Face Mamba-1, or Caduceus.
    revision : str, optional
        Branch, tag or commit of a name on the hub.
    alphabet : str, optional
        What the token ids stand for, where no file beside the weights says so: dna, bytes, tokens (ids alone), or all
        tokens in the order of their ids, as in [PAD],[MASK],[UNK],a,c,g,t.
    device : str
        Where to compute: cpu. auto takes the best there is.

    Returns
    -------
    Model
        In evaluation mode.

    Raises
    ------
    RunError
        Where files are absent or damaged, are of another kind of network, or do not fit each other.
    ConfigError
        Where no file says what the token ids stand for, or an option does not fit.
    """
    return Model.from_pretrained(model, revision=revision, alphabet=alphabet, device=device)


class Model(nn.Module, PyTorchModelHubMixin, library_name="genomamba"):
    """A language model, its alphabet, and what is known of how it was made.

    Its methods take, as `sequences`,

    - text: the letters of one sequence;
    - a list of texts, of any lengths: short ones share a pass, and each gives what it gives by itself, within rounding;
    - token ids: an integer tensor (length,), or (batch, length) for rows of one length;
    - (fasta, regions): a path to a FASTA with `"chr1:1,001-2,000"` (1-based, inclusive), an
      `Interval` (0-based, half-open), a list of these, or the path of a BED file, whose lines are read in their order.

    One sequence gives one tensor, a tensor (batch, length) one with the batch in front, and a list of sequences, a list
    of regions or a BED file a list of tensors. Nothing is put before or behind what was given, unless it says so.
    No method keeps gradients; for those call the model itself, which is `LanguageModel.forward`.

    Parameters
    ----------
    network : LanguageModel
        The network with its weights.
    name : str
        What messages and the model card call it.
    provenance : mapping, optional
        How it was made (objective, context in bases, strand, run, ...), plain values; kept by `save_pretrained`.

    Attributes
    ----------
    network : LanguageModel
    name : str
    provenance : dict
    """

    def __init__(
        self, network: LanguageModel, *, name: str = "model", provenance: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.name = name
        self.provenance = dict(provenance or {})

    @property
    def config(self) -> ModelConfig:
        """Shape of the network."""
        return self.network.config

    @property
    def alphabet(self) -> Alphabet:
        """What the token ids stand for; `alphabet.mask` and `alphabet.bos` are ids of specials."""
        return get_alphabet(self.config.alphabet)

    def forward(self, tokens: Tensor, *, lengths: Tensor | None = None, cu_seqlens: Tensor | None = None) -> Tensor:
        """Return logits (batch, length, vocab_size) with their gradient; see `LanguageModel.forward`."""
        logits: Tensor = self.network(tokens, lengths=lengths, cu_seqlens=cu_seqlens)
        return logits

    def encode(self, text: str | bytes, *, bos: bool = False) -> Tensor:
        """Return the token ids of a text: (length,), int64, on the CPU.

        Parameters
        ----------
        text : str or bytes
            Letters of the model's alphabet; of DNA either case, IUPAC codes, and U for T.
        bos : bool
            Put [BOS] before the first base, as a causal model had it in training: (length + 1,).

        Raises
        ------
        DataError
            For a letter that the alphabet lacks.
        ConfigError
            Where the vocabulary is not of letters, or has no [BOS].
        """
        (source,), _ = read_sequences(text, self.config, may_be_empty=True)
        ids = source.tokens(0, len(source))[0]
        return torch.cat([torch.tensor([self.alphabet.bos]), ids]) if bos else ids

    @overload
    def logits(self, sequences: Single) -> Tensor: ...
    @overload
    def logits(self, sequences: list[Single]) -> list[Tensor]: ...
    @overload
    def logits(self, sequences: Sequences) -> Tensor | list[Tensor]: ...
    def logits(self, sequences: Sequences) -> Tensor | list[Tensor]:
        """Return the logits of every position.

        Parameters
        ----------
        sequences : str, list of str, Tensor, or (fasta, regions)
            See `Model`.

        Returns
        -------
        logits : (length, vocab_size), floating, on the model's device
            Unnormalised log-probabilities. Of a causal model, row t is of the base after t, given those up to t; of a
            bidirectional one, of the base at t, given both sides (hide it by `alphabet.mask` to have it
            predicted).

        Raises
        ------
        DataError
            For a letter outside the alphabet, a file that cannot be read, or a region that its contig does not have.
        ConfigError
            For an empty sequence, ids that the model does not have, and what is no sequence.
        """
        results, form = self._each(sequences, "logits", _join)
        return _shaped(results, form)

    @overload
    def embed(self, sequences: Single, *, pool: Literal["mean"] | None = None) -> Tensor: ...
    @overload
    def embed(self, sequences: Sequences, *, pool: Literal["mean"]) -> Tensor: ...
    @overload
    def embed(self, sequences: Sequences, *, pool: Literal["mean"] | None = None) -> Tensor | list[Tensor]: ...
    def embed(self, sequences: Sequences, *, pool: Literal["mean"] | None = None) -> Tensor | list[Tensor]:
        """Return the normalised residual stream below the head.

        Parameters
        ----------
        sequences : str, list of str, Tensor, or (fasta, regions)
            See `Model`.
        pool : {"mean"}, optional
            The mean over the positions of each sequence; whatever the length, no more than a piece is held.

        Returns
        -------
        embeddings : (length, d_model), floating, on the model's device
            Of an equivariant model (length, 2 * d_model): at each base the given strand's channels, and behind them
            those of the other strand; on the reverse complement the two halves, and the order of bases, change places.
            With `pool`, (d_model,) or (2 * d_model,), and for several sequences (sequences, ...) in one tensor.

        Raises
        ------
        DataError, ConfigError
            As `logits` does.
        """
        if pool not in (None, "mean"):
            raise ConfigError(f"pool is {pool!r}; it must be None, or 'mean'")
        results, form = self._each(sequences, "hidden", _join if pool is None else _mean)
        return _shaped(results, form, stack=pool is not None)

    @overload
    def log_likelihood(
        self, sequences: Sequences, *, per_base: Literal[False] = False, strand: Strands = "+"
    ) -> Tensor: ...
    @overload
    def log_likelihood(self, sequences: Single, *, per_base: bool = False, strand: Strands = "+") -> Tensor: ...
    @overload
    def log_likelihood(
        self, sequences: Sequences, *, per_base: bool = False, strand: Strands = "+"
    ) -> Tensor | list[Tensor]: ...
    def log_likelihood(
        self, sequences: Sequences, *, per_base: bool = False, strand: Strands = "+"
    ) -> Tensor | list[Tensor]:
        """Return log2 of the probability of sequences, in bits: what `genomamba likelihood` says. Causal models only.

        Parameters
        ----------
        sequences : str, list of str, Tensor, or (fasta, regions)
            See `Model`. [BOS] is put before each; of a region nothing before it is read.
        per_base : bool
            Return a number for each base in place of their sum.
        strand : {"+", "-", "both"}
            - reads the reverse complement; both is the mean of the two. Bases stay in the order they were given in.

        Returns
        -------
        bits : (), float64
            Sum over the bases that a model predicts (A, C, G and T; every byte), 0 or below; -2 a base is a guess among
            four. Of several sequences, or rows, (sequences,). With `per_base`, (length,), floating: NaN for a base that
            is not scored, such as N; then of several sequences a list.

        Raises
        ------
        DataError
            As `logits` does.
        ConfigError
            As `logits` does, and for a model that sees both sides of a base.
        RunError
            Where the model's numbers are not finite.
        """
        check_causal(self.network, self.name)
        if strand not in ("+", "-", "both"):
            raise ConfigError(f"strand is {strand!r}; it must be '+', '-' or 'both'")
        reduce = partial(self._bits, total=not per_base)
        strands: tuple[Strand, ...] = ("+", "-") if strand == "both" else (strand,)
        by_strand: list[list[Tensor]] = []
        for one in strands:
            results, form = self._each(sequences, "log_likelihood", reduce, one)
            by_strand.append([bits.flip(0) if one == "-" and per_base else bits for bits in results])
        means = [torch.stack(same).mean(0) for same in zip(*by_strand, strict=True)]
        return _shaped(means, form, stack=not per_base)

    def stream(
        self,
        sequence: Sequences,
        *,
        output: StreamOutput = "logits",
        chunk: int | None = None,
        spill: str | Path | None = None,
    ) -> Iterator[Tensor]:
        """Run over one sequence of any length, and give the results piece by piece, left to right.

        Memory does not grow with the length for a causal model. A bidirectional one reads all first, and holds two
        streams of 4 bytes a channel, base (and strand): in memory, or below `spill`.

        Parameters
        ----------
        sequence : str, Tensor, or (fasta, region)
            See `Model`; one sequence, or a tensor (batch, length), whose rows are read side by side. Bases of a FASTA
            are read when they are needed.
        output : {"logits", "embedding", "log_likelihood"}
            As `logits`, `embed`, or `log_likelihood` with `per_base` gives it.
        chunk : int, optional
            Most bases of a piece; takes memory, and changes no number beyond rounding. Default: 512 to 16,384, the
            fewer the wider the network.
        spill : str or Path, optional
            Folder for the residual streams of a bidirectional model; what is written there goes at the end.

        Yields
        ------
        piece : (at most chunk, ...), floating, on the model's device
            For a tensor (batch, length), (batch, at most chunk, ...).

        Raises
        ------
        DataError, ConfigError, RunError
            As `logits` and `log_likelihood` do, for several sequences, and where `spill` cannot hold the streams.
        """
        if output not in ("logits", "embedding", "log_likelihood"):
            raise ConfigError(f"output is {output!r}; it must be 'logits', 'embedding' or 'log_likelihood'")
        if output == "log_likelihood":
            check_causal(self.network, self.name)
        sources, form = read_sequences(sequence, self.config)
        if form == "many":
            raise ConfigError(f"{len(sources)} sequences were given; a stream is of one, so go through them in a loop")
        size = default_chunk(self.config) if chunk is None else chunk
        if size < 1:
            raise ConfigError(f"chunk is {size}; it must be 1 or more, such as 16384")
        rows = form == "rows"
        tokens = torch.cat([row.tokens(0, len(row)) for row in sources]) if rows else pieces_of(sources[0], size)
        inner: Output = "hidden" if output == "embedding" else output
        pieces = stream(self.network, tokens, output=inner, chunk=size, spill=None if spill is None else Path(spill))
        return (_finished(piece if rows else piece[0], output) for piece in pieces)

    def generate(
        self,
        prompts: Sequences = "",
        *,
        length: int,
        samples: int = 1,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        batch_size: int = 32,
    ) -> list[GeneratedSequence]:
        """Draw sequences that go on from prompts, base by base, as `genomamba generate` does. Causal models only.

        Parameters
        ----------
        prompts : str, list of str, Tensor, or (fasta, regions)
            See `Model`; read after [BOS]. Empty text begins from nothing.
        length : int
            Bases to draw after each prompt.
        samples : int
            Sequences for each prompt.
        temperature : float
            Below 1, likely bases become likelier; 0 takes the likeliest.
        top_k : int, optional
            Draw from the k likeliest bases alone.
        top_p : float, optional
            Draw from the fewest likeliest bases whose probabilities add up to this share.
        seed : int
            Sample j of prompt i depends on the model, the prompt, the seed, i and j, and on nothing else.
        batch_size : int
            Sequences drawn at once; no sequence depends on it.

        Returns
        -------
        list of GeneratedSequence
            Prompt after prompt, sample after sample.

        Raises
        ------
        DataError
            As `logits` does.
        ConfigError
            As `logits` does, for a model that sees both sides, and for a number that is out of its range.
        RunError
            Where the model's numbers are not finite.
        """
        sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
        sources, _ = read_sequences(prompts, self.config, may_be_empty=True)
        size = default_chunk(self.config)
        drawn = generate(
            self.network, (pieces_of(source, size) for source in sources), length,
            samples=samples, sampling=sampling, batch_size=batch_size,
        )  # fmt: skip
        return [
            GeneratedSequence(
                sequence=self.alphabet.decode(one.tokens.numpy()).decode("latin-1"),
                log_likelihood=one.log_likelihood / math.log(2),
                prompt=one.prompt,
                sample=one.sample,
                tokens=one.tokens,
            )
            for one in drawn
        ]

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, model: str | Path, *, revision: str | None = None, alphabet: str | None = None, device: str = "auto"
    ) -> Model:
        """Load a model; see `genomamba.from_pretrained`."""
        chosen = choose_device(device)
        checkpoint = open_checkpoint(model, revision=revision, alphabet=alphabet)
        return cls(checkpoint.load(chosen), name=str(model), provenance=provenance_of(checkpoint)).eval()

    def push_to_hub(self, repo_id: str, *, model_card_kwargs: dict[str, Any] | None = None, **options: Any) -> str:
        """Write the model and its card into a repository of the Hugging Face hub.

        Parameters
        ----------
        repo_id : str
            OWNER/NAME; made where it is not there.
        model_card_kwargs : dict, optional
            For `generate_model_card`, such as `{"license": "cc-by-4.0"}`.
        **options
            As of `huggingface_hub.PyTorchModelHubMixin.push_to_hub`: private, token, branch, commit_message, ...

        Returns
        -------
        str
            Address of the commit.
        """
        told = {"name": repo_id} | (model_card_kwargs or {})
        return super().push_to_hub(repo_id, model_card_kwargs=told, **options)

    def generate_model_card(self, *, name: str | None = None, license: str | None = None) -> ModelCard:
        """Return the model card: what the model is, its data, figures and limits, as far as they are known.

        `save_pretrained` and `push_to_hub` write it as README.md, and leave one that is there.

        Parameters
        ----------
        name : str, optional
            What the card calls the model. Default: the last part of the name it was loaded by.
        license : str, optional
            Of the weights, as the hub spells it; whoever publishes them knows.
        """
        title = name or Path(self.name).resolve().name
        return ModelCard(render_card(self.config, self.provenance, name=title, license=license))

    def _save_pretrained(self, save_directory: Path) -> None:
        save_model(save_directory, self.network, self.provenance)

    @torch.no_grad()
    def _each(
        self, sequences: Sequences, output: Output, reduce: Callable[[Pieces], Tensor], strand: Strand = "+"
    ) -> tuple[list[Tensor], Form]:
        """Run over all sequences, and make one tensor of the pieces of each."""
        sources, form = read_sequences(sequences, self.config, strand=strand)
        return [reduce(pieces) for pieces in passes(self.network, sources, output, default_chunk(self.config))], form

    def _bits(self, pieces: Pieces, *, total: bool) -> Tensor:
        """Turn nats into bits, joined or summed up."""
        is_target = torch.from_numpy(self.alphabet.is_target_token)
        found = []
        for tokens, nats in pieces:
            bits = _in_bits(nats)
            if not bits[is_target[tokens.cpu()].to(bits.device)].isfinite().all():
                raise RunError(f"{self.name}: the model's log-likelihoods are not finite; are its weights whole?")
            found.append(bits.nansum(dtype=torch.float64)[None] if total else bits)
        return torch.cat(found).sum() if total else torch.cat(found)


def _shaped(results: list[Tensor], form: Form, *, stack: bool = False) -> Tensor | list[Tensor]:
    if form == "one":
        return results[0]
    return torch.stack(results) if stack or form == "rows" else results


def _join(pieces: Pieces) -> Tensor:
    return torch.cat([values for _, values in pieces])


def _mean(pieces: Pieces) -> Tensor:
    total, count, dtype = torch.zeros(()), 0, torch.float32
    for _, values in pieces:
        total = total.to(values.device) + values.sum(0, dtype=torch.float64)
        count, dtype = count + values.shape[0], values.dtype
    return (total / count).to(dtype)


def _finished(piece: Tensor, output: StreamOutput) -> Tensor:
    return _in_bits(piece) if output == "log_likelihood" else piece


def _in_bits(nats: Tensor) -> Tensor:
    return (nats.double() / math.log(2)).to(nats.dtype)
