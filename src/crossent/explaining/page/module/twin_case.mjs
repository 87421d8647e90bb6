// What the reader holds in hand, in a saved file: read, moved, and at its temperature; case.py does the same.

import { logSoftmax, moved, softmax } from "./ce.mjs";
import { raw } from "./digits.mjs";
import { real } from "./dom.mjs";

export function readCase(body) {
  const prediction = row(body.prediction, "prediction");
  let target = body.target;
  if (typeof target === "string" && /^\s*\d+\s*$/.test(target)) target = Number(target);
  if (typeof target === "number") target = prediction.map((_, k) => (k === body.target * 1 ? 1 : 0));
  target = row(target, "target");
  const names = body.names ?? null;
  if (target.length !== prediction.length || !target.some((p) => p > 0)) {
    throw new Error(
      `\`target\` must be a class id in [0, ${prediction.length}) or ${prediction.length} probabilities.`,
    );
  }
  if (names && names.length !== prediction.length) {
    throw new Error(
      `\`class_names\` must have one name per class of \`prediction\`, ${prediction.length}; got ${names.length}.`,
    );
  }
  if (
    ![...target, ...(body.kind === "probs" ? prediction : [])].every(
      (value) => Number.isNaN(value) || (value >= 0 && value <= 1),
    )
  ) {
    throw new Error("`target` and `prediction` must hold probabilities in [0, 1].");
  }
  return { ...body, target: target.map(raw), prediction: prediction.map(raw), names };
}

function row(values, argument) {
  const words =
    typeof values === "string"
      ? values
          .replace(/[[\]()]/g, " ")
          .replaceAll("−", "-")
          .split(/[\s,]+/)
          .filter(Boolean)
      : values;
  const numbers = words.map((word) =>
    typeof word === "number" ? word : (real(String(word).toLowerCase()) ?? Number(word)),
  );
  const wrong = words.find((word, k) => Number.isNaN(numbers[k]) && String(word).toLowerCase() !== "nan");
  if (numbers.length === 0 || wrong !== undefined)
    throw new Error(`\`${argument}\` must be numbers such as "0.1 0.5 0.4"; '${wrong ?? ""}' is not a number.`);
  return numbers;
}

// the case as the loss sees it: moved, and at its temperature
export function follow(case_, move) {
  const now = { ...case_, target: case_.target.map(real), prediction: case_.prediction.map(real) };
  const tempered = () => {
    if (now.temperature === 1) return now.prediction;
    if (now.kind === "logits") return now.prediction.map((z) => z / now.temperature);
    return softmax(now.prediction.map((q) => Math.log(q) / now.temperature));
  };
  if (move?.of === "kind") {
    const shown = tempered();
    Object.assign(now, {
      kind: move.to,
      temperature: 1,
      prediction: move.to === "probs" ? softmax(shown) : logSoftmax(shown.map(Math.log)),
    });
  } else if (move?.of === "target") {
    now.target = moved(now.target, move.index, move.to, true);
  } else if (move) {
    const logits = now.kind === "logits";
    now.prediction = moved(logits ? now.prediction : tempered(), move.index, move.to, now.locked && !logits);
    if (!logits) now.temperature = 1;
  }
  return { now, seen: tempered() };
}
