// Marks at bars: those that were revised, and the market's first one.

/** The marks of `bars` in order of time; `colours` are {first, revised}. */
export function marksOf(bars, colours) {
  const times = [...bars.revised.keys()].filter((time) => bars.get(time));
  const revised = times.map((time) => mark(time, { position: "belowBar", shape: "circle", color: colours.revised }));
  return [...first(bars, colours.first), ...revised].sort((left, right) => left.time - right.time);
}

function first(bars, color) {
  if (!bars.complete || !bars.size) return [];
  return [mark(bars.first.time, { position: "aboveBar", shape: "arrowDown", color, text: "First trade" })];
}

const mark = (time, look) => ({ time: time / 1000, size: 0.5, ...look });
