// The screen #explain: one prediction that can be dragged.

import { sliceChart, sliceTable, splitChart, splitTable, surprisalChart, surprisalTable } from "./charts.mjs";
import { button, field, figure, make, misread, newId, number, put, say, shorten } from "./dom.mjs";
import { classTable } from "./rows.mjs";
import { stepsOf } from "./steps.mjs";

const INPUTS = [
  ["locked", "probabilities, others rescale"],
  ["free", "probabilities, free"],
  ["logits", "logits"],
];
const UNITS = [
  ["e", "nats"],
  ["2", "bits"],
  ["10", "hartleys"],
];

export function explainScreen(page) {
  const head = headline();
  const classes = classTable(page);
  const controls = controlRow(page);
  const guess = guessRow(page);
  const own = ownNumbers(page);
  const findings = make("div", { class: "findings", hidden: true });
  const scaled = make("div", { class: "scaled", hidden: true });
  const figures = make("div", { class: "figures" });
  const steps = make("div", {
    class: "steps scroll",
    tabindex: "0",
    role: "region",
    "aria-label": "The sum, step by step",
  });
  const words = make("div", { class: "words" });
  const program = make("pre", {
    class: "program scroll",
    tabindex: "0",
    role: "region",
    "aria-label": "The same as Python",
  });
  const copied = make("span", { class: "copied", "aria-live": "polite" });
  const answers = [figures, make("h2", {}, "Step by step"), steps, words];
  const hidden = make("div", {}, ...answers);
  const element = make(
    "section",
    { class: "screen", "aria-label": "Explain" },
    head.element,
    guess.element,
    controls.element,
    classes.element,
    scaled,
    findings,
    hidden,
    make(
      "div",
      { class: "actions" },
      button("Copy as Python", () => copy(program.textContent, copied)),
      button("Show every chart as a table", () => page.showTables(), { class: "as-tables", "aria-pressed": "false" }),
      button("Guess first", (event) => guess.begin(event.currentTarget)),
      button(`Reset to ${page.resetTo}`, () => page.reset()),
      copied,
    ),
    program,
    own.element,
  );

  function show(view) {
    const hide = guess.hides(view);
    element.classList.toggle("guessing", hide);
    hidden.hidden = hide;
    head.show(view, hide);
    classes.show(view);
    controls.show(view);
    showFindings(findings, view.findings);
    showScaled(scaled, view);
    figures.replaceChildren(...pictures(view));
    steps.replaceChildren(...stepsOf(view));
    words.replaceChildren(...sentences(view));
    say(program, view.python);
    own.show(view);
  }

  return { element, show, announcement: (view) => (guess.hides(view) ? "" : spoken(view)) };
}

function headline() {
  const [loss, nats, bits] = [number(null, "loss"), number(null, "loss_nats"), number(null, "loss_bits")];
  const [unit, chance, verdict] = [make("span"), make("span", { class: "chance" }), make("p", { class: "verdict" })];
  const same = make("span", { class: "same" });
  const question = make(
    "p",
    { class: "question", hidden: true },
    "What do you expect the loss to be? The numbers below are all you need.",
  );
  const line = make(
    "p",
    { class: "loss" },
    make("span", { class: "word" }, "Loss "),
    make("strong", {}, loss, " ", unit),
    same,
  );
  const element = make("div", { class: "headline" }, line, verdict, question);
  return {
    element,
    show(view, hide) {
      line.hidden = verdict.hidden = hide;
      question.hidden = !hide;
      if (hide) return;
      put(loss, view.loss);
      say(unit, view.unit);
      put(nats, view.loss_nats);
      put(bits, view.loss_bits);
      say(chance, view.chance);
      const parts = [];
      if (view.base !== "e") parts.push(" = ", nats, " nats");
      if (view.base !== "2") parts.push(" = ", bits, " bits");
      same.replaceChildren(...parts, " · ", chance);
      say(verdict, `${view.verdict} ${view.guess_text}`);
    },
  };
}

function spoken(view) {
  return `Loss ${view.loss[1]} ${view.unit}. ${view.chance}. ${view.verdict}`;
}

