"use strict";

// Plays the rows of a derivation one after the other. The page shows them all; a reader may ask for one at a time.
//
// Of the name whose line is rewritten, the player shows the rows so far. In the last one what is new is marked, in the one before
// it what was replaced. The arrows, Space, Home and End move wherever the focus is inside the player, but in a field that is
// typed into.
{
  const PACE = 2500; // milliseconds a row is shown while the player plays
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  const button = (text, title = "") => Object.assign(document.createElement("button"), { type: "button", textContent: text, title });

  class Player {
    constructor(box) {
      this.box = box;
      this.rows = [...box.querySelectorAll(".row")];
      this.at = 0;
      this.timer = 0;
      this.build();
      this.box.addEventListener("keydown", (event) => this.press(event));
      this.showAll();
    }

    build() {
      const bar = Object.assign(document.createElement("div"), { className: "controls" });
      bar.setAttribute("role", "group");
      bar.setAttribute("aria-label", "Steps");
      this.toggle = button("One step at a time");
      this.toggle.classList.add("toggle");
      this.toggle.addEventListener("click", () => (this.single ? this.showAll() : this.go(0)));
      this.place = document.createElement("input");
      Object.assign(this.place, { type: "range", min: 1, max: this.rows.length, step: 1 });
      this.place.setAttribute("aria-label", "Step");
      this.place.addEventListener("input", () => this.go(this.place.valueAsNumber - 1));
      this.play = button("Play");
      this.play.addEventListener("click", () => (this.timer ? this.pause() : this.start()));
      const moves = [
        ["«", "First step", () => 0],
        ["‹", "Previous step", () => this.at - 1],
        ["›", "Next step", () => this.at + 1],
        ["»", "Last step", () => this.rows.length - 1],
      ].map(([text, title, to]) => {
        const made = button(text, title);
        made.addEventListener("click", () => this.go(to()));
        return made;
      });
      this.said = Object.assign(document.createElement("output"), { className: "step" });
      this.moves = Object.assign(document.createElement("span"), { className: "moves" });
      this.moves.append(moves[0], moves[1], this.place, moves[2], moves[3], this.play, this.said);
      bar.append(this.toggle, this.moves);
      this.box.querySelector(".rows").before(bar);
    }

    press(event) {
      if (!this.single || event.ctrlKey || event.altKey || event.metaKey) return;
      const to = {
        ArrowRight: this.at + 1,
        ArrowDown: this.at + 1,
        ArrowLeft: this.at - 1,
        ArrowUp: this.at - 1,
        Home: 0,
        End: this.rows.length - 1,
        " ": this.at + (event.shiftKey ? -1 : 1),
      }[event.key];
      const { target } = event;
      // A button is pressed by Space, and a wide formula is scrolled by the arrows.
      const own = event.key === " " ? target.closest("button, summary, a") : target.closest(".formula[tabindex]");
      if (to === undefined || own || target.matches("input:not([type=range]), select, textarea")) return;
      event.preventDefault();
      this.go(to);
    }

    go(to) {
      this.single = true;
      this.at = Math.min(Math.max(to, 0), this.rows.length - 1);
      const now = this.rows[this.at];
      const group = now.closest(".group");
      for (const row of this.rows) {
        const distance = this.at - this.rows.indexOf(row);
        row.hidden = row.closest(".group") !== group || distance < 0;
        row.classList.toggle("now", distance === 0);
        row.classList.toggle("before", distance === 1);
      }
      for (const other of this.box.querySelectorAll(".group")) other.hidden = other !== group;
      if (this.at === this.rows.length - 1) this.pause();
      this.tell(now);
    }

    tell(now) {
      this.box.classList.add("single");
      this.moves.hidden = false;
      this.toggle.textContent = "All steps";
      this.place.value = this.at + 1;
      const rule = now.querySelector(".rule")?.textContent.trim();
      this.said.textContent = `${this.at + 1} of ${this.rows.length}${rule ? `: ${rule}` : ""}`;
      this.place.setAttribute("aria-valuetext", this.said.textContent);
      this.play.hidden = still.matches;
      atlas.scrollers();
    }

    showAll() {
      this.pause();
      this.single = false;
      for (const part of [...this.rows, ...this.box.querySelectorAll(".group")]) {
        part.hidden = false;
        part.classList.remove("now", "before");
      }
      this.box.classList.remove("single");
      this.moves.hidden = true;
      this.toggle.textContent = "One step at a time";
      atlas.scrollers?.();
    }

    start() {
      if (this.at === this.rows.length - 1) this.go(0);
      this.timer = setInterval(() => this.go(this.at + 1), PACE);
      this.play.textContent = "Pause";
    }

    pause() {
      clearInterval(this.timer);
      this.timer = 0;
      this.play.textContent = "Play";
    }
  }

  const players = new Map();

  // Show every row of the player that holds an element.
  atlas.showAll = (element) => players.get(element.closest(".player"))?.showAll();

  addEventListener("DOMContentLoaded", () => {
    for (const box of document.querySelectorAll(".player")) {
      if (box.querySelectorAll(".row").length > 1) players.set(box, new Player(box));
    }
    addEventListener("beforeprint", () => players.forEach((player) => player.showAll()));
  });
}
