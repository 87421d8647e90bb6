"""Histories in every form, read to the same numbers; and one sentence for each that cannot be read."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from crossent.errors import CrossentError
from crossent.explaining.diagnosing.diagnose import diagnose
from crossent.explaining.diagnosing.history import read_history
from crossent.explaining.diagnosing.tensorboard import read_scalars

EVENTS = Path(__file__).parent / "events"  # written by tensorboardX 2.6.5 (simple) and tensorboard 2.21 (tensor)
LOSSES = [2.3, 1.5, 0.75, 0.5]


class KerasHistory:
    """What fit() returns, as far as it matters."""

    history = {"loss": LOSSES, "val_loss": [2.0, 1.0, 1.1, 1.3], "accuracy": [0.1, 0.5, 0.7, 0.9]}  # noqa: RUF012


@pytest.mark.parametrize(
    "history",
    [
        LOSSES,
        tuple(LOSSES),
        np.array(LOSSES),
        [str(loss) for loss in LOSSES],
        {"loss": LOSSES},
        {"Train/Loss": LOSSES, "lr": [0.1] * 4},
        {"anything": LOSSES},
        [{"loss": loss, "epoch": epoch} for epoch, loss in enumerate(LOSSES)],
        KerasHistory(),
    ],
)
def test_forms_in_memory(history: Any) -> None:
    assert read_history(history).losses.tolist() == LOSSES


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "2.3\n1.5\n0.75\n0.5\n"),
        ("a.csv", "epoch,train_loss,val_loss\n0,2.3,2\n1,1.5,1\n\n2,0.75,1.1\n3,0.5,1.3\n"),
        ("a.csv", "\ufeffepoch;loss\r\n0;2.3\r\n1;1.5\r\n2;0.75\r\n3;0.5\r\n"),
        ("a.tsv", "loss\tlr\n2.3\t1\n1.5\t1\n0.75\t1\n0.5\t1"),
        ("a.jsonl", '{"loss": 2.3}\n{"loss": 1.5}\n{"eval": 1}\n{"loss": 0.75}\n{"loss": 0.5}\n'),
        ("a.json", json.dumps({"loss": LOSSES})),
        ("a.json", json.dumps(LOSSES)),
        ("trainer_state.json", json.dumps({"step": 4, "log_history": [{"loss": loss} for loss in LOSSES]})),
        ("log.txt", '{"loss": "2.3"}\n{"loss": 1.5}\n{"loss": 0.75}\n{"loss": 0.5}'),
    ],
)
def test_files(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert read_history(tmp_path / name).losses.tolist() == LOSSES
    assert read_history(str(tmp_path / name)).losses.tolist() == LOSSES


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tb.csv", "Wall time,Step,Value\n1.5,0,2.3\n2.5,1,1.5\n3.5,2,0.75\n4.5,3,0.5\n"),
        ("metrics.csv", ("epoch,step,train_loss_step,train_loss_epoch,val_loss\n0,0,2.3,,\n0,1,1.5,,\n0,1,,,2.2\n0,1,,1.9,\n"
         "1,2,0.75,,\n1,3,0.5,,\n1,3,,,1.1\n1,3,,0.6,\n")),
        ("metrics.csv", "epoch,train_loss,val_loss,lr-Adam\n0,,,0.1\n0,2.3,,\n0,1.5,,\n0,0.75,,\n0,0.5,,\n0,,1.1,\n"),
        ("a.json", '{"loss": [2.3, 1.5, 0.75, 0.5], "lr": 0.01}'),
        ("a.json", '{"loss": {"0": 2.3, "1": 1.5, "2": 0.75, "3": 0.5}, "epoch": {"0": 1, "1": 2, "2": 3, "3": 4}}'),
        ("a.csv", "step;Train Loss;Acc\n1;2,3;0,1\n2;1,5;0,2\n3;0,75;0,3\n4;0,5;0,4\n"),
        ("a.txt", "epoch  loss\n1  2.3\n2  1.5\n3  0.75\n4  0.5\n"),
    ],
)  # fmt: skip
def test_files_of_loggers(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_history(tmp_path / name).losses.tolist() == LOSSES


def test_tables_of_pandas() -> None:
    frame = pandas.DataFrame({"epoch": range(4), "loss": LOSSES, "val_loss": [2.0, None, 1.0, 1.1]})
    for given in (frame, frame.loss, frame[["loss"]]):
        assert read_history(given).losses.tolist() == LOSSES
    assert str(read_history(frame).validation) == "[2.  1.  1.1]"


def test_one_number_is_a_short_history() -> None:
    for given in ({"loss": 2.3}, 2.3, {"loss": "2.3"}, [{"loss": 2.3}], {"loss": np.array(2.3)}):
        assert read_history(given).losses.tolist() == [2.3]


@pytest.mark.parametrize(
    ("name", "text", "losses", "left_out"),
    [
        # nothing else in the row: the loss was nan
        ("a.jsonl", '{"loss": 2.5}\n{"loss": null}\n{"loss": 1.0}\n', "[2.5, nan, 1.0]", 0),
        ("a.jsonl", '{"step": 1, "loss": 2.5}\n{"step": 2, "loss": null}\n', "[2.5, nan]", 0),
        ("a.json", "[2.5, null, null]", "[2.5, nan, nan]", 0),
        ("a.json", '{"loss": [2.5, 1.5, null, null]}', "[2.5, 1.5, nan, nan]", 0),
        ("a.csv", "epoch,loss\n1,2.5\n2,\n3,\n", "[2.5, nan, nan]", 0),
        ("a.csv", "epoch,loss\n1,\n2,\n", "[nan, nan]", 0),
        # a tail of rows like the others
        ("a.csv", "epoch,loss,accuracy\n1,2.5,0.1\n2,1.5,0.5\n3,,0.1\n4,,0.1\n", "[2.5, 1.5, nan, nan]", 0),
        # a validation loss that is finite: the run lives
        ("a.csv", "step,train/loss,val/loss\n1,2.5,\n2,1.5,2.25\n3,,2.2\n", "[2.5, 1.5]", 1),
        # rows of another kind, at the end and between
        ("a.csv", "epoch,loss,val_loss\n1,2.5,\n1,,2.4\n2,1.5,\n2,,1.4\n", "[2.5, 1.5]", 2),
        ("a.csv", "step,loss,val\n1,2.5,\n2,1.5,1.1\n3,,1.2\n4,1.0,1.1\n5,,1.3\n", "[2.5, 1.5, 1.0]", 2),
    ],
)
def test_an_empty_loss(tmp_path: Path, name: str, text: str, losses: str, left_out: int) -> None:
    (tmp_path / name).write_text(text)
    found = read_history(tmp_path / name)
    assert (str(found.losses.tolist()), found.left_out) == (losses, left_out)
    said = diagnose(history=tmp_path / name)
    assert said.steps_left_out == left_out
    assert ("CE108" in [finding.code for finding in said]) == (
        losses.endswith("nan]") and not losses.startswith("[nan")
    )
    shown = f"({left_out} rows without a loss left out)"
    assert (shown in " ".join(said.render(width=78).split())) == bool(left_out)


def test_a_table_whose_run_died() -> None:
    frame = pandas.DataFrame({"loss": [2.5, 1.5, None, None], "accuracy": [0.1, 0.2, 0.1, 0.1]})
    assert str(read_history(frame).losses.tolist()) == "[2.5, 1.5, nan, nan]"


def test_infinities_and_nan_are_losses(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"loss": 2.5}\n{"loss": NaN}\n{"loss": "inf"}\n')
    assert str(read_history(path).losses.tolist()) == "[2.5, nan, inf]"


def test_validation_and_accuracy_come_along() -> None:
    found = read_history(KerasHistory())
    assert found.validation is not None
    assert found.accuracy is not None
    assert found.validation.tolist() == [2.0, 1.0, 1.1, 1.3]
    assert found.accuracy.tolist() == [0.1, 0.5, 0.7, 0.9]


def test_an_event_file_of_pytorch() -> None:
    found = read_scalars(EVENTS / "simple.tfevents")
    wanted = [float(np.float32(loss)) for loss in (2.3026, 1.9, np.nan, 0.25)]
    assert str(found) == str({"loss/train": wanted, "acc": [0.5] * 4})


def test_an_event_file_of_tensorflow_2() -> None:
    assert read_scalars(EVENTS / "tensor.tfevents") == {"epoch_loss": [float(np.float32(0.7)), 0.5, 0.25]}


def test_a_directory_as_keras_writes_it(tmp_path: Path) -> None:
    for folder in ("train", "validation"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "events.out.tfevents.1").write_bytes((EVENTS / "tensor.tfevents").read_bytes())
    found = read_history(tmp_path)
    assert found.losses.tolist() == [float(np.float32(0.7)), 0.5, 0.25]
    assert found.validation is not None
    assert found.validation.tolist() == found.losses.tolist()


def test_a_run_that_is_still_being_written(tmp_path: Path) -> None:
    path = tmp_path / "x.tfevents"
    path.write_bytes((EVENTS / "tensor.tfevents").read_bytes()[:-3])
    assert read_scalars(path) == {"epoch_loss": [float(np.float32(0.7)), 0.5]}


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    data = (EVENTS / "tensor.tfevents").read_bytes()
    path = tmp_path / "x.tfevents"
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(CrossentError, match="checksum"):
            read_scalars(path)


def test_a_record_that_is_no_event(tmp_path: Path) -> None:
    from crossent.explaining.diagnosing.tensorboard import _masked_crc

    head, body = struct.pack("<Q", 3), b"\x2a\x7f\x00"  # a summary of 127 bytes, of which one is there
    path = tmp_path / "x.tfevents"
    path.write_bytes(head + struct.pack("<I", _masked_crc(head)) + body + struct.pack("<I", _masked_crc(body)))
    with pytest.raises(CrossentError) as caught:
        read_scalars(path)
    assert str(caught.value) == f"`history` {path} has a record at byte 0 that is no event of TensorBoard."


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "`history` {path} is empty; it needs one loss per line."),
        ("a.csv", b"\xff\xfe\x00\x81", ("`history` {path} is neither UTF-8 text (CSV, JSON lines) nor named like an event file "
         "(*tfevents*).")),
        ("a.csv", b"1,2\n3,4\n", "`history` {path} has 2 columns and no names; name them in the first line (loss, ...)."),
        ("a.csv", b"epoch,cost\n1,2\n",
         "`history` must have a column of losses named loss or train_loss; {path} has epoch, cost."),
        ("a.csv", b"loss\n2.3\nNA\n", "`history` must hold one loss per step; entry 2 of {path} is 'NA', which is no number."),
        ("a.jsonl", b'{"loss": 1}\n{"loss"\n',
         "`history` {path} must hold JSON on each line, such as {{\"loss\": 2.3}}; line 2 is '{{\"loss\"'."),
        ("a.csv", b"epoch,loss\n", "`history` {path} has a first line, 'epoch,loss', and no loss below it."),
        ("a.json", b"[]", "`history` must hold at least one loss; {path} has none."),
        ("a.tfevents", b"no event file at all", ("`history` {path} is damaged, or no event file: the checksum at byte 0 does "
         "not hold.")),
        ("a.tfevents", b"", "`history` {path} holds no scalar; log the loss with add_scalar or tf.summary.scalar."),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CrossentError) as caught:
        diagnose(history=path)
    assert str(caught.value) == said.format(path=path)


def test_a_missing_file_and_an_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(CrossentError) as caught:
        diagnose(history=tmp_path / "none.csv")
    assert str(caught.value) == f"`history` names the file {tmp_path / 'none.csv'}, which does not exist."
    with pytest.raises(CrossentError) as caught:
        diagnose(history=tmp_path)
    assert (
        str(caught.value) == f"`history` {tmp_path} is a directory without an event file (*tfevents*) of TensorBoard."
    )


def test_an_entry_that_is_no_number() -> None:
    with pytest.raises(TypeError) as caught:
        diagnose(history=[1.0, None])
    assert (
        str(caught.value) == "`history` must hold one loss per step; entry 2 of `history` is None, which is no number."
    )


def noisy(level: float, steps: int = 60, noise: float = 0.01) -> list[float]:
    return (level * (1.0 + noise * np.random.default_rng(0).standard_normal(steps))).tolist()


FALLING = (2.3 * np.exp(-np.arange(60) / 20)).tolist()


@pytest.mark.parametrize(
    ("history", "more", "code"),
    [
        (noisy(2.3026), {"classes": 10}, "CE101"),
        (noisy(0.6931), {"classes": 2, "function": "BCEWithLogitsLoss"}, "CE101"),
        (noisy(0.3251, noise=0.004), {"class_counts": (9, 1)}, "CE102"),
        ([1.4612 + 0.9 * 0.8**step for step in range(60)], {"classes": 10}, "CE005"),
        ([0.5003 + 1.8 * 0.8**step for step in range(60)], {"classes": 10}, "CE121"),
        ([16.118 * 0.25] * 3 + noisy(16.118 * 0.25, 30, 1e-6), {"classes": 10}, "CE110"),
        ([-(1.0 - 0.8 * 0.9**step) for step in range(60)], {"function": "nll_loss"}, "CE104"),
        ([0.1 - step for step in range(30)], {"function": "BCELoss"}, "CE105"),
        ([-1.0 - step for step in range(30)], {"function": "nll_loss"}, "CE126"),
        ([2.3, 2.1, 1.9, np.nan, np.nan], {"classes": 10}, "CE108"),
        ([2.3, 2.1, 5000.0, np.inf], {"classes": 10}, "CE108"),
        ([np.nan] * 5, {"classes": 10}, "CE002"),
        ([2.3, np.nan, 2.1, 2.0, np.nan, 1.9], {"classes": 10}, "CE107"),
        ([2.3, np.inf, 2.1, 2.0, 1.9], {"classes": 10}, "CE001"),
        ([0.0] * 10, {}, "CE111"),
        ([1.7342] * 10, {"classes": 10}, "CE127"),
        (np.full(10, 1.7342, np.float32), {"classes": 10}, "CE127"),
        ([2.3 * 1.2**step for step in range(30)], {"classes": 10}, "CE128"),
        ([26.0, 20.0, 15.0, 10.0, 7.0, 5.0], {"classes": 10}, "CE123"),
        ([147.3, 120.0, 100.0, 80.0, 60.0], {"classes": 10}, "CE117"),
        ({"loss": FALLING[:20], "val_loss": [2, 1, 0.9, 0.8, 0.9, 1.0, 1.2]}, {"classes": 10}, "CE134"),
        ({"loss": FALLING[:7], "val_loss": [2, 1, 0.9, 0.8, 0.9, 1.0, 1.2],
          "val_accuracy": [0.1, 0.5, 0.6, 0.7, 0.71, 0.72, 0.73]}, {"classes": 10}, "CE122"),
    ],
)  # fmt: skip
def test_what_a_curve_alone_says(history: Any, more: dict[str, Any], code: str) -> None:
    found = diagnose(history=history, **more)
    assert [finding.code for finding in found][:1] == [code], str(found)


@pytest.mark.parametrize("history", [[0.02] * 10, ["0.020"] * 10, [0.3] * 50, [0.0312] * 8])
def test_a_curve_rounded_to_few_digits_may_move_between_them(history: Any) -> None:
    assert not diagnose(history=history, classes=10)


def test_steps_are_counted_from_one() -> None:
    assert "step 3 of 4 is nan" in diagnose(history=[2.0, 1.0, np.nan, np.nan]).findings[0].message
    assert "step 1 of 2 is nan" in diagnose(history=[np.nan, np.nan]).findings[0].message
    found = diagnose(history={"loss": FALLING[:5], "val_loss": [2.0, 1.0, 1.1, 1.2, 1.3]}).findings[0].message
    assert "the validation loss was least at step 2 of 5, 1, and ends at 1.3" in found


@pytest.mark.parametrize(
    "history", [FALLING, noisy(0.2), [2.31], [2.31, 2.2, 2.1], [0.9, 0.5, 0.4, 0.35], [2.4, 1.2, 1.0, 0.9, 0.85, 0.83]]
)
def test_a_sound_curve_says_nothing(history: list[float]) -> None:
    assert not diagnose(history=history, classes=10)
