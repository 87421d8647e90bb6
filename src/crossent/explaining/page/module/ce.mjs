// The JavaScript twin of crossent.definitions, for a file that no Python stands behind. It takes the same steps in the
// same order, but Math.exp and Math.log may differ from Python's by an ulp: tests hold it to a relative 1e-12.

const SMALLEST_NORMAL = 2.2250738585072014e-308;
export const UNIT = { e: 1, 2: Math.log(2), 10: Math.log(10) };

// Neumaier's sum: the rounding errors are added up beside the sum. Infinities and NaN have no error to keep.
export function sum(values) {
  let total = 0;
  let lost = 0;
  for (const value of values) {
    const next = total + value;
    lost += Math.abs(total) >= Math.abs(value) ? total - next + value : value - next + total;
    total = next;
  }
  return Number.isNaN(lost) || !Number.isFinite(total) ? total : total + lost;
}

// distance of each logit below the largest, and the sum of the others' exp: nothing overflows and nothing cancels
function parts(logits) {
  const largest = logits.some(Number.isNaN) ? NaN : Math.max(...logits);
  const top = logits.indexOf(largest);
  const undefinedRow =
    Number.isNaN(largest) || largest === -Infinity || logits.filter((z) => z === Infinity).length > 1;
  const distance = logits.map((z) => (undefinedRow ? NaN : z === largest ? 0 : largest - z));
  const rest = sum(distance.map((d, k) => (k === top ? 0 : Math.exp(-d))));
  return { distance, top, rest };
}

export function softmax(logits) {
  const { distance, rest } = parts(logits);
  return distance.map((d) => Math.exp(-d) / (1 + rest));
}

export function logSoftmax(logits) {
  const { distance, rest } = parts(logits);
  return distance.map((d) => 0 - (d + Math.log1p(rest)));
}

// { q, logQ } of a prediction given as probabilities or as logits
export function read(prediction, kind) {
  if (kind === "logits") return { q: softmax(prediction), logQ: logSoftmax(prediction) };
  return { q: prediction, logQ: prediction.map(Math.log) };
}

// p (-log q), with 0 log 0 = 0
export function contributions(p, logQ) {
  return p.map((weight, k) => (weight === 0 && logQ[k] === -Infinity ? 0 : weight * -logQ[k] + 0));
}

export function entropy(p) {
  return 0 - sum(p.map((weight) => (weight === 0 ? 0 : weight * Math.log(weight))));
}

// H(q) with log q as it came: the logarithm of a q that rounds to 1 would be 0
export function entropyOf({ q, logQ }) {
  return sum(contributions(q, logQ)) + 0;
}

// log(p/q) to a small relative error, as log1p where the two are close
function logRatio(p, q, difference) {
  if (Math.abs(difference) < q / 2) return Math.log1p(difference / q);
  const ratio = p / q;
  return ratio > SMALLEST_NORMAL && ratio < Infinity ? Math.log(ratio) : Math.log(p) - Math.log(q);
}

function relativeEntropy(p, q, difference) {
  return p === 0 ? 0 * q : p * logRatio(p, q, difference);
}

export function klDivergence(p, q) {
  return sum(p.map((weight, k) => relativeEntropy(weight, q[k], weight - q[k])));
}

export function jsDivergence(p, q) {
  return (
    sum(
      p.map((a, k) => {
        const b = q[k];
        return relativeEntropy(2 * a, a + b, a - b) + relativeEntropy(2 * b, a + b, b - a);
      }),
    ) / 4
  );
}

// dL/dz: from logits without the cancellation of p_true - 1
export function gradLogits(prediction, kind, p) {
  const total = sum(p);
  if (kind !== "logits") return prediction.map((q, k) => q * total - p[k] + 0);
  const { distance, top, rest } = parts(prediction);
  return distance.map((d, k) => {
    const q = Math.exp(-d) / (1 + rest);
    return q * (total - p[k]) - p[k] * (k === top ? rest / (1 + rest) : 1 - q) + 0;
  });
}

// dL/dq
export function gradProbs(p, q) {
  return p.map((weight, k) => 0 - (weight === 0 && q[k] === 0 ? 0 : weight / q[k]));
}

export function norm(values) {
  return Math.sqrt(sum(values.map((value) => value * value)));
}

// KL where q underflows under the truth is what is left of the loss
export function klOf(p, { q, logQ }, loss) {
  const vanished = p.some((weight, k) => weight > 0 && q[k] < SMALLEST_NORMAL && logQ[k] > -Infinity);
  return vanished ? loss - entropy(p) : klDivergence(p, q);
}

// Huffman's code: one word per class, null where q = 0. Equal weights: leaves before inner nodes, older before younger.
export function huffman(q) {
  const nodes = [...q.entries()]
    .filter(([, weight]) => weight > 0)
    .map(([node, weight]) => ({ weight, node, depth: 0 }));
  if (!q.every(Number.isFinite) || nodes.length === 0) return null;
  const leaves = [...nodes];
  const heap = [...nodes];
  let made = nodes.at(-1).node;
  const before = (one, other) => one.weight - other.weight || one.node - other.node;
  heap.sort(before);
  while (heap.length > 1) {
    const [left, right] = heap.splice(0, 2);
    made += 1;
    const parent = { weight: left.weight + right.weight, node: made, children: [left, right] };
    // binary search keeps 1000 classes quick
    let [low, high] = [0, heap.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (before(heap[middle], parent) < 0) low = middle + 1;
      else high = middle;
    }
    heap.splice(low, 0, parent);
  }
  const deeper = [[heap[0], 0]];
  while (deeper.length) {
    const [node, depth] = deeper.pop();
    node.depth = depth;
    for (const child of node.children ?? []) deeper.push([child, depth + 1]);
  }
  const words = q.map(() => null);
  let code = 0n;
  let previous = 0;
  for (const leaf of [...leaves].sort((one, other) => one.depth - other.depth || one.node - other.node)) {
    code <<= BigInt(leaf.depth - previous);
    previous = leaf.depth;
    words[leaf.node] = previous ? code.toString(2).padStart(previous, "0") : "";
    code += 1n;
  }
  return words;
}

// one probability moves; locked, the others share the rest as they did, or evenly from 0
export function moved(values, index, to, locked) {
  const others = values.filter((_, k) => k !== index);
  if (!locked) return values.map((value, k) => (k === index ? to : value));
  if (others.length === 0) return [1];
  const largest = Math.max(...others);
  const total = sum(others.map((value) => value / largest)); // divided first, as 1 over a sum of subnormals is inf
  return values.map((value, k) =>
    k === index ? to : largest > 0 ? (value / largest) * ((1 - to) / total) : (1 - to) / others.length,
  );
}

// everything at once, as the tests compare it with Python
export function measure(target, prediction, kind) {
  const both = read(prediction, kind);
  const shares = contributions(target, both.logQ);
  const loss = sum(shares) + 0;
  return {
    q: both.q,
    surprisal: both.logQ.map((log) => 0 - log),
    contribution: shares,
    loss,
    entropy_target: entropy(target),
    entropy_prediction: entropyOf(both),
    kl: klOf(target, both, loss),
    js: jsDivergence(target, both.q),
    grad_logit: gradLogits(prediction, kind, target),
    grad_prob: gradProbs(target, both.q),
    grad_norm: norm(gradLogits(prediction, kind, target)),
    huffman: huffman(both.q),
  };
}
