"""``crossent explain``: arguments that look like options, names, JSON, and one line for every mistake."""

import json
from pathlib import Path

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
    assert text == explanation.render() + "\n\n Next: --bits --packages --latex --json, or  crossent explore\n"


def test_json_is_the_explanation(capsys: Capture) -> None:
    assert parsed(capsys, "0", "0 1") == explain("0", "0 1").to_dict()


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


def test_every_option_reaches_explain(capsys: Capture) -> None:
    found = parsed(
        capsys,
        "b",
        "0.2 0.8",
        "--names",
        "a,b",
        "--smoothing",
        "0.1",
        "--weights",
        "1 2",
        "--prior",
        "0.5,0.5",
        "--kind",
        "auto",
    )
    wanted = explain(
        "b", "0.2 0.8", class_names=["a", "b"], label_smoothing=0.1, weight=[1, 2], prior=[0.5, 0.5], kind="auto"
    )
    assert found == wanted.to_dict()


def test_the_other_forms(capsys: Capture) -> None:
    explanation = explain("0", "0.5 0.5")
    assert printed(capsys, "0", "0.5 0.5", "--latex") == explanation.to_latex() + "\n"
    assert printed(capsys, "0", "0.5 0.5", "--markdown") == explanation.to_markdown()
    assert "Bits and codes" in printed(capsys, "0", "0.5 0.5", "--bits")
    text = printed(capsys, "1 0 0", "0 0.5 0.5", "--packages")
    assert "What packages answer here, in nats" in text
    assert "torch binary_cross_entropy" in text
    assert "100.000" in text


def test_a_page_is_written(capsys: Capture, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert printed(capsys, "0", "0.5 0.5", "--html", str(page)).endswith(f"\n Wrote {page}\n")
    assert page.read_text(encoding="utf-8") == explain("0", "0.5 0.5").to_html()
    assert run(["explain", "0", "0.5 0.5", "--html", str(tmp_path / "none" / "page.html")]) == 2
    assert capsys.readouterr().err.startswith("crossent: No such file or directory")


def test_rows_of_a_batch(capsys: Capture) -> None:
    found = parsed(capsys, "0 1", "0.9 0.1; 0.2 0.8")
    assert found == explain([0, 1], [[0.9, 0.1], [0.2, 0.8]]).to_dict() | {"dtype": "text"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("1 0 0", "0.5 0.5"), "`target` must have one number per class of `prediction`, 2; got 3."),
        (
            ("0", "0.5 1.5"),
            '`prediction` must hold probabilities in [0, 1]; class 1 has 1.5. If these are logits, set `kind` to "logits".',
        ),
        (
            ("0", "0.9 0.9 0.9"),
            (
                "`prediction` sums to 2.7, far from 1, so these are no probabilities of one answer: add --kind logits if they "
                "are logits, or divide them by their sum."
            ),
        ),
        (
            ("0", "0 0 0"),
            (
                "`prediction` sums to 0, far from 1, so these are no probabilities of one answer: add --kind logits if they "
                "are logits, or divide them by their sum."
            ),
        ),
        (
            ("0", "0.7"),
            (
                "`prediction` has one class, 0.7, and softmax gives a single class 1 whatever its logit: type one number for "
                'each of two classes or more, such as "0.3 0.7".'
            ),
        ),
        (
            ("0", "1.5", "--kind", "logits"),
            (
                "`prediction` has one class, 1.5, and softmax gives a single class 1 whatever its logit: type one number for "
                'each of two classes or more, such as "0 1.5".'
            ),
        ),
        (
            ("owl", "0.5 0.5", "--names", "cat,dog"),
            "`target` must be a class id or one of `class_names` (cat, dog); 'owl' is no class name.",
        ),
        (
            ("owl", "0.5 0.5"),
            "`target` must be numbers such as \"0.1 0.5 0.4\"; 'owl' is not a number; a class name needs `class_names`.",
        ),
        (("0", "0.5 0.5", "--weights", "1"), "`weight` must have one number per class of `prediction`, 2; got 1."),
        (("0", "0.5 0.5", "--smoothing", "2"), "`label_smoothing` must lie in [0, 1]; got 2.0."),
        (
            ("0", "1 2", "--kind", "auto"),
            (
                "`kind` cannot be told from the numbers: they are 0 or more and sum to 3, not 1; set `kind` to "
                '"probs" or "logits".'
            ),
        ),
        (
            ("0", "0.5 0.5", "--json", "--latex"),
            "--latex, --markdown and --json are three forms of one answer: ask for one of them.",
        ),
    ],
)
def test_bad_input_says_what_was_read_and_what_to_type(capsys: Capture, arguments: tuple[str, ...], line: str) -> None:
    assert run(["explain", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"crossent: {line}\n"
