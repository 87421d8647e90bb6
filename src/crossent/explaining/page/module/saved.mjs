// A saved file: no Python behind it, so the JavaScript twin answers.

import { answerOf } from "./twin.mjs";
import { bitsScreen } from "./bits.mjs";
import { explainScreen } from "./explain.mjs";
import { start } from "./explorer.mjs";

const given = JSON.parse(document.querySelector("#given").textContent);

start(document.querySelector("main > div"), {
  screens: { explain: ["Explain", explainScreen], bits: ["Bits & codes", bitsScreen] }, // the others need Python
  compute: async (question, body) => answerOf(question, body, given),
  first: given.first,
  address: window.location.protocol !== "about:", // a frame's srcdoc has no address of its own
});
