// Runs before the first paint, so that a remembered theme does not flash the other one.
try {
  const chosen = localStorage.getItem("moonx.theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is switched off: the system's theme stays.
}
