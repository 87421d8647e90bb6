"""Logs of language models: each kind is told by its keys, and every token or document is one row."""

import json
import math

import pytest

from crossent.scoring.sources.opening import open_source
from tests.scoring.sources.whole import assert_pieces, assert_refused, read

NOTHING = {"logprob": [None], "bytes": [None], "token": [None], "line": [1], "is_bound": [False]}


@pytest.fixture
def write(tmp_path):
    def written(*records, name="a.jsonl"):
        path = tmp_path / name
        path.write_text("\n".join(record if isinstance(record, str) else json.dumps(record) for record in records))
        return path

    return written


def chat(*content, **more):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "x"}}
    return {"id": "c1", "choices": [choice | {"logprobs": {"content": list(content), "refusal": None} | more}]}


def entry(token, logprob, top=(), **more):
    return {"token": token, "logprob": logprob, "bytes": list(token.encode()), "top_logprobs": list(top)} | more


def completion(tokens, logprobs, text=None, top=None, **more):
    found = {"tokens": tokens, "token_logprobs": logprobs, "top_logprobs": top, "text_offset": [0] * len(tokens)}
    choice = {"index": 0, "text": "".join(tokens) if text is None else text, "finish_reason": "stop", "logprobs": found}
    return {"choices": [choice | more]}


def assert_no_entry(kind, line, path, reason):
    text = f"`source` must hold one {kind} entry per line, line {line} of '{path}' is none: {reason}; remove that line"
    assert_refused(text, path)


# Chat


def test_chat(write):
    path = write(
        chat(entry("Hé", -0.25), entry("!", -2.5, bytes=None)),
        "",
        {"custom_id": "a", "response": {"status_code": 200, "body": chat(entry("x", -1))}, "error": None},
    )
    source = open_source(path)
    assert (source.format, source.rows, source.notes) == ("chat log", None, ())
    assert read(path) == {
        "logprob": [-0.25, -2.5, -1],
        "bytes": [3, None, 1],
        "token": ["Hé", "!", "x"],
        "line": [1, 1, 3],
        "is_bound": [False] * 3,
    }
    assert assert_pieces(path, ["line", "logprob"], 1, 2) == 1


def test_a_response_without_log_probabilities_is_a_row_that_misses_them(write):
    error = {"custom_id": "b", "response": {"status_code": 500, "body": {"error": {"message": "busy"}}}}
    path = write(error, chat(entry("x", -1)), chat(), chat(entry("y", None)))
    assert read(path, ["logprob", "line"]) == {"logprob": [None, -1, None, None], "line": [1, 2, 3, 4]}


def test_a_refusal_has_its_own_list(write):
    assert read(write(chat(refusal=[entry("No", -0.5)])), ["token", "logprob"]) == {"token": ["No"], "logprob": [-0.5]}


def test_the_sentinel_is_a_bound(write):
    # Less likely than 20 tokens: 1/21 at most. With one known, the other 19 and it share what is left.
    top = [{"token": "a", "logprob": math.log(0.9)}]
    path = write(chat(entry("x", -9999.0), entry("y", -9999.0, top), entry("z", -9998.5)))
    found = read(path)
    assert found["is_bound"] == [True, True, False]
    assert found["logprob"] == pytest.approx([math.log(1 / 21), math.log(0.1 / 20), -9998.5], rel=1e-12)


def test_a_bound_of_what_is_left_is_no_more_than_the_least_likely_known(write):
    top = [{"token": str(index), "logprob": math.log(0.02)} for index in range(20)]
    sure = [{"token": "a", "logprob": 0.0}, {"token": "b", "logprob": -30.0}, {"token": "c", "logprob": -9999.0}]
    found = read(write(chat(entry("x", -9999.0, top), entry("y", -9999.0, sure))))
    assert found["logprob"] == pytest.approx([math.log(0.02), -30.0])


# Completions


def test_completions(write):
    path = write(
        completion([" a", "é"], [None, -0.5]),
        completion(["a", "\ufffd"], [-0.5, -1.5], text="aé"),
        completion(["bytes:\\xe2\\x80", "bytes: x\\x99"], [-1, -2], text="?"),
    )
    assert open_source(path).format == "completions log"
    assert read(path) == {
        "logprob": [None, -0.5, -0.5, -1.5, -1, -2],
        "bytes": [2, 2, None, None, 2, 3],
        "token": [" a", "é", "a", "\ufffd", "bytes:\\xe2\\x80", "bytes: x\\x99"],
        "line": [1, 1, 2, 2, 3, 3],
        "is_bound": [False] * 6,
    }


