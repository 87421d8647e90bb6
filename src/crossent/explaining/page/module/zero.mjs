// The screen #zero: what packages answer while the true class's probability goes to 0.

import { cursor, lineChart } from "./charts.mjs";
import { button, figure, make, newId, number, put, say, table } from "./dom.mjs";

const LAST = 321; // 10^-320 is the last stop before exactly 0
const WATCH_MS = 1000;

export function zeroScreen(page) {
  const label = newId();
  const slide = make("input", { type: "range", min: 0, max: LAST, step: 1, id: label });
  const q = number(null, "q0");
  const exact = number(null, "exact");
  const sentence = make("p", { class: "verdict" });
  const every = make("input", { type: "checkbox", onchange: () => go(place()) });
  const measuring = make("p", { class: "note measuring" });
  const total = make("span");
  const answers = make("div", { class: "scroll answers", tabindex: "0", role: "region", "aria-label": "Answers" });
  const figures = make("div", { class: "figures wide" });
  const stops = [
    ["1", 0],
    ["0.1", 1],
    ["1e−7", 7],
    ["1e−16", 16],
    ["1e−45", 45],
    ["1e−308", 308],
    ["1e−320", 320],
    ["0", LAST],
  ];
  const jumps = stops.map(([text, place]) => button(text, () => go(place)));
  const element = make(
    "section",
    { class: "screen", "aria-label": "At zero" },
    make(
      "div",
      { class: "headline" },
      make(
        "p",
        { class: "loss" },
        make("span", { class: "word" }, "−log "),
        make("strong", {}, q, " = ", exact),
        make("span", { class: "same" }, " nats"),
      ),
      sentence,
    ),
    make(
      "div",
      { class: "controls" },
      make(
        "div",
        { class: "field grow" },
        make("label", { for: label }, "Probability of the true class, from 1 to exactly 0"),
        slide,
      ),
      make("div", { class: "choices", role: "group", "aria-label": "Stops" }, ...jumps),
    ),
    figures,
    make("label", { class: "choice every" }, every, " ", total),
    measuring,
    answers,
    make(
      "div",
      { class: "actions" },
      button("Show every chart as a table", () => page.showTables(), { class: "as-tables", "aria-pressed": "false" }),
    ),
  );
  let curves = null;
  let asked = 0;
  let watching = 0;

  slide.addEventListener("input", () => go(Number(slide.value)));

  function place() {
    const kept = page.state().zero.place ?? LAST;
    return Number.isNaN(Number(kept)) || String(kept).trim() === "" ? kept : Number(kept); // Python says what is wrong
  }

  function go(to) {
    page.keep("zero", { place: to, all: every.checked ? 1 : "" });
    show();
  }

  function restore() {
    slide.value = place();
    every.checked = String(page.state().zero.all ?? "") === "1";
  }

  async function show() {
    const at = place();
    if (!slide.matches(":active")) slide.value = at;
    clearTimeout(watching);
    asked += 1;
    const mine = asked;
    try {
      const view = await page.compute("zero", { place: at, curves: curves === null, all: every.checked });
      if (view.curves) curves = view.curves;
      if (mine !== asked) return;
      page.complain("zero", "");
      paint(view, at);
      watch(view.measuring);
    } catch (error) {
      if (mine === asked) page.complain("zero", error.message);
    }
  }

  // while packages are asked, each that has answered shows in the table
  function watch(known) {
    say(measuring, known.sentence);
    clearTimeout(watching);
    if (!known.going) return;
    watching = setTimeout(async () => {
      if (element.hidden || !element.isConnected) return; // begun again when the screen is opened again
      try {
        const now = await page.compute("measuring", {});
        if (now.done > known.done) show();
        else watch(now);
      } catch {
        say(measuring, "Python no longer answers: what is measured is not known.");
      }
    }, WATCH_MS);
  }

  function paint(view, at) {
    put(q, view.q);
    put(exact, view.exact);
    slide.setAttribute("aria-valuetext", `q = ${view.q[1]}`);
    say(sentence, view.sentence);
    say(total, `Show all ${view.count} functions, not only the best known`);
    const rows = view.rows.map((row) => [
      row.package,
      row.function,
      row.version,
      row.answer,
      row.gradient ?? "",
      row.how,
    ]);
    answers.replaceChildren(
      table(
        "What each package answers",
        ["package", "function", "version", "loss, nats", "gradient", "rule, and how we know"],
        rows,
      ),
    );
    const { svg, across } = lineChart(`Answer of ${curves.lines.length} groups of packages over −log₁₀ q`, {
      across: "−log₁₀ q of the true class",
      up: "answer, nats",
      x: [0, LAST],
      y: [0, 1],
      symlog: true,
      ticksX: [0, 1, 3, 10, 30, 100, 300],
      ticksY: [0, 1, 3, 10, 30, 100, 300, "inf"],
      lines: curves.lines,
      marks: [],
    });
    cursor(svg, across(at));
    figures.replaceChildren(
      figure(
        "Where each goes flat.",
        svg,
        () => table("Largest answer, nats", ["packages", "at q = 0"], curves.flat),
        "A package that clips q stops here, and its gradient with it. Lines: by their rules.",
      ),
    );
    page.announce(`q = ${view.q[1]}: the exact answer is ${view.exact[1]} nats. ${view.sentence}`);
  }

  return { element, show, restore };
}
