"""Every number of an explanation against mpmath or a closed form, and the JSON of all of them."""

import dataclasses
import doctest
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle import oracle

from crossent.explaining.explanation import Explanation, explain

Q = [0.1, 0.5, 0.1, 0.1, 0.2]
SOFT = [0.7, 0.2, 0.0, 0.1, 0.0]
LOGITS = [2.0, -1.0, 0.5, -30.0, 800.0]


def relative(value: float) -> object:
    # a handful of terms, each rounded a few times: 50 ulp are plenty, and 1e-14 is 45
    return pytest.approx(value, rel=1e-14, abs=1e-15)


@pytest.fixture(name="founding")
def founding_example() -> Explanation:
    return explain([1, 0, 0, 0, 0], Q)


def test_the_founding_example(founding: Explanation) -> None:
    assert founding.loss == founding.loss_nats == relative(math.log(10))
    assert founding.loss_bits == relative(math.log2(10))
    assert founding.perplexity == founding.one_in == relative(10.0)
    assert founding.prob_true == 0.1
    assert [term.grad_logit for term in founding.terms] == [-0.9, 0.5, 0.1, 0.1, 0.2]
    assert [term.grad_prob for term in founding.terms] == [-10.0, 0.0, 0.0, 0.0, 0.0]
    assert founding.grad_norm == relative(math.sqrt(1.12))
    assert founding.entropy_prediction_bits == relative(0.3 * math.log2(10) + 0.5 + 0.2 * math.log2(5))
    assert founding.baselines.uniform == relative(math.log(5))
    assert founding.baselines.bits_worse == relative(1.0)
    assert founding.baselines.verdict == "1.00 bit worse than guessing uniformly (log 5)."
    assert founding.baselines.rank_true == 3
    assert founding.baselines.guess == "wrong"
    assert founding.floor_share == 0.0
    assert all(check.holds for check in founding.checks)
    assert founding.findings == ()


def test_the_founding_example_through_softmax_twice(founding: Explanation) -> None:
    mp = oracle.exact
    row = oracle.SoftmaxRow(Q)
    assert founding.as_logits is not None
    assert founding.as_logits.loss == relative(float(row.loss(0)))
    assert founding.as_logits.lowest == relative(float(mp.log(mp.e + 4) - 1))

    # the gradient with respect to the logits that made q, by differences: no Jacobian of ours in it
    def twice(*logits: object) -> object:
        total = mp.fsum(mp.exp(z) for z in logits)
        probs = [mp.exp(z) / total for z in logits]
        return mp.log(mp.fsum(mp.exp(p) for p in probs)) - probs[0]

    at = [mp.log(mp.mpf(q)) for q in Q]
    slopes = [mp.diff(twice, at, tuple(int(j == k) for j in range(5))) for k in range(5)]
    ratio = mp.sqrt(mp.mpf("1.12")) / mp.sqrt(mp.fsum(slope**2 for slope in slopes))
    assert founding.as_logits.gradient_ratio == pytest.approx(float(ratio), rel=1e-12)
    assert round(float(ratio), 1) == 8.9


@pytest.mark.parametrize("target", [[1.0, 0, 0, 0, 0], SOFT, [0.2] * 5, [0.5, 0.4, 0, 0, 0]])
def test_probabilities_against_mpmath(target: list[float]) -> None:
    explanation = explain(target, Q)
    exact_target = oracle.soft_target(target)
    assert explanation.loss_nats == relative(float(oracle.cross_entropy(exact_target, Q)))
    assert explanation.entropy_target == relative(float(oracle.entropy(target)))
    assert explanation.kl == relative(float(oracle.kl_divergence(target, Q)[0]))
    assert explanation.entropy_prediction_nats == relative(float(oracle.entropy(Q)))
    assert explanation.js_bits == relative(float(oracle.js_divergence(target, Q)[0] / oracle.exact.log(2)))
    for place, term in enumerate(explanation.terms):
        assert term.surprisal == relative(float(oracle.negative_log(Q[place])))
        assert term.grad_prob == relative(float(oracle.cross_entropy_gradient(exact_target, Q, place)))
        assert term.grad_logit == relative(Q[place] * math.fsum(target) - target[place])