def test_completions_without_their_texts(write):
    path = write({"choices": [{"finish_reason": "stop", "logprobs": {"token_logprobs": [-1, None]}}]})
    assert read(path, ["logprob", "token", "bytes"]) == {
        "logprob": [-1, None],
        "token": [None] * 2,
        "bytes": [None] * 2,
    }


def test_a_bound_among_completions(write):
    path = write(completion(["a", "b"], [-9999.0, -9999.0], top=[{"x": math.log(0.75), "a": -9999.0}, None]))
    found = read(path)
    assert found["is_bound"] == [True, True]
    assert found["logprob"] == pytest.approx([math.log(0.25), 0.0])


# vLLM's prompts


PROMPT = [
    None,
    {
        "15": {"logprob": -7.5, "rank": 40, "decoded_token": "He"},
        "9": {"logprob": -0.5, "rank": 1, "decoded_token": "I"},
    },
    {"29": {"logprob": -1.25, "rank": 1, "decoded_token": ","}},
    {"3": {"logprob": None, "rank": 2, "decoded_token": "x"}, "4": {"logprob": -0.25, "rank": 1, "decoded_token": "y"}},
]
PROMPT_ROWS = {
    "logprob": [None, -7.5, -1.25, None],
    "bytes": [None] * 4,
    "token": [None, "He", ",", "x"],
    "line": [1] * 4,
    "is_bound": [False] * 4,
}


@pytest.mark.parametrize("is_chat", [True, False])
def test_prompts_of_vllm(write, is_chat):
    record = chat(entry("x", -1)) if is_chat else completion(["x"], [-1])
    (record if is_chat else record["choices"][0])["prompt_logprobs"] = PROMPT
    path = write(record)
    source = open_source(path)
    assert source.format == "vLLM prompt log"
    assert source.notes == ["The tokens of the prompts are scored, not those that were generated."]
    assert read(path) == PROMPT_ROWS


def test_the_ids_say_which_token_is_the_prompts_own(write):
    turned = [position and dict(reversed(position.items())) for position in PROMPT]
    path = write({"prompt_logprobs": turned, "prompt_token_ids": [1, 15, 29, 3]})
    assert read(path) == PROMPT_ROWS
    path = write({"prompt_logprobs": turned, "prompt_token_ids": [1, 15, 30, 3]})
    reason = "token 30 of `prompt_token_ids` is not in its `prompt_logprobs`"
    assert_no_entry("vLLM prompt log", 1, path, reason)


def test_a_rank_beyond_the_list_says_it_too(write):
    turned = [position and dict(reversed(position.items())) for position in PROMPT[:3]]
    assert read(write({"prompt_logprobs": turned}))["token"] == [None, "He", ","]


def test_prompts_as_plain_numbers_and_a_bound(write):
    path = write({"prompt_logprobs": [None, {"5": -9999.0, "6": math.log(0.75)}, {"7": -1}]})
    found = read(path)
    assert found["is_bound"] == [False, True, False]
    assert found["logprob"] == pytest.approx([None, math.log(0.25), -1])


def test_nulls_as_the_servers_write_them_by_default(write):
    record = chat(entry("x", -1)) | {"prompt_logprobs": None, "prompt_token_ids": None}
    assert open_source(write(record)).format == "chat log"


# lm-eval


def sample(resps, target="1", choices=None, **more):
    names = choices or [f" choice {index}" for index in range(len(resps))]
    arguments = {f"gen_args_{index}": {"arg_0": "Q", "arg_1": name} for index, name in enumerate(names)}
    texts = [[[str(value), "False"]] for value in resps]
    return {"doc_id": 0, "doc": {}, "target": target, "arguments": arguments, "resps": texts} | more


def test_multiple_choice(write):
    path = write(sample([-1.5, -2.25]), sample([-3, -4], "0"), name="samples_x_2026.jsonl")
    source = open_source(path)
    assert (source.format, source.rows, source.notes) == ("lm-eval multiple choice", 2, [])
    assert read(path) == {"target": [1, 0], "logits": [[-1.5, -2.25], [-3, -4]], "line": [1, 2]}
    assert assert_pieces(path, ["logits"], 1, 1) == 1


def test_documents_with_different_numbers_of_choices(write):
    path = write(sample([-1.5, -2.25]), sample([-3, -4, -5], "2"))
    note = "The documents have 2 to 3 choices; those that a document lacks are ruled out."
    assert open_source(path).notes == [note]
    assert read(path, ["logits"]) == {"logits": [[-1.5, -2.25, -math.inf], [-3, -4, -5]]}


def test_numbers_and_lists_as_older_versions_write_them(write):
    record = {"doc_id": 3, "target": 1, "arguments": [["Q", " a"], ["Q", " b"]], "resps": [[[-1, False]], [[-2, True]]]}
    assert read(write(record)) == {"target": [1], "logits": [[-1, -2]], "line": [1]}


