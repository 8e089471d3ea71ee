// Runs before the first paint, so that neither a remembered theme nor the page of chains flashes the other one.
try {
  const chosen = localStorage.getItem("moonx.theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is switched off: the system's theme stays.
}
if (location.hash.startsWith("#chains")) document.documentElement.dataset.page = "chains";