@pytest.mark.parametrize("target", [[1.0, 0, 0, 0, 0], SOFT, [0, 0, 0, 1.0, 0]])
def test_logits_against_mpmath_also_where_q_underflows(target: list[float]) -> None:
    explanation = explain(target, LOGITS, kind="logits")
    row, exact_target = oracle.SoftmaxRow(LOGITS), oracle.soft_target(target)
    loss = float(oracle.softmax_cross_entropy(row, exact_target))
    assert explanation.loss_nats == relative(loss)
    assert explanation.kl == relative(loss - float(oracle.entropy(target)))
    assert explanation.log_normalizer_nats == 800.0
    for place, term in enumerate(explanation.terms):
        assert term.surprisal == relative(float(row.loss(place)))
        assert term.q == relative(float(row.probability(place)))
        gradient, _ = oracle.softmax_cross_entropy_gradient(row, exact_target, place)
        assert term.grad_logit == relative(float(gradient))
    assert all(check.holds for check in explanation.checks)


def test_log_probabilities_are_the_probabilities() -> None:
    by_logs = explain(0, np.log(Q), kind="log_probs")
    assert by_logs.loss == explain(0, Q).loss
    assert [term.q for term in by_logs.terms] == relative(Q)
    assert by_logs.as_logits is None


@pytest.mark.parametrize(("base", "unit"), [("e", 1.0), (2, math.log(2)), ("10", math.log(10))])
def test_the_base_changes_amounts_and_no_gradient(base: str | int, unit: float) -> None:
    explanation, natural = explain(SOFT, Q, base=base), explain(SOFT, Q)
    assert explanation.base == str(base)
    assert explanation.loss == relative(natural.loss / unit)
    assert explanation.kl == relative(natural.kl / unit)
    assert explanation.baselines.uniform == relative(math.log(5) / unit)
    assert (explanation.loss_nats, explanation.loss_bits) == (natural.loss_nats, natural.loss_bits)
    assert [term.grad_logit for term in explanation.terms] == [term.grad_logit for term in natural.terms]


def test_another_split_of_the_wrong_classes_costs_the_same(founding: Explanation) -> None:
    other = founding.unseen
    assert other is not None
    assert other.q == relative((0.1, 0.225, 0.225, 0.225, 0.225))
    assert founding.loss_nats == relative(float(oracle.cross_entropy(oracle.hard_target(0), other.q)))
    assert other.grad_norm == relative(math.sqrt(0.81 + 4 * 0.225**2))


def test_an_even_split_is_shown_beside_its_opposite() -> None:
    other = explain(0, [0.1, 0.3, 0.3, 0.3]).unseen
    assert other is not None
    assert not other.even
    assert other.q == relative((0.1, 0.9, 0.0, 0.0))


def test_a_perfect_prediction_is_zero_and_never_minus_zero() -> None:
    explanation = explain([0, 1, 0], [0.0, 1.0, 0.0])
    assert "-0.0" not in explanation.to_json()
    assert explanation.loss == explanation.kl == explanation.entropy_prediction == 0.0
    assert explanation.baselines.verdict == "Perfect: the truth got all of the probability."


def test_a_prediction_equal_to_a_soft_target_is_perfect_for_it() -> None:
    explanation = explain([0.25, 0.75], [0.25, 0.75])
    assert explanation.kl == 0.0
    assert explanation.floor_share == 1.0
    assert explanation.baselines.verdict == "Perfect for this target: nothing scores below H(p)."


def test_zero_where_the_truth_is_not() -> None:
    explanation = explain(0, [0.0, 0.5, 0.5])
    assert explanation.loss == explanation.kl == explanation.one_in == math.inf
    assert explanation.terms[0].grad_prob == -math.inf
    assert [term.grad_logit for term in explanation.terms] == [-1.0, 0.5, 0.5]
    assert all(check.holds for check in explanation.checks)
    (finding,) = explanation.findings
    assert finding.code == "CE001"
    assert finding.message == "target 0 has p = 1 but q = 0: −log 0 is infinite."
    assert finding.advice == (
        "Not a bug in the formula: the model called the truth impossible. Packages disagree on what to print here, "
        "because many clip q first. They print −ln of the clip: 16.118 from a clip at 1e−7, 34.539 from a clip at "
        "1e−15."
    )


