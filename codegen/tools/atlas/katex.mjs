// Typesets formulas: a JSON list of {latex, display} on stdin; on stdout {formulas, css, katex}, where `formulas` is a list of {html}
// or {error} in the same order, `katex` KaTeX's stylesheet with the names that the classes have here, and `css` the rules that they
// need beside it. The one argument is the folder that holds node_modules.

import { readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, resolve } from "node:path";

const require = createRequire(resolve(process.argv[2], "package.json"));
const katex = require("katex");

const options = {
  output: "htmlAndMathml",
  throwOnError: true,
  fleqn: true,
  macros: { "\\new": "\\htmlClass{new}{#1}", "\\old": "\\htmlClass{old}{#1}" },
  // Classes are what the marks are made of; whatever else is not LaTeX is refused.
  strict: (code) => (code === "htmlExtension" ? "ignore" : "error"),
  trust: (context) => context.command === "\\htmlClass",
};

// KaTeX gives every part classes, most of which no rule of its stylesheet names, and styles, of which a few hundred are different.
// They are most of a page. Classes that mean nothing are left out, others get short names, and a style becomes a class.
const stylesheet = readFileSync(resolve(dirname(require.resolve("katex")), "katex.min.css"), "utf8");
// Classes in selectors: what follows them up to the next brace opens one.
const SELECTED = /\.([a-z][\w-]*)(?=[^{}]*\{)/gi;
const KEPT = ["new", "old", "katex", "katex-display", "katex-html", "katex-mathml", "katex-version", "fleqn", "mfrac"];
const called = new Map(KEPT.map((name) => [name, name]));
for (const [, name] of stylesheet.matchAll(SELECTED)) {
  if (!called.has(name)) called.set(name, `k${called.size.toString(36)}`);
}
const styles = new Map();
const short = (style) => {
  if (!styles.has(style)) styles.set(style, `_${styles.size.toString(36)}`);
  return styles.get(style);
};
const spans = (html) =>
  html.replace(/<span([^>]*)>/g, (_, attributes) => {
    const given = Object.fromEntries(Array.from(attributes.matchAll(/ ([\w-]+)="([^"]*)"/g), ([, name, value]) => [name, value]));
    const { class: names = "", style, ...rest } = given;
    const kept = names.split(" ").flatMap((name) => called.get(name) ?? []);
    if (style) kept.push(short(style));
    const others = Object.entries(rest).map(([name, value]) => ` ${name}=${value}`);
    return `<span${kept.length > 1 ? ` class="${kept.join(" ")}"` : kept.length ? ` class=${kept[0]}` : ""}${others.join("")}>`;
  });
// What stood in a style attribute outranks KaTeX's own rules, as it did there.
const rules = () =>
  Array.from(styles, ([style, name]) => `.${name}{${style.replace(/;/g, "!important;")}}`)
    .sort()
    .join("\n");

// MathML is for those who hear the page: how it would be drawn is left out, and so is its LaTeX. Letters of an upright word become
// one identifier, which is read as a word.
const LETTER = /<mi mathvariant="normal">([^<])<\/mi>/g;
const tidy = (html) =>
  spans(html)
    .replace(/(?:<mi mathvariant="normal">[^<]<\/mi>){2,}/g, (word) => `<mi>${word.replace(LETTER, "$1")}</mi>`)
    .replace(/<annotation[^>]*>[^<]*<\/annotation>|<\/?semantics>|<mspace[^>]*><\/mspace>|<mspace[^>]*\/>/g, "")
    .replace(/ (?:xmlns|stretchy|separator|fence|lspace|rspace|minsize|maxsize|scriptlevel|displaystyle)="[^"]*"/g, "");

// A mark is an inline box, as high as the face and not as what it encloses: padding, which moves nothing, makes up for that.
const ASCENT = 0.9;
const DESCENT = 0.27;
const enclose = (node) => {
  if (node.classes?.includes("enclosing")) {
    const [above, below] = [node.height - ASCENT, node.depth - DESCENT].map((more) => Math.max(0, more).toFixed(2));
    if (above > 0 || below > 0) node.style.padding = `${above}em 0 ${below}em`;
  }
  node.children?.forEach(enclose);
  return node;
};

const typeset = ({ latex, display }) => {
  try {
    return { html: tidy(enclose(katex.__renderToDomTree(latex, { ...options, displayMode: display })).toMarkup()) };
  } catch (error) {
    return { error: error.message };
  }
};

const formulas = JSON.parse(readFileSync(0, "utf8")).map(typeset);
const answer = Buffer.from(JSON.stringify({ formulas, css: `${rules()}\n`, katex: stylesheet.replace(SELECTED, (_, name) => `.${called.get(name)}`) }));
for (let done = 0; done < answer.length; ) done += writeSync(1, answer, done);
