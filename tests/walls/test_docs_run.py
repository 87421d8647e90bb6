"""Every example runs: the docstrings of the doors and of the definitions, and the README's Python; its tables are current.

Not by --doctest-modules: that would import every module of the package, also those that need an extra.
"""

import doctest
import importlib
import inspect
import re

import pytest

import crossent
from tests.walls import readme

PACKAGE = readme.ROOT / "src" / "crossent"
MODULES = sorted(
    f"crossent.{folder}.{file.stem}"
    for folder in ("arrays", "definitions", "sklearn", "torch")
    for file in (PACKAGE / folder).glob("*.py")
    if file.stem != "__init__"
)
FLAGS = doctest.NORMALIZE_WHITESPACE
FUNCTIONS = [name for name in crossent.__all__ if name.islower() and name != "__version__"]


def assert_examples_hold(test: doctest.DocTest) -> None:
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str) -> None:
    module = importlib.import_module(name)
    # an example of the door may use any public name, as a reader would after `from crossent import *`
    public = {name: getattr(crossent, name) for name in crossent.__all__} if ".arrays." in name else {}
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, extraglobs=public):
        assert_examples_hold(test)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_shows_an_example(name: str) -> None:
    assert doctest.DocTestParser().get_examples(inspect.getdoc(getattr(crossent, name)) or ""), name


def test_the_check_can_fail() -> None:
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    with pytest.raises(AssertionError, match="Expected"):
        assert_examples_hold(wrong)


@pytest.mark.parametrize("number", range(len(readme.python_blocks())))
def test_a_python_block_of_the_readme_runs(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(readme.ROOT)  # the blocks name the example files as a reader does, from the root
    block = readme.python_blocks()[number]
    test = doctest.DocTestParser().get_doctest(block, {}, f"README.md, Python block {number + 1}", None, 0)
    assert test.examples, "a Python block of the README is an interpreter session: it shows what it answers"
    assert_examples_hold(test)


def test_the_readme_has_its_python_examples() -> None:
    assert len(readme.python_blocks()) >= 3


@pytest.mark.parametrize(
    "page",
    [
        *("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"),
        *("docs/gpu.md", "docs/sklearn.md", "docs/torch.md", "docs/training.md"),
    ],
)
def test_every_link_to_a_file_of_the_tree_leads_somewhere(page: str) -> None:
    targets = [
        link.partition("#")[0]
        for link in re.findall(r"\]\(([^)]+)\)", (readme.ROOT / page).read_text(encoding="utf-8"))
        if "://" not in link and not link.startswith("#")
    ]
    assert [target for target in targets if not (readme.ROOT / page).parent.joinpath(target).exists()] == []


def test_the_tables_of_the_readme_are_what_the_results_say() -> None:
    tables = importlib.import_module("benchmarks.tables")
    assert tables.filled(readme.text()) == readme.text(), "run `make tables`"


@pytest.mark.parametrize("page", ["docs/torch.md", "docs/training.md"])
def test_the_tables_of_the_torch_pages_are_what_the_results_say(page: str) -> None:
    tables = importlib.import_module("benchmarks.torch_tables")
    text = (readme.ROOT / page).read_text(encoding="utf-8")
    assert tables.filled(text) == text, "run `make tables`"


def test_the_table_of_the_scoring_page_is_what_the_results_say() -> None:
    tables = importlib.import_module("benchmarks.scoring_tables")
    text = (readme.ROOT / tables.PAGE).read_text(encoding="utf-8")
    assert tables.MARKED.search(text)
    assert tables.filled(text) == text, "run `make tables`"
