"""Parts of labelled data: laws that hold for every draw."""

import numpy as np
import pytest

from genomamba.alphabet import get_alphabet
from genomamba.classify.labelled import Collector
from genomamba.classify.splits import assign_splits, check_trainable, fold_splits, folds_of
from genomamba.errors import ConfigError, DataError

DNA = get_alphabet("dna")
TRAIN, VALID, TEST = range(3)


def make(labels, *, kind=None, **columns):
    collector = Collector("made", DNA)
    for number, label in enumerate(labels):
        given = {name: values[number] for name, values in columns.items()}
        collector.add("ACGT", "made.tsv", number + 2, label=label, **given)
    return collector.finish(kind)


def names(data, categories, part):
    return {categories.names[code] for code in categories.codes[data.splits == part]}


def test_the_column_is_kept_and_a_part_to_validate_is_carved_alike():
    data = make(["a"] * 60 + ["b"] * 40 + ["a", "b"], split=["train"] * 100 + ["test"] * 2)
    done = assign_splits(data, valid_share=0.2)
    assert (done.splits[100:] == TEST).all()
    assert np.bincount(data.labels.values[done.splits == VALID]).tolist() == [12, 8]
    assert (assign_splits(data, valid_share=0).splits == data.splits).all()
    assert (assign_splits(data, valid_share=0.2, seed=1).splits != done.splits).any()
    assert (assign_splits(data, valid_share=0.2).splits == done.splits).all()


def test_a_part_to_validate_that_is_there_stays():
    data = make(["a", "b", "a"], split=["train", "train", "valid"])
    assert assign_splits(data).splits.tolist() == [TRAIN, TRAIN, VALID]


@pytest.mark.parametrize("seed", range(3))
def test_at_random_parts_are_alike_in_classes(seed):
    data = make(["a"] * 500 + ["b"] * 100)
    done = assign_splits(data, "random", test_share=0.2, valid_share=0.1, seed=seed)
    for part, share in ((TEST, 0.2), (VALID, 0.08)):
        counts = np.bincount(data.labels.values[done.splits == part], minlength=2)
        assert abs(counts - np.array([500, 100]) * share).max() <= 1


@pytest.mark.parametrize("by", ["group", "contig"])
def test_no_group_is_in_two_parts(by):
    members = [f"g{number % 17}" for number in range(300)]
    data = make(["a", "b"] * 150, **{by: members})
    done = assign_splits(data, by, test_share=0.3, valid_share=0.2)
    categories = data.groups if by == "group" else data.contigs
    parts = [names(done, categories, part) for part in (TRAIN, VALID, TEST)]
    assert all(parts)
    assert sum(map(len, parts)) == 17
    assert 0.2 < (done.splits == TEST).mean() < 0.4


def test_contigs_are_named_by_patterns():
    data = make(["a", "b"] * 4, contig=["chr1", "chr1", "chr2", "chr2", "chr20", "chr20", "X", "X"])
    done = assign_splits(data, test=["chr2*"], valid=["X"])
    assert done.splits.tolist() == [0, 0, 2, 2, 2, 2, 1, 1]
    with pytest.raises(ConfigError, match="nothing is called 'chr9'; it has 'chr1', 'chr2', 'chr20', 4 in all"):
        assign_splits(data, test=["chr9"])
    with pytest.raises(ConfigError, match="--valid and --test both name 'chr2'"):
        assign_splits(data, test=["chr2"], valid=["chr2*"])
    with pytest.raises(ConfigError, match="nothing is left to train on"):
        assign_splits(data, test=["*"])


def test_what_the_data_does_not_have_is_told():
    data = make(["a", "b"] * 4)
    with pytest.raises(ConfigError, match="--split-by is group, and there is no group column"):
        assign_splits(data, "group")
    with pytest.raises(ConfigError, match=r"made: no column says which part .* or give --split-by random"):
        assign_splits(data, "column")
    one = make(["a", "b"] * 4, contig=["x"] * 8)
    with pytest.raises(ConfigError, match="1 category is left to take a part for test from"):
        assign_splits(one, "contig")


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_folds_differ_by_one_in_each_class(folds):
    labels = ["a"] * 101 + ["b"] * 33 + ["c"] * 7
    data = make(labels)
    fold = folds_of(data.labels, len(data), folds, seed=3)
    counts = np.array([np.bincount(data.labels.values[fold == number], minlength=3) for number in range(folds)])
    assert (counts.max(0) - counts.min(0) <= 1).all()
    assert counts.sum(1).max() - counts.sum(1).min() <= 1
    assert (fold == folds_of(data.labels, len(data), folds, seed=3)).all()
    assert (fold != folds_of(data.labels, len(data), folds, seed=4)).any()


def test_folds_of_groups_keep_them_whole_and_alike():
    generator = np.random.default_rng(0)
    members = [f"g{number}" for number in generator.integers(0, 60, 900)]
    data = make(["a" if number % 3 else "b" for number in range(900)], group=members)
    fold = folds_of(data.labels, 900, 5, groups=data.groups)
    for group in range(60):
        assert np.unique(fold[data.groups.codes == group]).size == 1
    counts = np.array([np.bincount(data.labels.values[fold == number], minlength=2) for number in range(5)])
    assert (abs(counts / counts.mean(0) - 1) < 0.1).all()


def test_folds_of_numbers_are_alike_in_their_tenths():
    data = make([str(number / 7) for number in range(200)])
    fold = folds_of(data.labels, 200, 4)
    means = [data.labels.values[fold == number].mean() for number in range(4)]
    assert max(means) - min(means) < 0.1 * (data.labels.values.max() - data.labels.values.min())


def test_a_fold_tests_and_the_others_train_and_validate():
    data = make(["a", "b"] * 20)
    fold = folds_of(data.labels, 40, 4)
    done = fold_splits(data, fold, 2, 0.1, 0)
    assert ((done.splits == TEST) == (fold == 2)).all()
    assert (done.splits == VALID).sum() in (2, 3, 4)


def test_more_folds_than_there_is_to_deal_are_refused():
    with pytest.raises(ConfigError, match="--folds is 5; it must lie between 2 and the number of sequences, 4"):
        folds_of(None, 4, 5)


def test_nothing_to_tell_apart_is_refused():
    with pytest.raises(DataError, match="every label is 'a'; give two classes at least"):
        check_trainable(make(["a", "a"]))
    with pytest.raises(DataError, match=r"every label is 1\.5; there is nothing to tell apart"):
        check_trainable(make(["1.5", "1.5"]))
    with pytest.raises(DataError, match="the class 'b' is in test and not in train"):
        check_trainable(make(["a", "b", "c"], split=["train", "test", "train"]))
    with pytest.raises(DataError, match="the class 'y' is in valid and not in train"):
        check_trainable(make(["x", "x;y", "z"], split=["train", "valid", "train"]))
    check_trainable(make(["a", "b", "b"], split=["train", "train", "test"]))
    left = make(["a", "b", "c"], split=["train", "train", "test"]).select(np.array([0, 1]))
    with pytest.raises(DataError, match="the class 'c' is that of no sequence"):
        check_trainable(left)
