"use strict";

// Small tensors that a reader changes. The loss is computed by the author's equations, the gradients by the closed forms, and each
// gradient is compared with a finite difference of the loss.
{
  const digits = (value, count) => {
    if (Number.isNaN(value)) return "NaN";
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
    const small = value !== 0 && Math.abs(value) < 1e-4;
    const text = small ? value.toExponential(count - 1) : Number(value.toPrecision(count)).toString();
    return text.replaceAll("-", "−").replace("e+", "e");
  };

  const sum = (values) => values.reduce((total, value) => total + value, 0);

  // What is computed on a page: the values that are given, and all that follows from them.
  class Model {
    constructor(program) {
      this.program = program;
      const { inputs, constants, outputs, sizes } = program;
      this.axes = {};
      for (const { name, axes = [] } of [...inputs, ...constants]) this.axes[name] = axes;
      this.forward = atlas.compile(program.forward, this.axes, sizes);
      for (const { adjoint, axes } of outputs) this.axes[adjoint] = axes;
      this.backward = atlas.compile(program.backward, this.axes, sizes);
      this.differentiable = inputs.filter(({ adjoint }) => adjoint);
      this.reset();
    }

    reset() {
      const { inputs, constants, outputs } = this.program;
      this.given = {};
      for (const { name, values } of [...inputs, ...constants]) this.given[name] = [...values];
      for (const { adjoint, values } of outputs) this.given[adjoint] = [...values];
    }

    // Other values of the inputs, to the hundredth, within their bounds; the labels and the constants stay.
    draw() {
      for (const { name, low, high } of this.differentiable) {
        const [from, to] = [low ?? (high ?? 2) - 4, high ?? (low ?? -2) + 4];
        this.given[name] = this.given[name].map(() => Math.round(100 * (from + (to - from) * (0.1 + 0.8 * Math.random()))) / 100);
      }
    }

    loss() {
      const values = this.forward(this.given);
      const terms = this.program.outputs.flatMap(({ name, adjoint }) =>
        values[name].map((value, k) => ({ value, upstream: this.given[adjoint][k] })),
      );
      return {
        loss: sum(terms.map(({ value, upstream }) => value * upstream)),
        size: sum(terms.map(({ value, upstream }) => Math.max(1, Math.abs(value)) * Math.abs(upstream))),
      };
    }

    values() {
      return { ...this.forward(this.given), ...this.backward(this.given) };
    }

    compared(name, k, gradient) {
      const numeric = atlas.difference(() => this.loss(), this.given[name], k);
      return { ...numeric, gradient, distance: Math.abs(gradient - numeric.value) };
    }
  }
  atlas.Model = Model;

  const agrees = ({ distance, allowed }) => distance <= allowed;

  function facts({ gradient, value, step, distance, allowed, below, above }) {
    const found = [
      ["closed form", digits(gradient, 10)],
      ["finite difference", `${digits(value, 10)} with the step ${digits(step, 2)}`],
      ["apart", `${digits(distance, 2)}; the step allows ${digits(allowed, 2)}`],
    ];
    if (below === undefined) return found;
    return [found[0], ["at a kink", `the slope is ${digits(below, 6)} below and ${digits(above, 6)} above; the closed form chooses`]];
  }

  function verdict(all) {
    const smooth = all.filter(({ below }) => below === undefined);
    const [good, kinks] = [smooth.filter(agrees), all.length - smooth.length];
    const worst = smooth.reduce((a, b) => (b.distance / b.allowed > a.distance / a.allowed ? b : a), { distance: 0, allowed: 1 });
    const apart = smooth.length ? ` The farthest apart is ${digits(worst.distance, 2)}, where the step allows ${digits(worst.allowed, 2)}.` : "";
    const at = kinks ? ` ${kinks} ${kinks === 1 ? "lies" : "lie"} at a kink.` : "";
    return { good: good.length === smooth.length, text: `${good.length} of ${smooth.length} entries agree.${apart}${at}` };
  }

  // The page's side of a model: cells that are shown, and fields that are changed.
  class View {
    constructor(box) {
      this.box = box;
      this.model = new Model(JSON.parse(box.querySelector("script").textContent));
      this.fields = {};
      this.cells = {};
      const { inputs, constants, outputs } = this.model.program;
      for (const tensor of inputs) this.place(tensor.name, tensor.slots, this.field(tensor.name, tensor));
      for (const tensor of constants) this.place(tensor.name, [], this.field(tensor.name, tensor));
      for (const { adjoint, slots } of this.model.differentiable) this.place(adjoint, slots, this.cell(adjoint));
      for (const { name, adjoint, slots } of outputs) {
        this.place(name, slots, this.cell(name));
        this.place(adjoint, slots, this.field(adjoint, {}));
      }
      this.slider = box.querySelector("input[type=range]");
      this.slider.addEventListener("input", () => this.change(this.chosen.name, this.chosen.place, this.slider.valueAsNumber));
      box.querySelector(".again").addEventListener("click", () => this.replace(() => this.model.draw()));
      box.querySelector(".reset").addEventListener("click", () => this.replace(() => this.model.reset()));
      box.hidden = false;
      this.choose(this.model.differentiable[0], 0);
      this.replace(() => {});
    }

    place(name, slots, cell) {
      const tensor = [...this.box.querySelectorAll(".tensor")].find((element) => element.dataset.name === name);
      tensor?.append(...atlas.tables(name, slots, this.model.program.sizes, cell));
    }

    field(name, tensor) {
      const { labels, low, high } = tensor;
      this.fields[name] = [];
      return (place, position) => {
        const field = labels === undefined ? numeric(low, high) : choice(this.model.program.sizes[labels]);
        field.setAttribute("aria-label", name + position);
        field.addEventListener("focus", () => this.choose(tensor, place));
        field.addEventListener("input", () => {
          if (field.checkValidity() && field.value !== "") this.change(name, place, Number(field.value));
        });
        this.fields[name][place] = field;
        return field;
      };
    }

    cell(name) {
      this.cells[name] = [];
      return (place) => {
        const cell = document.createElement("output");
        this.cells[name][place] = cell;
        return cell;
      };
    }

    // An entry whose gradient is compared; labels, constants and upstream gradients have none.
    choose({ name, adjoint, low, high }, place) {
      if (!adjoint) return;
      this.chosen = { name, adjoint, place };
      this.slider.min = low ?? -4;
      this.slider.max = high ?? 4;
      this.slider.value = this.model.given[name][place];
      this.box.querySelector(".entry").textContent = this.fields[name][place].getAttribute("aria-label");
      for (const marked of this.box.querySelectorAll(".marked")) marked.classList.remove("marked");
      for (const element of [this.fields[name][place], this.cells[adjoint][place]]) element.closest("td").classList.add("marked");
      this.compare();
    }

    change(name, place, value) {
      this.model.given[name][place] = value;
      const field = this.fields[name][place];
      if (field !== document.activeElement) field.value = value;
      this.show();
    }

    replace(changed) {
      changed();
      for (const [name, fields] of Object.entries(this.fields))
        fields.forEach((field, place) => (field.value = this.model.given[name][place]));
      this.show();
    }

    show() {
      this.values = this.model.values();
      for (const [name, cells] of Object.entries(this.cells)) {
        const most = Math.max(...this.values[name].map(Math.abs).filter(Number.isFinite), 1e-300);
        cells.forEach((cell, place) => shade(cell, this.values[name][place], most));
      }
      const { name, place } = this.chosen;
      this.slider.value = this.model.given[name][place];
      this.compare();
      this.judge();
    }

    compare() {
      if (!this.values) return;
      const { name, adjoint, place } = this.chosen;
      const found = facts(this.model.compared(name, place, this.values[adjoint][place]));
      this.box.querySelector(".compared").replaceChildren(
        ...found.flatMap(([term, text]) => [
          Object.assign(document.createElement("dt"), { textContent: term }),
          Object.assign(document.createElement("dd"), { textContent: text }),
        ]),
      );
    }

    judge() {
      const all = this.model.differentiable.flatMap(({ name, adjoint }) =>
        this.values[adjoint].map((gradient, place) => this.model.compared(name, place, gradient)),
      );
      const { good, text } = verdict(all);
      const line = this.box.querySelector(".agreement");
      line.textContent = text;
      line.classList.toggle("failed", !good);
    }
  }

  function numeric(low, high) {
    const field = Object.assign(document.createElement("input"), { type: "number", step: "any", required: true });
    field.inputMode = "decimal";
    if (low !== undefined) field.min = low;
    if (high !== undefined) field.max = high;
    return field;
  }

  function choice(count) {
    const field = document.createElement("select");
    for (let k = 0; k < count; k++) field.add(new Option(k, k));
    return field;
  }

  // A value, shaded by its sign and by its share of the largest; one that moved says so until it stands still.
  function shade(cell, value, most) {
    const text = digits(value, 3);
    if (cell.textContent && cell.textContent !== text) {
      cell.classList.remove("moved");
      void cell.offsetWidth; // or the animation would not begin anew
      cell.classList.add("moved");
    }
    cell.textContent = text;
    cell.classList.toggle("below", value < 0);
    cell.style.setProperty("--share", Number.isFinite(value) ? (Math.abs(value) / most).toFixed(3) : 0);
  }

  addEventListener("DOMContentLoaded", () => document.querySelectorAll(".playground").forEach((box) => new View(box)));
}
