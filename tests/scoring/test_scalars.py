"""One number per row, what the truth was given: columns of losses, and the logs of language models."""

import json
import math

import pytest

from crossent.scoring.score import score


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("logprob", [-1.0, -3.0], "truth_log_probs"),
        ("loglikelihood", [-1.0, -3.0], "truth_log_probs"),
        ("nll", [1.0, 3.0], "losses"),
        ("Loss", [1.0, 3.0], "losses"),
    ],
)
def test_a_column_of_losses(write, name, values, kind):
    result = score(write({"text": ["a", "b"], name: values, "num_bytes": [8, 8], "target": [5, 6]}))
    assert (result.total, result.reading.kind, result.calibration) == (4.0, kind, None)
    assert result.reading.kind_reason == f"column '{name}' by its name"
    assert result.language.bits_per_byte == pytest.approx(4 / math.log(2) / 16, rel=1e-15)
    assert result.reading.notes == (f"The column 'target' is not used: '{name}' says what the truth was given.",)


def lines(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_chat_log_with_the_sentinel(tmp_path):
    entries = [
        {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []},
        {
            "token": "bc",
            "logprob": -9999.0,
            "bytes": [98, 99],
            "top_logprobs": [{"token": "a", "logprob": math.log(0.5)}],
        },
    ]
    record = {"choices": [{"finish_reason": "stop", "logprobs": {"content": entries}}]}
    result = score(lines(tmp_path / "chat.jsonl", record))
    # Half is left, and at least 20 tokens come before the one outside the 20 most likely.
    bound = -math.log(0.5 / 20)
    assert result.total == pytest.approx(0.5 + bound, rel=1e-15)
    assert (result.rows, result.language.bounded, result.language.bytes) == (2, 1, 3)
    assert (result.reading.bound_column, result.reading.byte_column) == ("is_bound", "bytes")


def test_completions_log_whose_first_token_has_none(tmp_path):
    logprobs = {"token_logprobs": [None, -1.0, -2.0], "tokens": ["a", "b", "c"]}
    result = score(lines(tmp_path / "a.jsonl", {"choices": [{"text": "abc", "logprobs": logprobs}]}))
    assert (result.total, result.rows, result.missing_labels) == (3.0, 2, 1)
    assert result.language.bytes == 2  # those of the tokens that were scored


def test_prompt_log_of_vllm(tmp_path):
    prompt = [
        None,
        {"5": {"logprob": -1.0, "rank": 1}},
        {"7": {"logprob": -2.0, "rank": 9}, "8": {"logprob": -0.5, "rank": 1}},
    ]
    result = score(lines(tmp_path / "a.jsonl", {"choices": [{"prompt_logprobs": prompt}]}))
    assert (result.total, result.rows, result.missing_labels) == (3.0, 2, 1)
    assert result.language.bytes is None
    assert result.reading.notes == ("The tokens of the prompts are scored, not those that were generated.",)


def test_lm_eval_samples_with_choices(tmp_path):
    def sample(target, *values):
        arguments = {f"gen_args_{i}": {"arg_0": "q", "arg_1": f" {i}"} for i in range(len(values))}
        return {"doc_id": 0, "target": target, "arguments": arguments, "resps": [[[str(v), "False"]] for v in values]}

    path = lines(tmp_path / "samples.jsonl", sample("1", -3.0, -1.0), sample("0", -2.0, -2.0, -2.0))
    result = score(path)
    assert result.total == pytest.approx(math.log1p(math.exp(-2.0)) + math.log(3), rel=1e-15)
    assert (result.reading.label_column, result.reading.kind, len(result.classes)) == ("target", "logits", 3)
