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
  popover.style.margin = "0";
  popover.style.inset = "auto";
  popover.style.left = `${left}px`;
  popover.style.top = `${fits ? below : at.top - size.height - GAP}px`;
}

export function startPopovers() {
  document.addEventListener(
    "toggle",
    (event) => {
      if (event.target.matches?.(".popover") && event.newState === "open") place(event.target);
    },
    true,
  );
  addEventListener("scroll", () => document.querySelector(".popover:popover-open")?.hidePopover(), { passive: true });
}
