// What this browser remembers; works, forgetfully, where storage is switched off.

export function recall(name) {
  try {
    return localStorage.getItem(`moonx.${name}`);
  } catch {
    return null;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(`moonx.${name}`, value);
  } catch {
    // Nothing is lost but the memory.
  }
}
