// Pictures from the numbers they are given; nothing here but places on paper is computed.

import { draw, real, shorten, table, value } from "./dom.mjs";

const WIDE = 360;
const NARROW = 640; // CSS pixels of the window below which a broad picture would have unreadable letters
// below, the style enlarges the letters; kept, as asking for a width makes the browser lay out the page in mid-step: 1.3 ms
const PHONE = window.matchMedia("(max-width: 30rem)");
const HIGH = 220;
const TALL = 300;
const EDGE = { left: 40, right: 12, top: 14, bottom: 32 };
const CAP = 150; // above this an amount is drawn at the top edge, as infinity is: packages print up to 100 nats, 144 bits
const FARTHEST = 760; // -log of the smallest double is 744.4

// Infinity has a place: amounts are drawn by log(1 + y), up to a cap, and infinity on the edge above it.
function heightOf(amount, cap = CAP) {
  return amount === Infinity ? 1.06 : Math.min(Math.log1p(Math.max(amount, 0)) / Math.log1p(cap), 1.03);
}

export function sheet(label, high = HIGH, wide = WIDE) {
  const svg = draw("svg", { class: "picture", viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": label });
  return svg;
}

function text(content, x, y, attributes = {}) {
  return draw("text", { x, y, ...attributes }, content);
}

function line(x1, y1, x2, y2, name) {
  return draw("line", { x1, y1, x2, y2, class: name });
}

function path(points, name) {
  const steps = points.map(([x, y], place) => `${place ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`);
  return draw("path", { d: steps.join(""), class: name });
}

function frame(x, y, wide = WIDE, high = HIGH) {
  return {
    x: (share) => EDGE.left + share * (wide - EDGE.left - EDGE.right),
    y: (share) => high - EDGE.bottom - share * (high - EDGE.bottom - EDGE.top),
    axes: [
      line(EDGE.left, high - EDGE.bottom, wide - EDGE.right, high - EDGE.bottom, "axis"),
      text(x, wide - EDGE.right, high - 4, { class: "legend", "text-anchor": "end" }),
      text(y, 2, 10, { class: "legend" }),
    ],
  };
}

// Labels of lines that lie close together share one line of text: [height, text].
function gathered(labels, apart) {
  const found = [];
  for (const [y, words] of [...labels].sort((one, other) => one[0] - other[0])) {
    const last = found.at(-1);
    if (last && y - last[0] < apart) last[1] += `, ${words}`;
    else found.push([y, words]);
  }
  return found;
}

// Such a line of text, broken between its labels where it would leave the picture; the lines stand upon each other.
function stacked(words, x, y, name) {
  const most = PHONE.matches ? 38 : 62; // letters, at the size that the style gives them there
  const lines = [];
  for (const word of words.split(", ")) {
    if (lines.length && `${lines.at(-1)}, ${word}`.length <= most) lines[lines.length - 1] += `, ${word}`;
    else lines.push(word);
  }
  const first = Math.max(y - (lines.length - 1) * 12, 10); // at the top edge they hang instead
  return lines.map((each, place) => text(each, x, first + place * 12, { class: name, "text-anchor": "end" }));
}

// (A) what a class costs, over the probability that it got
export function surprisalChart(view) {
  const svg = sheet(`−log q over q: ${view.rows.map((row) => `${row.name} ${row.surprisal[1]}`).join(", ")}`);
  const { x, y, axes } = frame("q", `−log q, ${view.unit}`);
  const place = (raw) => y(heightOf(real(raw)) / 1.06);
  const ticks = [0, 1, 3, 10, 30, 100, "inf"];
  svg.append(
    ...axes,
    ...ticks.map((tick) =>
      text(tick === "inf" ? "∞" : tick, EDGE.left - 6, place(tick) + 4, { class: "tick", "text-anchor": "end" }),
    ),
    ...[0, 0.5, 1].map((share) =>
      text(share, x(share), HIGH - EDGE.bottom + 15, { class: "tick", "text-anchor": "middle" }),
    ),
  );
  const marks = view.clips.map((clip) => [place(clip.loss[0]), `${clip.who} ${clip.loss[1]}`]);
  for (const [height] of marks) svg.append(line(x(0), height, x(1), height, "rule"));
  for (const [height, words] of gathered(marks, 12)) {
    svg.append(...stacked(words, x(1), height - 3, "mark"));
  }
  const uniform = place(view.uniform[0]);
  svg.append(
    line(x(0), uniform, x(1), uniform, "dashed"),
    text(`log ${view.classes} = ${view.uniform[1]}`, x(1), uniform - 4, { class: "legend", "text-anchor": "end" }),
    path(
      view.curve.map(([q, cost]) => [x(real(q)), place(cost)]),
      "line",
    ),
  );
  // the true class last, on top of the others
  for (const row of [...view.rows].sort((one, other) => value(one.p) - value(other.p))) {
    const held = value(row.p) > 0;
    if (Number.isNaN(value(row.q))) continue;
    const dot = [x(Math.min(value(row.q), 1)), place(row.surprisal[0])];
    svg.append(draw("circle", { cx: dot[0], cy: dot[1], r: held ? 6 : 3.5, class: held ? "dot true" : "dot" }));
    if (!held) continue;
    const right = value(row.q) > 0.5; // there the label would leave the picture
    svg.append(
      text(`${shorten(row.name, PHONE.matches ? 9 : 12)} ${row.surprisal[1]}`, dot[0] + (right ? -8 : 10), dot[1] + (dot[1] < 40 ? 16 : -8), {
        class: "strong",
        "text-anchor": right ? "end" : "start",
      }),
    );
  }
  return svg;
}

export function surprisalTable(view) {
  const rows = view.rows.map((row) => [row.name, row.p, row.q, row.surprisal]);
  const clips = view.clips.map((clip) => [`${clip.who} clips at`, "", clip.clip, clip.loss]);
  return table(
    "Cost of each class",
    ["class", "p", "q", `−log q, ${view.unit}`],
    [...rows, ["a uniform guess", "", "", view.uniform], ...clips],
  );
}

// (B) the loss as floor and excess
export function splitChart(view) {
  const high = 96;
  const svg = sheet(
    `The loss ${view.loss[1]} is H(p) ${view.floor[1]} plus KL ${view.kl[1]}; a uniform guess costs ${view.uniform[1]}`,
    high,
  );
  const [floor, excess, uniform] = [value(view.floor), value(view.kl), value(view.uniform)];
  const endless = !Number.isFinite(floor + excess);
  const most = Math.max(endless ? 0 : floor + excess, uniform, 1e-9) * 1.08;
  const left = 8;
  const scale = (amount) => left + (WIDE - 2 * left) * Math.min(Math.max(amount, 0) / most, 1);
  const end = endless ? WIDE - left : scale(floor + excess);
  svg.append(
    draw("rect", { x: left, y: 34, width: Math.max(scale(floor) - left, 0), height: 26, class: "floor" }),
    draw("rect", { x: scale(floor), y: 34, width: Math.max(end - scale(floor), 0), height: 26, class: "excess" }),
    line(scale(uniform), 26, scale(uniform), 68, "axis"),
    text(`uniform ${view.uniform[1]}`, scale(uniform), 84, {
      class: "legend",
      "text-anchor": scale(uniform) > WIDE / 2 ? "end" : "start",
    }),
    text(`H(p) ${view.floor[1]}`, left, 20, { class: "legend first" }),
    text(`KL ${view.kl[1]}${endless ? " →" : ""}`, WIDE - left, 20, { class: "legend second", "text-anchor": "end" }),
  );
  return svg;
}

export function splitTable(view) {
  return table(
    "H(p,q) = H(p) + KL(p‖q)",
    ["part", view.unit],
    [
      ["H(p), the floor", view.floor],
      ["KL(p‖q), the excess", view.kl],
      ["H(p,q), the loss", view.loss],
      ["a uniform guess", view.uniform],
    ],
  );
}

// (C) the loss while one logit moves
export function sliceChart(view) {
  const slice = view.slice;
  const svg = sheet(
    `The loss while the logit of ${slice.name} moves; here it is ${slice.here[1]} with slope ${slice.slope[1]}`,
  );
  const { x, y, axes } = frame("change of z", `loss, ${view.unit}`);
  const points = slice.points.map(([z, loss]) => [z, real(loss)]);
  const reach = points.at(-1)[0];
  const most = Math.max(...points.map(([, loss]) => loss), 1e-9) * 1.05;
  const across = (z) => x((z + reach) / (2 * reach));
  const up = (loss) => y(Math.min(Math.max(loss / most, 0), 1));
  const here = value(slice.here);
  const slope = real(slice.slope_in_base);
  // the tangent ends where it would leave the picture
  const ends = [-2.2, 2.2].map((z) => {
    const steep = Math.abs(slope) > 1e-12 ? slope : 1e-12;
    const low = Math.min((0 - here) / steep, (most - here) / steep);
    const top = Math.max((0 - here) / steep, (most - here) / steep);
    return Math.min(Math.max(z, low), top);
  });
  svg.append(
    ...axes,
    ...[-reach, 0, reach].map((z) =>
      text(z > 0 ? `+${z}` : `${z}`.replace("-", "−"), across(z), HIGH - EDGE.bottom + 15, {
        class: "tick",
        "text-anchor": "middle",
      }),
    ),
    text(0, EDGE.left - 6, up(0) + 4, { class: "tick", "text-anchor": "end" }),
    path(
      points.map(([z, loss]) => [across(z), up(loss)]),
      "line",
    ),
    path(
      ends.map((z) => [across(z), up(here + slope * z)]),
      "tangent",
    ),
    draw("circle", { cx: across(0), cy: up(here), r: 6, class: "dot true" }),
    text(`∂L/∂z ${slice.slope[1]}`, WIDE - EDGE.right, EDGE.top + 10, { class: "strong", "text-anchor": "end" }),
  );
  return svg;
}

export function sliceTable(view) {
  return table(
    `Loss while the logit of ${view.slice.name} moves`,
    ["change of z", `loss, ${view.unit}`],
    view.slice.table,
  );
}

// (D) to the left a class is raised, to the right it is lowered
export function gradientBar(row) {
  const wide = 120;
  const share = Math.min(Math.max(value(row.grad_logit), -1), 1) || 0;
  const from = share < 0 ? wide / 2 + (share * wide) / 2 : wide / 2;
  return [
    draw("rect", {
      x: from,
      y: 4,
      width: (Math.abs(share) * wide) / 2,
      height: 14,
      class: share < 0 ? "raise" : "lower",
    }),
    line(wide / 2, 0, wide / 2, 22, "axis"),
  ];
}

// (E) height p, width in bits: the area is what a symbol costs on average
export function rectangleChart(picture) {
  const svg = sheet(`${picture.title}: area ${picture.area[1]} bits`, 240);
  const finite = picture.boxes.map((box) => value(box.bits)).filter(Number.isFinite);
  const most = Math.max(...finite, 1) * 1.12;
  const left = 8;
  const scale = (bits) => (bits === Infinity ? WIDE - 2 * left : ((WIDE - 2 * left - 60) * bits) / most);
  let top = 8;
  const room = 200;
  for (const [place, box] of picture.boxes.entries()) {
    const tall = Math.min(real(box.p[0]), 1) * room;
    if (!(tall > 0)) continue;
    const wide = scale(value(box.bits));
    svg.append(
      draw("rect", {
        x: left,
        y: top,
        width: Math.max(wide, 1),
        height: tall,
        class: `box ${place % 2 ? "odd" : "even"}`,
      }),
    );
    if (tall >= 13) {
      const words = `${shorten(box.name, 20)} ${box.p[1]} × ${box.bits[1]}`;
      const room = 6.2 * words.length + 12; // wider than its letters: where it does not fit it stands beside, not across
      const beside = room > wide && left + wide + room <= WIDE;
      svg.append(text(words, left + 6 + (beside ? wide : 0), top + tall / 2 + 4, { class: beside ? "legend" : "inside" }));
    }
    top += tall;
  }
  svg.append(
    text("wide: bits of the code", left, 226, { class: "legend" }),
    text(`area ${picture.area[1]} bits`, WIDE - left, 226, { class: "strong", "text-anchor": "end" }),
  );
  return svg;
}

// (F), (G) several lines over one axis: { x: [from, to], y: [from, to], lines: [{ name, points }], marks: [{ name, y }] }
// symlog: both axes by log(1 + ..), where a y of infinity has its place at the top
export function lineChart(label, plot) {
  const broad = document.documentElement.clientWidth < NARROW ? WIDE : 2 * WIDE;
  const svg = sheet(label, TALL, broad);
  const { x, y, axes } = frame(plot.across, broad === WIDE ? "" : plot.up, broad, TALL);
  const along = plot.symlog
    ? (at) => Math.log1p(at) / Math.log1p(plot.x[1])
    : (at) => (at - plot.x[0]) / (plot.x[1] - plot.x[0] || 1);
  const across = (raw) => x(along(real(raw)));
  const share = (raw) =>
    plot.symlog ? heightOf(real(raw), FARTHEST) / 1.06 : (real(raw) - plot.y[0]) / (plot.y[1] - plot.y[0] || 1);
  const up = (raw) => y(Math.min(Math.max(share(raw), 0), 1));
  svg.append(
    ...axes,
    ...plot.ticksX.map((tick) =>
      text(`${tick}`, across(tick), TALL - EDGE.bottom + 15, { class: "tick", "text-anchor": "middle" }),
    ),
    ...plot.ticksY.map((tick) =>
      text(tick === "inf" ? "∞" : `${tick}`, EDGE.left - 6, up(tick) + 4, { class: "tick", "text-anchor": "end" }),
    ),
  );
  for (const mark of plot.marks) svg.append(line(x(0), up(mark.y[0]), x(1), up(mark.y[0]), "dashed"));
  for (const [place, one] of plot.lines.entries()) {
    const points = one.points.filter(([, height]) => !Number.isNaN(real(height)));
    svg.append(
      path(
        points.map(([at, height]) => [across(at), up(height)]),
        `line hue-${place % 6}`,
      ),
    );
  }
  const labels = [
    ...plot.marks.map((mark) => [up(mark.y[0]), `${mark.name} ${mark.y[1]}`]),
    ...plot.lines.filter((one) => one.name).map((one) => [up(one.points.at(-1)[1]), one.name]),
  ];
  for (const [height, words] of gathered(labels, 12)) {
    svg.append(...stacked(words, broad - EDGE.right - 4, height - 4, broad === WIDE ? "mark" : "legend"));
  }
  return { svg, across, up };
}

export function cursor(svg, at) {
  svg.append(line(at, EDGE.top, at, TALL - EDGE.bottom, "cursor"));
}