def test_a_logit_of_minus_infinity_on_the_true_class() -> None:
    explanation = explain(0, "-inf 0 1", kind="logits")
    assert explanation.loss == math.inf
    assert explanation.findings[0].message == ("target 0 has p = 1 but q = 0 as its logit is −inf: −log 0 is infinite.")
    assert explanation.terms[0].grad_logit == -1.0


def test_a_logit_of_minus_infinity_elsewhere_rules_the_class_out() -> None:
    explanation = explain(1, "-inf 0 0", kind="logits")
    assert explanation.loss == relative(math.log(2))
    assert explanation.terms[0].contribution == explanation.terms[0].grad_logit == 0.0
    assert explanation.findings == ()


def test_one_infinite_logit_takes_everything() -> None:
    explanation = explain(1, "0 inf 5", kind="logits")
    assert [term.q for term in explanation.terms] == [0.0, 1.0, 0.0]
    assert explanation.loss == 0.0


@pytest.mark.parametrize(
    ("prediction", "kind", "message"),
    [
        ("nan 0.5 0.5", "probs", "`prediction` has nan at class 0."),
        ("0 nan 1", "logits", "`prediction` has nan at class 1."),
        ("-inf -inf -inf", "logits", "every logit is −inf: softmax is 0/0."),
        ("inf inf 0", "logits", "2 logits are +inf: softmax is inf/inf."),
    ],
)
def test_what_is_not_a_number_is_said(prediction: str, kind: str, message: str) -> None:
    explanation = explain(0, prediction, kind=kind)
    assert math.isnan(explanation.loss)
    assert (explanation.findings[0].code, explanation.findings[0].message) == ("CE002", message)
    assert explanation.checks == ()
    assert explanation.baselines.guess == "unknown"


def test_a_sum_that_is_not_one_is_a_finding_and_nothing_is_rescaled() -> None:
    explanation = explain(1, [0.2, 0.2, 0.5])
    assert explanation.loss == relative(math.log(5))
    (finding,) = explanation.findings
    assert finding.code == "CE003"
    assert finding.message == "the prediction sums to 0.9, not 1 (off by −0.1); it was not rescaled."
    broken = [check.name for check in explanation.checks if not check.holds]
    assert broken == ["Σ ∂L/∂z = 0"]


def test_float32_rounding_is_no_finding() -> None:
    logits = np.random.default_rng(1).normal(size=1000).astype(np.float32)
    probs = np.exp(logits)
    assert explain(0, probs / probs.sum()).findings == ()


def test_a_target_that_does_not_sum_to_one() -> None:
    explanation = explain([0.5, 0.4], [0.5, 0.5])
    assert [finding.code for finding in explanation.findings] == ["CE004"]
    assert explanation.findings[0].message == "the target sums to 0.9, not 1 (off by −0.1); it was not rescaled."
    assert [term.grad_logit for term in explanation.terms] == relative([-0.05, 0.05])


def test_logits_that_look_like_probabilities() -> None:
    (finding,) = explain(0, Q, kind="logits").findings
    assert finding.code == "CE005"
    assert finding.message == "these logits are ≥ 0 and sum to 1, as probabilities do."
    assert finding.advice == (
        'If they have been through softmax already, set `kind` to "probs". '
        "Softmax twice keeps the loss of a hard label at 0.905 nats or more."
    )


@pytest.mark.parametrize(
    ("target", "prediction", "text"),
    [
        (0, [0.8, 0.1, 0.1], "Top guess: class 0 (right)."),
        (0, [0.4, 0.4, 0.2], "Top guess: a tie of 2 classes."),
        (0, [0.4, 0.6], "Top guess: class 1 (wrong)."),
        (2, [0.3, 0.6, 0.1], "Top guess: class 1 (wrong). The true class ranks 3 of 3."),
        ([0.5, 0.5, 0], [0.2, 0.7, 0.1], "Top guess: class 1 (right)."),
    ],
)
def test_the_top_guess(target: object, prediction: list[float], text: str) -> None:
    assert explain(target, prediction).baselines.guess_text == text


