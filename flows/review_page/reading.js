// What training will read of the caption in the field: put together by the server, and marked where its tokens end.

import { post } from "./api.js";

const PAUSE = 200;
let asked = 0;
let waiting = 0;

/** Show in `box` what becomes of a picture's caption; a newer call overtakes it. */
export function reading(box, id, text) {
  const mine = (asked += 1);
  clearTimeout(waiting);
  waiting = setTimeout(async () => {
    const told = await post("/api/reading", { id, text }).catch(() => null);
    if (mine === asked) paint(box, told, text);
  }, PAUSE);
}

function paint(box, told, text) {
  // by characters as the server counts them
  const whole = [...(told?.caption ?? "")];
  const end = told?.characters ?? whole.length;
  const cut = whole.slice(end).join("");
  box.hidden = !told || (told.tokens === null && told.caption === text.trim());
  if (box.hidden) return;
  const count = told.tokens === null ? "" : ` · ${told.tokens} of ${told.longest} tokens`;
  const facts = document.createElement("span");
  facts.textContent = `Training reads${count}${cut ? "; what is struck out is not read" : ""}`;
  facts.className = cut ? "bad" : "";
  box.replaceChildren(facts);
  if (!cut && told.caption === text.trim()) return;
  const shown = document.createElement("p");
  shown.append(whole.slice(0, end).join(""));
  if (cut) {
    const mark = document.createElement("del");
    mark.textContent = cut;
    shown.append(mark);
  }
  box.append(shown);
}
