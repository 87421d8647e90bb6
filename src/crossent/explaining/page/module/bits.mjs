// The screen #bits: what a letter costs, and rectangles whose area is that cost.

import { rectangleChart } from "./charts.mjs";
import { button, field, figure, make, number, put, say, table } from "./dom.mjs";

const EXAMPLES = [
  ["aaaaaaaa", { text: "aaaaaaaa" }],
  ["jteikfqa", { text: "jteikfqa" }],
  ["8 fruits", { count: 8 }],
  ["1024 fruits", { count: 1024 }],
  ["the case on Explain", {}],
];

export function bitsScreen(page) {
  const text = make("input", { type: "text", autocomplete: "off", spellcheck: "false" });
  const [each, all] = [number(null, "bits_each"), number(null, "bits_all")];
  const words = make("span");
  const sentence = make("p", { class: "verdict" });
  const figures = make("div", { class: "figures" });
  const codes = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Codes" });
  const choices = EXAMPLES.map(([name, body]) => [body, button(name, () => choose(body))]);
  const form = make(
    "form",
    { class: "controls", onsubmit: (event) => event.preventDefault() },
    field("A text of your own", text),
    make("div", { class: "choices", role: "group", "aria-label": "Examples" }, ...choices.map((choice) => choice[1])),
  );
  const element = make(
    "section",
    { class: "screen", "aria-label": "Bits and codes" },
    make(
      "div",
      { class: "headline" },
      make(
        "p",
        { class: "loss" },
        make("strong", {}, each, " bits"),
        make("span", { class: "same" }, words, all, make("span", {}, " bits in all")),
      ),
      sentence,
    ),
    form,
    figures,
    make("h2", {}, "The code"),
    codes,
    make(
      "div",
      { class: "actions" },
      button("Show every chart as a table", () => page.showTables(), { class: "as-tables", "aria-pressed": "false" }),
    ),
  );
  const total = all.parentElement.lastChild;

  text.addEventListener("input", () => choose(text.value === "" ? {} : { text: text.value }));

  function choose(body) {
    page.keep("bits", body);
    show();
  }

  let asked = 0;
  async function show() {
    const body = page.state().bits;
    if (document.activeElement !== text) text.value = body.text ?? "";
    for (const [wanted, choice] of choices) choice.setAttribute("aria-pressed", String(same(wanted, body)));
    asked += 1;
    const mine = asked;
    try {
      const given =
        "text" in body
          ? { text: body.text }
          : "count" in body
            ? { count: Number(body.count) }
            : { case: page.state().case };
      const view = await page.compute("bits", given);
      if (mine !== asked) return; // a later question was answered first
      page.complain("bits", "");
      paint(view);
    } catch (error) {
      if (mine === asked) page.complain("bits", error.message);
    }
  }

  function paint(view) {
    put(each, view.each);
    all.hidden = total.hidden = !view.all;
    say(words, view.all ? ` ${view.per} · ` : ` ${view.per}`);
    if (view.all) put(all, view.all);
    say(sentence, view.sentence);
    figures.replaceChildren(
      ...view.pictures.map((picture) =>
        figure(picture.title, rectangleChart(picture), () => areas(picture), picture.note),
      ),
    );
    const rows = view.rows.map((row) => [row.name, row.p, row.ideal, row.length, make("code", {}, row.code)]);
    codes.replaceChildren(
      table(view.caption, ["symbol", "probability", "ideal bits, −log₂", "Huffman bits", "code"], rows),
    );
    if (view.more) codes.append(make("p", { class: "note" }, view.more));
    page.announce(`${view.each[1]} bits ${view.per}. ${view.sentence}`);
  }

  return { element, show };
}

function areas(picture) {
  return table(
    picture.title,
    ["symbol", "height p", "width, bits", "area"],
    [...picture.boxes.map((box) => [box.name, box.p, box.bits, box.area]), ["all", "", "", picture.area]],
  );
}

function same(one, other) {
  return String(one.text ?? "") === String(other.text ?? "") && String(one.count ?? "") === String(other.count ?? "");
}
