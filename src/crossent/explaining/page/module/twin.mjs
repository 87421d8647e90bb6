// The answers of a saved file: the shape of Python's, from the twin's numbers.

import {
  UNIT,
  contributions,
  entropy,
  entropyOf,
  gradLogits,
  gradProbs,
  jsDivergence,
  klOf,
  logSoftmax,
  norm,
  read,
  sum,
} from "./ce.mjs";
import { amount, cells, chances, compact, longAmount, raw } from "./digits.mjs";
import { bitsView } from "./twin_bits.mjs";
import { follow, readCase } from "./twin_case.mjs";

const NAMES = { e: "nats", 2: "bits", 10: "hartleys" };
const LOG = { e: "log", 2: "log₂", 10: "log₁₀" };
const SHORT = 12;

export function answerOf(question, body, given) {
  if (question === "bits") return bitsView(body);
  const case_ = readCase(body);
  // as long as nothing has been touched, the numbers are the ones that Python wrote into this file
  if (!body.move && !body.guess && body.slice === null && untouched(case_, given.first)) return given.view;
  return explainView(case_, body, given);
}

function untouched(case_, first) {
  const fields = ["target", "prediction", "names"].every(
    (name) => JSON.stringify(case_[name]) === JSON.stringify(first[name]),
  );
  return fields && ["kind", "base", "temperature", "locked"].every((name) => case_[name] === first[name]);
}

function explainView(case_, body, given) {
  const { now, seen } = follow(case_, body.move);
  const unit = UNIT[now.base];
  const p = now.target;
  const classes = p.length;
  const names = now.names ?? p.map((_, k) => String(k));
  const both = read(seen, now.kind);
  const { q, logQ } = both;
  const shares = contributions(p, logQ);
  const nats = sum(shares) + 0;
  const [gradient, slopes] = [gradLogits(seen, now.kind, p), gradProbs(p, q)];
  const held = p.flatMap((weight, k) => (weight > 0 ? [k] : []));
  const true_class = held.length === 1 && p[held[0]] === 1 ? held[0] : null;
  const rows = chosen(body.rows, p, q);
  const line = (k) => ({
    index: k,
    name: names[k],
    p: cells.box(p[k]),
    given: cells.box(now.prediction[k]),
    q: cells.box(q[k]),
    surprisal: cells.amount((0 - logQ[k]) / unit),
    contribution: cells.amount(shares[k] / unit),
    grad_logit: cells.signed(gradient[k]),
    grad_prob: cells.signed(slopes[k]),
    direction: gradient[k] > 0 ? "lower" : gradient[k] < 0 ? "raise" : gradient[k] === 0 ? "stay" : "",
  });
  const left = [...p.keys()].filter((k) => !rows.includes(k));
  const over = (values) => sum(left.map((k) => values[k]));
  const total = sum(q);
  const unnormalized = now.kind === "probs" && Math.abs(total - 1) > 1e-6;
  return {
    target: p.map(raw),
    prediction: now.prediction.map(raw),
    names: now.names,
    kind: now.kind,
    base: now.base,
    temperature: cells.box(now.temperature),
    locked: now.locked,
    unit: NAMES[now.base],
    loss: cells.amount(nats / unit),
    loss_nats: cells.amount(nats),
    loss_bits: cells.amount(nats / UNIT[2]),
    perplexity: cells.compact(Math.exp(nats)),
    ...words(nats, unit, now, p, q, logQ, true_class, names, body.guess),
    classes,
    true_class,
    rows: rows.map(line),
    rest:
      left.length === 0
        ? null
        : {
            count: left.length,
            p: cells.compact(over(p)),
            q: cells.compact(over(q)),
            contribution: cells.amount(over(shares) / unit),
            grad_logit: cells.signed(over(gradient)),
          },
    sum_p: cells.compact(sum(p)),
    sum_q: cells.compact(total),
    sum_contribution: cells.amount(nats / unit),
    sum_grad:
      Math.abs(sum(gradient)) < 1e-12 && sum(gradient) !== 0 ? [sum(gradient), "≈ 0"] : cells.signed(sum(gradient)),
    grad_norm: cells.amount(norm(gradient)),
    uniform: cells.amount(Math.log(classes) / unit),
    floor: cells.amount(entropy(p) / unit),
    kl: cells.amount(klOf(p, both, nats) / unit),
    entropy_q: cells.amount(entropyOf(both) / unit),
    entropy_q_bits: cells.amount(entropyOf(both) / UNIT[2]),
    js_bits: cells.amount(jsDivergence(p, q) / UNIT[2]),
    as_logits: now.kind === "probs" ? asLogits(p, q, gradient, unit, true_class, unnormalized) : null,
    steps: stepTexts(rows, now, p, q, logQ, nats / unit, unit),
    findings: findings(p, q, logQ, names, unnormalized, total),
    curve: curve(unit),
    clips: given.view.clips.map((clip) => ({ ...clip, loss: cells.amount(-Math.log(clip.clip[0]) / unit) })),
    slice: slice(body.slice ?? true_class, nats, unit, p, logQ, gradient, names, unnormalized),
    scaled:
      unnormalized && total > 0
        ? [
            { who: "a package that takes q as it is", answer: cells.amount(nats / unit) },
            { who: "one that rescales it first", answer: cells.amount((nats + Math.log(total) * sum(p)) / unit) },
          ]
        : null,
    python: program(p, seen, now, true_class),
    computed_by: given.computed_by,
  };
}

