// What the reader holds in hand, in a saved file: read, moved, and at its temperature; case.py does the same.

import { logSoftmax, moved, softmax, sum } from "./ce.mjs";
import { raw } from "./digits.mjs";
import { real } from "./dom.mjs";

const MOST_CLASSES = 1000;
const LONGEST_NAME = 80;

export function readCase(body) {
  const prediction = row(body.prediction, "prediction");
  const names = body.names?.map((name) => [...name].slice(0, LONGEST_NAME).join("")) ?? null;
  let target = typeof body.target === "string" ? body.target.trim() : body.target;
  // a name first, also where it is a number: as explain() reads it
  const named = typeof target === "string" ? (names ?? []).indexOf(target) : -1;
  if (named >= 0) target = named;
  else if (typeof target === "string" && /^\d+$/.test(target)) target = Number(target);
  if (typeof target === "number") target = prediction.map((_, k) => (k === target ? 1 : 0));
  target = row(target, "target");
  if (target.filter((p) => p === 1).length > 1) {
    throw new Error("`target` must be one class or a distribution on this page; it has several 1s.");
  }
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
  // what is given as a text or without the word is free where its sum is not 1
  const off = body.kind === "probs" && !(Math.abs(sum(prediction) - 1) <= 1e-6);
  const locked = body.locked === undefined || typeof body.prediction === "string" ? !off : body.locked;
  return { ...body, locked, target: target.map(raw), prediction: prediction.map(raw), names };
}

function row(values, argument) {
  if (typeof values === "string") checkText(values, argument);
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
  if (numbers.length > MOST_CLASSES)
    throw new Error(
      `\`${argument}\` must have 1 to ${MOST_CLASSES} classes on this page; got ${numbers.length}.`,
    );
  if (numbers.length === 0 || wrong !== undefined)
    throw new Error(`\`${argument}\` must be numbers such as "0.1 0.5 0.4"; '${wrong ?? ""}' is not a number.`);
  return numbers;
}

function checkText(text, argument) {
  const words = text.trim().split(/\s+/);
  if (words.length > 1 && words.every((word) => /^[+−-]?\d+,\d+$/.test(word)))
    throw new Error(
      `\`${argument}\` has commas within its numbers, ${words[0]} and so on: write decimal points, ${words
        .slice(0, 3)
        .join(" ")
        .replaceAll(",", ".")}${words.length > 3 ? " ..." : ""}.`,
    );
  const lines = text.split(/^\s*[[(](?![[(])/.test(text) ? ";" : /[;\n]/).filter((line) => /[^\s,[\]()]/.test(line));
  if (lines.length > 1)
    throw new Error(
      `\`${argument}\` must be one row on this page; got ${lines.length} rows: crossent.explain() takes a batch.`,
    );
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
