// Completion of words and tags while typing: Tab takes the marked one, arrows choose, Escape closes.

const MOST = 6;
let terms = [];

export function learn(some) {
  terms = some;
}

export function complete(field, box) {
  let found = [];
  let marked = 0;

  const start = () => {
    const before = field.value.slice(0, field.selectionStart);
    const tag = before.match(/(?:^|,)\s*([^,\n]*)$/)?.[1] ?? "";
    const word = before.match(/[^\s,]*$/)[0];
    return tag !== word && tag.length > 1 && terms.some((one) => one.startsWith(tag) && one !== tag) ? tag : word;
  };
  const close = () => {
    found = [];
    box.hidden = true;
  };
  const draw = () => {
    box.replaceChildren(
      ...found.map((term, at) => {
        const item = document.createElement("li");
        item.setAttribute("role", "option");
        item.setAttribute("aria-selected", at === marked);
        item.textContent = term;
        item.addEventListener("mousedown", (event) => {
          event.preventDefault();
          take(at);
        });
        return item;
      }),
    );
    box.hidden = found.length === 0;
  };
  const take = (at) => {
    const typed = start();
    field.setSelectionRange(field.selectionStart - typed.length, field.selectionStart);
    // so that the browser's own undo knows of it
    document.execCommand("insertText", false, found[at]);
    close();
  };

  field.addEventListener("input", () => {
    const typed = start();
    const end = field.value[field.selectionStart] ?? " ";
    found = typed.length < 2 || /[^\s,]/.test(end) ? [] : terms.filter((one) => one.startsWith(typed) && one !== typed).slice(0, MOST);
    marked = 0;
    draw();
  });
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (event) => {
    if (!found.length) return;
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Tab") take(marked);
    else if (event.key === "Escape") close();
    else if (move) {
      marked = (marked + move + found.length) % found.length;
      draw();
    } else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  });
}
