"use strict";

// Tabs: the arrows, Home and End move between them.
{
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
      atlas.scrollers();
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

  addEventListener("DOMContentLoaded", () => document.querySelectorAll(".tabs").forEach(tabs));
}
