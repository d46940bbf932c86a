// System, light, dark: the choice stays on this machine.
const KEY = "otel-chat-theme";
const NEXT = { system: "light", light: "dark", dark: "system" };

export function startThemeSwitch(onChange) {
  const button = document.querySelector("[data-theme-switch]");
  if (!button) return;
  const label = button.querySelector("[data-theme-label]");
  const root = document.documentElement;
  const show = () => {
    label.textContent = `Theme: ${root.dataset.theme ?? "system"}`;
  };
  button.addEventListener("click", () => {
    const next = NEXT[root.dataset.theme ?? "system"];
    if (next === "system") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      if (next === "system") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, next);
    } catch {
      // The choice holds for this page only.
    }
    show();
    onChange();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
  button.hidden = false;
  show();
}
