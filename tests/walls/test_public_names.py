"""The promise: these names and no others, each of them there and each documented."""

import importlib.metadata
import inspect
import re
import subprocess
import sys

import pytest

import crossent

# Written out on purpose: a name that appears or goes is a decision, with an entry in CHANGELOG.md.
PUBLIC_NAMES = (
    "Comparison",
    "Diagnosis",
    "ExactSum",
    "Explanation",
    "PackageAnswer",
    "PackageTable",
    "Score",
    "TopKTargets",
    "ValueAndGrad",
    "__version__",
    "binary_cross_entropy",
    "binary_cross_entropy_and_grad",
    "binary_cross_entropy_from_probs",
    "binary_cross_entropy_from_probs_and_grad",
    "compare",
    "cross_entropy",
    "cross_entropy_and_grad",
    "cross_entropy_from_log_probs",
    "cross_entropy_from_log_probs_and_grad",
    "cross_entropy_from_probs",
    "cross_entropy_from_probs_and_grad",
    "diagnose",
    "entropy",
    "entropy_of",
    "explain",
    "explore",
    "get_num_threads",
    "js_divergence",
    "kl_divergence",
    "packages",
    "perplexity",
    "score",
    "set_num_threads",
    "show_config",
    "warm_up",
)
NAMES_OF_THE_TORCH_DOOR = (
    "CrossEntropyLoss",
    "LinearCrossEntropyLoss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "diagnose",
    "kl_div",
    "linear_cross_entropy",
    "nll_loss",
)
DOCUMENTED = tuple(name for name in PUBLIC_NAMES if name != "__version__")


def test_the_list_is_what_crossent_offers() -> None:
    assert sorted(crossent.__all__) == sorted(PUBLIC_NAMES)
    assert sorted(PUBLIC_NAMES) == dir(crossent)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_public_name_exists_and_its_docstring_opens_with_one_sentence(name: str) -> None:
    docstring = inspect.getdoc(getattr(crossent, name))
    assert docstring, f"{name} has no docstring"
    first_paragraph = " ".join(docstring.partition("\n\n")[0].split())
    assert re.fullmatch(r"[A-Z`].*[.:]", first_paragraph), first_paragraph
    # dataclasses write `Name(field, ...)` where there is none
    assert not first_paragraph.startswith(f"{name}("), f"{name} has only the docstring that @dataclass makes up"


def test_the_list_is_what_the_torch_door_offers() -> None:
    assert crossent.torch.__all__ == list(NAMES_OF_THE_TORCH_DOOR)
    for name in NAMES_OF_THE_TORCH_DOOR:
        assert (inspect.getdoc(getattr(crossent.torch, name)) or "").partition("\n")[0].endswith((".", ":"))


def test_the_list_is_what_the_sklearn_door_offers() -> None:
    assert crossent.sklearn.__all__ == ["log_loss"]
    assert (inspect.getdoc(crossent.sklearn.log_loss) or "").partition("\n")[0].endswith((".", ":"))


def test_the_torch_door_without_torch_is_one_sentence() -> None:
    program = "import sys; sys.modules['torch'] = None; import crossent; crossent.torch"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    said = finished.stderr.strip().splitlines()[-1]
    assert said == (
        "crossent.errors.MissingExtraError: crossent.torch needs PyTorch, which is not installed: "
        "pip install 'crossent[torch]'"
    )


@pytest.mark.parametrize("name", [name for name in DOCUMENTED if name.startswith(("cross_", "binary_"))])
def test_the_losses_take_their_arrays_by_position_and_their_options_by_name(name: str) -> None:
    parameters = list(inspect.signature(getattr(crossent, name)).parameters.values())
    assert [p.kind for p in parameters[:2]] == [inspect.Parameter.POSITIONAL_ONLY] * 2
    assert {p.kind for p in parameters[2:]} == {inspect.Parameter.KEYWORD_ONLY}


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match=r"^module 'crossent' has no attribute 'cross_entrop'$"):
        crossent.cross_entrop  # noqa: B018


def test_the_version_is_the_installed_one() -> None:
    assert crossent.__version__ == importlib.metadata.version("crossent")
