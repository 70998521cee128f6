// Typesets formulas: a JSON list of {latex, display} on stdin, a list of {html} or {error} in the same order on stdout.
// Its one argument is the folder that holds node_modules.

import { readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const katex = createRequire(resolve(process.argv[2], "package.json"))("katex");

const options = {
  output: "htmlAndMathml",
  throwOnError: true,
  fleqn: true,
  macros: { "\\new": "\\htmlClass{new}{#1}", "\\old": "\\htmlClass{old}{#1}" },
  // Classes are what the marks are made of; whatever else is not LaTeX is refused.
  strict: (code) => (code === "htmlExtension" ? "ignore" : "error"),
  trust: (context) => context.command === "\\htmlClass",
};

// Letters of an upright word become one identifier, which is read as a word, and is shorter. The LaTeX is for us alone.
const LETTER = /<mi mathvariant="normal">([^<])<\/mi>/g;
const tidy = (html) =>
  html
    .replace(/(?:<mi mathvariant="normal">[^<]<\/mi>){2,}/g, (word) => `<mi>${word.replace(LETTER, "$1")}</mi>`)
    .replace(/<annotation[^>]*>[^<]*<\/annotation>/g, "");

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

const answer = Buffer.from(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(typeset)));
for (let done = 0; done < answer.length; ) done += writeSync(1, answer, done);
