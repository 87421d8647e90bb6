// Numbers as a reader wants them, as explaining/digits.py writes them; only an exact tie may round the other way.

export function raw(value) {
  if (Number.isNaN(value)) return "nan";
  if (Number.isFinite(value)) return value + 0;
  return value > 0 ? "inf" : "-inf";
}

function signs(text) {
  return text.replace(/e([+-])0*(\d+)/, (_, sign, power) => `e${sign === "-" ? "-" : ""}${power}`).replaceAll("-", "−");
}

// Python's %.{digits}g
function general(value, digits) {
  const power = Number(value.toExponential(digits - 1).split("e")[1]);
  if (power < -4 || power >= digits) return value.toExponential(digits - 1).replace(/\.?0+e/, "e");
  const text = value.toFixed(Math.max(digits - 1 - power, 0));
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

export function compact(value) {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return signs(raw(value));
  if (Math.abs(value) >= 1000 && Math.abs(value) < 1e6) return signs(value.toFixed(0));
  let text = general(value, 3);
  if (Number(text) === 1 && value !== 1) {
    text = general(value, 6);
    if (Number(text) === 1) return value < 1 ? "<1" : ">1";
  }
  return signs(text);
}

export function signed(value) {
  return value > 0 ? `+${compact(value)}` : compact(value);
}

export function amount(value) {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return signs(raw(value));
  if (Math.abs(value) < 0.0005 || Math.abs(value) >= 1e6) return signs(value.toExponential(2));
  return signs(value.toFixed(3));
}

export function longAmount(value) {
  if (value === 0 || !Number.isFinite(value)) return amount(value);
  const text = Math.abs(value) >= 0.0005 && Math.abs(value) < 1e6 ? value.toFixed(6) : value.toExponential(6);
  return Number(text) === value ? signs(general(value, 6)) : `${signs(text)}…`;
}

export function chances(value) {
  return value >= 100 && value < 1e6 ? Number(value.toFixed(0)).toLocaleString("en") : compact(value);
}

export function box(value) {
  return Number.isFinite(value) ? general(value + 0, 4) : "";
}

export const cells = {
  compact: (value) => [raw(value), compact(value)],
  signed: (value) => [raw(value), signed(value)],
  amount: (value) => [raw(value), amount(value)],
  box: (value) => [raw(value), compact(value), box(value)],
};
