"""Splits without leaks, and labelled subsets."""

import random
from collections import Counter
from hashlib import sha256

import pytest

from papertrail.ulmfit.corpora import Document, labelled_subset, split_by_hash

TEXTS = [Document(f"Text number {i}", i % 3) for i in range(300)]


def test_a_split_is_the_order_of_the_hashes_whatever_the_order_of_the_documents():
    split = split_by_hash(TEXTS, test=50, validation=20)
    ranked = sorted(TEXTS, key=lambda d: sha256(d.text.lower().encode()).hexdigest())
    assert split.test + split.validation + split.train == tuple(ranked)
    assert (len(split.test), len(split.validation), len(split.train)) == (50, 20, 230)
    assert split_by_hash(random.Random(1).sample(TEXTS, 300), test=50, validation=20) == split


def test_texts_that_are_equal_but_for_case_and_space_are_never_on_two_sides():
    variants = ("Text number {}", " text  NUMBER {}", "Text<br /><br />number\n{}")
    documents = [Document(form.format(i), 0) for form in variants for i in range(100)]
    split = split_by_hash(documents, test=50, validation=50)
    sides = [{int(d.text.split()[-1]) for d in part} for part in (split.test, split.validation, split.train)]
    assert list(map(len, sides)) == [17, 17, 66] and len(set.union(*sides)) == 100
    assert [len(part) for part in (split.test, split.validation, split.train)] == [51, 51, 198]


def test_a_split_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(ValueError, match=r"documents: got 70; allowed are more than test \+ validation = 70"):
        split_by_hash(TEXTS[:70], test=50, validation=20)
    with pytest.raises(ValueError, match="validation: got -1"):
        split_by_hash(TEXTS, test=5, validation=-1)


def test_a_labelled_subset_has_as_many_of_each_class_and_depends_on_the_seed_alone():
    subset = labelled_subset(TEXTS, 30, seed=3)
    assert Counter(document.label for document in subset) == {0: 10, 1: 10, 2: 10}
    assert len(set(subset)) == 30 and set(subset) <= set(TEXTS)
    assert subset == labelled_subset(TEXTS, 30, seed=3) and set(subset) != set(
        labelled_subset(TEXTS, 30, seed=4)
    )
    labels = [document.label for document in subset]
    assert labels != sorted(labels)


def test_subsets_that_cannot_be_drawn_are_refused_by_name():
    with pytest.raises(ValueError, match="n: got 31; allowed are multiples of the 3 classes"):
        labelled_subset(TEXTS, 31, seed=0)
    with pytest.raises(ValueError, match="n: got 303, 101 of each class; class 0 has 100 documents"):
        labelled_subset(TEXTS, 303, seed=0)
    with pytest.raises(ValueError, match="documents: number 1 has no label"):
        labelled_subset([Document("a", 0), Document("b")], 1, seed=0)
    with pytest.raises(ValueError, match="n: got 0"):
        labelled_subset(TEXTS, 0, seed=0)
    with pytest.raises(ValueError, match="the 0 classes"):
        labelled_subset([], 2, seed=0)
