// What the page asks of the server. Typing is kept in the browser until the server has it on its disk.

export const state = { reviewer: new URLSearchParams(location.search).get("reviewer") || "" };

export async function get(path, query = {}) {
  const answer = await fetch(`${path}?${new URLSearchParams(query)}`);
  return read(answer);
}

export async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ reviewer: state.reviewer, ...body }),
  });
  return read(answer);
}

async function read(answer) {
  const told = await answer.json().catch(() => ({ error: `The server answered ${answer.status}.` }));
  if (!answer.ok) throw new Error(told.error || JSON.stringify(told.detail) || `The server answered ${answer.status}.`);
  return told;
}

const key = (id) => `gesso ${state.reviewer} ${id}`;
const waiting = new Map();
let sending = null;
let watcher = () => {};

/** Be told how the typing of a picture stands: "saving", "saved" or "lost" (the server cannot be reached). */
export function onDraft(told) {
  watcher = told;
}

/** Keep what is typed: in the browser at once, on the server's disk as soon as it answers. Null forgets it. */
export function draft(id, text) {
  try {
    localStorage.setItem(key(id), JSON.stringify(text));
  } catch {
    // a full or forbidden storage: the server still gets it
  }
  waiting.set(id, text);
  watcher(id, "saving");
  sending ||= send().finally(() => (sending = null));
}

/** Wait until nothing that was typed is under way. */
export async function settled() {
  while (sending) await sending;
}

/** What this browser holds and the server did not confirm, by id. */
export function unsent() {
  const start = key("");
  const names = Object.keys(localStorage).filter((name) => name.startsWith(start));
  return new Map(names.map((name) => [name.slice(start.length), JSON.parse(localStorage.getItem(name))]));
}

/** Forget what the browser holds of a picture: it is decided. */
export function forget(id) {
  waiting.delete(id);
  localStorage.removeItem(key(id));
}

async function send() {
  while (waiting.size) {
    const [id, text] = waiting.entries().next().value;
    waiting.delete(id);
    try {
      await post("/api/draft", { id, text });
      if (!waiting.has(id)) {
        localStorage.removeItem(key(id));
        watcher(id, "saved");
      }
    } catch {
      if (!waiting.has(id)) waiting.set(id, text);
      watcher(id, "lost");
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}
