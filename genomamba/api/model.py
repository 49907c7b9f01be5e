"""A model by name, and what it says of sequences."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, overload

import torch
from torch import Tensor

from genomamba.classify.config import Pool, StrandUse
from genomamba.classify.embedding import Embedding, embed_each
from genomamba.errors import ConfigError
from genomamba.hub import HubModel
from genomamba.model.generation import Sampling, generate
from genomamba.model.streaming import Output, stream
from genomamba.score.config import Strands
from genomamba.score.likelihood import check_causal, default_chunk
from genomamba.score.passes import Reduce, finite_bits, in_form, join, join_bits, mean, passes, sum_bits
from genomamba.score.reading import Strand
from genomamba.score.sequences import Form, Sequences, Single, pieces_of, read_sequences

__all__ = ["GeneratedSequence", "Model", "embed", "from_pretrained"]

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
        Where to compute: cpu, cuda, cuda:1, ... auto is cpu.

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


class Model(HubModel):
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
        results, form = self._each(sequences, "logits", join)
        return in_form(results, form)

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
        results, form = self._each(sequences, "hidden", join if pool is None else mean)
        return in_form(results, form, stack=pool is not None)

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
        reduce = partial(join_bits if per_base else sum_bits, self.alphabet, self.name)
        strands: tuple[Strand, ...] = ("+", "-") if strand == "both" else (strand,)
        by_strand: list[list[Tensor]] = []
        for one in strands:
            results, form = self._each(sequences, "log_likelihood", reduce, one)
            by_strand.append([bits.flip(0) if one == "-" and per_base else bits for bits in results])
        means = [torch.stack(same).mean(0) for same in zip(*by_strand, strict=True)]
        return in_form(means, form, stack=not per_base)

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
            raise ConfigError("several sequences were given; a stream is of one, so go through them in a loop")
        size = default_chunk(self.config) if chunk is None else chunk
        if size < 1:
            raise ConfigError(f"chunk is {size}; it must be 1 or more, such as 16384")
        rows = form == "rows"
        folder = None if spill is None else Path(spill)
        tokens: Iterable[Tensor] = map(torch.cat, zip(*(pieces_of(one, size) for one in sources), strict=True))
        if output == "log_likelihood":
            given, kept = itertools.tee(tokens)
            nats = stream(self.network, given, output=output, chunk=size)
            pieces = finite_bits(self.alphabet, self.name, zip(kept, nats, strict=True))
        else:
            inner: Output = "hidden" if output == "embedding" else output
            pieces = stream(self.network, tokens, output=inner, chunk=size, spill=folder)
        return (piece if rows else piece[0] for piece in pieces)

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

    def _each(
        self, sequences: Sequences, output: Output, reduce: Reduce, strand: Strand = "+"
    ) -> tuple[list[Tensor], Form]:
        """Run over all sequences, and make one tensor of the pieces of each."""
        sources, form = read_sequences(sequences, self.config, strand=strand)
        return [reduce(pieces) for pieces in passes(self.network, sources, output, default_chunk(self.config))], form


def embed(
    model: Model | str | Path,
    sequences: Sequences,
    *,
    pool: Pool = "mean",
    layers: Sequence[int] = (-1,),
    strand: StrandUse | None = None,
) -> Tensor | list[Tensor]:
    """Return what a model makes of sequences: what `genomamba embed` writes.

    Parameters
    ----------
    model : Model, str or Path
        A model, or what `from_pretrained` takes.
    sequences : str, list of str, Tensor, or (fasta, regions)
        See `Model`.
    pool : {"mean", "sum", "max", "last", "middle", "none"}
        Over the positions of a sequence, each strand in its own reading order; none keeps them all.
    layers : sequence of int
        0: the embedding of the tokens; i: the residual stream after i blocks; -1, or their number: after all of them,
        and normalised, as of `Model.embed`.
    strand : {"+", "-", "mean", "both"}, optional
        Which strand is read; the mean of the two; or the numbers of - behind those of +. Default: + alone, and both for
        an equivariant model.

    Returns
    -------
    embeddings : (width,), or (sequences, width) for several, floating, on the CPU
        Width is d_model for each layer, in order, and strand. Without pooling (length, width), and a list for several.

    Raises
    ------
    DataError, ConfigError
        As `Model.logits` does, and for a layer or a strand that the model does not have.
    """
    found = model if isinstance(model, Model) else from_pretrained(model)
    chosen = Embedding.of(found.config, found.alphabet, pool=pool, layers=layers, strand=strand)
    sources, form = read_sequences(sequences, found.config)
    return in_form(list(embed_each(found.network, sources, chosen)), form, stack=pool != "none")
