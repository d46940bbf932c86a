// Runs before the first paint, so that a chosen theme does not flash in the other one.
(() => {
  const root = document.documentElement;
  root.classList.replace("no-script", "with-script");
  try {
    const chosen = localStorage.getItem("otel-chat-theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch {
    // Without storage the system's own theme holds.
  }
})();
