"""bigWig files, read back by pyBigWig: values, contigs, and what is seen from afar."""

import numpy as np
import pytest

from genomamba.errors import DataError
from genomamba.score.bigwig import BigWigReader, BigWigWriter
from genomamba.score.tracks import PIECE, merge_bigwigs

reader = pytest.importorskip("pyBigWig")


def draw(length, seed=0):
    return np.random.default_rng(seed).normal(-2, 1, length).astype(np.float32)


@pytest.fixture
def written(tmp_path):
    """Write runs (contig, start, values) and open the file."""

    def write(lengths, runs):
        with BigWigWriter(tmp_path / "made.bw", lengths) as file:
            for run in runs:
                file.add(*run)
        return reader.open(str(tmp_path / "made.bw"))

    return write


def expected_values(length, runs):
    values = np.full(length, np.nan, np.float32)
    for _, start, run in runs:
        values[start : start + run.size] = run
    return values


# 4,096 values fill a block, and 256 blocks a node of the tree.
@pytest.mark.parametrize("length", [1, 64, 4_095, 4_096, 4_097, 1_100_000])
def test_values_of_a_contig_come_back_bit_for_bit(written, length):
    runs = [("c", 5, draw(length))]
    file = written({"c": length + 9}, runs)
    np.testing.assert_array_equal(np.float32(file.values("c", 0, length + 9)), expected_values(length + 9, runs))


def test_runs_with_gaps_between_them_come_back(written):
    runs = [("c", 0, draw(10)), ("c", 10, draw(5_000, 1)), ("c", 5_011, draw(1, 2)), ("c", 5_100, draw(70, 3))]
    file = written({"c": 6_000}, runs)
    np.testing.assert_array_equal(np.float32(file.values("c", 0, 6_000)), expected_values(6_000, runs))


@pytest.mark.parametrize("count", [1, 256, 257, 66_000])
def test_contigs_of_any_number_and_order_are_found_by_name(written, count):
    lengths = {f"contig{number * 7919 % count}": 10 + number % 5 for number in range(count)}
    runs = [(name, 2, draw(3, number)) for number, name in enumerate(lengths) if number % 10 == 0]
    file = written(lengths, runs)
    assert file.chroms() == lengths
    for run in runs[:: max(1, len(runs) // 50)]:
        np.testing.assert_array_equal(np.float32(file.values(run[0], 0, 10)), expected_values(10, [run]))
    if count > 1:
        assert file.intervals(list(lengths)[1]) is None


def test_from_afar_the_summaries_are_those_of_the_values(written):
    # Bins of 65,536 bases are made of whole summaries of every level up to that one.
    values = draw(16 * 65_536)
    pieces = [("b", start, values[start : start + 131_072]) for start in range(0, values.size, 131_072)]
    file = written({"a": 100, "b": values.size, "c": 100}, [("a", 3, draw(90, 1)), *pieces, ("c", 3, draw(90, 2))])
    assert file.header()["nLevels"] == 8
    bins = values.reshape(16, -1).astype(np.float64)
    for kind, summary in {
        "mean": bins.mean(1),
        "min": bins.min(1),
        "max": bins.max(1),
        "std": bins.std(1, ddof=1),
    }.items():
        np.testing.assert_allclose(file.stats("b", nBins=16, type=kind), summary, rtol=1e-5)
    assert file.stats("b", nBins=16, type="coverage") == [1.0] * 16


def test_gaps_are_not_covered_from_afar(written):
    values = draw(32_768)
    file = written({"b": 65_536}, [("b", 0, values[:16_384]), ("b", 32_768, values[16_384:])])
    assert file.stats("b", nBins=4, type="coverage") == [1.0, None, 1.0, None]


def test_header_sums_up_the_whole(written):
    values = draw(5_000)
    header = written({"a": 9_000, "b": 10}, [("a", 100, values), ("b", 0, draw(10, 1))]).header()
    both = np.concatenate([values, draw(10, 1)]).astype(np.float64)
    assert header["nBasesCovered"] == 5_010
    # pyBigWig cuts these to whole numbers.
    assert header["sumData"] == int(both.sum())
    assert header["sumSquared"] == int((both**2).sum())
    assert (header["minVal"], header["maxVal"]) == (int(both.min()), int(both.max()))


def test_a_file_without_values_is_one(written):
    file = written({"a": 100}, [])
    assert file.chroms() == {"a": 100}
    assert file.intervals("a") is None


def test_an_error_leaves_nothing_open_and_no_file_beside_it(tmp_path):
    with pytest.raises(KeyError), BigWigWriter(tmp_path / "made.bw", {"a": 10}) as file:
        file.add("b", 0, draw(3))
    assert [path.name for path in tmp_path.iterdir()] == ["made.bw"]
    with pytest.raises(RuntimeError):
        reader.open(str(tmp_path / "made.bw"))


def write_file(path, lengths, runs):
    with BigWigWriter(path, lengths) as file:
        for run in runs:
            file.add(*run)
    return path


def test_contigs_written_apart_and_merged_are_the_file_written_at_once(tmp_path):
    lengths = {"z": 300_000, "a": 5_000, "empty": 7, "m": 140_000}
    # As a track is written: cut at every multiple of PIECE, and where values are missing.
    runs = [
        ("z", 0, draw(PIECE)),
        ("z", PIECE, draw(1_000, 1)),
        ("z", PIECE + 1_005, draw(PIECE - 1_005, 2)),
        ("z", 2 * PIECE, draw(300_000 - 2 * PIECE, 3)),
        ("a", 3, draw(4_990, 4)),
        ("m", 0, draw(PIECE, 5)),
        ("m", PIECE, draw(140_000 - PIECE, 6)),
    ]
    whole = write_file(tmp_path / "whole.bw", lengths, runs)
    parts = [
        write_file(tmp_path / f"{name}.bw", {name: length}, [run for run in runs if run[0] == name])
        for name, length in lengths.items()
    ]
    assert merge_bigwigs(parts, tmp_path / "merged.bw") == sum(run[2].size for run in runs)
    assert (tmp_path / "merged.bw").read_bytes() == whole.read_bytes()


def test_many_contigs_are_read_back(tmp_path):
    lengths = {f"c{number * 7919 % 66_000}": 10 for number in range(66_000)}
    runs = [(name, 2, draw(3, number)) for number, name in enumerate(lengths) if number % 10 == 0]
    back = BigWigReader(write_file(tmp_path / "many.bw", lengths, runs))
    assert list(back.lengths.items()) == list(lengths.items())
    for (contig, start, values), run in zip(back.blocks(), runs, strict=True):
        assert (contig, start, values.tolist()) == (run[0], run[1], run[2].tolist())


def test_a_file_that_is_none_of_ours_is_named(tmp_path):
    good = write_file(tmp_path / "good.bw", {"a": 9}, [("a", 0, draw(9))])
    (tmp_path / "cut.bw").write_bytes(good.read_bytes()[:-5])
    (tmp_path / "text.bw").write_text("track " * 100)
    for name, message in (("cut", "cut short"), ("text", "it is no bigWig"), ("absent", "no such file")):
        with pytest.raises(DataError, match=f"{name}.bw: .*{message}"):
            merge_bigwigs([tmp_path / f"{name}.bw"], tmp_path / "out.bw")
    with pytest.raises(DataError, match=r"good.bw: a is in a file before it, too"):
        merge_bigwigs([good, good], tmp_path / "out.bw")
    assert not (tmp_path / "out.bw").exists()
