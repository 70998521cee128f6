"use strict";

// Computes equations in index notation. An equation is [name, index, tree], and a tree is a list that begins with the word for its
// kind (codegen/tools/atlas/terms.py writes them). The values of a tensor are an array in row-major order.
//
// A tree is compiled to a function of a position: an object from each index to its place. An index with primes runs over the axis
// of its name without them. `scope` has the axes of each tensor, the length of each axis, and the values as they are at the moment.
{
  const axisOf = (index) => index.replace(/'+$/, "");

  const COMPARISONS = {
    "<": (a, b) => a < b,
    "<=": (a, b) => a <= b,
    ">": (a, b) => a > b,
    ">=": (a, b) => a >= b,
    "==": (a, b) => a === b,
    "!=": (a, b) => a !== b,
  };

  // How a reduction begins, takes one value, and ends.
  const REDUCTIONS = {
    sum: { begin: 0, take: (total, value) => total + value, end: (total) => total },
    mean: { begin: 0, take: (total, value) => total + value, end: (total, count) => total / count },
    max: { begin: -Infinity, take: Math.max, end: (found) => found },
    min: { begin: Infinity, take: Math.min, end: (found) => found },
    prod: { begin: 1, take: (product, value) => product * value, end: (product) => product },
  };

  const folded = (parts, join) => (at) => parts.map((part) => part(at)).reduce(join);

  // One way to compile for each kind of tree.
  const KINDS = {
    number: (scope, value) => () => value,
    constant: (scope, name) => {
      if (name !== "pi") throw new Error(`no value for the constant ${name}`);
      return () => Math.PI;
    },
    read: (scope, name, slots) => {
      if (!(name in scope.axes)) throw new Error(`${name} is read before it is defined`);
      const place = position(scope, slots, scope.axes[name]);
      return (at) => scope.values[name][place(at)];
    },
    size: (scope, axis) => () => scope.sizes[axis],
    negative: (scope, of) => {
      const value = compiled(scope, of);
      return (at) => -value(at);
    },
    sum: (scope, ...parts) => folded(all(scope, parts), (a, b) => a + b),
    product: (scope, ...parts) => folded(all(scope, parts), (a, b) => a * b),
    quotient: (scope, ...parts) => folded(all(scope, parts), (a, b) => a / b),
    power: (scope, ...parts) => folded(all(scope, parts), (a, b) => a ** b),
    compare: (scope, relation, ...sides) => folded(all(scope, sides), COMPARISONS[relation]),
    match: (scope, left, right, equal) => {
      const [one, other] = [slot(scope, left), slot(scope, right)];
      return (at) => (one(at) === other(at)) === equal;
    },
    indicator: (scope, of) => {
      const holds = compiled(scope, of);
      return (at) => (holds(at) ? 1 : 0);
    },
    call: (scope, head, ...parts) => {
      const given = all(scope, parts);
      // Only the branch that is taken is computed.
      if (head === "where") return (at) => (given[0](at) ? given[1](at) : given[2](at));
      const value = atlas.functions[head];
      if (!value) throw new Error(`no spelling for the function ${head}`);
      return (at) => value(...given.map((part) => part(at)));
    },
    reduce: (scope, kind, index, of) => {
      const value = compiled(scope, of);
      const { begin, take, end } = REDUCTIONS[kind];
      return (at) => {
        let [found, count] = [begin, 0];
        each(scope, index, { ...at }, (inside) => {
          found = take(found, value(inside));
          count += 1;
        });
        return end(found, count);
      };
    },
  };

  const compiled = (scope, [kind, ...rest]) => KINDS[kind](scope, ...rest);
  const all = (scope, trees) => trees.map((tree) => compiled(scope, tree));

  // The place that an index stands at: its own, or the one that an integer tensor holds.
  function slot(scope, index) {
    return typeof index === "string" ? (at) => at[index] : compiled(scope, ["read", ...index]);
  }

  // The place of an element in row-major order.
  function position(scope, slots, axes) {
    const places = slots.map((index) => slot(scope, index));
    const lengths = axes.map((axis) => scope.sizes[axisOf(axis)]);
    return (at) => places.reduce((place, of, k) => place * lengths[k] + of(at), 0);
  }

  // Visits every position of some indices in row-major order; `at` is the same object each time.
  function each(scope, [first, ...rest], at, visit) {
    if (first === undefined) {
      visit(at);
      return;
    }
    for (let k = 0; k < scope.sizes[axisOf(first)]; k++) {
      at[first] = k;
      each(scope, rest, at, visit);
    }
  }

  // A function from the given values to all values: theirs and those of each equation, which reads names before it. `axes` has
  // the axes of each given tensor, `sizes` the length of each axis.
  atlas.compile = (equations, axes, sizes) => {
    const scope = { axes: { ...axes }, sizes, values: {} };
    const lines = equations.map(([name, index, tree]) => {
      const line = { name, index, value: compiled(scope, tree) };
      scope.axes[name] = index;
      return line;
    });
    return (given) => {
      scope.values = { ...given };
      for (const { name, index, value } of lines) {
        const values = [];
        each(scope, index, {}, (at) => values.push(value(at)));
        scope.values[name] = values;
      }
      return scope.values;
    };
  };
}
