"use strict";

// A derivative by central differences, with what the step can tell: a difference is never exact.
{
  const EPSILON = 2 ** -52;
  // Near the cube root of EPSILON, where the two errors of a central difference are alike. A power of 2, so that x + h is exact
  // for the small x of a page.
  const STEP = 2 ** -17;
  // Roundings of a loss on its way through the equations, each at most EPSILON of the sum of absolute values of its terms.
  const ROUNDINGS = 32;

  // The derivative of `loss` in the entry `k` of `values`. `loss()` gives the loss and the sum of absolute values of its terms at
  // the values as they are; they are changed and put back.
  //
  // * value: (loss(x + h) - loss(x - h))/2h.
  // * allowed: its error, of which the part from the step is at most the distance to the same difference with twice the step.
  // * below, above: the one-sided derivatives at a kink; absent elsewhere.
  atlas.difference = (loss, values, k) => {
    const x = values[k];
    const h = STEP * Math.max(1, 2 ** Math.round(Math.log2(Math.abs(x) || 1)));
    const at = (shift) => {
      values[k] = x + shift;
      return loss();
    };
    const [here, near, far] = [at(0), [at(h), at(-h)], [at(2 * h), at(-2 * h)]];
    values[k] = x;
    const slope = ([up, down], step) => (up.loss - down.loss) / (2 * step);
    const bend = ([up, down], step) => (up.loss - 2 * here.loss + down.loss) / step;
    const value = slope(near, h);
    const size = Math.max(here.size, ...[...near, ...far].map((side) => side.size));
    const rounding = (ROUNDINGS * EPSILON * size) / h;
    const found = { value, step: h, allowed: Math.abs(slope(far, 2 * h) - value) + rounding };
    // The jump of the slope is the curvature times the step where the loss is smooth, and does not shrink with it at a kink.
    const jump = bend(near, h);
    if (Math.abs(jump) > 4 * rounding && Math.abs(jump) > 0.75 * Math.abs(bend(far, 2 * h))) {
      found.below = (here.loss - near[1].loss) / h;
      found.above = (near[0].loss - here.loss) / h;
    }
    return found;
  };
}