function chosen(rows, p, q) {
  const all = [...p.keys()];
  if (all.length <= SHORT) return all;
  if (rows?.length) return [...rows].sort((one, other) => one - other);
  const first = p.indexOf(Math.max(...p));
  const top = all
    .filter((k) => k !== first)
    .sort((one, other) => q[other] - q[one] || one - other)
    .slice(0, 8);
  return [first, ...top].sort((one, other) => one - other);
}

function words(nats, unit, now, p, q, logQ, true_class, names, guess) {
  const classes = p.length;
  const bits = (nats - Math.log(classes)) / UNIT[2];
  const uniform = `guessing uniformly (log ${classes})`;
  const off = Math.abs(bits).toFixed(2);
  let verdict = `${off} ${off === "1.00" ? "bit" : "bits"} ${bits > 0 ? "worse" : "better"} than ${uniform}.`;
  if (Number.isNaN(nats)) verdict = "Not a number: it compares with nothing.";
  else if (nats === Infinity) verdict = `Infinitely worse than ${uniform}.`;
  else if (nats === 0) verdict = "Perfect: the truth got all of the probability.";
  else if (nats <= entropy(p) * (1 + 1e-12)) verdict = "Perfect for this target: nothing scores below H(p).";
  else if (Math.abs(bits) < 0.005) verdict = `No better and no worse than ${uniform}.`;
  let chance =
    true_class === null
      ? `perplexity ${chances(Math.exp(nats))}`
      : `1 chance in ${Math.exp(-logQ[true_class]) === Infinity ? `e^${compact(nats)}` : chances(Math.exp(-logQ[true_class]))}`;
  if (Number.isNaN(nats)) chance = "not a number";
  else if (nats === Infinity) chance = true_class === null ? "a class of the target got no chance" : "no chance at all";
  const best = Math.max(...q);
  const tops = [...q.keys()].filter((k) => q[k] === best);
  let guess_text = tops.length > 1 ? `Top guess: a tie of ${tops.length} classes.` : "Top guess: unknown.";
  if (tops.length === 1) {
    const right = p[tops[0]] === Math.max(...p);
    guess_text = `Top guess: class ${names[tops[0]]} (${right ? "right" : "wrong"}).`;
    if (!right && true_class !== null && classes > 2)
      guess_text += ` The true class ranks ${1 + q.filter((other) => other > q[true_class]).length} of ${classes}.`;
  }
  let reveal = null;
  if (guess !== undefined && guess !== null) {
    const loss = nats / unit;
    const away = Math.abs(guess - loss);
    reveal = `You said ${amount(guess)} ${NAMES[now.base]}; it is ${amount(loss)}.`;
    if (Number.isFinite(away))
      reveal += away >= 0.0005 ? ` That is ${amount(away)} too ${guess > loss ? "high" : "low"}.` : " Exact.";
  }
  return { verdict, chance, guess_text, reveal };
}

