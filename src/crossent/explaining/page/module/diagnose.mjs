// The screen #diagnose: from the number one sees to what may have caused it.

import { lineChart } from "./charts.mjs";
import { button, field, figure, make, say, table } from "./dom.mjs";

const EXAMPLES = [
  ["1.4612, 10 classes", { loss: "1.4612", classes: "10" }],
  ["2.3026, 10 classes", { loss: "2.3026", classes: "10" }],
  ["16.118", { loss: "16.118" }],
  ["3.31035117, 2 classes", { loss: "3.31035117", classes: "2" }],
];
const FIELDS = ["loss", "classes", "function", "history", "outputs", "kind", "targets"];

export function diagnoseScreen(page) {
  const inputs = {
    loss: make("input", { type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false" }),
    classes: make("input", { type: "text", inputmode: "numeric", autocomplete: "off", spellcheck: "false" }),
    function: make("input", {
      type: "text",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "torch.nn.CrossEntropyLoss",
    }),
    history: make("textarea", {
      rows: 4,
      spellcheck: "false",
      placeholder: "2.31, 2.30, 2.30, … or a CSV with a column of losses",
    }),
  };
  inputs.outputs = make("textarea", { rows: 4, spellcheck: "false", placeholder: "0.1 0.5 0.4\n0.7 0.2 0.1" });
  inputs.targets = make("textarea", { rows: 2, spellcheck: "false", placeholder: "0 2" });
  inputs.kind = make(
    "select",
    {},
    make("option", { value: "" }, "logits"),
    make("option", { value: "probs" }, "probabilities"),
  );
  const batch = make(
    "details",
    {},
    make("summary", {}, "A batch of outputs and targets"),
    field("Outputs, one row per line", inputs.outputs),
    field("They were meant to be", inputs.kind),
    field("Targets: class ids, or one row per line", inputs.targets),
  );
  const sentence = make("p", { class: "verdict" });
  const found = make("ol", { class: "found" });
  const figures = make("div", { class: "figures wide" });
  const form = make(
    "form",
    {
      class: "diagnose",
      onsubmit: (event) => {
        event.preventDefault();
        go(Object.fromEntries(FIELDS.map((name) => [name, inputs[name].value.trim()])));
      },
    },
    make(
      "div",
      { class: "controls" },
      field("Loss you see", inputs.loss),
      field("Classes", inputs.classes),
      field("Loss function (may stay empty)", inputs.function, { class: "field grow" }),
    ),
    field("Or a history of losses", inputs.history, { class: "field" }),
    batch,
    make(
      "div",
      { class: "actions" },
      make("button", { type: "submit", class: "main" }, "Diagnose"),
      ...EXAMPLES.map(([text, body]) => button(text, () => go(body))),
    ),
  );
  const element = make(
    "section",
    { class: "screen", "aria-label": "Diagnose" },
    make("h2", { class: "first" }, "What does this number mean?"),
    form,
    sentence,
    found,
    figures,
    make(
      "div",
      { class: "actions" },
      button("Show every chart as a table", () => page.showTables(), { class: "as-tables", "aria-pressed": "false" }),
    ),
  );
  let asked = 0;

  function go(body) {
    page.keep("diagnose", Object.fromEntries(FIELDS.map((name) => [name, body[name] ?? ""])));
    show();
  }

  async function show() {
    const body = Object.fromEntries(FIELDS.map((name) => [name, String(page.state().diagnose[name] ?? "")]));
    for (const name of FIELDS) if (inputs[name].value.trim() !== body[name]) inputs[name].value = body[name];
    batch.open ||= body.outputs !== "" || body.targets !== "";
    asked += 1;
    const mine = asked;
    if (FIELDS.every((name) => name === "kind" || body[name] === "")) {
      clear();
      page.complain("diagnose", "");
      return;
    }
    try {
      const view = await page.compute("diagnose", body);
      if (mine !== asked) return;
      page.complain("diagnose", "");
      paint(view);
    } catch (error) {
      if (mine !== asked) return;
      clear();
      page.complain("diagnose", error.message);
    }
  }

  function clear() {
    for (const part of [sentence, found, figures]) part.replaceChildren();
  }

  function paint(view) {
    say(sentence, view.sentence);
    found.replaceChildren(...view.findings.map(findingOf));
    figures.replaceChildren();
    if (view.curve) {
      const { svg } = lineChart("The history of losses, with lines to compare", view.curve.plot);
      figures.append(figure("The history.", svg, () => table("Lines to compare", ["line", "loss"], view.curve.rows)));
    }
    page.announce(view.sentence);
  }

  return { element, show };
}

function findingOf(finding) {
  const parts = [make("h3", {}, finding.message, " ", make("span", { class: "code" }, finding.code))];
  if (finding.advice) parts.push(make("p", {}, finding.advice));
  if (finding.evidence.length) parts.push(listed("Evidence", finding.evidence));
  if (finding.rivals.length) parts.push(listed("It could also be", finding.rivals));
  if (finding.decide) parts.push(make("p", {}, make("strong", {}, "To be sure: "), finding.decide));
  if (finding.fix.length) {
    parts.push(
      make(
        "details",
        {},
        make("summary", {}, "How to fix it"),
        ...finding.fix.map(([name, code]) =>
          make(
            "div",
            {},
            make("h4", {}, name),
            make("pre", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Fix for ${name}` }, code),
          ),
        ),
      ),
    );
  }
  return make("li", { class: `finding ${finding.severity}` }, ...parts);
}

function listed(title, texts) {
  return make(
    "div",
    { class: "listed" },
    make("strong", {}, title),
    make("ul", {}, ...texts.map((text) => make("li", {}, text))),
  );
}
