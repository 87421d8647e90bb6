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


@pytest.mark.parametrize("kind", ["log-probs", "log_probs"])
def test_log_probabilities_are_spelled_either_way(capsys: Capture, kind: str) -> None:
    assert parsed(capsys, "0", "-1 -0.4587", "--kind", kind)["kind"] == "log_probs"


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
                "If these are logits, add --kind logits."
            ),
        ),
        (("0", "0.5 0.5", "--names", "cat"), "--names must have one name per class of `prediction`, 2; got 1."),
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
    assert capsys.readouterr().err == f"crossent: {line}. See `crossent --help`.\n"


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
            "`prediction` must hold probabilities in [0, 1]; class 1 has 1.5. If these are logits, add --kind logits.",
        ),
        (
            ("0", "0.9 0.9 0.9"),
            (
                "`prediction` was read as probabilities of one answer, and they sum to 2.7, not 1: add --kind logits if they "
                "are logits, or divide them by their sum."
            ),
        ),
        (
            ("0", "0 0 0"),
            (
                "`prediction` was read as probabilities of one answer, and they sum to 0, not 1: add --kind logits if they "
                "are logits."
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
            "`target` must be a class id or one of --names (cat, dog); 'owl' is no class name.",
        ),
        (
            ("owl", "0.5 0.5"),
            "`target` must be numbers such as \"0.1 0.5 0.4\"; 'owl' is not a number; a class name needs --names, such as --names a,b.",
        ),
        (("0", "0.5 0.5", "--weights", "1"), "--weights must have one number per class of `prediction`, 2; got 1."),
        (("0", "0.5 0.5", "--smoothing", "2"), "--smoothing must lie in [0, 1]; got 2.0."),
        (
            ("0", "1 2", "--kind", "auto"),
            (
                "--kind cannot be told from the numbers: they are 0 or more and sum to 3, not 1; add --kind probs or "
                "--kind logits."
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


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("0", "0.1 0.9", "--kind", "prob"), "--kind must be one of probs, logits, log-probs, auto; got 'prob'"),
        (("0", "0.1 0.9", "--base", "3"), "--base must be one of e, 2, 10; got '3'"),
        (("0", "0.1 0.9", "--smoothing", "x"), "--smoothing must be a number, such as 0.1; got 'x'"),
    ],
)
def test_an_option_says_what_it_takes(capsys: Capture, arguments: tuple[str, ...], line: str) -> None:
    assert run(["explain", *arguments]) == 2
    assert capsys.readouterr().err == f"crossent: {line}. See `crossent --help`.\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ("0", "0.2 0.3 0.38"),
            (
                "`prediction` was read as probabilities of one answer, and they sum to 0.88, not 1: add --kind logits if "
                "they are logits, or divide them by their sum."
            ),
        ),
        (
            ("0 1", "0.3 0.7; 0.5 0.9"),  # the mean over the rows is off by 0.2, and in the next by nothing
            (
                "row 1 of `prediction` was read as probabilities of one answer, and they sum to 1.4, not 1: add "
                "--kind logits if they are logits, or divide them by their sum."
            ),
        ),
        (
            ("0 1", "0.3 0.3; 0.5 0.9"),
            (
                "row 0 of `prediction` was read as probabilities of one answer, and they sum to 0.6, not 1: add "
                "--kind logits if they are logits, or divide them by their sum."
            ),
        ),
        (
            ("0", "-1 -2", "--kind", "log-probs"),
            (
                "`prediction` was read as log-probabilities, and the probabilities sum to 0.503, not 1: add "
                "--kind logits if they are logits."
            ),
        ),
        (
            ("0.5 0.2", "0.3 0.7"),
            (
                "`target` was read as shares of one truth, and they sum to 0.7, not 1: divide them by their sum, or write "
                "0s and 1s if each class is a yes or no of its own."
            ),
        ),
        (
            ("1", "0.7"),
            (
                "`prediction` has one class, 0.7, and softmax gives a single class 1 whatever its logit: type one number for "
                'each of two classes or more, such as "0.3 0.7".'
            ),
        ),
        (
            ("0.3 0.7", "0"),
            (
                "`prediction` has one number, 0, and `target` has 2: the target comes first, so type crossent explain 0 "
                '"0.3 0.7" if they are swapped.'
            ),
        ),
        (
            ("0", "0,1 0,9"),
            "`prediction` has commas within its numbers, 0,1 and so on: write decimal points, 0.1 0.9.",
        ),
        (
            ("0", "0.1 0.9; 0.8 0.2"),
            (
                "`target` must have one class id for each of the 2 rows of `prediction`, or 2 numbers for each; got 1 row "
                "of 1."
            ),
        ),
        (("1" * 5000, "0.3 0.7"), "`target` must be a class id; got a number of 5000 digits."),
    ],
)
def test_what_is_likely_a_mistake_is_refused(capsys: Capture, arguments: tuple[str, ...], line: str) -> None:
    assert run(["explain", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"crossent: {line}\n"


@pytest.mark.parametrize("arguments", [("0", "0.3 0.3 0.3"), ("0.3 0.3 0.3", "0.3 0.3 0.4"), ("1 1 0", "0.9 0.8 0.1")])
def test_shares_of_one_decimal_and_several_labels_are_no_mistake(capsys: Capture, arguments: tuple[str, str]) -> None:
    assert "loss" in printed(capsys, *arguments)


def test_a_finding_names_what_to_type(capsys: Capture) -> None:
    text = " ".join(printed(capsys, "0", "0.2 0.3 0.45").split())
    assert "if they are logits, add --kind logits." in text
    text = " ".join(printed(capsys, "0", "0.2 0.3 0.5", "--kind", "logits").split())
    assert "If they have been through softmax already, add --kind probs." in text


def test_names_with_spaces(capsys: Capture) -> None:
    found = parsed(capsys, "new york;dog", "0.3 0.7; 0.4 0.6", "--names", "new york,dog")
    assert found["loss"] == explain([0, 1], [[0.3, 0.7], [0.4, 0.6]]).loss


@pytest.mark.parametrize("width", [20, 40])
def test_a_narrow_terminal(capsys: Capture, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    text = printed(capsys, "1 0 0 0 0", "0.1 0.5 0.1 0.1 0.2", "--packages", "--bits")
    assert max(len(line) for line in text.splitlines()) <= width
