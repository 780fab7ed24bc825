// Find and replace over what is shown, with every change seen before it is made; and the list of keys.

import { get, post } from "./api.js";

const SHOWN = 200;
const at = (id) => document.getElementById(id);
let wishes = [];
let asked = 0;

export function help() {
  at("keys").showModal();
}

/** Open find and replace over what `filter()` shows; `done(answer)` hears what became of it. */
export function replacing(filter, done) {
  const look = async () => {
    const mine = (asked += 1);
    const find = at("find").value;
    // what is shown belongs to other words: nothing may be replaced until the new preview is here
    wishes = [];
    at("do").disabled = true;
    const answer = find ? await get("/api/replace", { find, by: at("by").value, ...filter() }).catch(() => ({ wishes: [] })) : { wishes: [] };
    if (mine !== asked) return;
    wishes = answer.wishes;
    at("do").disabled = wishes.length === 0;
    at("do").textContent = wishes.length ? `Replace in ${wishes.length}` : "Replace";
    const more = wishes.length > SHOWN ? `, the first ${SHOWN} below` : "";
    at("hits").textContent = find ? `${wishes.length} of the captions that are shown change${more}. It can be undone.` : "";
    at("preview").replaceChildren(...wishes.slice(0, SHOWN).map((wish) => line(wish.seen, find, at("by").value)));
  };
  at("find").oninput = at("by").oninput = look;
  at("dont").onclick = () => at("replacing").close();
  at("do").onclick = async () => {
    at("do").disabled = true;
    try {
      done(await post("/api/decide", { wishes, bulk: true }), null);
    } catch (error) {
      done(null, error);
    }
    at("replacing").close();
  };
  at("replacing").onkeydown = (event) => {
    if (event.key === "Enter" && event.ctrlKey && wishes.length) at("do").click();
  };
  at("replacing").showModal();
  at("find").focus();
  at("find").select();
  look();
}

function line(text, find, by) {
  const item = document.createElement("li");
  text.split(find).forEach((part, place) => {
    if (place) {
      const [old, fresh] = [document.createElement("del"), document.createElement("ins")];
      old.textContent = find;
      fresh.textContent = by;
      item.append(old, fresh);
    }
    item.append(part);
  });
  return item;
}