function controlRow(page) {
  const group = newId();
  const radios = INPUTS.map(([mode, label]) => {
    const input = make("input", { type: "radio", name: group, value: mode, onchange: () => page.mode(mode) });
    return [mode, input, make("label", { class: "choice" }, input, ` ${label}`)];
  });
  const slide = make("input", { type: "range", min: 0.1, max: 5, step: 0.1, "aria-label": "temperature" });
  const exact = make("input", {
    type: "number",
    min: 0.01,
    max: 100,
    step: "any",
    "aria-label": "temperature, as a number",
  });
  const units = make(
    "select",
    { onchange: () => page.change({ base: units.value }) },
    ...UNITS.map(([base, name]) => make("option", { value: base }, name)),
  );
  slide.addEventListener("input", () => page.change({ temperature: Number(slide.value) }, "temperature"));
  exact.addEventListener("change", () => {
    const wrong = misread(exact, "the temperature", "a number from 0.01 to 100, such as 1.5");
    if (wrong || exact.value === "") page.refuse(wrong ?? "");
    else page.change({ temperature: Number(exact.value) });
  });
  const tempered = make("p", { class: "note tempered", hidden: true });
  const element = make(
    "div",
    { class: "controls" },
    make("fieldset", { class: "inputs" }, make("legend", {}, "Input"), ...radios.map((radio) => radio[2])),
    make("div", { class: "field temperature" }, make("span", { "aria-hidden": "true" }, "Temperature T"), slide, exact),
    field("Unit", units),
    tempered,
  );
  return {
    element,
    show(view) {
      const mode = view.kind === "probs" ? (view.locked ? "locked" : "free") : "logits";
      for (const [name, input] of radios) input.checked = name === mode;
      if (!slide.matches(":active")) slide.value = view.temperature[0];
      // what is being typed is not written over, what was refused is
      if (document.activeElement !== exact || !exact.validity.valid || exact.value === "") exact.value = view.temperature[2];
      tempered.hidden = mode !== "free" || view.temperature[0] === 1;
      say(tempered, `At T = ${view.temperature[1]} the loss sees softmax(log q / T), which sums to 1; at T = 1 it sees q.`);
      units.value = view.base;
    },
  };
}

function guessRow(page) {
  const input = make("input", { type: "number", step: "any", min: 0 });
  const label = make("span", {}, "Your guess of the loss");
  const reveal = make("p", { class: "reveal", hidden: true, tabindex: "-1" });
  const form = make(
    "form",
    {
      class: "guess",
      hidden: true,
      onsubmit: (event) => {
        event.preventDefault();
        if (input.value === "") return;
        said = true;
        page.change({ guess: Number(input.value) });
      },
    },
    make("label", {}, label, " ", input),
    make("button", { type: "submit" }, "Show"),
    button("Skip", () => end()),
  );
  const element = make("div", {}, form, reveal);
  let open = false;
  let said = false; // a view may still hold the answer to the guess before
  let opener = null;

  function end() {
    open = false;
    form.hidden = true;
    page.again();
    opener.focus();
  }
  return {
    element,
    begin(from) {
      opener = from;
      open = true;
      said = false;
      input.value = "";
      form.hidden = false;
      reveal.hidden = true;
      page.again();
      input.focus();
    },
    hides(view) {
      if (open && said && view.reveal) {
        open = false;
        form.hidden = true;
        say(reveal, view.reveal);
        reveal.hidden = false;
        reveal.focus(); // the button that was pressed is gone, and focus with it
      }
      say(label, `Your guess of the loss, in ${view.unit}`);
      return open;
    },
  };
}

function showFindings(box, findings) {
  box.hidden = findings.length === 0;
  box.replaceChildren(
    ...findings.map((finding) =>
      make(
        "div",
        {},
        make("p", {}, make("strong", {}, finding.code), ` ${finding.message}`),
        make("p", { class: "advice" }, finding.advice),
      ),
    ),
  );
}

