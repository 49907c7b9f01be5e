"""`genomamba embed` on a model that was trained: files, shards, and what an interrupted one leaves."""

import json

import numpy as np
import pytest
import torch

import genomamba
from genomamba.classify import embedding_session
from genomamba.cli.main import main

TABLE = """\
name\tsequence\tlabel\tsplit
a\tACGTACGTGG\tx\ttrain
b\tGGCC\ty\ttest
c\tTTTTTTTTTTTTTTTTTTTTTTTTT\tx\tvalid
d\tCCACGTACGT\ty\ttest
e\tACACAC\tx\ttrain
"""
TEXTS = {line.split("\t")[0]: line.split("\t")[1] for line in TABLE.splitlines()[1:]}


@pytest.fixture
def embed(trained_on, tmp_path, monkeypatch, capsys):
    """Run the command in the model's folder; return the file it wrote."""
    monkeypatch.chdir(trained_on)
    (tmp_path / "data.tsv").write_text(TABLE)

    def run(name, *options, data=True, code=0, model="run"):
        out = tmp_path / name
        given = ["embed", model, "--threads", "1", "--out", str(out), *map(str, options)]
        given += ["--data", str(tmp_path / "data.tsv")] if data else []
        assert main(given) == code
        return out

    run.shown, run.folder = capsys.readouterr, tmp_path
    return run


