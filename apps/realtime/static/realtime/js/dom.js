// Small helpers over the document; styles are set through classes, as the page's policy demands.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** An element with properties and children; `class` and `aria-…` are attributes. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

/** Sets a text only where it differs; returns whether it did. */
export function text(node, value, title = null) {
  if (title !== null && node.title !== title) node.title = title;
  if (node.textContent === value) return false;
  node.textContent = value;
  return true;
}

/** Makes `wanted` the children of `parent`; a child that stays keeps its flash, one that moves its focus. */
export function arrange(parent, wanted) {
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  let at = parent.firstChild;
  for (const node of wanted) {
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
  if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
}

const FLASHES = ["flash", "flash-up", "flash-down"];

/** Lights a cell up for 300 ms; `direction` −1, 0 or 1. */
export function flash(node, direction = 0) {
  node.classList.remove(...FLASHES);
  void node.offsetWidth; // starts the animation anew
  node.classList.add(direction > 0 ? "flash-up" : direction < 0 ? "flash-down" : "flash");
}

/** Colours by direction, for what also carries a sign or an arrow. */
export function tone(node, direction) {
  node.classList.toggle("up", direction > 0);
  node.classList.toggle("down", direction < 0);
}

export function reducedMotion() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
