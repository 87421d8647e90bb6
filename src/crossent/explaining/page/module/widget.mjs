// In a live notebook: Python answers over the widget's messages. anywidget asks for this default export.

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

export default {
  render({ model, el }) {
    const waiting = new Map();
    let asked = 0;
    const hear = (message) => {
      const { done, fail } = waiting.get(message.id) ?? {};
      waiting.delete(message.id);
      if (message.error) fail?.(new Error(message.error));
      else done?.(message.answer);
    };
    model.on("msg:custom", hear);
    const compute = (question, body) =>
      new Promise((done, fail) => {
        asked += 1;
        waiting.set(asked, { done, fail });
        model.send({ id: asked, question, body: JSON.parse(JSON.stringify(body)) });
      });
    const root = document.createElement("div");
    el.append(root);
    start(root, { screens: SCREENS, compute, first: model.get("first") });
    return () => model.off("msg:custom", hear);
  },
};
