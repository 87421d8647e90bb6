"""The contract's rows: case, promise, and what is run to see whether it is kept, each with the answer it must have.

An answer is text: the `repr` of plain numbers and lists, or the class of the error or of the warning, whose message follows.
"""

from typing import NamedTuple


class Case(NamedTuple):
    """One row of the contract."""

    title: str
    promise: str
    trials: tuple[tuple[str, str], ...]  # (expression, wanted answer)


CASES = (
    Case(
        "Kind of target",
        "By dtype: integers of any width are class ids, of the logits' shape without `axis`, never cast through float; "
        "floats are distributions of the logits' shape; `TopKTargets`; booleans or integers of the logits' shape are a "
        "TypeError that names the fix.",
        (
            ("cross_entropy([[2.0, 0.0]], np.array([0], np.int8)) == cross_entropy([[2.0, 0.0]], np.array([0], np.uint64))", "True"),
            ("cross_entropy([[2.0, 0.0]], [[1.0, 0.0]]) == cross_entropy([[2.0, 0.0]], [0])", "True"),
            ("cross_entropy([[2.0, 0.0]], TopKTargets([[0]], [[1.0]])) == cross_entropy([[2.0, 0.0]], [0])", "True"),
            ("cross_entropy([[2.0, 0.0]], [[1, 0]])", "DtypeError"),
            ("cross_entropy([[2.0, 0.0]], [[True, False]])", "DtypeError"),
            ("issubclass(errors.DtypeError, TypeError)", "True"),
        ),
    ),
    Case(
        "Truth 0, prediction 0",
        "0 log 0 contributes exactly 0, also with a -inf logit; its gradient is 0, never NaN.",
        (
            ("cross_entropy_from_probs([[1.0, 0.0]], [[1.0, 0.0]])", "0.0"),
            ("cross_entropy([[0.0, -inf]], [[1.0, 0.0]])", "0.0"),
            ("cross_entropy_and_grad([[0.0, -inf]], [[1.0, 0.0]]).grad", "[[0.0, 0.0]]"),
            ("cross_entropy_from_probs_and_grad([[1.0, 0.0]], [[1.0, 0.0]]).grad", "[[-1.0, 0.0]]"),
        ),
    ),
    Case(
        "Truth above 0, prediction 0",
        '+inf; the gradient with respect to logits is p Σy − y, finite; with respect to probabilities −y/q = −inf. From '
        'probabilities `zero="inf"` by default, `"clip"` (needs `eps`), `"raise"`; one `ImpossibleEventWarning` with the count '
        "of rows.",
        (
            ("cross_entropy([[-inf, 0.0]], [0])", "inf, with ImpossibleEventWarning"),
            ("cross_entropy_and_grad([[-inf, 0.0]], [0]).grad", "[[-1.0, 1.0]], with ImpossibleEventWarning"),
            ("cross_entropy_from_probs([[0.0, 1.0]], [0])", "inf, with ImpossibleEventWarning"),
            ("cross_entropy_from_probs_and_grad([[0.0, 1.0]], [0]).grad", "[[-inf, 0.0]], with ImpossibleEventWarning"),
            ('round(cross_entropy_from_probs([[0.0, 1.0]], [0], zero="clip", eps=1e-7), 6)', "16.118096"),
            ('cross_entropy_from_probs([[0.0, 1.0]], [0], zero="clip")', "OptionError"),
            ('cross_entropy_from_probs([[0.0, 1.0]], [0], zero="raise")', "ImpossibleEventError"),
        ),
    ),
    Case(
        "A perfect prediction",
        "Exactly 0.0, never −0.0.",
        (
            ("cross_entropy_from_probs([[1.0, 0.0]], [0])", "0.0"),
            ("cross_entropy([[inf, 0.0]], [0])", "0.0"),
            ("entropy([1.0, 0.0])", "0.0"),
            ("entropy_of('aaaaaaaa')", "0.0"),
            ("kl_divergence([0.3, 0.7], [0.3, 0.7])", "0.0"),
        ),
    ),
    Case(
        "A −inf logit elsewhere",
        "The class is ruled out; also when every logit of the row's first block is −inf.",
        (
            ("cross_entropy([[1.0, -inf, 1.0]], [0]) == cross_entropy([[1.0, 1.0]], [0])", "True"),
            ("cross_entropy([[-inf] * 5000 + [0.0, 0.0]], [5000])", "0.6931471805599453"),
        ),
    ),
    Case(
        "All logits −inf, two +inf, or NaN",
        "NaN, in that row only.",
        (
            ('cross_entropy([[-inf, -inf], [0.0, 0.0]], [0, 0], reduction="none").round(6)', "[nan, 0.693147]"),
            ('cross_entropy([[inf, inf], [0.0, 0.0]], [0, 0], reduction="none").round(6)', "[nan, 0.693147]"),
            ('cross_entropy([[nan, 0.0], [0.0, 0.0]], [1, 0], reduction="none").round(6)', "[nan, 0.693147]"),
        ),
    ),
    Case(
        "One +inf logit",
        "Its probability is 1: loss 0 on it, +inf elsewhere.",
        (
            ("cross_entropy([[inf, 0.0]], [0])", "0.0"),
            ("cross_entropy([[inf, 0.0]], [1])", "inf, with ImpossibleEventWarning"),
        ),
    ),
    Case(
        "Label smoothing",
        "y(1 − e) + e/C over the classes that `where` allows; e outside [0, 1] is a ValueError; class weights multiply after "
        "smoothing.",
        (
            ("cross_entropy([[2.0, 0.0]], [0], label_smoothing=0.1) == cross_entropy([[2.0, 0.0]], [[0.95, 0.05]])", "True"),
            ("round(cross_entropy([[2.0, 0.0, 9.0]], [0], label_smoothing=0.1, where=[[True, True, False]]), 6)", "0.226928"),
            ("cross_entropy([[2.0, 0.0]], [0], label_smoothing=1.5)", "OptionError"),
            ('round(cross_entropy([[2.0, 0.0]], [0], label_smoothing=0.1, class_weight=[1.0, 2.0], reduction="sum"), 6)', "0.333274"),
        ),
    ),
    Case(
        "A class id and its one-hot",
        "The same bits, for every combination of options.",
        (
            ("cross_entropy(z, ids, class_weight=w, label_smoothing=0.1) == cross_entropy(z, one_hot, class_weight=w, label_smoothing=0.1)", "True"),
            ("bool((cross_entropy_and_grad(z, ids).grad == cross_entropy_and_grad(z, one_hot).grad).all())", "True"),
        ),
    ),
    Case(
        "Soft labels that don't sum to 1",
        "Accepted; the gradient is p Σy − y. `normalized` is about predictions alone, so nothing warns of such labels.",
        (
            ("cross_entropy_from_probs([[0.5, 0.5]], [[2.0, 0.0]])", "1.3862943611198906"),
            ("cross_entropy([[0.0, 0.0]], [[2.0, 0.0]])", "1.3862943611198906"),
            ("cross_entropy_and_grad([[0.0, 0.0]], [[2.0, 0.0]]).grad", "[[-1.0, 1.0]]"),
        ),
    ),
    Case(
        "Probabilities that don't sum to 1",
        '`normalized="warn"` by default, with the largest deviation; `"rescale"`, `"raise"`, `"ignore"`.',
        (
            ("cross_entropy_from_probs([[0.5, 0.25]], [0])", "0.6931471805599453, with NormalizationWarning"),
            ('round(cross_entropy_from_probs([[0.5, 0.25]], [0], normalized="rescale"), 6)', "0.405465"),
            ('cross_entropy_from_probs([[0.5, 0.25]], [0], normalized="ignore")', "0.6931471805599453"),
            ('cross_entropy_from_probs([[0.5, 0.25]], [0], normalized="raise")', "NormalizationError"),
        ),
    ),
    Case(
        "A probability below 0 or above 1",
        "ValueError with the row, the class and the value.",
        (
            ("cross_entropy_from_probs([[0.5, 0.5], [1.2, -0.2]], [0, 1])", "RangeError"),
            ("issubclass(errors.RangeError, ValueError)", "True"),
        ),
    ),
    Case(
        "A label out of [0, C)",
        "IndexError with row and label, and a hint: 1-based labels, one-hot given, −100 without `ignore_index`.",
        (
            ("cross_entropy(z, [1, 2, 3])", "LabelError"),
            ("cross_entropy(z, [0, 1, -100])", "LabelError"),
            ("issubclass(errors.LabelError, IndexError)", "True"),
        ),
    ),
    Case(
        "`ignore_index` and `where`",
        "The row is not counted, its gradient is exactly 0.",
        (
            ("cross_entropy([[0.0, 0.0], [nan, inf]], [0, -100], ignore_index=-100)", "0.6931471805599453"),
            ("cross_entropy_and_grad([[0.0, 0.0], [nan, inf]], [0, -100], ignore_index=-100).grad", "[[-0.5, 0.5], [0.0, 0.0]]"),
            ("cross_entropy_and_grad([[0.0, 0.0], [nan, inf]], [0, 1], where=[True, False]).grad", "[[-0.5, 0.5], [0.0, 0.0]]"),
        ),
    ),
    Case(
        "Denominator",
        '`"weight"`: the sum of the weights that took part; `"count"`: the rows that took part; or a positive number of the '
        "caller's, such as a global count of tokens.",
        (
            ("round(cross_entropy([[0.0, 0.0], [0.0, 0.0]], [0, 1], class_weight=[1.0, 3.0]), 6)", "0.693147"),
            ('round(cross_entropy([[0.0, 0.0], [0.0, 0.0]], [0, 1], class_weight=[1.0, 3.0], denominator="count"), 6)', "1.386294"),
            ("round(cross_entropy([[0.0, 0.0], [0.0, 0.0]], [0, 1], denominator=8), 6)", "0.173287"),
            ("cross_entropy([[0.0, 0.0]], [0], denominator=0)", "OptionError"),
        ),
    ),
    Case(
        "Nothing to average",
        '`empty="nan"` by default, `"zero"`, `"raise"`; sums are 0.',
        (
            ("cross_entropy(np.zeros((0, 3)), np.zeros(0, int))", "nan"),
            ('cross_entropy(np.zeros((0, 3)), np.zeros(0, int), empty="zero")', "0.0"),
            ('cross_entropy(np.zeros((0, 3)), np.zeros(0, int), empty="raise")', "EmptyError"),
            ('cross_entropy(np.zeros((0, 3)), np.zeros(0, int), reduction="sum")', "0.0"),
        ),
    ),
    Case(
        "Dtypes",
        "float16, bfloat16 (ml_dtypes or torch), float32, float64; never accumulated in half; row losses and gradients are "
        "float32, or float64 for float64; integer logits are a TypeError.",
        (
            ('[str(cross_entropy(z.astype(t), ids, reduction="none").dtype) for t in ("float16", bfloat16, "float32", "float64")]',
             "['float32', 'float32', 'float32', 'float64']"),
            ("[str(cross_entropy_and_grad(z.astype(t), ids).grad.dtype) for t in ('float16', bfloat16, 'float32', 'float64')]",
             "['float32', 'float32', 'float32', 'float64']"),
            ("cross_entropy(torch.tensor(z).bfloat16(), ids) == cross_entropy(z.astype(bfloat16), ids)", "True"),
            ("cross_entropy([[2, 0]], [0])", "DtypeError"),
        ),
    ),
    Case(
        "Shapes",
        "Any leading dimensions, any `axis`; zero rows; one class; read-only, strided, Fortran-ordered and memory-mapped "
        "input; nothing of the caller's is ever written except `out=`. More than 2³¹ elements too, which is too much for this "
        "page.",
        (
            ("cross_entropy(np.zeros((2, 5, 3, 4)), np.zeros((2, 3, 4), int), axis=1, reduction='none').shape", "(2, 3, 4)"),
            ("cross_entropy([[7.0]], [0])", "0.0"),
            ("cross_entropy(np.asfortranarray(z), ids) == cross_entropy(z, ids)", "True"),
            ("cross_entropy(np.repeat(z, 2, axis=1)[:, ::2], ids) == cross_entropy(z, ids)", "True"),
            ("cross_entropy(read_only(z), ids) == cross_entropy(z, ids)", "True"),
            ("cross_entropy(memory_mapped(z), ids) == cross_entropy(z, ids)", "True"),
        ),
    ),
    Case(
        "Rounding",
        "A float32 row loss is within 2 ulp and its gradient within 3 ulp of the exact value of the given inputs, at any margin "
        "between 1e-37 and 1e4 nats; float64 within 4 ulp; half inputs: the exact result rounded once. "
        "[Accuracy](accuracy.md) has what was measured.",
        (
            ("bool(abs(cross_entropy(np.float32([[80.0, 0.0]]), [0]) / np.exp(-80.0) - 1) < 2 * 2.0**-23)", "True"),
            ("bool(abs(cross_entropy([[80.0, 0.0]], [0]) / np.exp(-80.0) - 1) < 4 * 2.0**-52)", "True"),
            ("abs(cross_entropy_and_grad([[80.0, 0.0]], [0]).grad / [[-np.exp(-80.0), np.exp(-80.0)]] - 1) < 4 * 2.0**-52", "[[True, True]]"),
            ("cross_entropy_and_grad(np.float32([[30.0, 0.0]]), [0]).grad < 0", "[[True, False]]"),
            ("cross_entropy(z.astype('float16'), ids, reduction='none') == np.float32(cross_entropy(z.astype('float16').astype(float), ids, reduction='none'))", "[True, True, True]"),
        ),
    ),
    Case(
        "Sums and means",
        "The exact sum of the row losses, rounded once: the same bits for any order, chunking, thread count, process count or "
        "engine.",
        (
            ("cross_entropy(many, labels) == cross_entropy(many[::-1], labels[::-1])", "True"),
            ("ExactSum().add(rows[:7]).merge(ExactSum().add(rows[7:])).value() == ExactSum().add(rows).value()", "True"),
            ("ExactSum().add([1e16, 1.0, -1e16]).value()", "1.0"),
        ),
    ),
)  # fmt: skip
