// The sum written out, in MathML: symbol, numbers put in, result; terms that are 0 are greyed, not hidden.

import { formula, make } from "./dom.mjs";

function sign(text) {
  return formula("mo", { stretchy: "false" }, text);
}

// alone at the start of its <math> it would be taken for a sign, and lose the space around it
function plus() {
  return formula("mo", { form: "infix" }, "+");
}

function word(text) {
  return formula("mi", {}, text);
}

function count(text) {
  return formula("mn", {}, text);
}

// One <math> per summand, as a long one would not wrap.
export function stepsOf(view) {
  const steps = view.steps;
  const products = steps.terms.map((term, place) =>
    formula(
      "math",
      { class: term.zero ? "zero" : "counted" },
      formula(
        "mrow",
        {},
        ...(place ? [plus()] : [sign("="), sign("−"), sign("(")]),
        count(term.p),
        sign("·"),
        formula("mtext", {}, term.log),
        ...(place === steps.terms.length - 1 && !steps.more ? [sign(")")] : []),
      ),
    ),
  );
  if (steps.more)
    products.push(
      formula("math", {}, formula("mrow", {}, plus(), formula("mtext", {}, `${steps.more} more`), sign(")"))),
    );
  const sum = formula("munder", {}, sign("∑"), word("k"));
  const p = formula("msub", {}, word("p"), word("k"));
  const q = formula("msub", {}, word("q"), word("k"));
  const held = steps.terms.filter((term) => !term.zero);
  const last = held.length === 1 ? [sign("="), sign("−"), formula("mtext", {}, held[0].log)] : [];
  return [
    make(
      "p",
      {},
      formula(
        "math",
        { displaystyle: "true" },
        formula(
          "mrow",
          {},
          word("H"),
          sign("("),
          word("p"),
          sign(","),
          word("q"),
          sign(")"),
          sign("="),
          sign("−"),
          sum,
          p,
          formula("mspace", { width: "0.2em" }),
          formula("mtext", {}, steps.log),
          formula("mspace", { width: "0.2em" }),
          q,
        ),
      ),
    ),
    make("p", { class: "sum" }, ...products.flatMap((product) => [product, " "])),
    make(
      "p",
      {},
      formula(
        "math",
        {},
        formula(
          "mrow",
          {},
          ...last,
          sign("="),
          formula("mn", { "data-name": "result", "data-value": view.loss[0] }, steps.result),
          formula("mspace", { width: "0.35em" }),
          formula("mtext", {}, view.unit),
        ),
      ),
    ),
  ];
}
