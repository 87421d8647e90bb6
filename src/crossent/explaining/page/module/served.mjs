// Served on 127.0.0.1: Python answers over HTTP.

import { bitsScreen } from "./bits.mjs";
import { diagnoseScreen } from "./diagnose.mjs";
import { explainScreen } from "./explain.mjs";
import { start } from "./explorer.mjs";
import { zeroScreen } from "./zero.mjs";

const SCREENS = {
  explain: ["Explain", explainScreen],
  zero: ["At zero", zeroScreen],
  bits: ["Bits & codes", bitsScreen],
  diagnose: ["Diagnose", diagnoseScreen],
};

async function ask(question, body) {
  const answer = await fetch(`/api/${question}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  }).catch(() => {
    throw new Error("Python no longer answers: start `crossent explore` again.");
  });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

start(document.querySelector("main > div"), { screens: SCREENS, compute: ask, address: true });
