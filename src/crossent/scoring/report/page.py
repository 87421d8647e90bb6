"""A score as one page of HTML: nothing is fetched and nothing runs, and it is small whatever the data."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from crossent.errors import MissingExtraError
from crossent.scoring.report import exhibits, facts, tables, verdict

try:
    import jinja2
    from markupsafe import Markup
except ImportError as error:
    message = "a report needs Jinja, which is not installed: pip install 'crossent[score]'"
    raise MissingExtraError(message) from error

if TYPE_CHECKING:
    from crossent.scoring.result import Score


def page_of(score: "Score") -> str:
    """Return the report of a score; the same score gives the same text."""
    sections = [
        ("Where the cost lies", exhibits.where_the_cost_lies(score)),
        ("What the probabilities are worth", exhibits.what_the_probabilities_are_worth(score)),
    ]
    shown = [tables.worst_table(score), tables.class_table(score), tables.group_table(score)]
    read = [tables.file_table(score), tables.mapping_table(score)]
    page: str = _template().render(
        style=Markup(_text("style.css")),  # ours
        subject=verdict.subject(score),
        headline=verdict.headline(score),
        sentences=verdict.sentences(score),
        findings=verdict.findings(score),
        numbers=facts.numbers(score),
        sections=[(title, found) for title, found in sections if found],
        tables=[table for table in shown if table is not None],
        facts=facts.understood(score),
        notes=facts.notes(score),
        read_tables=[table for table in read if table is not None],
        picture=Markup,  # inline.py wrote it, and escaped every name in it
    )
    return page


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_text("template.html.j2"))


def _text(name: str) -> str:
    return files("crossent.scoring.report").joinpath(name).read_text(encoding="utf-8")
