"""The rule book: what each code means, what else could look like it, and the one further input that would decide."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from crossent.explaining.diagnosing.fixes import FIXES, ONE_SOFTMAX
from crossent.explaining.finding import Finding, Severity

PAGE = "docs/findings.md"
ORDINARY = "an ordinary loss of this size"  # left out where a rule says it with the number


@dataclass(frozen=True)
class Entry:
    """The part of a finding that does not depend on the numbers."""

    title: str
    severity: Severity
    advice: str
    rivals: tuple[str, ...]
    decide: str


BOOK = {
    "CE001": Entry(
        "the truth was called impossible", "error",
        "Give logits to the loss instead of probabilities; if a mask put -inf there, it hides the true class.",
        ("a mask that rules out the true class", "underflow of a softmax in low precision"),
        "the logits of an infinite row: -inf on the true class is a mask, a finite one is underflow"),
    "CE002": Entry(
        "not a number from the start", "error",
        "The loss only passes a nan on; look for the first step that makes one.",
        ("nan in the input data", "0 times log 0 in a hand-written loss", "a mean over nothing", "log of a negative"),
        "the model's outputs for this batch: nan in them, exact zeros, or all finite"),
    "CE003": Entry(
        "predictions that do not sum to 1", "warning",
        "Divide by the sum, or give logits to a loss that normalizes them.",
        ("independent sigmoids, for which a binary loss is meant", "rounded probabilities"),
        "whether more than one class can be true at once"),
    "CE004": Entry(
        "targets that do not sum to 1", "error",
        "Divide each row by its sum; if several classes can be true at once, use a binary loss.",
        ("several true classes, for which a binary loss is meant", "unnormalized teacher scores"),
        "whether the targets are counts, scores or several true classes"),
    "CE005": Entry(
        "softmax applied twice", "error",
        "Remove the last softmax: this loss applies its own. Until then no answer is confident enough.",
        ("an ordinary loss of this size", "logits that happen to be small and positive"),
        "a batch of outputs: are they all >= 0 with rows that sum to 1?"),
    "CE101": Entry(
        "nothing learnt: every class gets the same probability", "warning",
        "Normal at the first step. Later look at the gradient norm, the learning rate, dead units and a lost input.",
        ("the first step, where it is normal", "the learnt prior of balanced classes", "labels that carry nothing"),
        "the history: flat here, or only its first step? And are all rows of the outputs equal?"),
    "CE102": Entry(
        "only the class frequencies learnt", "warning",
        "The inputs tell the model nothing: check that they reach it, and that rows and labels are in one order.",
        ("labels shuffled against the inputs", "inputs that are zero or constant", "a hard problem, early"),
        "the outputs of two different inputs: equal ones mean that the input is lost, different ones that labels are shuffled"),
    "CE103": Entry(
        "sigmoid applied twice", "error",
        "Remove the last sigmoid: this loss applies its own.",
        ("logits that happen to lie in [0, 1]",),
        "whether the model's last layer is a sigmoid"),
    "CE104": Entry(
        "probabilities given where log-probabilities are wanted", "error",
        "Take log_softmax instead of softmax; the loss is -q of the true class until then, between -1 and 0.",
        ("a density, which may exceed 1", "a loss with its sign flipped"),
        "a batch of outputs: are they all >= 0 with rows that sum to 1?"),
    "CE105": Entry(
        "targets outside [0, 1] in a binary loss", "error",
        "A binary loss wants 0 or 1 per class; class ids belong one-hot into it, or into a categorical loss.",
        ("raw logits given to nll_loss", "negative weights", "a loss with its sign flipped"),
        "the smallest and the largest target"),
    "CE106": Entry(
        "a rounding error below 0", "note",
        "Harmless: a perfect prediction whose probability was rounded to a little more than 1, or -(1 log 1).",
        ("probabilities that are not normalized", "log(q + epsilon)"),
        "the sum of the probabilities of a row"),
    "CE107": Entry(
        "nothing to average: all targets ignored", "error",
        "0/0: skip such a batch, or divide by max(count, 1).",
        ("nan in the outputs", "an empty batch"),
        "how many targets of the batch differ from the ignore value"),
    "CE108": Entry(
        "divergence: finite, then not a number", "error",
        "Lower the learning rate, clip gradients, and look at the largest logit before the jump.",
        ("half precision that overflows at 65504", "one bad row of data", "log of a probability that reached 0"),
        "the largest |logit| and the dtype one step before the jump"),
    "CE109": Entry(
        "overflow of half precision", "error",
        "Compute the loss in float32 and from logits; exp overflows float16 at 11.09.",
        ("divergence in any precision",),
        "the same batch in float32: a finite loss means overflow"),
    "CE110": Entry(
        "a clip: a share of the rows was impossible and got the clip's constant", "warning",
        "Those rows have no gradient. Give logits to the loss, and find out why the truth got probability 0.",
        ("an ordinary loss of this size", "hard 0/1 answers scored as if they were probabilities"),
        "a batch of probabilities: how many rows have 0 or 1 on a class?"),
    "CE111": Entry(
        "a softmax over one output unit", "error",
        "Softmax of one number is 1 whatever the number: use a sigmoid, or two output units.",
        ("a perfect prediction that was rounded", "targets that hold one class only", "all targets zero"),
        "the shape of the outputs: is its class axis 1 long?"),
    "CE112": Entry(
        "labels off by one", "error",
        "Labels must run from 0: subtract 1.",
        ("one more class than the model has outputs",),
        "whether class 0 occurs anywhere in the data"),
    "CE113": Entry(
        "an ignore value among the labels that this loss does not ignore", "error",
        "Name it: ignore_index in torch, ignore_class in Keras, a mask elsewhere. Only torch ignores -100 unasked.",
        ("a wrong label",),
        "whether the data set documents this value as void or padding"),
    "CE114": Entry(
        "labels outside the classes", "error",
        "A class id must lie in [0, classes): count the classes again, or map the labels.",
        ("more classes in the data than outputs", "an ignore value"),
        "the sorted unique labels of the whole data set"),
    "CE115": Entry(
        "softmax over the wrong axis", "error",
        "The probabilities of one example must sum to 1: take the softmax over the class axis.",
        ("outputs laid out with the class axis elsewhere",),
        "the shape of the outputs, and which axis of it is the class axis"),
    "CE116": Entry(
        "a misplaced class axis, or shapes that do not fit", "error",
        "Move the class axis to where this loss takes it; a reshape alone would mix positions with classes.",
        ("targets of another batch", "one-hot targets where class ids are wanted"),
        "the shapes of outputs and targets, and the class count"),
    "CE117": Entry(
        "a sum over the batch instead of its mean", "warning",
        "Divide by the rows, or scale the learning rate down by them: the gradient grows with the batch.",
        ("a bad start with very large logits",),
        "the loss of a batch of half the size: half of it means a sum"),
    "CE118": Entry(
        "a mean divided once too often", "warning",
        "Divide by the rows once: the gradient is too small by that factor.",
        ("an easy problem", "a mean over elements instead of rows"),
        "the loss of a batch of half the size: twice of it means divided twice"),
    "CE119": Entry(
        "ignored rows counted in the denominator", "warning",
        "Divide by the rows that count: else padding makes the loss look small.",
        ("dropped rows at the end of an epoch",),
        "sum and count of the rows that are not ignored"),
    "CE120": Entry(
        "weighted losses divided by the rows, not by their weights", "warning",
        "torch divides by the sum of the weights of class ids, and by the rows where targets are distributions; by the "
        "rows, the learning rate changes with the classes of a batch.",
        ("a deliberate choice, as in Keras, whose weighted mean divides by the rows",
         "one-hot or soft targets in torch, whose mean divides by the rows"),
        "the sum of the weights of the targets"),
    "CE121": Entry(
        "the floor of soft or smoothed targets", "note",
        "Expected: H(p) is the least that soft targets cost. Read the excess over it, KL(p || q).",
        ("an ordinary loss of this size",),
        "the smoothing used, or the targets themselves"),
    "CE122": Entry(
        "few confident errors", "warning",
        "Accuracy sees only the largest class. Look at the worst rows (wrong labels?), and calibrate by a temperature.",
        ("wrong labels", "over-fitting"),
        "the worst rows: are their labels right?"),
    "CE123": Entry(
        "worse than guessing: too large logits at the start", "warning",
        "A fresh model should start near ln K: make the last layer's weights smaller, normalize the inputs.",
        ("a sum over the batch", "a clip that many rows hit", "wrong labels"),
        "the largest |logit|, and the loss at the first step"),
    "CE124": Entry(
        "raw scores where probabilities are wanted", "error",
        "Apply softmax or sigmoid first, or better use the form of the loss that takes logits.",
        ("probabilities scaled to percent",),
        "the smallest and the largest output"),
    "CE125": Entry(
        "log-probabilities given to a sigmoid loss", "error",
        "Give the raw scores: the sigmoid of a log-probability never exceeds one half.",
        ("logits that happen to be negative",),
        "whether the outputs come from log_softmax"),
    "CE126": Entry(
        "raw scores where log-probabilities are wanted", "error",
        "Apply log_softmax first, or use cross_entropy: else the loss falls without end and means nothing.",
        ("class ids in a binary loss", "a loss with its sign flipped"),
        "a batch of outputs: does log sum exp of each row give 0?"),
    "CE127": Entry(
        "no update: the loss does not move", "warning",
        "Check that the optimizer holds these parameters, its learning rate, backward() and detach().",
        ("dead units", "a gradient that vanishes in a saturated softmax", "a schedule that starts at 0"),
        "the gradient norm, and whether a parameter changes in one step"),
    "CE128": Entry(
        "a loss that rises: divergence", "warning",
        "Lower the learning rate by ten and clip gradients; if it rises steadily from the first step, check the sign.",
        ("a loss with its sign flipped", "a distribution shift in the data"),
        "the same run at a tenth of the learning rate"),
    "CE129": Entry(
        "a loss with its sign flipped", "error",
        "Minimize -sum p log q, the negative of the log-likelihood.",
        ("a negative class weight", "targets outside [0, 1]", "raw logits given to nll_loss"),
        "a batch of outputs and targets with its loss"),
    "CE130": Entry(
        "another unit than nats: bits, log10 or a perplexity", "note",
        "To compare with other packages multiply bits by 0.6931 and log10 by 2.3026; a perplexity is exp of the loss.",
        ("an ordinary loss of this size",),
        "a batch of outputs and targets with its loss"),
    "CE131": Entry(
        "an activation after the last layer", "warning",
        "Logits must be free to take any value: remove the ReLU or sigmoid after the last layer.",
        ("sparse counts used as scores",),
        "the last layer of the model"),
    "CE132": Entry(
        "targets of one class only", "warning",
        "Then always answering it costs 0: check how the labels were made, and that batches are shuffled.",
        ("a sorted data set, whose batches hold one class each",),
        "the labels of another batch"),
    "CE133": Entry(
        "log-probabilities where probabilities are wanted", "error",
        "Apply exp first, or use the form of the loss that takes logs.",
        ("logits",),
        "whether exp of each row sums to 1"),
    "CE134": Entry(
        "over-fitting: the validation loss rises while the training loss falls", "warning",
        "Stop earlier, regularize, or add data.",
        ("few confident errors: accuracy may still rise", "a validation set from another distribution"),
        "the accuracy on the validation set, per epoch"),
    "CE135": Entry(
        "a loss that is not the one of these outputs and targets", "warning",
        "Pass the outputs that went into this loss, and name its options: weights, smoothing, reduction.",
        ("a further term, such as weight decay or an auxiliary head", "outputs of another batch, or after the update",
         "an option that was not told", "another function"),
        "the loss computed again from these very outputs and targets"),
    "CE136": Entry(
        "soft targets that are no probabilities", "error",
        "Soft targets are >= 0 and sum to 1: take softmax of a teacher's scores, or exp of its log-probabilities.",
        ("scores of a teacher", "log-probabilities, which KLDivLoss(log_target=True) takes", "outputs and targets swapped"),
        "whether exp of each row of targets sums to 1"),
    "CE137": Entry(
        "targets that torch refuses", "error",
        "torch itself raises an error for these; the conversion is one line.",
        ("another function, which takes them",),
        "the dtype and the shape of the targets"),
    "CE100": Entry(
        "outputs or targets that this loss cannot take", "error",
        "Mend the shapes first: nothing else could be looked at.",
        (),
        "the shapes and dtypes of outputs and targets"),
}  # fmt: skip


@dataclass(frozen=True)
class Suspect:
    """A finding and how much speaks for it; the heavier comes first."""

    weight: float
    finding: Finding


def suspect(
    code: str,
    weight: float,
    message: str,
    evidence: Iterable[str] = (),
    rivals: Iterable[str] = (),
) -> Suspect:
    """Return the entry of a code with what these numbers say."""
    entry = BOOK[code]
    return Suspect(
        weight,
        Finding(
            code=code,
            severity=entry.severity,
            message=message,
            advice=entry.advice,
            evidence=tuple(evidence),
            rivals=(*rivals, *(entry.rivals if not rivals else (rival for rival in entry.rivals if rival != ORDINARY))),
            decide=entry.decide,
            fix=FIXES[code],
            see=f"{PAGE}#{code.lower()}",
        ),
    )


def consistent(code: str, weight: float, why: str, evidence: Iterable[str] = (), rivals: Iterable[str] = ()) -> Suspect:
    """Return a suspect known by numbers that something else might have given as well."""
    return suspect(code, weight, f"consistent with {BOOK[code].title}: {why}.", evidence, rivals)


def of_probabilities(found: Suspect) -> Suspect:
    """Return CE005 as it is where the function takes probabilities: it applies no softmax of its own."""
    advice = (
        "This function takes probabilities: the second softmax is a layer of the model, or from_logits=True on top of "
        "one. Keep one of them."
    )
    return replace(found, finding=replace(found.finding, advice=advice, fix=ONE_SOFTMAX))
