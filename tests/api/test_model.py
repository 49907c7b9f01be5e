"""Each form of a sequence gives the same numbers, a list gives those of one by one, and all agree with the network."""

import math

import numpy as np
import pytest
import torch

from genomamba.alphabet import get_alphabet
from genomamba.coordinates import Interval
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError, DataError, RunError
from genomamba.score.likelihood import log_likelihoods
from genomamba.score.reading import Reading
from genomamba.score.sequences import Held

DNA = get_alphabet("dna")
METHODS = {
    "logits": lambda model, given: model.logits(given),
    "embed": lambda model, given: model.embed(given),
    "pooled": lambda model, given: model.embed(given, pool="mean"),
    "per-base": lambda model, given: model.log_likelihood(given, per_base=True),
    "total": lambda model, given: model.log_likelihood(given),
    "both-strands": lambda model, given: model.log_likelihood(given, per_base=True, strand="both"),
}
CASES = [
    *(("causal", method) for method in METHODS),
    *((kind, method) for kind in ("bidirectional", "equivariant") for method in ("logits", "embed", "pooled")),
]


def close(found, expected, tolerance=1e-10):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.fixture(params=CASES, ids="-".join)
def run(request, make_model):
    """One method of one kind of model, as a function of what is given."""
    kind, method = request.param
    model = make_model(kind)
    return lambda given: METHODS[method](model, given)


def test_all_forms_of_a_sequence_give_the_same(run, fasta, records):
    text = records["chr1"][50:250]
    expected = run(text)
    ids = torch.from_numpy(DNA.encode(text))
    opened = Genome.open([fasta], DNA, contigs=["*"])
    regions = [(opened, "chr1:51-250"), (str(fasta), "1:51-250"), (fasta, Interval("chr1", 50, 250))]
    for given in (text.encode(), text.upper(), ids, ids.to(torch.uint8), *regions):
        close(run(given), expected)
    rows = run(torch.stack([ids, ids.flip(0)]))
    close(rows[0], expected)
    close(rows[1], run(ids.flip(0)))


def test_a_list_gives_what_its_sequences_give_one_by_one(run, draw_text, monkeypatch):
    # The first three share a pass, as do the last two; the others are longer than a pass.
    monkeypatch.setattr("genomamba.api.model.default_chunk", lambda config: 64)
    texts = [draw_text(length, length, "ACGTN") for length in (1, 33, 2, 130, 65, 50, 14)]
    together = run(texts)
    assert len(together) == len(texts)
    for found, text in zip(together, texts, strict=True):
        close(found, run(text))
    (alone,) = run([torch.from_numpy(DNA.encode(texts[3]))])
    close(alone, run(texts[3]))


def test_regions_and_a_bed_are_read_in_their_order(run, fasta, records, tmp_path):
    bed = tmp_path / "a.bed"
    # They overlap and stand out of order, and the last is of a contig that is left out where none is named.
    bed.write_text("track name=x\nchr1\t200\t260\tb\t0\t-\nchr1\t40\t220\nchrUn_x\t0\t50\n")
    expected = [run(records["chr1"][200:260]), run(records["chr1"][40:220]), run(records["chrUn_x"])]
    for regions in (bed, str(bed), ["chr1:201-260", Interval("chr1", 40, 220), "chrUn_x"]):
        found = run((fasta, regions))
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            close(one, other)


@pytest.mark.parametrize("kind", ["causal", "bidirectional", "equivariant"])
def test_logits_are_those_of_the_network(make_model, draw_text, kind):
    model, text = make_model(kind), draw_text(70)
    close(model.logits(text), model.network(model.encode(text)[None])[0].detach())


@pytest.mark.parametrize("kind", ["causal", "bidirectional", "equivariant"])
def test_float32_lists_agree_within_rounding(make_model, draw_text, kind):
    model = make_model(kind, torch.float32)
    texts = [draw_text(length, length) for length in (5, 300, 64)]
    for found, text in zip(model.logits(texts), texts, strict=True):
        alone = model.logits(text)
        assert found.dtype == torch.float32
        assert (found - alone).abs().max() <= 1e-5 * alone.abs().max()


def test_log_likelihood_is_the_sum_of_what_logits_say(make_model, draw_text):
    model, text = make_model(), draw_text(120, 3, "ACGTN")
    ids = model.encode(text)
    log2_p = model.logits(model.encode(text, bos=True))[:-1].log_softmax(-1) / math.log(2)
    each = log2_p.gather(1, ids[:, None])[:, 0]
    scored = torch.tensor([letter != "N" for letter in text])
    assert 0 < scored.sum() < len(text)
    per_base = model.log_likelihood(text, per_base=True)
    assert torch.equal(per_base.isnan(), ~scored)
    close(per_base[scored], each[scored])
    total = model.log_likelihood(text)
    assert total.shape == ()
    assert total.dtype == torch.float64
    assert total.item() == pytest.approx(each[scored].sum().item(), rel=1e-12)


