"use strict";

// What the scripts of a page share.
const atlas = {};

// The theme is the system's until the reader chooses. This script runs before the first paint, or a page of the other theme would
// flash.
{
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

  addEventListener("DOMContentLoaded", themes);
}
