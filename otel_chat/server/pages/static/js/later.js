// Panels that are fetched after the rest of the page: what was open in them stays open.
const opened = new WeakMap();

export function startLater(afterSwap) {
  document.addEventListener("htmx:beforeSwap", (event) => {
    const panel = event.detail.target;
    if (!panel?.matches?.(".later")) return;
    opened.set(panel, [...panel.querySelectorAll("details[open][data-keep]")].map((one) => one.dataset.keep));
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const panel = event.detail.target;
    if (!panel?.matches?.(".later")) return;
    for (const key of opened.get(panel) ?? []) {
      const details = panel.querySelector(`details[data-keep="${CSS.escape(key)}"]`);
      if (details) details.open = true;
    }
    afterSwap();
  });
}
