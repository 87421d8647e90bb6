// The page: its screens, its state, and the one way in which it asks for numbers.

import { make, say, tables } from "./dom.mjs";
import { readAddress, writeAddress } from "./address.mjs";

// the question that started this library, with names for its five classes
const FOUNDING = {
  target: [1, 0, 0, 0, 0],
  prediction: [0.1, 0.5, 0.1, 0.1, 0.2],
  names: ["cat", "dog", "fox", "cow", "owl"],
  kind: "probs",
  base: "e",
  temperature: 1,
  locked: true,
};
const QUIET_MS = 500; // a screen reader is told once the reader's hand rests, not at every step of a drag

// screens: name -> [title, maker]; compute(question, body) -> Promise of the answer is the only contact with the outside.
export function start(root, { screens: makers, compute, first = {}, address = false }) {
  const names = Object.keys(makers);
  const untouched = { ...FOUNDING, names: first.target ? null : FOUNDING.names, ...first };
  let state = { screen: names[0], case: { ...untouched }, bits: {}, zero: {}, diagnose: {} };
  let view = null; // the last answer about the case
  let rows = null; // the classes that are on the page, so that they keep their places while they are dragged
  let sliced = null;
  let drawn = null; // the base of the curve that is here already: Python does not send it at every step
  const queue = [];
  let busy = false;
  let answered = 0; // on the root for scripts and tests that wait for the next answer
  let announced = 0;
  let written = 0;
  let turned = null; // the prediction before it was turned into logits, or back, and what it was turned into
  let faults = {}; // screen -> what is wrong with what it was asked

  const status = make("p", { role: "status", class: "unseen" });
  const alarm = make("p", { class: "alarm", role: "alert" });
  const footer = make("footer", {}, make("span"));
  const main = make("div", { class: "screens" });

  const page = {
    compute,
    state: () => state,
    resetTo: first.target ? "the case this opened with" : "the founding example",
    // a change of the case; steps of one gesture overtake each other
    change: (patch, gesture = null) => ask(gesture, (now) => ({ ...now, ...patch })),
    move: (of, index, to, gesture) => {
      sliced = of === "prediction" ? index : sliced;
      ask(gesture, (now) => {
        gesture.from ||= now; // the others rescale from where the gesture began, so that a way back is a way back
        return { ...gesture.from, move: { of, index, to } };
      });
    },
    mode: (mode) =>
      ask(null, (now) => {
        const kind = mode === "logits" ? "logits" : "probs";
        const next = { ...now, locked: mode !== "free" };
        if (now.kind === kind) return next;
        // there and back, untouched: the numbers as they were, not as exp(log(..)) rounds them
        if (turned?.kind === kind && turned.there === String(now.prediction) && now.temperature === 1)
          return { ...next, kind, prediction: turned.here, temperature: turned.temperature };
        turned = { kind: now.kind, here: now.prediction, temperature: now.temperature, there: null };
        return { ...next, move: { of: "kind", to: kind } };
      }),
    makeTrue: (index) =>
      ask(null, (now) => ({ ...now, target: now.target.map((_, place) => (place === index ? 1 : 0)) })),
    slice: (index) => {
      if (sliced === index) return;
      sliced = index;
      ask(null, (now) => now);
    },
    replace: (given) => {
      rows = sliced = null;
      ask(null, (now) => ({ ...now, temperature: 1, locked: undefined, ...given }));
    },
    reset: () => {
      rows = sliced = null;
      ask(null, () => ({ ...untouched }));
    },
    // what was typed gives way to what holds, and one sentence says why
    refuse: (text) => ask(null, (now) => now, text),
    again: () => view && showView(),
    keep: (name, patch) => {
      state = { ...state, [name]: patch };
      later();
    },
    // other screens ask by themselves and say here what went wrong, or that it no longer is
    complain: (name, text) => fault(name, text),
    announce,
    showTables: () => {
      tables.shown = root.classList.toggle("tables");
      for (const other of main.querySelectorAll(".as-tables")) other.setAttribute("aria-pressed", String(tables.shown));
      if (state.screen === "explain") showView();
      else screens[state.screen].show();
    },
  };

  const screens = {};
  for (const name of names) screens[name] = makers[name][1](page);
  const tabs = make(
    "nav",
    { "aria-label": "Screens" },
    ...names.map((name) =>
      make(
        "a",
        {
          href: `#${name}`,
          "data-screen": name,
          onclick: (event) => {
            if (address && (event.ctrlKey || event.metaKey || event.shiftKey)) return; // a tab of its own
            event.preventDefault(); // in a frame without an address of its own the link would load the page around it
            if (name === state.screen) return;
            open(name, true);
          },
        },
        makers[name][0],
      ),
    ),
  );
  root.classList.add("crossent");
  root.replaceChildren(
    make("header", {}, make("p", { class: "brand" }, "crossent"), tabs),
    alarm,
    status,
    main,
    footer,
  );
  main.append(...names.map((name) => screens[name].element));

  function fault(name, text) {
    faults = { ...faults, [name]: text };
    say(alarm, [...new Set(["explain", state.screen])].map((one) => faults[one]).filter(Boolean).join(" "));
  }

  function ask(gesture, change, said = "") {
    const last = queue.at(-1);
    if (gesture && last && last.gesture === gesture) last.change = change;
    else queue.push({ gesture, change, said });
    if (!busy) work();
  }

  async function work() {
    busy = root.dataset.busy = true;
    while (queue.length) {
      const { change, said } = queue.shift();
      const body = change(state.case);
      try {
        const found = await compute("explain", { ...body, rows, slice: sliced, drawn });
        view = found.curve ? found : { ...found, curve: view.curve, clips: view.clips };
        drawn = view.base;
        adopt(said);
      } catch (error) {
        fault("explain", error.message);
        if (view) showView(); // what was typed and refused gives way to what holds
      }
      answered += 1;
      root.dataset.answers = answered;
    }
    busy = false;
    delete root.dataset.busy;
  }

  function adopt(said) {
    state = {
      ...state,
      case: {
        target: view.target,
        prediction: view.prediction,
        names: view.names,
        kind: view.kind,
        base: view.base,
        temperature: view.temperature[0],
        locked: view.locked,
      },
    };
    rows = view.rows.map((row) => row.index);
    if (turned && turned.there === null && turned.kind !== view.kind) turned.there = String(view.prediction);
    fault("explain", said);
    showView();
    later();
  }

  function showView() {
    screens.explain.show(view);
    if (view.computed_by) say(footer.firstChild, view.computed_by);
    announce(screens.explain.announcement(view));
    if (state.screen === "bits") screens.bits.show();
  }

  function announce(text) {
    clearTimeout(announced);
    if (text === "") say(status, ""); // what is to be guessed must not be read out meanwhile
    else announced = setTimeout(() => say(status, text), QUIET_MS);
  }

  // browsers refuse more than a few hundred addresses in ten seconds
  function later() {
    if (!address) return;
    clearTimeout(written);
    written = setTimeout(() => writeAddress(state, untouched), 250);
  }

  // a screen is a step of its own for "back"; what is changed on it is not
  function open(name, step = false) {
    if (step && address) {
      clearTimeout(written);
      writeAddress(state, untouched);
    }
    state = { ...state, screen: name };
    for (const link of tabs.children) {
      if (link.dataset.screen === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    for (const [other, screen] of Object.entries(screens)) screen.element.hidden = other !== name;
    faults = {};
    say(alarm, "");
    if (step && address) writeAddress(state, untouched, true);
    if (name !== "explain") screens[name].show();
    later();
  }

  function load() {
    const found = readAddress(window.location.hash, untouched, names);
    state = { ...state, ...found };
    rows = sliced = null;
    for (const screen of Object.values(screens)) screen.restore?.();
    open(state.screen);
    page.refuse("");
  }

  if (address) window.addEventListener("hashchange", load);
  if (address) load();
  else {
    open(names[0]);
    page.refuse("");
  }
  return page;
}
