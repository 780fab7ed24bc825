// The list of pictures: only what is in view is in the page, however many there are.

import { get } from "./api.js";

const HEIGHT = 76;
const BEYOND = 8;
const box = document.getElementById("list");
const rows = document.getElementById("rows");
const known = new Map();
const shown = new Map();
let ids = [];
let current = null;
let asked = new Set();
let pick = () => {};

export const all = () => ids;
export const place = (id) => ids.indexOf(id);

export function onPick(told) {
  pick = told;
}

export function fill(wanted) {
  ids = wanted;
  rows.style.height = `${ids.length * HEIGHT}px`;
  for (const item of shown.values()) item.remove();
  shown.clear();
  draw();
}

/** Take in how a picture stands now. */
export function update(row) {
  known.set(row.id, row);
  const item = shown.get(row.id);
  if (item) paint(item, row);
}

/** Ask again for what is in view: someone else may have decided. */
export function renew() {
  for (const id of shown.keys()) asked.delete(id);
  draw({ again: true });
}

export function select(id) {
  current = id;
  for (const [one, item] of shown) item.setAttribute("aria-current", one === id);
  const top = place(id) * HEIGHT;
  if (top < box.scrollTop) box.scrollTop = top;
  if (top + HEIGHT > box.scrollTop + box.clientHeight) box.scrollTop = top + HEIGHT - box.clientHeight;
  draw();
}

function draw({ again = false } = {}) {
  const first = Math.max(0, Math.floor(box.scrollTop / HEIGHT) - BEYOND);
  const last = Math.min(ids.length, Math.ceil((box.scrollTop + box.clientHeight) / HEIGHT) + BEYOND);
  const wanted = new Set(ids.slice(first, last));
  for (const [id, item] of shown) {
    if (!wanted.has(id)) {
      item.remove();
      shown.delete(id);
    }
  }
  for (let at = first; at < last; at += 1) {
    const id = ids[at];
    if (!shown.has(id)) {
      const item = make(id, at);
      shown.set(id, item);
      rows.append(item);
      if (known.has(id)) paint(item, known.get(id));
    }
  }
  const missing = [...wanted].filter((id) => (again || !known.has(id)) && !asked.has(id));
  if (missing.length) fetchRows(missing);
}

async function fetchRows(missing) {
  for (const id of missing) asked.add(id);
  try {
    for (const row of await get("/api/rows", { ids: missing.join(",") })) update(row);
  } catch {
    // the next look asks again
  }
  for (const id of missing) asked.delete(id);
}

function make(id, at) {
  const item = document.createElement("button");
  item.type = "button";
  item.tabIndex = -1;
  item.className = "item";
  item.style.top = `${at * HEIGHT}px`;
  item.setAttribute("aria-current", id === current);
  const image = document.createElement("img");
  image.loading = "lazy";
  image.alt = "";
  image.src = `/small/${id}.webp`;
  item.append(image, document.createElement("span"));
  item.addEventListener("click", () => pick(id));
  return item;
}

const MARKS = { keep: ["★", "yes"], drop: ["✕", "no"], unsure: ["?", "ask"] };

function paint(item, row) {
  const text = item.lastElementChild;
  const mark = row.conflict ? ["≠", "no"] : MARKS[row.verdict] || (row.decided && !row.read ? ["✓", "ask"] : row.decided ? ["✓", "yes"] : row.flags ? ["⚑", "ask"] : null);
  text.replaceChildren();
  if (mark) {
    const sign = document.createElement("b");
    [sign.textContent, sign.className] = mark;
    text.append(sign);
  }
  text.append(row.caption || "no caption");
  item.classList.toggle("out", row.verdict === "drop");
}

let frame = 0;
const later = () => (frame ||= requestAnimationFrame(() => ((frame = 0), draw())));
box.addEventListener("scroll", later);
new ResizeObserver(later).observe(box);
