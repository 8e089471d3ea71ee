// Points over time for pictures: where too long nothing was sampled the line breaks.

const GAP_MS = 900_000;
const SHORTEST_MS = 900_000;

/** [times in seconds, ...values of each of `pick`] of points in order of time. */
export function columns(points, ...pick) {
  const data = [[], ...pick.map(() => [])];
  let last = null;
  for (const point of points) {
    if (last !== null && point.time - last > GAP_MS) push(data, (last + point.time) / 2, pick.map(() => null));
    push(data, point.time, pick.map((value) => value(point) ?? null));
    last = point.time;
  }
  return data;
}

function push(data, time, values) {
  data[0].push(time / 1000);
  values.forEach((value, at) => data[at + 1].push(value));
}

/** From the first point to now, seconds; at least a quarter of an hour. */
export function span(points, now) {
  const first = points[0]?.time ?? now;
  return { from: Math.min(first, now - SHORTEST_MS) / 1000, to: now / 1000 };
}

/** Adds a point, in place of one of the same time, and forgets those before `start`. */
export function extended(points, point, start) {
  const kept = points.filter(({ time }) => time >= start && time !== point.time);
  return [...kept, point].sort((left, right) => left.time - right.time);
}
