"use strict";

// A tensor as tables: the last axis runs across, the one before it down, and each position of the others has a table of its own.
// Axes of a single place are left out. Axes that the tensor packs are one axis of the table, as they are for callers.
{
  const product = (numbers) => numbers.reduce((total, number) => total * number, 1);
  const called = (slot) => (slot.length === 1 ? slot[0] : `(${slot.join(", ")})`);

  const shape = (slots, sizes) => {
    const long = slots
      .map((slot, place) => ({ axis: called(slot), place, size: product(slot.map((axis) => sizes[axis])) }))
      .filter(({ size }) => size > 1);
    const [down, across] = [undefined, undefined, ...long].slice(-2);
    return { down, across, outer: long.slice(0, -2) };
  };

  const made = (tag, text, attributes = {}) => {
    const element = Object.assign(document.createElement(tag), attributes);
    if (text !== undefined) element.append(text);
    return element;
  };

  // All positions of some axes, each as a list of places.
  const positions = (axes) =>
    axes.reduce((found, { size }) => found.flatMap((at) => Array.from({ length: size }, (_, k) => [...at, k])), [[]]);

  const places = (axis) => (axis ? Array.from({ length: axis.size }, (_, k) => k) : [undefined]);

  // `cell(place, position)` makes what stands at a place in row-major order; `position` is how readers call it: "[0, 2]".
  atlas.tables = (name, slots, sizes, cell) => {
    const { down, across, outer } = shape(slots, sizes);
    const entry = (outside, row, column) => {
      const at = slots.map(() => 0);
      outer.forEach(({ place }, k) => (at[place] = outside[k]));
      if (down) at[down.place] = row;
      if (across) at[across.place] = column;
      const flat = at.reduce((place, k, slot) => place * product(slots[slot].map((axis) => sizes[axis])) + k, 0);
      return made("td", cell(flat, slots.length ? `[${at.join(", ")}]` : ""));
    };
    return positions(outer).map((outside) => {
      const table = made("table");
      const where = outer.map(({ axis }, k) => `${axis} = ${outside[k]}`).join(", ");
      table.append(made("caption", where || name, { className: where ? "" : "said" }));
      if (across) {
        const head = made("tr");
        if (down) head.append(made("td", `${down.axis} \\ ${across.axis}`, { className: "corner" }));
        head.append(...places(across).map((column) => made("th", `${column}`, { scope: "col" })));
        table.createTHead().append(head);
      }
      table.createTBody().append(
        ...places(down).map((row) => {
          const line = made("tr");
          if (down) line.append(made("th", `${row}`, { scope: "row" }));
          line.append(...places(across).map((column) => entry(outside, row, column)));
          return line;
        }),
      );
      return table;
    });
  };
}
