"use strict";

// Buttons that copy a source file, or the LaTeX of a formula.
{
  // Files opened from a disk may have no clipboard of the newer kind.
  async function copied(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = Object.assign(document.createElement("textarea"), { value: text, className: "said" });
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }

  function copying(button, text) {
    const label = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      button.textContent = (await copied(text())) ? "Copied" : "Not copied";
      document.querySelector(".heard").textContent = button.textContent;
      button.focus();
      setTimeout(() => {
        button.textContent = label;
        document.querySelector(".heard").textContent = "";
      }, 2000);
    });
  }

  // The button comes right behind its formula, also for the keyboard.
  function latex(formula) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "latex", textContent: "LaTeX" });
    button.setAttribute("aria-label", "Copy the formula as LaTeX");
    formula.after(button);
    copying(button, () => formula.dataset.latex);
  }

  addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll(".copy")) {
      copying(button, () => button.closest(".panel").querySelector("pre").textContent);
    }
    document.querySelectorAll("[data-latex]").forEach(latex);
  });
}
