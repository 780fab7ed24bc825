// The review page. Every text is shown as text; every decision is on the server's disk before the page says so.

import { draft, forget, get, onDraft, post, settled, state, unsent } from "./api.js";
import { help, replacing } from "./dialogs.js";
import * as list from "./list.js";
import { reading } from "./reading.js";
import { complete, learn } from "./words.js";

const at = (id) => document.getElementById(id);
const drafts = new Map();
const undoable = [];
let row = null;
let busy = false;
let missing = null;

const filter = () => ({ search: at("search").value, flag: at("flag").value, state: at("state").value });

async function start() {
  const [told, listed] = await Promise.all([get("/api/start", { reviewer: state.reviewer }), get("/api/list")]);
  state.reviewer = told.reviewer;
  at("who").textContent = told.reviewer;
  at("state").replaceChildren(...told.states.map((name) => new Option(name === "all" ? "all pictures" : name, name)));
  at("flag").replaceChildren(new Option("any flag", ""), ...told.flags.map(([name, count]) => new Option(`${name} (${count})`, name)));
  for (const [id, text] of Object.entries(told.drafts)) drafts.set(id, text);
  for (const [id, text] of unsent()) {
    if (text === null) drafts.delete(id);
    else drafts.set(id, text);
    draft(id, text);
  }
  await refill(listed);
  progress();
  learn((await get("/api/terms")).terms);
  setInterval(() => (progress(), list.renew()), 5000);
}

async function refill(listed) {
  const { ids } = listed || (await get("/api/list", filter()));
  // before the list asks for its small ones
  if (!row && ids.length) picture(ids[0]);
  list.fill(ids);
  if (row && ids.includes(row.id)) list.select(row.id);
  else if (ids.length) await show(ids[0]);
  else blank();
}

function blank() {
  row = null;
  at("large").hidden = true; // one without a source would show its words
  at("none").hidden = false;
  at("none").textContent = "No picture is left here: choose others above.";
  at("work").hidden = true;
}

function picture(id) {
  at("large").hidden = false;
  at("large").src = `/large/${id}.webp`;
}

async function show(id, given = null) {
  missing = id;
  list.select(id);
  picture(id);
  const told = given ?? (await get(`/api/row/${id}`));
  if (missing !== id) return;
  paint(told);
  const here = list.place(id);
  for (const next of list.all().slice(here + 1, here + 4)) new Image().src = `/large/${next}.webp`;
}

function paint(told) {
  row = told;
  list.update(row);
  at("work").hidden = false;
  at("none").hidden = true;
  at("file").textContent = row.origin;
  at("place").textContent = `· ${list.place(row.id) + 1} of ${list.all().length}${row.fit === null ? "" : ` · fit ${row.fit.toFixed(1)}`}`;
  at("large").alt = row.caption || "picture without a caption";
  at("flags").replaceChildren(...row.flags.map((flag) => element("li", flag)));
  at("caption").value = drafts.get(row.id) ?? row.caption;
  at("note").value = row.note;
  reading(at("read"), row.id, at("caption").value);
  status(drafts.has(row.id) && drafts.get(row.id) !== row.caption ? "typed, not yet accepted" : "");
  at("candidates").replaceChildren(
    ...row.candidates.map((text, place) => {
      const button = element("button");
      button.type = "button";
      button.append(element("kbd", String(place + 1)), element("span", text));
      button.addEventListener("click", () => choose(place));
      const item = element("li");
      item.append(button);
      return item;
    }),
  );
  at("said").replaceChildren(
    ...row.said.map(([when, who, verdict, caption, note]) => {
      const words = [verdict, caption && `“${caption}”`, note && `note: ${note}`].filter(Boolean).join(", ");
      return element("li", `${when.slice(0, 16).replace("T", " ")} ${who}: ${words}`);
    }),
  );
  at("past").hidden = row.said.length === 0;
  clash();
}

function clash() {
  at("clash").hidden = row.conflicts.length === 0;
  if (!row.conflicts.length) return;
  const parts = [element("h2", "Two people decided differently: choose")];
  for (const [who, seen, mine, theirs, mineVerdict, theirsVerdict] of row.conflicts) {
    const facts = element("dl");
    const fact = (name, text) => facts.append(element("dt", name), element("dd", text));
    if (mine !== null) {
      fact("both saw", seen || "no caption");
      fact(`${who} wrote`, mine);
      fact("here stands", theirs);
    }
    if (mineVerdict) fact(`${who} said`, `${mineVerdict}; here stands ${theirsVerdict}`);
    parts.push(facts);
    if (mine !== null) {
      const buttons = element("div");
      buttons.className = "row";
      for (const [words, text] of [[`Take ${who}'s`, mine], ["Keep what stands", theirs]]) {
        const button = element("button", words);
        button.type = "button";
        button.addEventListener("click", () => {
          at("caption").value = text;
          decide("accept");
        });
        buttons.append(button);
      }
      parts.push(buttons, element("p", "Or write another caption below and accept it."));
    } else parts.push(element("p", "Drop or keep the picture below."));
  }
  at("clash").replaceChildren(...parts);
}

async function decide(word, { stay = false } = {}) {
  if (!row || busy) return;
  busy = true;
  try {
    await decided(word, stay ? null : (following(1) ?? null));
  } catch (error) {
    tell(error.message);
  }
  busy = false;
}

