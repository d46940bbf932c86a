// Puts a definition beside its button; without this it stands in the middle of the page.
const GAP = 8;

function place(popover) {
  const button = document.querySelector(`[popovertarget="${CSS.escape(popover.id)}"]`);
  if (!button) return;
  const at = button.getBoundingClientRect();
  const size = popover.getBoundingClientRect();
  const room = document.documentElement.clientWidth;
  const left = Math.min(Math.max(GAP, at.left - GAP), room - size.width - GAP);
  const below = at.bottom + GAP;
  const fits = below + size.height < innerHeight || at.top < size.height + GAP;
  // Within the document and not the window, so that it scrolls with its button.
  popover.style.position = "absolute";
  popover.style.margin = "0";
  popover.style.inset = "auto";
  popover.style.left = `${left + scrollX}px`;
  popover.style.top = `${(fits ? below : at.top - size.height - GAP) + scrollY}px`;
}

export function startPopovers() {
  document.addEventListener(
    "toggle",
    (event) => {
      if (event.target.matches?.(".popover") && event.newState === "open") place(event.target);
    },
    true,
  );
}
