"""Huffman's code: lengths by hand and by exhaustive search, and the entropy examples of the founding text."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crossent
from crossent.explaining.codes import huffman
from crossent.explaining.explanation import explain

Q = [0.1, 0.5, 0.1, 0.1, 0.2]


def words_of(q: list[float]) -> dict[int, str]:
    found = huffman(np.array(q))
    assert found is not None
    assert all((word is None) == (q[index] == 0.0) for index, word in enumerate(found.words))
    assert all(word is None or len(word) == found.lengths[index] for index, word in enumerate(found.words))
    return {index: word for index, word in enumerate(found.words) if word is not None}


def test_the_founding_prediction() -> None:
    assert words_of(Q) == {1: "0", 0: "100", 2: "101", 3: "110", 4: "111"}
    found = explain(0, Q)
    assert [term.huffman_bits for term in found.terms] == [3, 1, 3, 3, 3]
    assert found.codes is not None
    assert (found.codes.mean_bits, found.codes.mean_bits_under_target) == (2.0, 3.0)
    assert found.entropy_prediction_bits == pytest.approx(1.961, abs=5e-4)
    assert [term.ideal_bits for term in found.terms] == pytest.approx([-math.log2(q) for q in Q])


def test_powers_of_two_are_coded_without_loss() -> None:
    assert sorted(map(len, words_of([0.5, 0.25, 0.125, 0.125]).values())) == [1, 2, 3, 3]
    assert [len(word) for word in words_of([1 / 8] * 8).values()] == [3] * 8


def test_no_word_where_nothing_happens_and_an_empty_one_where_nothing_else_does() -> None:
    assert words_of([0.5, 0.0, 0.5]) == {0: "0", 2: "1"}
    assert words_of([0.0, 1.0]) == {1: ""}
    assert huffman(np.array([math.nan, 1.0])) is None
    assert huffman(np.array([0.0, 0.0])) is None
    found = explain(0, [0.0, 0.5, 0.5])
    assert found.codes is not None
    assert (found.codes.mean_bits, found.codes.mean_bits_under_target) == (1.0, math.inf)


@given(st.lists(st.floats(1e-12, 1.0), min_size=2, max_size=30))
def test_laws(weights: list[float]) -> None:
    words = words_of(weights)
    assert not any(b.startswith(a) for a, b in itertools.permutations(words.values(), 2))
    assert sum(2.0 ** -len(word) for word in words.values()) == 1.0  # Kraft, with no word to spare
    q = np.array(weights) / math.fsum(weights)
    mean = math.fsum(q[index] * len(word) for index, word in words.items())
    entropy = -math.fsum(q * np.log2(q))
    assert entropy - 1e-9 <= mean < entropy + 1.0


@given(st.lists(st.integers(1, 50), min_size=2, max_size=6))
def test_no_code_is_shorter(counts: list[int]) -> None:
    lengths = range(1, len(counts))
    complete = (
        choice
        for choice in itertools.product(lengths, repeat=len(counts))
        if sum(2.0**-length for length in choice) <= 1
    )
    shortest = min(sum(count * length for count, length in zip(counts, choice, strict=True)) for choice in complete)
    words = words_of([float(count) for count in counts])
    assert sum(counts[index] * len(word) for index, word in words.items()) == shortest


def test_ten_thousand_classes_and_a_range_of_float64() -> None:
    assert len(words_of(np.random.default_rng(0).dirichlet(np.ones(10_000)).tolist())) == 10_000
    deep = words_of([2.0**-power for power in range(1, 1075)])
    assert max(map(len, deep.values())) == 1073


def test_the_entropy_examples() -> None:
    assert crossent.entropy_of("aaaaaaaa", base=2) == 0.0
    assert crossent.entropy_of("jteikfqa", base=2) == pytest.approx(3.0)
    assert 8 * crossent.entropy_of("jteikfqa", base=2) == pytest.approx(24.0)
    for fruits, bits in ((8, 3.0), (1024, 10.0)):
        assert crossent.entropy_of(list(range(fruits)), base=2) == pytest.approx(bits)
        even = explain(0, [1 / fruits] * fruits, base=2)
        assert even.entropy_prediction == pytest.approx(bits)
        assert even.loss == even.loss_bits == bits
        assert even.codes is not None
        assert even.codes.mean_bits == bits
    constant = explain([1.0], [1.0], base=2)
    assert constant.entropy_prediction == 0.0


def test_the_codes_as_text() -> None:
    text = explain(0, Q).render(width=78, color=False, unicode=True, bits=True)
    assert (
        " Bits and codes\n"
        "   class  p    q  −log₂ q  bits  word\n"
        "       0  1  0.1    3.322     3  100\n"
        "       1  0  0.5    1.000     1  0\n" in text
    )
    assert "   messages drawn from q: 2.000 bits on average; no code gets below H(q) =\n   1.961\n" in text
    assert "   messages drawn from p: 3.000 bits; with ideal lengths H(p,q) = 3.322\n" in text
    assert "Bits and codes" not in str(explain(0, Q))
    assert "no code" in explain([0, 1], [Q, Q]).render(width=78, bits=True)