async function decided(word, next) {
  const here = row;
  const wish = { id: here.id, seen: here.caption, version: here.version, caption: at("caption").value, word, note: at("note").value };
  status("saving…");
  let done;
  try {
    await settled();
    // the next row comes along with the answer: to ask for it would take as long again
    done = await post("/api/decide", { wishes: [wish], next });
  } catch (error) {
    status(error instanceof TypeError ? "NOT saved: the server cannot be reached" : "NOT saved", true);
    if (!(error instanceof TypeError)) tell(error.message);
    return;
  }
  forget(here.id);
  drafts.delete(here.id);
  if (done.batch) undoable.push([done.batch, here.id]);
  at("undo").disabled = undoable.length === 0;
  if (done.conflicts) {
    paint(done.row);
    status("");
    tell("Someone decided otherwise meanwhile. Both are kept: choose.");
  } else {
    list.update(done.row);
    if (next) await show(next, done.next);
    else paint(done.row);
    status("saved");
  }
  progress();
}

const following = (by) => list.all()[(row ? list.place(row.id) : -1) + by];

async function move(by) {
  const next = following(by);
  if (next) await show(next);
}

function choose(place) {
  if (!row || place >= row.candidates.length) return;
  at("caption").value = row.candidates[place];
  decide("accept");
}

async function undo() {
  // a second one, pressed while the first is under way, is meant
  while (busy) await new Promise((done) => setTimeout(done, 20));
  const last = undoable.at(-1);
  if (!last) return;
  busy = true;
  try {
    const done = await post("/api/undo", { batch: last[0] });
    undoable.pop();
    tell(done.decisions === 1 ? "Taken back." : `${done.decisions} decisions are taken back.`);
    list.renew();
    if (last[1]) await show(last[1]);
    else await refill();
    progress();
  } catch (error) {
    tell(error.message);
  }
  at("undo").disabled = undoable.length === 0;
  busy = false;
}

function discard() {
  if (!row || !drafts.has(row.id)) return;
  drafts.delete(row.id);
  draft(row.id, null);
  at("caption").value = row.caption;
  reading(at("read"), row.id, row.caption);
  status("");
}

async function progress() {
  try {
    const told = await get("/api/progress", { reviewer: state.reviewer });
    at("bar").max = told.total || 1;
    at("bar").value = told.decided;
    at("count").textContent = `${told.decided} of ${told.total}${told.unread ? `, ${told.unread} unread` : ""}${told.conflicts ? `, ${told.conflicts} in conflict` : ""}`;
    const left = told.a_minute ? Math.ceil((told.total - told.decided) / told.a_minute) : null;
    at("pace").textContent = left === null ? "" : `${told.a_minute} a minute, ${left > 90 ? `${Math.round(left / 60)} h` : `${left} min`} left`;
  } catch {
    at("pace").textContent = "the server cannot be reached";
  }
}

function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function status(text, bad = false) {
  at("saved").textContent = text;
  at("saved").className = bad ? "bad" : "";
}

let silence = 0;
function tell(text) {
  at("told").textContent = text;
  at("told").hidden = false;
  clearTimeout(silence);
  silence = setTimeout(() => (at("told").hidden = true), 6000);
}

complete(at("caption"), at("terms"));
list.onPick((id) => show(id));
onDraft((id, how) => {
  if (row?.id !== id) return;
  const words = { saving: "saving…", saved: "typing is saved; accept to decide", lost: "NOT on the disk yet: the server cannot be reached" };
  status(drafts.has(id) || how !== "saved" ? words[how] : "", how === "lost");
});
at("caption").addEventListener("input", () => {
  drafts.set(row.id, at("caption").value);
  draft(row.id, at("caption").value);
  reading(at("read"), row.id, at("caption").value);
});
at("large").addEventListener("load", () => at("large").classList.toggle("tiny", at("large").naturalWidth < 200));
for (const word of ["accept", "drop", "keep", "unsure"]) at(word).addEventListener("click", () => decide(word));
at("undo").addEventListener("click", undo);
at("help").addEventListener("click", help);
at("who").addEventListener("click", () => {
  const name = prompt("Who reviews?", state.reviewer);
  if (name) location.search = new URLSearchParams({ reviewer: name });
});
const openReplacing = () =>
  replacing(filter, (done, error) => {
    if (error) return tell(error.message);
    if (done.batch) undoable.push([done.batch, null]);
    at("undo").disabled = undoable.length === 0;
    tell(`${done.decisions} captions are changed, those that nobody had read still count as unread${done.conflicts ? `, ${done.conflicts} in conflict` : ""}; u takes it back.`);
    list.renew();
    progress();
    const here = row?.id;
    refill().then(() => here && list.place(here) >= 0 && show(here));
  });
at("replace").addEventListener("click", openReplacing);
let pause = 0;
at("search").addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(() => refill(), 120);
});
for (const name of ["state", "flag"]) {
  at(name).addEventListener("change", () => {
    at(name).blur();
    refill();
  });
}

const KEYS = {
  n: () => move(1), ArrowDown: () => move(1), p: () => move(-1), ArrowUp: () => move(-1),
  a: () => decide("accept"), d: () => decide("drop"), k: () => decide("keep"), f: () => decide("unsure"),
  e: () => at("caption").focus(), Enter: () => at("caption").focus(), t: () => at("note").focus(),
  u: undo, x: discard, "/": () => at("search").focus(), r: openReplacing, "?": help,
};

addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  const field = event.target.closest("input, textarea, select");
  if (field) {
    if (event.key === "Escape") field.blur();
    else if (event.key === "Enter" && field.id === "search") field.blur();
    else if (event.key === "Enter" && field.id === "note") decide("", { stay: true }).then(() => field.blur());
    else if (event.key === "Enter" && event.ctrlKey && field.id === "caption") decide("accept").then(() => field.blur());
    else return;
    event.preventDefault();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter" && event.target.closest("button, summary")) return;
  const deed = /^[1-9]$/.test(event.key) ? () => choose(Number(event.key) - 1) : KEYS[event.key];
  if (!deed) return;
  event.preventDefault();
  deed();
});

start().catch((error) => tell(error.message));