def load(path):
    with np.load(path, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def test_a_table_becomes_an_npz(embed):
    leaks = embed.folder / "leaks.tsv"
    out = embed("x.npz", "--leaks", leaks)
    shown = embed.shown().out.splitlines()
    assert [line.split("\t")[2:6:3] for line in leaks.read_text().splitlines()[1:]] == [["a", "d"], ["d", "a"]]
    found = load(out)
    assert found["names"].tolist() == list(TEXTS)
    assert found["labels"].tolist() == ["x", "y", "x", "y", "x"]
    assert found["classes"].tolist() == ["x", "y"]
    assert found["splits"].tolist() == ["train", "test", "valid", "test", "train"]
    model = genomamba.from_pretrained("run")
    expected = genomamba.embed(model, list(TEXTS.values())).numpy()
    np.testing.assert_allclose(found["embeddings"], expected, rtol=1e-5, atol=1e-6)
    assert found["embeddings"].dtype == np.float32
    meta = json.loads(str(found["meta"]))
    assert (meta["pool"], meta["layers"], meta["strand"], meta["kind"]) == ("mean", [2], "+", "single")
    # d is the reverse complement of a.
    assert "1 are in train too, on either strand" in shown[0]
    assert shown[-1] == f"{out}: 5 sequences, 16 numbers each"
    assert not out.with_name("x.npz.partial").exists()


def test_parquet_holds_the_same(embed):
    parquet = pytest.importorskip("pyarrow.parquet")
    found = load(embed("x.npz", "--strand", "both", "--layers", "0", "-1"))
    table = parquet.read_table(embed("x.parquet", "--strand", "both", "--layers", "0", "-1"))
    assert table.column_names == ["name", "label", "split", "embedding"]
    assert table["name"].to_pylist() == list(TEXTS)
    assert table["label"].to_pylist() == found["labels"].tolist()
    np.testing.assert_array_equal(np.array(table["embedding"].to_pylist(), np.float32), found["embeddings"])
    assert found["embeddings"].shape == (5, 64)


def test_bases_by_themselves(embed):
    found = load(embed("x.npz", "--pool", "none", "--strand", "-"))
    assert found["borders"].tolist() == [0, 10, 14, 39, 49, 55]
    model = genomamba.from_pretrained("run")
    expected = torch.cat(genomamba.embed(model, list(TEXTS.values()), pool="none", strand="-")).numpy()
    np.testing.assert_allclose(found["embeddings"], expected, rtol=1e-5, atol=1e-6)
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(embed("x.parquet", "--pool", "none", "--strand", "-"))
    assert table["position"].to_pylist()[8:12] == [8, 9, 0, 1]
    assert table["label"].to_pylist()[8:12] == ["x", "x", "y", "y"]
    np.testing.assert_array_equal(np.array(table["embedding"].to_pylist(), np.float32), found["embeddings"])


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("pool", ["mean", "none"])
def test_shards_put_together_are_the_whole(embed, suffix, pool):
    whole = embed(f"whole{suffix}", "--pool", pool)
    parts = [embed(f"{part}{suffix}", "--pool", pool, "--shard", f"{part}/3") for part in (1, 2, 3)]
    out = embed.folder / f"merged{suffix}"
    assert main(["merge", *map(str, parts), "--out", str(out)]) == 0
    if suffix == ".npz":
        one, other = load(whole), load(out)
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        assert parquet.read_table(out).equals(parquet.read_table(whole))
        assert parquet.read_schema(out).metadata == parquet.read_schema(whole).metadata
    embed.shown()
    assert main(["merge", str(parts[1]), str(parts[0]), str(parts[2]), "--out", str(out), "--force"]) == 1
    assert f"{parts[1]}: is shard 2/3, expected 1/3; give all of them, in their order" in embed.shown().err
    assert main(["merge", str(whole), "--out", str(out), "--force"]) == 1
    assert f"{whole}: no shard; genomamba embed --shard 1/16 writes one" in embed.shown().err


def test_shards_of_other_settings_do_not_fit(embed):
    one = embed("1.npz", "--shard", "1/2")
    two = embed("2.npz", "--shard", "2/2", "--pool", "max")
    assert main(["merge", str(one), str(two), "--out", str(embed.folder / "all.npz")]) == 1
    assert f"{two}: its pool is max, and that of {one} is mean" in embed.shown().err


def test_an_interrupted_command_goes_on(embed, monkeypatch):
    monkeypatch.setattr(embedding_session, "_PART_BASES", 12)
    whole = load(embed("whole.npz"))
    finish, calls = embedding_session.Partial.finish, []

    def stop_at_the_second(self, part, sums):
        finish(self, part, sums)
        calls.append(part)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(embedding_session.Partial, "finish", stop_at_the_second)
    out = embed("x.npz", code=130)
    assert "the same command goes on from there" in embed.shown().err
    assert not out.exists()
    embed("x.npz", "--pool", "max", code=1)
    assert "with pool mean where this one has max" in embed.shown().err
    embed("x.npz")
    assert calls == [0, 1, 2]
    found = load(out)
    for name in whole:
        np.testing.assert_array_equal(found[name], whole[name])


def test_contigs_and_stretches_of_a_genome(embed):
    found = load(embed("x.npz", "--fasta", "made.fa", data=False))
    assert found["names"].tolist() == ["one", "two", "tiny", "none", "three"]
    assert "labels" not in found
    bed = embed.folder / "x.bed"
    bed.write_text("two\t10\t50\ta\t0\t-\ntwo\t10\t50\n")
    found = load(embed("y.npz", "--fasta", "made.fa", "--bed", bed, data=False))
    assert found["names"].tolist() == ["two:11-50(-)", "two:11-50"]
    model = genomamba.from_pretrained("run")
    region = ("made.fa", "two:11-50")
    for row, strand in enumerate("-+"):
        expected = genomamba.embed(model, region, strand=strand).numpy()
        np.testing.assert_allclose(found["embeddings"][row], expected, rtol=1e-5, atol=1e-6)


def test_a_masked_model_is_embedded_too(embed, masked_on):
    found = load(embed("x.npz", model="masked"))
    assert found["embeddings"].shape[0] == 5
    assert np.isfinite(found["embeddings"]).all()


REFUSALS = {
    "nothing": (("--pool", "mean"), "nothing to embed; name labelled data by --data, or sequences by --fasta"),
    "ending": (("--out", "x.csv"), "--out is x.csv; its name must end with .npz or .parquet"),
    "folder": (("--out", "no/x.npz"), "no/x.npz: there is no folder no; make it, or give another --out"),
    "shard": (("--shard", "3/2"), "--shard is '3/2'; it must be as 3/16: the third of sixteen"),
    "layer": (("--fasta", "made.fa", "--layers", "9"), "--layers are 9; they must lie between -3 and 2"),
    "no file": (("--data", "no.tsv"), "no.tsv: no such file; check the name"),
    "ending of data": (("--data", "made.fa"), "--data is made.fa; it must be a folder, a BED file, or end with"),
    "window": (("--fasta", "made.fa", "--window", "10"), "--window cuts contigs for --base-labels"),
}


@pytest.mark.parametrize(("options", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_cannot_be_done_is_told_in_one_line(embed, options, message):
    out = embed.folder / "x.npz"
    assert main(["embed", "run", "--out", str(out), *options]) in (1, 2)
    shown = embed.shown().err
    assert message in shown
    assert "Traceback" not in shown
    assert not out.exists()
