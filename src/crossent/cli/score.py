"""``crossent score FILES``: parse, call, print."""

import warnings
from pathlib import Path
from typing import Annotated, Any

import typer


def score(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Predictions, folders of them or patterns: .parquet, .csv, .tsv, .jsonl (also .gz, .zst), .arrow, "
            ".feather, .npy, .npz, .safetensors."
        ),
    ],
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the true labels, or a,b,c: one per class.")
    ] = None,
    probs: Annotated[
        str | None, typer.Option(metavar="COLUMNS", help="Probabilities: a column of lists, a prefix, or names a,b,c.")
    ] = None,
    logits: Annotated[str | None, typer.Option(metavar="COLUMNS", help="Logits, named in the same way.")] = None,
    log_probs: Annotated[str | None, typer.Option(metavar="COLUMNS", help="Log-probabilities, likewise.")] = None,
    losses: Annotated[str | None, typer.Option(metavar="COLUMN", help="The loss of each row in nats.")] = None,
    truth_log_probs: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The log-probability that the truth was given.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Class names in the order of the list or of the ids: cat,dog.")
    ] = None,
    labels: Annotated[str | None, typer.Option(metavar="FILE", help="A file with the true labels.")] = None,
    on: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column that both files have.")] = None,
    weight: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of weights.")] = None,
    by: Annotated[str | None, typer.Option(metavar="COLUMN", help="Score the rows of each value apart.")] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Rows of one value depend on each other: for the interval.")
    ] = None,
    tokens: Annotated[str | None, typer.Option(metavar="COLUMN", help="How many tokens a row stands for.")] = None,
    byte_counts: Annotated[
        str | None, typer.Option("--bytes", metavar="COLUMN", help="How many bytes a row stands for.")
    ] = None,
    words: Annotated[str | None, typer.Option(metavar="COLUMN", help="How many words a row stands for.")] = None,
    zero: Annotated[str, typer.Option(help="What an impossible row costs: inf, clip (with --eps) or raise.")] = "inf",
    eps: Annotated[float | None, typer.Option(help="The probability to clip at.")] = None,
    rules: Annotated[
        str | None, typer.Option(help="kaggle: rows rescaled to sum 1 and clipped to [1e-15, 1 - 1e-15].")
    ] = None,
    bad_labels: Annotated[
        str, typer.Option(help="Labels that are no class: raise, or count and leave them out.")
    ] = "raise",
    worst: Annotated[int, typer.Option(help="How many of the worst rows are listed.")] = 20,
    level: Annotated[float, typer.Option(help="Of the confidence interval.")] = 0.95,
    bootstrap: Annotated[
        int, typer.Option(metavar="REPLICATES", help="Take the interval from a Poisson bootstrap.")
    ] = 0,
    against: Annotated[
        str | None, typer.Option(metavar="FILE", help="Other predictions of the same rows: the paired difference.")
    ] = None,
    engine: Annotated[str, typer.Option(help="local, processes, dask, ray or spark.")] = "local",
    workers: Annotated[int | None, typer.Option(help="How many threads or processes.")] = None,
    address: Annotated[str | None, typer.Option(help="Where the cluster of the engine is.")] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep what is done: go on after an interruption, add new files.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with pictures.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every number and every decision as JSON.")] = False,
) -> None:
    """Score files of predictions: the cross-entropy and how sure it is, the baseline, impossible and worst rows,
    calibration, the best temperature, every class."""
    # Imported here, since `crossent explain` shares the process: pyarrow, numba and rich are none of its business.
    from crossent.cli.score_progress import shown_progress
    from crossent.scoring.score import score as score_files
    from crossent.scoring.sources.paths import expand
    from crossent.scoring.whole_file import check_writable, write_whole

    reading: dict[str, Any] = {
        "target": _columns(target),
        "probs": _columns(probs),
        "logits": _columns(logits),
        "log_probs": _columns(log_probs),
        "losses": losses,
        "truth_log_probs": truth_log_probs,
        "classes": _names(classes),
        "labels": labels,
        "on": on,
        "weight": weight,
        "by": by,
        "cluster": cluster,
        "tokens": tokens,
        "bytes": byte_counts,
        "words": words,
        "zero": zero,
        "eps": eps,
        "rules": rules,
        "bad_labels": bad_labels,
        "worst": worst,
        "level": level,
        "bootstrap": bootstrap,
    }
    # What cannot be written must be known before the work, not after it.
    if report is not None:
        read = [*expand(files), *(Path(each) for each in (labels, state) if each is not None)]
        check_writable(report, "report", [*read, *([] if against is None else expand(against))])
        import_report()
    comparison = None
    with shown_progress() as progress, warnings.catch_warnings():
        # Its text is among the notes that are printed.
        warnings.simplefilter("ignore", UserWarning)
        if against is not None:
            from crossent.scoring.comparison import compare

            given = {"engine": engine != "local", "state": state is not None, "workers": workers is not None}
            refuse_beside(against, given | {"address": address is not None, "bootstrap": bool(bootstrap)})
            comparison = compare(files, against, progress=progress, **reading)
            result = comparison.first
        else:
            result = score_files(
                files,
                **reading,
                engine=engine,
                workers=workers,
                address=address,
                state=state,
                progress=progress,
            )
    if report is not None:
        write_whole(report, result.to_html().encode())
    if as_json:
        typer.echo((comparison or result).to_json())
        return
    from crossent.cli.score_screen import print_comparison, print_score

    print_score(result)
    if comparison is not None:
        print_comparison(comparison)
    if report is not None:
        typer.echo(f"\nReport written to {report}")


def import_report() -> None:
    """Raise MissingExtraError now where a report could not be made."""
    import crossent.scoring.report.page  # noqa: F401


def refuse_beside(against: str, given: dict[str, bool]) -> None:
    """Raise OptionError for an option that a comparison does not have."""
    from crossent.errors import OptionError

    for name, is_given in given.items():
        if is_given:
            message = f"`--{name}` does not go with `--against`: a comparison with '{against}' has no use for it"
            raise OptionError(message)


def _columns(text: str | None) -> str | list[str] | None:
    return _names(text) if text is not None and "," in text else text


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",")]
