// Elements and numbers: the few helpers that all screens share.

const SVG = "http://www.w3.org/2000/svg";
const MATH = "http://www.w3.org/1998/Math/MathML";
let made = 0;
export const tables = { shown: false };

// A page may hold several explorers (cells of a notebook), so an id is never written out.
export function newId() {
  made += 1;
  return `crossent-${made}`;
}

export function make(name, attributes = {}, ...children) {
  return dress(document.createElement(name), attributes, children);
}

export function draw(name, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, name), attributes, children);
}

export function formula(name, attributes = {}, ...children) {
  return dress(document.createElementNS(MATH, name), attributes, children);
}

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// A cell is [value, text]: the text is shown, the exact value stays in data-value. A text that stays is not written
// again, as each writing is a repaint.
export function put(element, cell) {
  if (element.textContent !== cell[1]) element.textContent = cell[1];
  element.dataset.value = cell[0];
  return element;
}

export function number(cell, name = "output") {
  const element = make("span", { class: "number", "data-name": name });
  return cell ? put(element, cell) : element;
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Python sends infinities as texts.
export function value(cell) {
  return real(cell[0]);
}

export function real(raw) {
  return typeof raw === "string" ? { inf: Infinity, "-inf": -Infinity, nan: NaN }[raw] : raw;
}

// Why a number box was not taken: what was read, and what to type. null where there is nothing to complain of.
export function misread(input, what, wanted) {
  if (input.validity.valid) return null;
  const read = input.value === "" ? "holds no number" : `holds ${input.value}`;
  return `The box of ${what} ${read}: type ${wanted}.`;
}

export function shorten(text, most) {
  const letters = [...text];
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : text;
}

export function button(text, action, attributes = {}) {
  return make("button", { type: "button", onclick: action, ...attributes }, text);
}

export function field(label, input, attributes = {}) {
  input.id ||= newId();
  return make("div", { class: "field", ...attributes }, make("label", { for: input.id }, label), input);
}

// roles are written out: at 320 px the rows are laid out as blocks, and a browser then forgets that this is a table
export function table(caption, heads, rows, attributes = {}) {
  const head = heads.map((text) => make("th", { scope: "col", role: "columnheader" }, text));
  const body = rows.map((cells) => make("tr", { role: "row" }, ...cells.map((cell, place) => plainCell(cell, place))));
  return make(
    "table",
    { role: "table", ...attributes },
    make("caption", {}, caption),
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...head)),
    make("tbody", { role: "rowgroup" }, ...body),
  );
}

function plainCell(content, place) {
  const name = place === 0 ? "th" : "td";
  const attributes = place === 0 ? { scope: "row", role: "rowheader" } : { role: "cell" };
  const inner = Array.isArray(content) ? number(content, "cell") : content;
  return make(name, attributes, inner);
}

// A picture, and the same numbers as a table that one button of the page shows. While it is not shown it is not made:
// a drag would make three tables per step.
export function figure(title, picture, numbers, note = "") {
  const shown = tables.shown ? numbers() : "";
  return make(
    "figure",
    {},
    make("figcaption", {}, make("strong", {}, title), note ? ` ${note}` : ""),
    picture,
    make(
      "div",
      { class: "as-table scroll", tabindex: "0", role: "region", "aria-label": `${title}, as a table` },
      shown,
    ),
  );
}