def test_log_likelihood_is_that_of_the_command(make_model, fasta):
    model = make_model(dtype=torch.float32)
    genome = Genome.open([fasta], DNA, contigs=["*"])
    for strand in ("+", "-"):
        reading = Reading(genome, Interval("chr1", 20, 290), strand)
        (scores,) = log_likelihoods(model.network, [reading])
        found = model.log_likelihood((fasta, "chr1:21-290"), per_base=True, strand=strand)
        assert np.array_equal(found.numpy(), scores.bits, equal_nan=True)
        total = model.log_likelihood((fasta, "chr1:21-290"), strand=strand)
        assert total.item() == np.nansum(scores.bits, dtype=np.float64)


def test_strands_are_mirror_images(make_model, draw_text):
    model, text = make_model(), draw_text(90, 4)
    other = text[::-1].translate(str.maketrans("ACGT", "TGCA"))
    plus, minus = (model.log_likelihood(text, per_base=True, strand=strand) for strand in "+-")
    close(minus, model.log_likelihood(other, per_base=True).flip(0))
    close(model.log_likelihood(text, strand="both"), (plus.sum() + minus.sum()) / 2)
    assert (plus - minus).abs().max() > 0.1


def test_embeddings_of_an_equivariant_model_change_halves_and_order_with_the_strand(make_model, draw_text):
    model, text = make_model("equivariant"), draw_text(60, 5)
    other = text[::-1].translate(str.maketrans("ACGT", "TGCA"))
    given, turned = model.embed(text), model.embed(other)
    assert given.shape == (60, 16)
    close(turned.flip(0).roll(8, dims=1), given)
    assert model.embed([text, other], pool="mean").shape == (2, 16)


@pytest.mark.parametrize("kind", ["causal", "equivariant"])
def test_a_pooled_embedding_is_the_mean_over_the_sequence(make_model, draw_text, monkeypatch, kind):
    monkeypatch.setattr("genomamba.api.model.default_chunk", lambda config: 16)
    model, texts = make_model(kind), [draw_text(50), draw_text(7)]
    expected = torch.stack([model.embed(text).mean(0) for text in texts])
    close(model.embed(texts, pool="mean"), expected)
    close(model.embed(texts[0], pool="mean"), expected[0])


@pytest.mark.parametrize(
    ("kind", "output", "whole"),
    [
        ("causal", "logits", "logits"),
        ("causal", "embedding", "embed"),
        ("causal", "log_likelihood", "per-base"),
        ("bidirectional", "logits", "logits"),
        ("equivariant", "embedding", "embed"),
    ],
)
def test_a_stream_is_the_whole_in_pieces(make_model, fasta, records, tmp_path, kind, output, whole):
    model, text = make_model(kind), records["chr1"]
    expected = METHODS[whole](model, text)
    ids = model.encode(text)
    for given, options in (
        (text, {"chunk": 7}), (ids, {"chunk": 1_000}), ((fasta, "chr1"), {"chunk": 64}), (ids, {}),
        (text, {"chunk": 50, "spill": tmp_path}),
    ):  # fmt: skip
        pieces = list(model.stream(given, output=output, **options))
        assert max(map(len, pieces)) <= options.get("chunk", 16_384)
        close(torch.cat(pieces), expected)
    rows = list(model.stream(torch.stack([ids, ids]), output=output, chunk=40))
    close(torch.cat(rows, dim=1), torch.stack([expected, expected]))


def test_what_is_drawn_is_as_likely_as_it_says(make_model, draw_text, fasta, records):
    model, prompt = make_model(), records["chr1"][:40]
    drawn = model.generate([prompt, ""], length=30, samples=2, seed=1, top_k=3)
    assert [(one.prompt, one.sample) for one in drawn] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for one in drawn:
        before = [prompt, ""][one.prompt]
        per_base = model.log_likelihood(before + one.sequence, per_base=True)
        assert len(one.sequence) == 30
        assert one.log_likelihood == pytest.approx(per_base[len(before) :].sum().item(), rel=1e-9)
        assert torch.equal(model.encode(one.sequence), one.tokens.long())
    for same in ((fasta, "chr1:1-40"), prompt, model.encode(prompt)):
        again = model.generate(same, length=30, samples=2, seed=1, top_k=3)
        assert [one.sequence for one in again] == [one.sequence for one in drawn[:2]]
    (greedy,) = model.generate(length=5, temperature=0)
    first = model.logits(torch.tensor([DNA.bos]))[0][DNA.targets]
    assert greedy.sequence[0] == "ACGT"[first.argmax()]


