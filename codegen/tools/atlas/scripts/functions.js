"use strict";

// The elementwise functions of the language, by name, on doubles: infinite at a pole, NaN where undefined.
{
  const TWO_OVER_ROOT_PI = 2 / Math.sqrt(Math.PI);

  // The sum of 2^k x^(2k+1) / (1*3*...*(2k+1)), of which erf(x) is exp(-x^2)*2/sqrt(pi) times. Source: DLMF 7.6.2.
  const series = (x) => {
    let term = x;
    let total = x;
    for (let k = 1; Math.abs(term) > 1e-18 * Math.abs(total); k++) {
      term *= (2 * x * x) / (2 * k + 1);
      total += term;
    }
    return total;
  };

  // exp(x^2)*erfc(x) for x >= 1, by a continued fraction from its far end. Source: DLMF 7.9.1.
  const fraction = (x) => {
    let value = x;
    for (let k = 200; k > 0; k--) value = x + k / 2 / value;
    return 1 / (value * Math.sqrt(Math.PI));
  };

  const erfcx = (x) => {
    if (x >= 1) return fraction(x);
    return x > -1 ? Math.exp(x * x) - TWO_OVER_ROOT_PI * series(x) : 2 * Math.exp(x * x) - erfcx(-x);
  };
  const erf = (x) => {
    if (Math.abs(x) < 1) return TWO_OVER_ROOT_PI * Math.exp(-x * x) * series(x);
    return Math.sign(x) * (1 - Math.exp(-x * x) * erfcx(Math.abs(x)));
  };

  atlas.functions = {
    exp: Math.exp,
    log: Math.log,
    tanh: Math.tanh,
    sinh: Math.sinh,
    cosh: Math.cosh,
    sin: Math.sin,
    cos: Math.cos,
    atan: Math.atan,
    erf,
    erfcx,
    expm1: Math.expm1,
    log1p: Math.log1p,
    floor: Math.floor,
    ceil: Math.ceil,
    round: (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)),
    stop: (x) => x,
    finite: (x) => (Math.abs(x) === Infinity ? 0 : x),
    abs: Math.abs,
    sign: Math.sign,
    power: Math.pow,
    maximum: Math.max,
    minimum: Math.min,
  };
}
