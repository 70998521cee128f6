"use strict";

// The search of the index. Every word of a query must be found: in an op's name or title, among its names, its group, functions, rules and
// the ops that it builds on; `rule:fold` looks among the rules alone. A query with a sign in it is a formula. It is found in the
// equations and the closed forms as they are written in the language, in a terminal or in LaTeX, with or without indices. A hyphen
// may also join words.
{
  const FACETS = ["group", "function", "rule", "uses"];

  // Brackets that do not follow a name are conditions, and stay.
  const withoutIndices = (text) => text.replace(/(\w)\[[^[\]]*\]/g, "$1");
  // Spelling that does not matter: blanks, and how products, powers and LaTeX's spaces and groups are written.
  const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻";
  const plain = (text) =>
    text
      .replace(/[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+/g, (digits) => `^${[...digits].map((c) => "0123456789-"[SUPERSCRIPTS.indexOf(c)]).join("")}`)
      .toLowerCase()
      .replaceAll("**", "^")
      .replace(/\\(?:left|right|,|;|!|cdot)|[\s{}]/g, "")
      .replace(/[·*]/g, "");
  const forms = (formula) => {
    let [indexed, bare] = [formula, withoutIndices(formula)];
    while (bare !== withoutIndices(bare)) bare = withoutIndices(bare);
    return [plain(indexed), plain(bare)];
  };

  const spelled = (item) => item.toLowerCase().replaceAll(" ", "_");

  // How well a word fits an entry, 0 for not at all, and where it was found.
  function rank(entry, word) {
    const [facet, value] = word.includes(":") ? word.split(":", 2) : ["", word];
    const inFacet = FACETS.filter((name) => !facet || name === facet)
      .map((name) => [name, entry[name].find((item) => spelled(item).includes(value))])
      .find(([, item]) => item !== undefined);
    if (!facet) {
      if (entry.name === value) return [5, ""];
      if (entry.name.startsWith(value)) return [4, ""];
      if (entry.name.includes(value)) return [3, ""];
      if (entry.title.toLowerCase().includes(value)) return [2, ""];
      if (entry.names.some((name) => name.toLowerCase() === value)) return [2, `name ${value}`];
    }
    return inFacet && value ? [1, inFacet.join(" ")] : [0, ""];
  }

  // The rank of an entry and the reasons, or null.
  function matched(entry, query) {
    if (!query) return { rank: 0, why: "" };
    const wanted = plain(query);
    if (/[^\w\s:]/.test(query) && entry.forms.some((form) => form.includes(wanted))) return { rank: 1, why: "formula" };
    if (/[^\w\s:,.-]/.test(query)) return null;
    const found = query.split(/[^\w:]+/).filter(Boolean).map((word) => rank(entry, word));
    if (found.some(([value]) => value === 0)) return null;
    if (!found.length) return null;
    return { rank: found.reduce((total, [value]) => total + value, 0), why: found.map(([, why]) => why).filter(Boolean).join(", ") };
  }

  const prepared = (entry) => ({ ...entry, forms: entry.formulas.flatMap(forms) });

  // Ops are found by themselves and by their variants.
  function best(entries, query) {
    const found = entries.map((entry) => ({ entry, match: matched(entry, query) })).filter(({ match }) => match);
    if (!found.length) return null;
    const { entry, match } = found.reduce((a, b) => (b.match.rank > a.match.rank ? b : a));
    return { rank: match.rank, why: [entry === entries[0] ? "" : entry.name, match.why].filter(Boolean).join(": ") };
  }

  class Search {
    constructor(box, list) {
      this.field = box.querySelector("input[type=search]");
      this.said = box.querySelector(".found");
      this.list = list;
      const data = JSON.parse(document.querySelector("#catalogue").textContent).map(prepared);
      const of = Object.fromEntries(data.map((entry) => [entry.name, entry]));
      this.items = [...list.children].map((element, place) => ({
        element,
        place,
        entries: element.dataset.names.split(" ").map((name) => of[name]),
      }));
      this.order = box.querySelector("select");
      this.chips(box.querySelector(".chips"), data);
      this.field.value = new URLSearchParams(location.search).get("q") ?? "";
      box.addEventListener("input", () => this.show());
      box.addEventListener("submit", (event) => {
        event.preventDefault();
        if (this.first) location.href = this.first.element.querySelector("a").href;
      });
      this.show();
    }

    // Words that lead to something, so that nobody has to guess them.
    chips(box, data) {
      for (const facet of ["group", "function", "rule"]) {
        const words = [...new Set(data.flatMap((entry) => entry[facet]))].sort();
        const line = document.createElement("p");
        line.append(`${facet}s: `);
        for (const word of words) {
          const chip = Object.assign(document.createElement("button"), { type: "button", textContent: word });
          chip.addEventListener("click", () => {
            this.field.value = `${facet}:${word.replaceAll(" ", "_")}`;
            this.field.focus();
            this.show();
          });
          line.append(chip, " ");
        }
        box.append(line);
      }
    }

    show() {
      const query = this.field.value.trim().toLowerCase();
      const shown = this.items.map((item) => ({ ...item, found: best(item.entries, query) }));
      const key = (a, b) => (b.found?.rank ?? -1) - (a.found?.rank ?? -1) || this.compare(a, b);
      shown.sort(key);
      for (const { element, found } of shown) {
        element.hidden = !found;
        element.querySelector(".why").textContent = found?.why ?? "";
        this.list.append(element);
      }
      const count = shown.filter(({ found }) => found).length;
      this.first = query && count ? shown[0] : null;
      this.said.textContent = query ? `${count} of ${shown.length} ops` : "";
    }

    // By name, or in the learners' order: of all ops, or of each group.
    compare(a, b) {
      const [one, other] = [a.entries[0], b.entries[0]];
      if (this.order.value === "name") return one.name.localeCompare(other.name);
      const grouped = this.order.value === "group" ? one.group.join().localeCompare(other.group.join()) : 0;
      return grouped || a.place - b.place;
    }
  }

  addEventListener("DOMContentLoaded", () => {
    const [box, list] = [document.querySelector("form.search"), document.querySelector(".ops")];
    if (list) new Search(box, list);
    box.hidden = false;
    // A slash leads to the search, unless something is being typed.
    addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest?.("input, select, textarea")) return;
      event.preventDefault();
      box.querySelector("input").focus();
    });
  });
}