def test_rows_are_read_when_they_are_needed(make_model, monkeypatch):
    """Tokens are held in a byte each, and turned into 8 a piece at a time."""
    model, rows = make_model(), torch.randint(7, 11, (2, 100), generator=torch.Generator().manual_seed(1))
    asked = []
    monkeypatch.setattr(Held, "tokens", watched(Held.tokens, asked))
    stream = model.stream(rows.to(torch.uint8), chunk=30)
    for done, _ in enumerate(stream, 1):
        assert len(asked) == 2 * done
    assert {(held.ids.dtype, end - start) for held, start, end in asked} == {(torch.uint8, 30), (torch.uint8, 10)}
    assert Held(torch.tensor([300]), DNA, "+").tokens(0, 1).dtype == torch.int64


def watched(method, asked):
    def tokens(held, start, end):
        asked.append((held, start, end))
        return method(held, start, end)

    return tokens


@pytest.mark.parametrize("vocab_rows", [200, 257, 40_000])
def test_every_id_of_a_vocabulary_is_held(make_model, vocab_rows):
    model = make_model(alphabet="tokens", vocab_rows=vocab_rows)
    ids = torch.tensor([0, vocab_rows - 1, vocab_rows // 2])
    close(model.logits(ids), model.network(ids[None])[0].detach())
    with pytest.raises(ConfigError, match=f"between 0 and {vocab_rows - 1}$"):
        model.logits(torch.tensor([vocab_rows]))


@pytest.mark.parametrize("kind", ["causal", "bidirectional", "equivariant"])
def test_bfloat16_agrees_within_its_rounding(make_model, draw_text, kind):
    exact, text = make_model(kind), draw_text(90)
    whole = exact.logits(text)
    model = make_model(kind).to(torch.bfloat16)
    for found in (model.logits(text), torch.cat(list(model.stream(text, chunk=40))), model.logits([text, "A"])[0]):
        assert found.dtype == torch.bfloat16
        assert (found - whole).abs().max() <= 0.1 * whole.abs().max()


def test_a_model_is_a_module_with_gradients(make_model, draw_text):
    model, ids = make_model(), torch.from_numpy(DNA.encode(draw_text(20)))
    assert not model.training
    assert not any(result.requires_grad for result in (model.logits(ids), model.embed(ids), model.log_likelihood(ids)))
    assert not any(piece.requires_grad for piece in model.stream(ids, chunk=8))
    model(ids[None], cu_seqlens=torch.tensor([0, 8, 20])).sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())
    close(model(ids[None]), model.network(ids[None]))


def test_bytes_are_read_as_they_are(make_model):
    model = make_model(alphabet="bytes")
    text = "Grüße\n"
    assert model.encode(text).tolist() == [byte + 7 for byte in text.encode()]
    close(model.log_likelihood(text), model.log_likelihood(text.encode("utf-8")))
    assert not model.log_likelihood(bytes(range(256)), per_base=True).isnan().any()
    (drawn,) = model.generate("a", length=8)
    assert model.encode(drawn.sequence.encode("latin-1")).tolist() == drawn.tokens.tolist()


def test_a_model_of_ids_alone_takes_ids(make_model):
    model = make_model(alphabet="tokens", vocab_rows=50)
    ids = torch.tensor([0, 49, 7])
    assert model.logits(ids).shape == (3, 50)
    with pytest.raises(ConfigError, match="takes token ids, not sequences"):
        model.logits("ACGT")
    with pytest.raises(ConfigError, match=r"has no \[BOS\]"):
        model.log_likelihood(ids)


WRONG = {
    "letter": ("ACGJ", DataError, "^the sequence: position 4 holds 'J'; the dna alphabet has A C G T N"),
    "letter of two bytes": ("ACGÜ", DataError, "^the sequence: position 4 holds 'Ü'; the dna alphabet has"),
    "letter in a list": (["ACGT", "A CG"], DataError, "^sequence 1: position 2 holds ' '"),
    "empty": ("", ConfigError, "^the sequence is empty"),
    "empty in a list": (["A", ""], ConfigError, "^sequence 1 is empty"),
    "no sequence": ([], ConfigError, "^no sequence was given"),
    "no rows": (torch.zeros(0, 4, dtype=torch.int64), ConfigError, "^no sequence was given"),
    "unknown id": (torch.tensor([7, 12]), ConfigError, "^the sequence holds the id 12; .* between 0 and 11$"),
    "negative id": (torch.tensor([[7, -1]]), ConfigError, "^row 0 of the tokens holds the id -1"),
    "floating": (torch.rand(4), ConfigError, r"^the sequence is a tensor \(4,\) of torch.float32; token ids are"),
    "three axes": (torch.zeros(1, 1, 4, dtype=torch.int64), ConfigError, r"is a tensor \(1, 1, 4\)"),
    "number": (7, ConfigError, "^the sequence is of type int; give text, a list of texts"),
    "none in a list": (["A", None], ConfigError, "^sequence 1 is of type NoneType"),
    "texts in a tuple": (("ACGT", "ACGT", "AC"), ConfigError, r"^a tuple of 3 was given; .* sequences go in a list"),
    "two texts in a tuple": (("ACGT", "AC"), DataError, r"^ACGT: no such file; .*\(a tuple is \(fasta, regions\); seq"),
    "no such file": (("nowhere.fa", "chr1"), DataError, "^nowhere.fa: no such file"),
    "no path": ((7, "chr1"), ConfigError, "^the FASTA is of type int"),
    "past the end": (("{fasta}", "chr1:1-305"), DataError, "^chr1:1-305: chr1 has 304 bases; stay within it"),
    "interval past the end": (("{fasta}", Interval("chr1", 0, 305)), DataError, "^chr1:1-305: chr1 has 304 bases"),
    "empty interval": (("{fasta}", Interval("chr1", 5, 5)), DataError, "chr1 has 304 bases"),
    "no such contig": (("{fasta}", ["chr1", "chr9:1-5"]), DataError, "no sequence 'chr9'"),
    "no region": (("{fasta}", "chr1:9-5"), ConfigError, "'chr1:9-5' must run from 1"),
    "number as a region": (("{fasta}", [5]), ConfigError, "^a region is of type int"),
    "no such BED": (("{fasta}", "x.bed"), DataError, "^x.bed: no such file"),
}


@pytest.mark.parametrize("use", ["logits", "log_likelihood", "stream", "generate"])
@pytest.mark.parametrize(("given", "kind", "message"), WRONG.values(), ids=WRONG)
def test_bad_input_is_refused_in_one_line(make_model, fasta, use, given, kind, message):
    model = make_model()
    if isinstance(given, tuple) and given[0] == "{fasta}":
        given = (fasta, given[1])
    if use == "generate" and message.endswith("is empty"):
        assert model.generate(given, length=1)
        return
    with pytest.raises(kind, match=message) as caught:
        getattr(model, use)(given, **({"length": 3} if use == "generate" else {}))
    assert "\n" not in str(caught.value)


REFUSED = {
    "likelihood of a masked model": ("bidirectional", lambda m: m.log_likelihood("ACGT"), "made: a masked model"),
    "stream of it": ("equivariant", lambda m: m.stream("ACGT", output="log_likelihood"), "made: a masked model"),
    "drawing from it": ("bidirectional", lambda m: m.generate("ACGT", length=4), "a masked model fills gaps"),
    "strand": ("causal", lambda m: m.log_likelihood("ACGT", strand="*"), "strand is '\\*'; it must be '\\+', '-' or"),
    "pool": ("causal", lambda m: m.embed("ACGT", pool="max"), "pool is 'max'"),
    "output": ("causal", lambda m: m.stream("ACGT", output="hidden"), "output is 'hidden'; it must be 'logits'"),
    "chunk": ("causal", lambda m: m.stream("ACGT", chunk=0), "chunk is 0; it must be 1 or more"),
    "stream of a list": ("causal", lambda m: m.stream(["ACGT", "A"]), "several sequences were given"),
    "temperature": ("causal", lambda m: m.generate(length=4, temperature=-1.0), "temperature is -1"),
    "length": ("causal", lambda m: m.generate(length=0), "length is 0"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "use", "message"), REFUSED.values(), ids=REFUSED)
def test_what_a_model_cannot_do_is_refused_at_once(make_model, kind, use, message):
    with pytest.raises(ConfigError, match=message) as caught:
        use(make_model(kind))
    assert "\n" not in str(caught.value)


def test_a_genome_of_another_alphabet_is_refused(make_model, fasta):
    genome = Genome.open([fasta], get_alphabet("bytes"))
    with pytest.raises(ConfigError, match="opened with bytes, and the model has dna"):
        make_model().logits((genome, "chr1"))


def test_numbers_that_are_not_finite_are_an_error(make_model):
    model = make_model()
    with torch.no_grad():
        model.network.norm_f.weight.fill_(torch.nan)
    for per_base in (False, True):
        with pytest.raises(RunError, match=r"^made: the model's log-likelihoods are not finite"):
            model.log_likelihood("ACGT", per_base=per_base)
    for given in ("ACGT", model.encode("ACGT")[None]):
        with pytest.raises(RunError, match=r"^made: the model's log-likelihoods are not finite"):
            next(model.stream(given, output="log_likelihood"))