@pytest.mark.parametrize(
    ("prediction", "verdict"),
    [
        ([0.5, 0.25, 0.25], "0.58 bits better than guessing uniformly (log 3)."),
        ([1 / 3, 1 / 3, 1 / 3], "No better and no worse than guessing uniformly (log 3)."),
        ([0.0, 0.5, 0.5], "Infinitely worse than guessing uniformly (log 3)."),
        ([math.nan, 0.5, 0.5], "Not a number: it compares with nothing."),
    ],
)
def test_the_verdict(prediction: list[float], verdict: str) -> None:
    assert explain(0, prediction).baselines.verdict == verdict


def test_many_classes_are_cut_to_the_true_one_and_the_top_eight() -> None:
    q = 1.0 / np.arange(1, 1001)
    q /= q.sum()
    explanation = explain(17, q)
    assert explanation.shown == (17, 0, 1, 2, 3, 4, 5, 6, 7)
    assert explanation.rest is not None
    assert explanation.rest.count == 991
    assert explanation.rest.q == relative(float(q[8:17].sum() + q[18:].sum()))
    assert len(explanation.terms) == 1000


@given(
    st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=20).flatmap(
        lambda logits: st.tuples(st.just(logits), st.integers(0, len(logits) - 1))
    )
)
def test_laws(example: tuple[list[float], int]) -> None:
    logits, label = example
    explanation = explain(label, logits, kind="logits")
    assert all(check.holds for check in explanation.checks)
    assert explanation.loss >= explanation.entropy_target == 0.0
    assert 0.0 <= explanation.js_bits <= 1.0 + 1e-12
    one_hot = [int(index == label) for index in range(len(logits))]
    same = explain(one_hot, logits, kind="logits")
    assert dataclasses.replace(same, target_kind="index").to_json() == explanation.to_json()


def strict(text: str) -> dict[str, object]:
    def refuse(word: str) -> object:
        raise AssertionError(word)

    parsed: dict[str, object] = json.loads(text, parse_constant=refuse)
    return parsed


@pytest.mark.parametrize("prediction", ["0 0.5 0.5", "nan 0.5 0.5", "0.2 0.3 0.5"])
def test_json_is_strict_and_complete(prediction: str) -> None:
    explanation = explain(0, prediction)
    parsed = strict(explanation.to_json())
    assert parsed == explanation.to_dict()
    assert parsed["schema"] == "crossent.explanation"
    assert parsed["schema_version"] == 2
    assert set(parsed) - {"schema", "schema_version"} == {field.name for field in dataclasses.fields(explanation)}


def test_json_writes_infinity_as_text_that_float_reads() -> None:
    parsed = strict(explain(0, [0.0, 1.0]).to_json())
    assert parsed["loss"] == "inf"
    terms = parsed["terms"]
    assert isinstance(terms, list)
    assert terms[0]["grad_prob"] == "-inf"
    assert float(terms[0]["grad_prob"]) == -math.inf


def test_an_explanation_cannot_be_changed(founding: Explanation) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        founding.loss = 0.0  # type: ignore[misc]
    assert repr(founding) == "<Explanation: loss 2.30259 nats, 5 classes; print it to read it>"


def test_json_is_ascii() -> None:
    text = explain(0, [0.5, 0.5], class_names=["Äpfel", "日本"]).to_json()
    assert text.isascii()
    assert strict(text) == explain(0, [0.5, 0.5], class_names=["Äpfel", "日本"]).to_dict()


def test_the_example_of_the_docstring_runs() -> None:
    (example,) = (test for test in doctest.DocTestFinder().find(explain, globs={"explain": explain}) if test.examples)
    assert doctest.DocTestRunner().run(example) == doctest.TestResults(failed=0, attempted=3)
