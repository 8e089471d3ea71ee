// Dark or light: the system's choice until one is made here, which is remembered.

import { byId } from "./dom.js";
import { remember } from "./remembered.js";

const light = matchMedia("(prefers-color-scheme: light)");

/** "dark" or "light", as shown now. */
export function current() {
  return document.documentElement.dataset.theme ?? (light.matches ? "light" : "dark");
}

/** A colour or other token of the theme. */
export function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Wires the toggle; `changed` runs after every change, the system's too. */
export function start(changed) {
  const button = byId("theme");
  const show = () => {
    const other = current() === "dark" ? "light" : "dark";
    const title = `Switch to the ${other} theme`;
    button.title = title;
    button.setAttribute("aria-label", title);
    document.querySelector("meta[name=theme-color]").content = token("surface");
  };
  const switched = () => {
    show();
    changed();
  };
  button.addEventListener("click", () => {
    const chosen = current() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    remember("theme", chosen);
    switched();
  });
  light.addEventListener("change", switched);
  show();
}
