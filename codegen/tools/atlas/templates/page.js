"use strict";

// ---- theme: the system's, until the reader chooses -------------------------------------------------------------------------

const remembered = {
  get() {
    try {
      return localStorage.getItem("atlas-theme");
    } catch {
      return null; // a browser may refuse storage to local files
    }
  },
  set(theme) {
    try {
      localStorage.setItem("atlas-theme", theme);
    } catch {
      // the choice then lasts as long as the page
    }
  },
};
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = () => root.dataset.theme || (dark.matches ? "dark" : "light");

// Before the first paint, or a page of the other theme would flash.
if (remembered.get()) root.dataset.theme = remembered.get();

function themes() {
  const button = document.querySelector("button.theme");
  const show = () => button.setAttribute("aria-pressed", String(theme() === "dark"));
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = theme() === "dark" ? "light" : "dark";
    remembered.set(root.dataset.theme);
    show();
  });
  dark.addEventListener("change", show);
  show();
}

// ---- tabs: arrows, Home and End move between them ---------------------------------------------------------------------------

// A file is first shown from the function that matters most, with its preamble above.
function begin(panel) {
  if (panel.dataset.shown) return;
  panel.dataset.shown = "true";
  const code = panel.querySelector("pre");
  if (!code) return;
  code.scrollTop = code.querySelector("b").getBoundingClientRect().top - code.getBoundingClientRect().top - 18;
}

function tabs(box) {
  const list = box.querySelector('[role="tablist"]');
  const all = [...list.querySelectorAll('[role="tab"]')];
  const select = (tab, focus) => {
    for (const other of all) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      const panel = document.getElementById(other.getAttribute("aria-controls"));
      panel.hidden = !chosen;
      if (chosen) begin(panel);
    }
    scrollers();
    if (focus) tab.focus();
  };
  const keys = {
    ArrowRight: (at) => (at + 1) % all.length,
    ArrowLeft: (at) => (at + all.length - 1) % all.length,
    Home: () => 0,
    End: () => all.length - 1,
  };
  for (const tab of all) {
    tab.addEventListener("click", () => select(tab, false));
    tab.addEventListener("keydown", (event) => {
      const to = keys[event.key]?.(all.indexOf(tab));
      if (to === undefined) return;
      event.preventDefault();
      select(all[to], true);
    });
  }
  list.hidden = false;
  select(all[0], false);
}

// ---- copy ---------------------------------------------------------------------------------------------------------------------

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

function copying(button) {
  const panel = button.closest(".panel");
  const said = button.closest(".tabs").querySelector(".said");
  button.hidden = false;
  button.addEventListener("click", async () => {
    const done = await copied(panel.querySelector("pre").textContent);
    button.textContent = done ? "Copied" : "Not copied";
    said.textContent = button.textContent;
    button.focus();
    setTimeout(() => {
      button.textContent = "Copy";
      said.textContent = "";
    }, 2000);
  });
}

// ---- what is linked to opens; what scrolls can be reached by the keyboard ---------------------------------------------------

function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  target.scrollIntoView();
}

function scrollers() {
  for (const box of document.querySelectorAll(".formula, .wide, .signature")) {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

document.addEventListener("DOMContentLoaded", () => {
  themes();
  document.querySelectorAll(".tabs").forEach(tabs);
  document.querySelectorAll(".copy").forEach(copying);
  document.querySelectorAll("details").forEach((fold) => fold.addEventListener("toggle", scrollers));
  addEventListener("hashchange", reveal);
  addEventListener("resize", scrollers);
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((fold) => (fold.open = true)));
  reveal();
  scrollers();
  // The middle of a graph is where most of it is.
  for (const box of document.querySelectorAll(".graph .wide")) box.scrollLeft = (box.scrollWidth - box.clientWidth) / 2;
  document.fonts.ready.then(scrollers);
});
