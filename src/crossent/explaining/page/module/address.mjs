// The state in the address, so that a case can be shared: #explain?p=1,0,0&q=0.2,0.5,0.3&names=cat,dog,fox

const TEXTS = ["inf", "-inf", "nan"];

// `step`: a new entry for "back" instead of another address for the last one
export function writeAddress(state, untouched, step = false) {
  const words = new URLSearchParams();
  const given = state.case;
  for (const [key, name] of [
    ["p", "target"],
    ["q", "prediction"],
    ["names", "names"],
  ]) {
    const [now, before] = [given[name] ?? [], untouched[name] ?? []];
    if (Array.isArray(now) && now.join("\n") !== [before].flat().join("\n")) {
      words.set(key, now.map((entry) => (name === "names" ? encodeURIComponent(entry) : entry)).join(","));
    }
  }
  if (given.kind !== untouched.kind) words.set("kind", given.kind);
  if (given.base !== untouched.base) words.set("base", given.base);
  if (given.temperature !== untouched.temperature) words.set("t", given.temperature);
  // without the word the sum decides; it is not known yet while a link is still being read
  const off = given.kind === "probs" && Math.abs([...given.prediction].reduce((sum, q) => sum + q, 0) - 1) > 1e-6;
  if (given.locked !== undefined && (given.locked !== untouched.locked || off)) words.set("free", given.locked ? "0" : "1");
  for (const screen of ["bits", "zero", "diagnose"]) {
    for (const [key, value] of Object.entries(state[screen])) {
      if (value !== "" && value !== null) words.set(`${screen}.${key}`, value);
    }
  }
  const text = words.toString().replaceAll("%2C", ",");
  const hash = `#${state.screen}${text ? `?${text}` : ""}`;
  if (window.location.hash !== hash) window.history[step ? "pushState" : "replaceState"](null, "", hash);
}

export function readAddress(hash, untouched, screens) {
  const [name, text = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  const words = new URLSearchParams(text);
  const given = { ...untouched };
  if (words.has("p")) given.target = numbers(words.get("p"));
  if (words.has("q")) {
    given.prediction = numbers(words.get("q"));
    given.names = null;
  }
  if (words.has("names")) given.names = words.get("names") ? words.get("names").split(",").map(decoded) : null;
  else if (given.prediction.length === untouched.prediction.length) given.names = untouched.names;
  if (words.has("kind")) given.kind = words.get("kind");
  if (words.has("base")) given.base = words.get("base");
  if (words.has("t")) given.temperature = number(words.get("t"));
  if (words.has("free")) given.locked = words.get("free") !== "1";
  else if (words.has("q")) given.locked = undefined; // the sum decides
  const found = { screen: screens.includes(name) ? name : screens[0], case: given, bits: {}, zero: {}, diagnose: {} };
  for (const [key, value] of words) {
    const [screen, part] = key.split(".");
    if (part && ["bits", "zero", "diagnose"].includes(screen)) found[screen][part] = value;
  }
  return found;
}

function numbers(text) {
  return text.split(",").map(number);
}

// what is no number is passed on as it is: Python's sentence about it is better than ours
function number(text) {
  return TEXTS.includes(text) || text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
