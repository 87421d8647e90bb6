"""``crossent explain``: arguments that look like options, names, JSON, and one line for every mistake."""

import json

import pytest

from crossent.cli.app import run
from crossent.explaining.explanation import explain

Capture = pytest.CaptureFixture[str]


def printed(capsys: Capture, *arguments: str) -> str:
    assert run(["explain", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def parsed(capsys: Capture, *arguments: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(printed(capsys, *arguments, "--json"))
    return found


def test_the_text_is_the_explanation_and_what_to_try_next(capsys: Capture) -> None:
    text = printed(capsys, "1 0 0 0 0", "0.1 0.5 0.1 0.1 0.2")
    explanation = explain("1 0 0 0 0", "0.1 0.5 0.1 0.1 0.2")
    assert text == explanation.render() + "\n\n Next: --base 2 (bits), --kind logits, --names cat,dog, --json\n"


def test_json_is_the_explanation(capsys: Capture) -> None:
    assert parsed(capsys, "0", "0 1") == explain(0, [0.0, 1.0]).to_dict()


@pytest.mark.parametrize(
    "arguments",
    [
        ("0", "-1.5 2 0.3", "--kind", "logits"),
        ("--kind", "logits", "0", "-1.5 2 0.3"),
        ("--kind=logits", "0", "-1.5,2,0.3"),
        ("--kind", "logits", "--", "0", "-1.5 2 0.3"),
    ],
)
def test_a_prediction_that_begins_like_an_option(capsys: Capture, arguments: tuple[str, ...]) -> None:
    found = json.loads(printed(capsys, "--json", *arguments))
    assert [term["given"] for term in found["terms"]] == [-1.5, 2.0, 0.3]


def test_a_prediction_that_begins_with_minus_infinity(capsys: Capture) -> None:
    found = parsed(capsys, "1", "-inf 0 1", "--kind", "logits")
    assert [term["given"] for term in found["terms"]] == ["-inf", 0.0, 1.0]  # type: ignore[index,attr-defined]


def test_log_probabilities_are_spelled_with_a_hyphen(capsys: Capture) -> None:
    assert parsed(capsys, "0", "-1 -2", "--kind", "log-probs")["kind"] == "log_probs"


@pytest.mark.parametrize("base", ["e", "2", "10"])
def test_the_base(capsys: Capture, base: str) -> None:
    assert parsed(capsys, "0", "0.5 0.5", "--base", base) == explain(0, "0.5 0.5", base=base).to_dict()


def test_names_are_separated_by_commas(capsys: Capture) -> None:
    found = parsed(capsys, "0", "0.5 0.5", "--names", "cat, big dog")
    assert [term["name"] for term in found["terms"]] == ["cat", "big dog"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("2", "0.5 0.5"), "`target` must be a class id in [0, 2); got 2. Are the labels 1-based?"),
        (("0", "0.5 half"), "`prediction` must be numbers such as \"0.1 0.5 0.4\"; 'half' is not a number."),
        (
            ("0", "-1.5 2"),
            (
                "`prediction` must hold probabilities in [0, 1]; class 0 has -1.5. "
                'If these are logits, set `kind` to "logits".'
            ),
        ),
        (("0", "0.5 0.5", "--names", "cat"), "`class_names` must have one name per class of `prediction`, 2; got 1."),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_exit_code_2(
    capsys: Capture, arguments: tuple[str, ...], line: str
) -> None:
    assert run(["explain", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"crossent: {line}\n"


@pytest.mark.parametrize("arguments", [("0",), ("0", "1", "--bass", "2"), ("0", "1", "--base", "3"), ("0", "1", "2")])
def test_wrong_usage_is_one_line_too(capsys: Capture, arguments: tuple[str, ...]) -> None:
    assert run(["explain", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("crossent: ")
    assert captured.err.endswith(" See `crossent --help`.\n")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("1 0", "1 0", "--foo"), "No such option: --foo"),
        (("1 0", "1 0", "--foo=3"), "No such option: --foo"),
        (("--foo", "1 0", "1 0"), "No such option: --foo"),
        (("1 0", "--foo", "3", "1 0"), "No such option: --foo"),
        (("--foo",), "No such option: --foo"),
        (("1 0", "1 0", "-f"), "No such option: -f"),
        (("1 0", "1 0", "-1 2"), "Got unexpected extra argument(s) (-1 2)"),
    ],
)
def test_an_option_that_does_not_exist(capsys: Capture, arguments: tuple[str, ...], line: str) -> None:
    assert run(["explain", *arguments]) == 2
    assert capsys.readouterr().err == f"crossent: {line} See `crossent --help`.\n"


@pytest.mark.parametrize("prediction", ["-1.5 2 0", "-inf 0 1", "-Infinity,0,1", "-.5 1 2"])
@pytest.mark.parametrize("before", [(), ("--",)])
def test_a_prediction_is_no_unknown_option(capsys: Capture, prediction: str, before: tuple[str, ...]) -> None:
    found = json.loads(printed(capsys, "--json", "--kind", "logits", *before, "1", prediction))
    assert found == explain("1", prediction, kind="logits").to_dict()
