// The answer about bits and codes in a saved file: the shape of Python's bits.py.

import { UNIT, contributions, entropy, huffman, read, sum } from "./ce.mjs";
import { amount, cells, compact } from "./digits.mjs";
import { follow, readCase } from "./twin_case.mjs";

const SHORT = 12;

export function bitsView(body) {
  let [q, names, per, all, sentence, p] = [[], [], "", null, "", null];
  if ("text" in body) {
    const letters = [...body.text];
    const counts = new Map();
    for (const letter of letters) counts.set(letter, (counts.get(letter) ?? 0) + 1);
    q = [...counts.values()].map((count) => count / letters.length);
    names = [...counts.keys()].map((letter) => ({ " ": "space", "\n": "line end", "\t": "tab" })[letter] ?? letter);
    per = "per letter";
    all = cells.amount((entropy(q) / UNIT[2]) * letters.length);
    sentence = `${counts.size} different ${counts.size === 1 ? "letter" : "letters"} among ${letters.length}. `;
  } else if ("count" in body) {
    q = Array(body.count).fill(1 / body.count);
    names = q.map((_, k) => `fruit ${k + 1}`);
    per = "per fruit";
    sentence = `${body.count} equally likely fruits: log₂ ${body.count} = ${amount(entropy(q) / UNIT[2])}. `;
  } else {
    const { now, seen } = follow(readCase(body.case), null);
    p = now.target;
    q = read(seen, now.kind).q;
    names = now.names ?? p.map((_, k) => String(k));
    per = "per class drawn from q, with the code made for q";
    sentence = `Written with that same code, the truth p costs H(p,q) = ${amount(sum(contributions(p, read(seen, now.kind).logQ)) / UNIT[2])} bits. `;
  }
  const ideal = q.map((value) => 0 - Math.log(value) / UNIT[2]);
  const codes = huffman(q);
  if (codes)
    sentence += `A Huffman code takes ${compact(sum(q.map((value, k) => value * (codes[k]?.length ?? 0))) / sum(q))} bits on average.`;
  const order = [...q.keys()].sort((one, other) => q[other] - q[one] || one - other);
  const picture = (title, note, heights) => {
    const kept = order
      .slice(0, 4 * SHORT)
      .filter((k) => heights[k] > 0)
      .sort((one, other) => one - other);
    const area = sum(heights.map((height, k) => (height === 0 ? 0 : height * ideal[k])));
    return {
      title,
      note,
      area: cells.amount(area),
      boxes: kept.map((k) => ({
        name: names[k],
        p: cells.compact(heights[k]),
        bits: cells.amount(ideal[k]),
        area: cells.amount(heights[k] * ideal[k]),
      })),
    };
  };
  const pictures = [
    picture(
      "The prediction q, in the code made for q.",
      "Height is probability, width −log₂ q: the area is the entropy.",
      q,
    ),
  ];
  if (p) pictures.push(picture("The truth p, in the code made for q.", "This area is the cross-entropy: the loss.", p));
  return {
    each: cells.amount(entropy(q) / UNIT[2]),
    all,
    per,
    sentence,
    pictures,
    caption: "Ideal length, and a Huffman code",
    rows: order.slice(0, SHORT).map((k) => ({
      name: names[k],
      p: cells.box(q[k]),
      ideal: cells.amount(ideal[k]),
      length: codes?.[k] === null || !codes ? ["", "–"] : cells.compact(codes[k].length),
      code: codes?.[k] === null || !codes ? "–" : codes[k] || "(nothing)",
    })),
    more: order.length > SHORT ? `and ${order.length - SHORT} more.` : "",
  };
}