def test_the_answer_as_text(write):
    assert read(write(sample([-1, -2], "cat", [" dog", " cat"])))["target"] == [1]


def test_log_likelihoods_without_the_question_do_not_count(write):
    record = sample([-1, -2, -7, -8], choices=[" a", " b", " a", " b"])
    for index in (2, 3):
        record["arguments"][f"gen_args_{index}"]["arg_0"] = ""
    assert read(write(record))["logits"] == [[-1, -2]]


def test_one_filter_of_several(write):
    path = write(*(sample([-1, -2], filter=name) for name in ("none", "other", "none", "other")))
    assert read(path, ["line"]) == {"line": [1, 3]}
    assert open_source(path).rows == 2


def test_ids_of_another_length(write):
    path = write({"prompt_logprobs": PROMPT, "prompt_token_ids": [1]})
    assert_no_entry("vLLM prompt log", 1, path, "its lists differ in length: prompt_logprobs 4, prompt_token_ids 1")


def test_the_likelihood_of_a_text(write):
    rolling = {"doc_id": 0, "target": "é!", "arguments": {"gen_args_0": {"arg_0": "é!"}}, "resps": [["-12.5"]]}
    path = write(rolling, rolling | {"resps": [["nan"]]}, rolling | {"resps": [["None"]]})
    assert open_source(path).format == "lm-eval log-likelihood"
    found = read(path)
    assert found["bytes"] == [3] * 3
    assert math.isnan(found["logprob"][1])
    assert (found["logprob"][0], found["logprob"][2]) == (-12.5, None)
    assert read(write(sample([-2.5], "cat", [" cat"])), ["logprob", "bytes"]) == {"logprob": [-2.5], "bytes": [4]}


def test_samples_that_cannot_be_rows(write):
    kind = "lm-eval sample"
    made = {
        "doc_id": 0,
        "target": "4",
        "resps": [["4"]],
        "arguments": {"gen_args_0": {"arg_0": "Q", "arg_1": {"until": []}}},
    }
    assert_no_entry(kind, 1, write(made), "it holds generated text, which has no log-likelihood")
    assert_no_entry(kind, 1, write(sample([-1, -2], "2")), "`target` is 2, but there are 2 choices")
    some = write(sample([-1, -2]), sample([-1, -2], "[0, 1]"))
    assert_no_entry(kind, 2, some, "`target` must be one of the choices, '[0, 1]' is 0 of them")
    alike = write(sample([-1, -2], "the cat", ["the cat", "the cat"]))
    assert_no_entry(kind, 1, alike, "`target` must be one of the choices, 'the cat' is 2 of them")
    assert_no_entry(kind, 1, write(sample(["None", -2])), "the log-likelihood of a choice is missing")
    assert_no_entry(kind, 2, write(sample([-1, -2]), sample([-1])), "it has no choices, the lines before have")
    text = write(sample([-1]), sample([-1, -2]))
    assert_no_entry("lm-eval log-likelihood", 2, text, "it is a question with choices, the lines before are not")


# Lines that are something else


def test_responses_without_log_probabilities(write):
    record = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop", "logprobs": None}]}
    path = write(record)
    assert_refused(
        f"`source` must hold log-probabilities, the responses in '{path}' have none; "
        "ask the server for them with `logprobs`",
        path,
    )


def test_other_json_lines_are_no_log(write):
    path = write({"choices": [{"text": "a", "label": "A"}], "probs": [0.5, 0.5], "target": 1})
    assert open_source(path).format == "JSON lines"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (chat({"token": "x"}), "it lacks 'logprob'"),
        (chat("x"), "its keys hold something else"),
        (chat(entry("x", "low")), "its keys hold something else"),
        (chat(entry("x", -1, bytes=3)), "its keys hold something else"),
    ],
)
def test_lines_of_another_shape(write, record, reason):
    assert_no_entry("chat log", 2, write(chat(entry("x", -1)), record), reason)


def test_lists_of_different_lengths(write):
    path = write(completion(["a", "b"], [-1]))
    assert_no_entry(
        "completions log", 1, path, "its lists differ in length: token_logprobs 1, tokens 2, top_logprobs 1"
    )


def test_a_line_that_breaks_off_and_blank_lines(write):
    path = write(chat(entry("x", -1)), "", json.dumps(chat(entry("y", -1)))[:-5])
    assert_refused(
        f"`source` must hold one JSON object per line, line 3 of '{path}' does not: "
        "Expecting value at column 218; write each row as an object on a line of its own",
        path,
    )
