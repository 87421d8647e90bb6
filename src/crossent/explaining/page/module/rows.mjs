// The table of classes: per class the truth, the prediction on a slider, what it costs and where a step moves it.

import { gradientBar } from "./charts.mjs";
import { draw, make, misread, newId, number, put, say, value } from "./dom.mjs";

const HEADS = ["class", "target p", "predicted q", "−log q", "p·(−log q)", "∂L/∂q", "∂L/∂z = q−p", "descent"];
const STEPS = { raise: "▲ raise", lower: "▼ lower", stay: "– stay", "": "" };

export function classTable(page) {
  const group = newId();
  const body = make("tbody", { role: "rowgroup" });
  const sums = {};
  const foot = make("tfoot", { role: "rowgroup" }, sumRow(sums));
  const heads = HEADS.map((text) => make("th", { scope: "col", role: "columnheader" }, text));
  const caption = make("caption", {}, "Drag a slider, or type a number: everything else follows");
  const element = make(
    "table",
    { role: "table", class: "classes" },
    caption,
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads)),
    body,
    foot,
  );
  let lines = [];
  let signature = "";

  function show(view) {
    const wanted = view.rows.map((row) => `${row.index}:${row.name}`).join("\n");
    if (wanted !== signature) {
      signature = wanted;
      lines = view.rows.map((row) => classLine(page, row, group));
      body.replaceChildren(...lines.map((line) => line.element));
      if (view.rest) body.append(restRow(view.rest));
    } else if (view.rest) {
      body.lastChild.replaceWith(restRow(view.rest));
    }
    view.rows.forEach((row, place) => lines[place].show(row, view));
    say(heads[2], view.kind === "probs" ? HEADS[2] : "predicted z");
    const off = Math.abs(value(view.sum_q) - 1) > 1e-6;
    put(sums.p, view.sum_p);
    put(sums.q, view.sum_q);
    say(sums.check, off ? " not 1" : " ✓");
    put(sums.contribution, view.sum_contribution);
    put(sums.grad, view.sum_grad);
  }
  return { element, show };
}

function cell(name, label, ...children) {
  return make("td", { role: "cell", class: name, "data-label": label }, ...children);
}

