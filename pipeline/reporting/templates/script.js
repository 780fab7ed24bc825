"use strict";
// Click or press Enter on a picture to see it large; the page is whole without it.
(() => {
  const dialog = document.createElement("dialog");
  const large = document.createElement("img");
  const words = document.createElement("p");
  const close = document.createElement("button");
  close.textContent = "Close";
  dialog.setAttribute("aria-label", "Picture, enlarged");
  dialog.append(large, words, close);
  dialog.addEventListener("click", () => dialog.close());

  const show = (image) => {
    large.src = image.src;
    large.alt = image.alt;
    large.className = image.classList.contains("tiny") ? "tiny" : "";
    words.textContent = image.alt;
    if (!dialog.isConnected) document.body.append(dialog);
    dialog.showModal();
  };

  for (const image of document.querySelectorAll("img.zoom")) {
    image.tabIndex = 0;
    image.setAttribute("role", "button");
    image.addEventListener("click", () => show(image));
    image.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      show(image);
    });
  }

  for (const field of document.querySelectorAll("input[data-filter]")) {
    const rows = [...document.getElementById(field.dataset.filter).rows];
    const told = field.closest("p").querySelector("output");
    field.closest("p").hidden = false;
    field.addEventListener("input", () => {
      const wanted = field.value.toLowerCase();
      let found = 0;
      for (const row of rows) {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
        found += !row.hidden;
      }
      told.textContent = wanted ? `${found} of ${rows.length}` : "";
    });
  }

  const links = new Map([...document.querySelectorAll("nav li a")].map((link) => [link.hash.slice(1), link]));
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-10% 0px -80% 0px" });
  for (const section of document.querySelectorAll("section[id]")) watcher.observe(section);
})();
