"use strict";
// Everything stays in this page: what is decided lies in the browser's storage until it is saved as a patch file.
(() => {
  const HEIGHT = 252;
  const at = (id) => document.getElementById(id);
  const data = JSON.parse(at("data").textContent);
  const key = `gesso sheet ${data.name}`;
  const stored = () => {
    try {
      return JSON.parse(localStorage.getItem(key)) || {};
    } catch {
      return {};
    }
  };
  const work = stored();
  const shown = new Map();
  let rows = data.rows;
  let unsaved = false;

  const made = (name, text = "", kind = "") => {
    const element = document.createElement(name);
    element.textContent = text;
    element.className = kind;
    return element;
  };
  const touched = (row) => {
    const mine = work[row.id];
    return mine && (mine.caption !== row.caption || mine.decision || mine.note !== row.note);
  };
  const count = () => {
    const done = data.rows.filter(touched).length;
    at("count").textContent = `${done} of ${data.rows.length} touched${unsaved ? ", not yet in a patch file" : ""}`;
    at("count").className = unsaved ? "unsaved" : "";
  };
  const change = (row, said) => {
    work[row.id] = { caption: row.caption, decision: "", note: row.note, ...work[row.id], ...said };
    unsaved = true;
    try {
      localStorage.setItem(key, JSON.stringify(work));
    } catch {
      // no storage: the patch file alone keeps the work, and leaving the page asks first
    }
    paint(row);
    count();
  };
  const paint = (row) => {
    const box = shown.get(row.id);
    if (!box) return;
    const mine = work[row.id] || row;
    box.classList.toggle("touched", Boolean(touched(row)));
    box.classList.toggle("drop", mine.decision === "drop");
    const [caption, note] = [box.querySelector("textarea"), box.querySelector("input")];
    if (caption.value !== mine.caption) caption.value = mine.caption;
    if (note.value !== mine.note) note.value = mine.note;
    box.querySelector(".unread").hidden = !row.unread || mine.caption !== row.caption;
    for (const button of box.querySelectorAll(".deeds button")) {
      button.setAttribute("aria-pressed", button.dataset.word === mine.decision);
    }
  };
  const decide = (row, word) => change(row, { decision: work[row.id]?.decision === word ? "" : word });
  const go = (row, by) => {
    const place = rows.indexOf(row) + by;
    if (!rows[place]) return;
    at("list").scrollTop = Math.max(0, place * HEIGHT - 40);
    draw();
    shown.get(rows[place].id).querySelector("textarea").focus({ preventScroll: true });
  };

  const make = (row, place) => {
    const box = made("article", "", "row");
    box.style.setProperty("top", `${place * HEIGHT}px`);
    const image = made("img");
    image.loading = "lazy";
    image.alt = row.caption || "picture without a caption";
    if (row.picture) image.src = encodeURI(row.picture);
    const facts = made("p", row.file);
    facts.append(...row.flags.map((flag) => made("mark", flag)));
    const caption = made("textarea");
    caption.setAttribute("aria-label", `Caption of ${row.file}`);
    caption.addEventListener("input", () => change(row, { caption: caption.value }));
    const unread = made("p", "", "unread");
    if (row.unread) {
      // of a caption that is edited here nobody can tell: the tokenizer is not in this page
      unread.append("training does not read ", made("del", row.unread));
      unread.title = `The text encoder has no tokens left for: ${row.unread}`;
    }
    const candidates = made("div", "", "candidates");
    candidates.append(
      ...row.candidates.map((text, number) => {
        const button = made("button", `${number + 1}  ${text}`);
        button.type = "button";
        button.title = text;
        button.addEventListener("click", () => change(row, { caption: text, decision: "accept" }));
        return button;
      }),
    );
    const deeds = made("div", "", "deeds");
    for (const word of data.words) {
      const button = made("button", word);
      button.type = "button";
      button.dataset.word = word;
      button.addEventListener("click", () => decide(row, word));
      deeds.append(button);
    }
    const note = made("input");
    note.placeholder = "note";
    note.setAttribute("aria-label", `Note on ${row.file}`);
    note.addEventListener("input", () => change(row, { note: note.value }));
    deeds.append(note);
    const section = made("section");
    section.append(facts, caption, unread, candidates, deeds);
    box.append(image, section);
    box.addEventListener("keydown", (event) => {
      const deed =
        (event.ctrlKey && { Enter: () => (change(row, { decision: "accept" }), go(row, 1)), ArrowDown: () => go(row, 1), ArrowUp: () => go(row, -1) }[event.key]) ||
        (event.altKey && { KeyD: () => decide(row, "drop"), KeyU: () => decide(row, "unsure"), KeyK: () => decide(row, "keep") }[event.code]) ||
        (event.altKey && /^Digit[1-9]$/.test(event.code) && (() => candidates.children[Number(event.code.slice(5)) - 1]?.click()));
      if (!deed) return;
      event.preventDefault();
      deed();
    });
    return box;
  };
  const draw = () => {
    const list = at("list");
    const first = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - 2);
    const wanted = rows.slice(first, Math.ceil((list.scrollTop + list.clientHeight) / HEIGHT) + 2);
    const names = new Set(wanted.map((row) => row.id));
    for (const [id, box] of shown) {
      if (names.has(id)) continue;
      box.remove();
      shown.delete(id);
    }
    wanted.forEach((row, place) => {
      if (shown.has(row.id)) return;
      shown.set(row.id, make(row, first + place));
      at("rows").append(shown.get(row.id));
      paint(row);
    });
  };
  const refill = () => {
    const [text, flag] = [at("search").value.toLowerCase(), at("flag").value];
    rows = data.rows.filter((row) => {
      const caption = work[row.id]?.caption ?? row.caption;
      return (!flag || row.flags.includes(flag)) && (!text || `${caption}\n${row.file}`.toLowerCase().includes(text));
    });
    at("rows").style.setProperty("height", `${rows.length * HEIGHT}px`);
    for (const box of shown.values()) box.remove();
    shown.clear();
    draw();
  };

  // as spreadsheet.py escapes what a spreadsheet would run
  const FORMULA = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20";
  const runs = (text) => [text, text.trimStart()].some((one) => one && FORMULA.includes(one[0]));
  const cell = (text) => `"${(runs(text) || text.startsWith("'") ? `'${text}` : text).replaceAll('"', '""')}"`;
  const save = () => {
    const names = ["id", "caption", "decision", "note", "reviewer", "before", "base"];
    const lines = data.rows.filter(touched).map((row) => {
      const told = { ...work[row.id], id: row.id, before: row.caption, base: row.base, reviewer: at("who").value.trim() };
      return names.map((name) => cell(told[name])).join(",");
    });
    const link = made("a");
    const blob = new Blob([`\ufeff${[names.join(","), ...lines].join("\r\n")}\r\n`], { type: "text/csv" });
    link.href = URL.createObjectURL(blob);
    link.download = `${data.file}_patch.csv`;
    link.click();
    unsaved = false;
    count();
  };

  at("who").value = data.reviewer || "";
  const flags = [...new Set(data.rows.flatMap((row) => row.flags))].sort();
  at("flag").append(new Option("any flag", ""), ...flags.map((flag) => new Option(flag, flag)));
  at("save").addEventListener("click", save);
  at("search").addEventListener("input", refill);
  at("flag").addEventListener("change", refill);
  at("list").addEventListener("scroll", draw);
  new ResizeObserver(draw).observe(at("list"));
  addEventListener("beforeunload", (event) => unsaved && event.preventDefault());
  addEventListener("keydown", (event) => {
    if (event.ctrlKey && event.key === "s") {
      event.preventDefault();
      save();
    } else if (event.key === "/" && !event.target.closest("input, textarea")) {
      event.preventDefault();
      at("search").focus();
    }
  });
  unsaved = data.rows.some(touched);
  refill();
  count();
})();
