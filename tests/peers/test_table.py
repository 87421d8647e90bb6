"""``crossent.packages()``: measured, recorded or by rule; its choices, its errors, and what explain and the page take."""

import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import crossent
from crossent.errors import OptionError, RangeError, ShapeError
from crossent.peers import measuring, table
from crossent.peers.by_rule import SHORT, answers_at, answers_for
from crossent.peers.by_source import BY_SOURCE
from crossent.peers.cases import BY_NAME
from crossent.peers.registry import PROBES, Probe

EVERY = (
    "crossent, numpy by hand, torch, keras on torch, keras on jax, keras on numpy, keras on tensorflow, tensorflow, "
)


@pytest.mark.parametrize(
    "before",
    [
        "",
        "import crossent.peers",
        "import crossent.peers.table",
        "import crossent.peers.by_rule, crossent.cli.packages",
        "crossent.explain(0, [0.0, 1.0], packages=True)",
    ],
)
def test_the_public_name_is_the_function_whatever_was_imported_before(before: str) -> None:
    program = (
        f"import crossent\n{before}\n"
        "assert len(crossent.packages('scipy', case='zero', measure=False)) == 4\n"
        "import crossent.peers.table\n"
        "assert len(crossent.packages('scipy', case='zero', measure=False)) == 4\n"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_what_is_installed_is_measured_and_the_rest_is_recorded() -> None:
    answers = crossent.packages("numpy by hand", "scipy", "dit", "Caffe", case="zero")
    ways = {answer.package: (answer.how, answer.date is not None) for answer in answers}
    assert ways == {
        "numpy by hand": ("measured", True),
        "scipy": ("measured", True),
        "dit": ("recorded", True),
        "Caffe": ("formula", False),
    }
    assert {answer.version for answer in answers if answer.package == "numpy by hand"} == {np.__version__}
    assert [answer.value for answer in answers if answer.package == "Caffe"] == [-math.log(1e-20)]


def test_installed_leaves_the_others_out() -> None:
    assert {a.package for a in crossent.packages("scipy", "dit", "Caffe", case="zero", installed=True)} == {"scipy"}


def test_a_back_end_or_all_of_them() -> None:
    def found(name: str) -> set[str]:
        return {answer.package for answer in crossent.packages(name, case="zero", measure=False)}

    assert found("keras") == {"keras on torch", "keras on jax", "keras on numpy", "keras on tensorflow"}
    assert found("Keras on JAX") == {"keras on jax"}
    assert found("TORCH") == {"torch"}
    assert found("r yardstick") == {"R yardstick"}


def test_all_of_them() -> None:
    answers = crossent.packages(measure=False)
    assert {answer.package for answer in answers} == {p.package for p in PROBES} | {f.package for f in BY_SOURCE}
    assert {answer.case for answer in answers} == set(BY_NAME)
    assert {answer.how for answer in answers} == {"recorded", "formula"}
    assert all(answer.rule for answer in answers)
    assert all(answer.note for answer in answers if answer.value is None)


def test_the_derivative_of_a_metric_is_none_and_says_so() -> None:
    for answer in crossent.packages(measure=False):
        if answer.by == "none":
            assert answer.gradient is None


def test_progress_is_told() -> None:
    told: list[tuple[int, int, str]] = []
    crossent.packages("scipy", "numpy by hand", case="zero", progress=lambda *said: told.append(said))
    assert [said[:2] for said in told] == [(1, 2), (2, 2)]
    assert {said[2] for said in told} == {"scipy", "numpy by hand"}


def test_one_that_cannot_be_asked_is_recorded_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(probe: object, **_options: object) -> measuring.Measurement:
        return measuring.Measurement(probe, broken="ImportError: libfoo.so")  # type: ignore[arg-type]

    monkeypatch.setattr(table.measuring, "measure", broken)
    answers = crossent.packages("scipy", case="zero")
    assert {answer.how for answer in answers} == {"recorded"}
    assert {answer.note for answer in answers} == {
        "recorded: the one installed here could not be asked: ImportError: libfoo.so"
    }


def test_what_there_was_no_time_for_is_recorded_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measuring.measure

    def slow(probe: Probe, **options: Any) -> measuring.Measurement:
        measurement = whole(probe, **{**options, "cases": ["zero"]})
        measurement.left = "no answer within 3 s"
        return measurement

    monkeypatch.setattr(table.measuring, "measure", slow)
    answers = [a for a in crossent.packages("scipy") if a.case in ("zero", "perfect")]
    assert {(answer.case, answer.how, answer.note) for answer in answers} == {
        ("zero", "measured", ""),
        ("perfect", "recorded", "recorded: the one installed here was not asked this: no answer within 3 s"),
    }


def test_an_interrupt_stops_the_children(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_said: object) -> None:
        raise KeyboardInterrupt

    stopped = []

    def patient(probe: object, *, stop: object, **_options: object) -> measuring.Measurement:
        stopped.append(stop)
        return measuring.Measurement(probe)  # type: ignore[arg-type]

    monkeypatch.setattr(table.measuring, "measure", patient)
    with pytest.raises(KeyboardInterrupt):
        crossent.packages("scipy", "numpy by hand", case="zero", progress=interrupted)
    assert stopped
    assert all(stop.is_set() for stop in stopped)  # type: ignore[attr-defined]


def test_json_is_strict_and_complete() -> None:
    answers = crossent.packages(measure=False)
    text = answers.to_json()
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found == answers.to_dict()
    assert found["schema"] == 1
    assert found["cases"] == {name: case.title for name, case in BY_NAME.items()}
    assert len(found["answers"]) == len(answers)
    assert "-0.0," not in text
    zero = next(told for told in found["answers"] if told["package"] == "numpy by hand" and told["case"] == "zero")
    assert (zero["value"], zero["gradient"], zero["by"], zero["how"]) == ("inf", "-inf", "q", "recorded")


@pytest.mark.parametrize(
    ("names", "options", "said"),
    [
        (("torhc",), {}, f"`names` must be of {EVERY}"),
        (("",), {}, f"`names` must be of {EVERY}"),
        ((), {"case": "one"}, "`case` must be one of zero, soft-zero, zero-zero, perfect, "),
    ],
)
def test_an_unknown_choice_is_one_sentence(names: tuple[str, ...], options: dict[str, str], said: str) -> None:
    with pytest.raises(OptionError) as caught:
        crossent.packages(*names, measure=False, **options)  # type: ignore[arg-type]
    assert str(caught.value).startswith(said)
    assert f"; got {(names or ('one',))[0]!r}" in str(caught.value)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(RangeError, match=rf"^`timeout_s` must be above 0, got {seconds}\.$"):
        crossent.packages("scipy", timeout_s=seconds)


def test_the_example_of_the_docstring() -> None:
    import doctest
    import inspect

    example = doctest.DocTestParser().get_doctest(inspect.getdoc(crossent.packages) or "", {}, "packages", None, 0)
    assert example.examples
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0


# What explain shows and what the page draws.

ZERO_BLOCK = {
    ("crossent", "cross_entropy_from_probs", "float64"): math.inf,
    ("torch", "cross_entropy, class ids", "float32"): math.inf,
    ("torch", "binary_cross_entropy", "float32"): 100.0,
    ("keras on torch", "categorical_crossentropy", "float32"): -math.log(float(np.float32(1e-7))),
    ("scikit-learn", "log_loss", "float64"): 52 * math.log(2.0),
    ("scikit-learn", "log_loss", "float32"): 23 * math.log(2.0),
    ("scipy", "special.rel_entr(p, q).sum()", "float64"): math.inf,
    ("lightgbm", "multi_logloss", "float64"): -math.log(1e-15),
    ("xgboost", "mlogloss", "float32"): -math.log(1e-16),
    ("numpy by hand", "-(p * log(q)).sum()", "float64"): math.inf,
}


def test_the_zero_block_of_explain() -> None:
    answers = answers_for([1.0, 0.0, 0.0], [0.0, 0.7, 0.3], short=True)
    found = {(answer.package, answer.function, answer.dtype): answer.value for answer in answers}
    assert list(found) == list(SHORT)
    assert found == pytest.approx(ZERO_BLOCK, rel=1e-12)
    assert {answer.how for answer in answers} == {"formula"}
    assert all(answer.version and answer.date and answer.command for answer in answers)


def test_numpy_by_hand_is_nan_where_both_are_zero() -> None:
    answers = {(a.package, a.function): a.value for a in answers_for([0.0, 1.0], [0.0, 1.0])}
    assert math.isnan(answers["numpy by hand", "-(p * log(q)).sum()"] or 0.0)
    assert answers["crossent", "cross_entropy_from_probs"] == 0.0
    assert answers["scikit-learn", "log_loss"] is not None


def test_the_founding_example_is_the_same_in_every_package() -> None:
    answers = answers_for([1, 0, 0, 0, 0], [0.1, 0.5, 0.1, 0.1, 0.2])
    left_out = {"categorical_generalized_cross_entropy, q=0.5"}
    values = {a.package: a.value for a in answers if a.function not in left_out and not math.isnan(a.value or 0.0)}
    assert values == pytest.approx(dict.fromkeys(values, math.log(10.0)), rel=2e-5)
    assert len(values) > 30
    logits = [a.gradient for a in answers if a.by == "z"]
    assert logits == pytest.approx([-0.9] * len(logits), rel=1e-6)


def test_a_soft_target_leaves_out_what_takes_a_class_id() -> None:
    functions = {(a.package, a.function) for a in answers_for([0.5, 0.5], [0.2, 0.8])}
    assert ("torch", "cross_entropy, distributions") in functions
    assert ("torch", "cross_entropy, class ids") not in functions
    assert ("scikit-learn", "log_loss") not in functions


def test_a_sum_that_is_not_one_leaves_out_what_takes_logits() -> None:
    all_of_them = answers_for([1.0, 0.0, 0.0], [0.2, 0.3, 0.1])
    answers = {(a.package, a.function): a.value for a in all_of_them if a.dtype != "float16"}
    assert ("torch", "cross_entropy, class ids") not in answers
    assert ("pyitlib", "entropy_cross_pmf") not in answers
    assert answers["scikit-learn", "log_loss"] == pytest.approx(-math.log(0.2), rel=1e-6)
    assert answers["keras on jax", "categorical_crossentropy"] == pytest.approx(math.log(3.0), rel=1e-6)


@pytest.mark.parametrize(
    ("p", "q", "error", "said"),
    [
        ([1.0], [0.5, 0.5], ShapeError, "`p` and `q` must be rows of the same classes, got the shapes (1,) and (2,)."),
        ([], [], ShapeError, "`p` and `q` must be rows of the same classes, got the shapes (0,) and (0,)."),
        ([1.0, 0.0], [-0.1, 1.0], RangeError, "`q` must lie in [0, 1]; class 0 has -0.1."),
        ([1.0, 0.0], [0.0, math.nan], RangeError, "`q` must lie in [0, 1]; class 1 has nan."),
        ([math.inf, 0.0], [0.5, 0.5], RangeError, "`p` must lie in [0, 1]; class 0 has inf."),
    ],
)
def test_bad_rows_are_one_sentence(p: list[float], q: list[float], error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        answers_for(p, q)
    assert str(caught.value) == said


@pytest.mark.parametrize("q", [-1e-9, 1.0000001, math.nan, math.inf])
def test_a_slider_beyond_its_ends_is_one_sentence(q: float) -> None:
    with pytest.raises(RangeError) as caught:
        answers_at(q)
    assert str(caught.value) == f"`q0` must lie in [0, 1], got {q}."


@pytest.mark.parametrize("q", [1.0, 0.5, 1e-7, 1e-300, 1e-320, 0.0])
def test_the_slider_answers_everywhere_and_never_minus_zero(q: float) -> None:
    answers = answers_at(q)
    assert {answer.case for answer in answers} == {f"q={q!r}"}
    assert len({answer.package for answer in answers}) > 25
    for answer in answers:
        assert answer.value is not None
        for number in (answer.value, answer.gradient or 0.0):
            assert not (number == 0.0 and math.copysign(1.0, number) < 0.0)


def test_the_slider_shows_where_each_goes_flat() -> None:
    def at(q: float) -> dict[tuple[str, str, str], float | None]:
        return {(a.package, a.function, a.dtype): a.value for a in answers_at(q)}

    near, far = at(1e-18), at(1e-25)
    assert near["scikit-learn", "log_loss", "float64"] == far["scikit-learn", "log_loss", "float64"]
    assert near["keras on jax", "categorical_crossentropy", "float32"] == pytest.approx(16.11809, abs=1e-5)
    assert far["torch", "binary_cross_entropy", "float32"] == pytest.approx(-math.log(1e-25), rel=1e-6)
    assert at(1e-320)["crossent", "cross_entropy_from_probs", "float64"] == pytest.approx(-math.log(1e-320), rel=1e-15)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("sklearn", "scikit-learn"), ("torhc", "torch"), ("pyspark", "spark"), ("XGBost", "xgboost"), ("Scikit learn", "scikit-learn")],
)  # fmt: skip
def test_the_package_that_was_meant(name: str, meant: str) -> None:
    with pytest.raises(OptionError) as caught:
        crossent.packages(name, measure=False)
    assert str(caught.value).endswith(f"; got {name!r} (did you mean {meant}?).")


def test_a_name_that_is_like_none() -> None:
    with pytest.raises(OptionError, match=r"; got 'zzz'\.$"):
        crossent.packages("zzz", measure=False)


def test_all_is_every_case_as_on_the_command_line() -> None:
    assert crossent.packages("torch", case="all", measure=False) == crossent.packages("torch", measure=False)


def test_names_separated_by_commas() -> None:
    found = crossent.packages("torch, SciPy", case="zero", measure=False)
    assert found == crossent.packages("torch", "scipy", case="zero", measure=False)
