"""bigWig files, read back by pyBigWig: values, contigs, and what is seen from afar."""

import numpy as np
import pytest

from genomamba.score.bigwig import BigWigWriter

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