function classLine(page, row, group) {
  const star = make("input", {
    type: "radio",
    name: group,
    "aria-label": `${row.name} is the true class`,
    onchange: () => page.makeTrue(row.index),
  });
  const truth = make("input", { type: "number", min: 0, max: 1, step: "any", "aria-label": `target p of ${row.name}` });
  const slide = make("input", { type: "range", "aria-label": `predicted for ${row.name}` });
  const exact = make("input", { type: "number", step: "any", "aria-label": `predicted for ${row.name}, as a number` });
  const q = number(null, "q");
  const parts = {
    surprisal: number(null, "surprisal"),
    contribution: number(null, "contribution"),
    grad_prob: number(null, "grad_prob"),
    grad_logit: number(null, "grad_logit"),
  };
  const bar = draw("svg", { viewBox: "0 0 120 22", class: "bar", "aria-hidden": "true" });
  const step = make("span", { class: "step" });
  let gesture = null;

  slide.addEventListener("input", () => {
    gesture ||= {};
    page.move("prediction", row.index, Number(slide.value), gesture);
  });
  // a keyboard step ends at once, a drag when the pointer lets go: until then the others rescale from where it began
  slide.addEventListener("change", () => {
    gesture = null;
  });
  slide.addEventListener("focus", () => page.slice(row.index));
  exact.addEventListener("change", () => commit(exact, "prediction"));
  truth.addEventListener("change", () => commit(truth, "target"));

  function commit(input, of) {
    const range = input.max === "" ? "a number such as -1.5" : "a number from 0 to 1, such as 0.25";
    const letter = of === "target" ? "p" : input.max === "" ? "z" : "q";
    const wrong = misread(input, `${letter} of ${row.name}`, range);
    if (wrong || input.value === "") page.refuse(wrong ?? "");
    else page.move(of, row.index, Number(input.value), {});
  }

  function show(now, view) {
    const logits = view.kind !== "probs";
    const held = value(now.p) > 0;
    element.classList.toggle("true", held);
    star.checked = view.true_class === row.index;
    fill(truth, now.p);
    range(slide, now.given, logits);
    exact.min = logits ? "" : 0;
    exact.max = logits ? "" : 1;
    fill(exact, now.given);
    slide.setAttribute(
      "aria-valuetext",
      `${now.given[1]}, ${now.name}${held ? ", true class" : ""}${logits ? `, q ${now.q[1]}` : ""}`,
    );
    put(q, now.q);
    // in the DOM either way, as a test and a reader's own script look it up; shown where the slider is a logit
    q.parentElement.classList.toggle("hushed", !logits && view.temperature[0] === 1);
    for (const [name, part] of Object.entries(parts)) put(part, now[name]);
    parts.contribution.classList.toggle("faint", !held);
    bar.replaceChildren(...gradientBar(now));
    say(step, STEPS[now.direction]);
    step.className = `step ${now.direction}`;
  }

  const element = make(
    "tr",
    { role: "row" },
    make(
      "th",
      { scope: "row", role: "rowheader" },
      make(
        "label",
        { class: "name" },
        star,
        make("span", { class: "star", "aria-hidden": "true" }),
        make("span", {}, row.name),
      ),
    ),
    cell("truth", "target p", truth),
    cell("predicted", "predicted q", slide, exact, make("span", { class: "as-q" }, "q = ", q)),
    cell("amount", "−log q", parts.surprisal),
    cell("amount", "p·(−log q)", parts.contribution),
    cell("amount", "∂L/∂q", parts.grad_prob),
    cell("gradient", "∂L/∂z", bar, parts.grad_logit),
    cell("descent", "descent", step),
  );
  return { element, show };
}

function fill(input, given) {
  input.dataset.value = given[0];
  // what is being typed is not written over
  if (document.activeElement !== input || input.value === "" || Number(input.value) !== value(given)) {
    if (input.value !== given[2]) input.value = given[2];
  }
  input.placeholder = given[2] === "" ? given[1] : "";
}

function range(slide, given, logits) {
  const now = value(given);
  const reach = logits && Number.isFinite(now) ? Math.max(10, Math.ceil(Math.abs(now))) : 10;
  slide.min = logits ? -reach : 0;
  slide.max = logits ? reach : 1;
  slide.step = logits ? 0.1 : 0.01;
  slide.dataset.value = given[0];
  const thumb = now === -Infinity ? -reach : now === Infinity ? reach : Number.isNaN(now) ? 0 : now;
  if (!slide.matches(":active")) slide.value = thumb;
}

function restRow(rest) {
  return make(
    "tr",
    { role: "row", class: "rest" },
    make("th", { scope: "row", role: "rowheader" }, `${rest.count} more`),
    cell("truth", "target p", number(rest.p)),
    cell("predicted", "predicted q", number(rest.q)),
    cell("amount", "−log q"),
    cell("amount", "p·(−log q)", number(rest.contribution)),
    cell("amount", "∂L/∂q"),
    cell("gradient", "∂L/∂z", number(rest.grad_logit)),
    cell("descent", "descent"),
  );
}

function sumRow(sums) {
  sums.p = number(null, "sum_p");
  sums.q = number(null, "sum_q");
  sums.check = make("span", { class: "check" });
  sums.contribution = number(null, "sum_contribution");
  sums.grad = number(null, "sum_grad");
  return make(
    "tr",
    { role: "row" },
    make("th", { scope: "row", role: "rowheader" }, "sum"),
    cell("truth", "target p", sums.p),
    cell("predicted", "predicted q", sums.q, sums.check),
    cell("amount", "−log q"),
    cell("amount", "p·(−log q)", sums.contribution),
    cell("amount", "∂L/∂q"),
    cell("gradient", "∂L/∂z", sums.grad),
    cell("descent", "descent"),
  );
}
