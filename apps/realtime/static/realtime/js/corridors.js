// Bridges in words: who they are, from where to where, what went wrong.

import { spelled } from "./verdicts.js";

const NAMES = { lifi: "LI.FI", relay: "Relay" };
const SHORT = new Set(["bsc", "rei"]);

export const named = (provider) => NAMES[provider] ?? provider;

export const corridorOf = ({ from, to }) => `${placeOf(from)} → ${placeOf(to)}`;

const placeOf = (slug) => (SHORT.has(slug) ? slug.toUpperCase() : slug[0].toUpperCase() + slug.slice(1));

export const failures = ({ errors }) => Object.values(errors).reduce((sum, number) => sum + number, 0);

/** "2 timeout, 1 rate limited": failures by class, most first; empty where there was none. */
export const errorsOf = ({ errors }) =>
  Object.entries(errors)
    .filter(([, number]) => number)
    .sort(([, left], [, right]) => right - left)
    .map(([name, number]) => `${number} ${spelled(name)}`)
    .join(", ");