function asLogits(p, q, gradient, unit, true_class, unnormalized) {
  const loss = sum(contributions(p, logSoftmax(q))) / unit;
  if (Number.isNaN(loss)) return null;
  if (unnormalized) return { loss: cells.amount(loss), lowest: null, ratio: null };
  const inner = gradLogits(q, "logits", p);
  const mean = sum(q.map((value, k) => value * inner[k]));
  const [here, shrunk] = [norm(gradient), norm(q.map((value, k) => value * (inner[k] - mean)))];
  const lowest = (Math.log(Math.E + p.length - 1) - 1) / unit;
  return {
    loss: cells.amount(loss),
    lowest: true_class === null ? null : cells.amount(lowest),
    ratio: here > 0 ? cells.compact(shrunk > 0 ? here / shrunk : Infinity) : null,
  };
}

function stepTexts(rows, now, p, q, logQ, loss, unit) {
  const log = LOG[now.base];
  return {
    log,
    more: p.length - rows.length,
    result: longAmount(loss),
    terms: rows.map((k) => ({
      p: compact(p[k]),
      zero: p[k] === 0,
      log: now.kind === "probs" ? `${log} ${compact(q[k])}` : `(${amount(logQ[k] / unit + 0)})`,
    })),
  };
}

function findings(p, q, logQ, names, unnormalized, total) {
  if (logQ.some(Number.isNaN))
    return [
      {
        code: "CE002",
        message: "the prediction is not a number.",
        advice: "Look for what made it, a step before this one.",
      },
    ];
  const found = [];
  const place = p.findIndex((weight, k) => weight > 0 && logQ[k] === -Infinity);
  if (place >= 0)
    found.push({
      code: "CE001",
      message: `target ${names[place]} has p = ${compact(p[place])} but q = 0: −log 0 is infinite.`,
      advice:
        "Not a bug in the formula: the model called the truth impossible. Packages disagree on what to print here, because many clip q first.",
    });
  if (unnormalized)
    found.push({
      code: "CE003",
      message: `the prediction sums to ${compact(total)}, not 1; it was not rescaled.`,
      advice: "Every number here takes q as given.",
    });
  return found;
}

function curve(unit) {
  return [...Array(65).keys()].map((step) => (step / 64) ** 3).map((q) => [q, raw((0 - Math.log(q)) / unit)]);
}

function slice(wanted, nats, unit, p, logQ, gradient, names, unnormalized) {
  const index = wanted ?? p.indexOf(Math.max(...p));
  if (!Number.isFinite(nats) || !Number.isFinite(logQ[index]) || unnormalized) return null;
  const points = [...Array(41).keys()].map((step) => {
    const offset = step / 4 - 5;
    return [offset, sum(contributions(p, logSoftmax(logQ.map((log, k) => (k === index ? log + offset : log))))) / unit];
  });
  return {
    index,
    name: names[index],
    points,
    table: points.filter((_, k) => k % 4 === 0).map(([z, loss]) => [cells.signed(z), cells.amount(loss)]),
    here: cells.amount(nats / unit),
    slope: cells.signed(gradient[index]),
    slope_in_base: gradient[index] / unit,
  };
}

function program(p, seen, now, true_class) {
  const one = (value) => (Number.isFinite(value) ? String(value) : `float("${raw(value)}")`);
  const list = (values) => `[${values.map(one).join(", ")}]`;
  const parts = [true_class === null ? list(p) : list(p.map((weight) => Math.round(weight))), list(seen)];
  if (now.kind !== "probs") parts.push('kind="logits"');
  if (now.base !== "e") parts.push(`base=${now.base}`);
  if (now.names) parts.push(`class_names=${JSON.stringify(now.names)}`);
  return `import crossent\nprint(crossent.explain(${parts.join(", ")}))`;
}