// "free" keeps a sum that is not 1, and then it matters who rescales
function showScaled(box, view) {
  box.hidden = !view.scaled;
  if (!view.scaled) return;
  const groups = view.scaled.map((group) =>
    make("li", {}, number(group.answer, "scaled"), ` ${view.unit}: ${group.who}`),
  );
  box.replaceChildren(
    make("p", {}, `The prediction sums to ${view.sum_q[1]}. Some packages rescale it first, some do not:`),
    make("ul", {}, ...groups),
  );
}

function pictures(view) {
  const found = [
    figure(
      "What each class costs.",
      surprisalChart(view),
      () => surprisalTable(view),
      "The curve has no top: at q = 0 the cost is infinite. Thin lines: where packages clip, by their rules.",
    ),
    figure(
      "Where the loss comes from.",
      splitChart(view),
      () => splitTable(view),
      "H(p) is the floor that no prediction beats; KL is what this one could still save.",
    ),
  ];
  if (view.slice) {
    found.push(
      figure(
        `If only the logit of ${shorten(view.slice.name, 40)} moved.`,
        sliceChart(view),
        () => sliceTable(view),
        "The dashed tangent is the gradient: steepest where the loss is worst.",
      ),
    );
  }
  return found;
}

function sentences(view) {
  const twice = view.as_logits;
  const found = [
    make(
      "p",
      {},
      "H(q) = ",
      number(view.entropy_q_bits, "entropy_q_bits"),
      " bits: how unsure the model itself is. JS(p,q) = ",
      number(view.js_bits, "js_bits"),
      " bits: 0 if both agree, 1 if they share no class.",
    ),
    make(
      "p",
      {},
      "The gradient’s length is ",
      number(view.grad_norm, "grad_norm"),
      ". The loss does not see how the wrong classes share the rest; the gradient does.",
    ),
  ];
  if (twice) {
    const parts = [
      "If these numbers went into a function that expects logits, it would report ",
      number(twice.loss, "as_logits"),
    ];
    if (twice.lowest) parts.push(", never below ", number(twice.lowest, "lowest"));
    if (twice.ratio && twice.ratio[0] === "inf") parts.push(", with no gradient at all");
    else if (twice.ratio) parts.push(", with ", number(twice.ratio, "ratio"), "× weaker gradients");
    found.push(make("p", {}, ...parts, "."));
  }
  return found;
}

function ownNumbers(page) {
  const target = make("input", { type: "text", autocomplete: "off", spellcheck: "false" });
  const prediction = make("input", { type: "text", autocomplete: "off", spellcheck: "false" });
  const names = make("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: "cat, dog, fox" });
  const form = make(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        const given = readNames(names.value);
        page.replace({ target: target.value, prediction: prediction.value, names: given.length ? given : null });
      },
    },
    field("Target: a class id, or one number per class", target),
    field("Prediction: one number per class", prediction),
    field("Names, separated by commas (may stay empty); one with a comma in double quotes", names),
    make("button", { type: "submit" }, "Explain these"),
  );
  const element = make("details", { class: "own" }, make("summary", {}, "Your own numbers"), form);
  return {
    element,
    show(view) {
      if (element.contains(document.activeElement)) return;
      const long = view.classes > 100; // a field of that length helps nobody, nor do the numbers of the case before
      target.value = long ? "" : view.target.join(" ");
      prediction.value = long ? "" : view.prediction.join(" ");
      names.value = long ? "" : (view.names ?? []).map(quoted).join(", ");
    },
  };
}

function quoted(name) {
  return /[,"]|^\s|\s$/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
}

function readNames(text) {
  const words = text.match(/\s*"(?:[^"]|"")*"\s*(?=,|$)|[^,]+/g) ?? [];
  const plain = (word) => (/^".*"$/s.test(word) ? word.slice(1, -1).replaceAll('""', '"') : word);
  return words.map((word) => plain(word.trim())).filter(Boolean);
}

async function copy(text, note) {
  try {
    await navigator.clipboard.writeText(text);
    say(note, "Copied.");
  } catch {
    say(note, "Select the two lines below: this browser does not let a page copy.");
  }
  setTimeout(() => say(note, ""), 4000);
}
