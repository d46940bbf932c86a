// Going through a conversation: by keyboard, and from one turn that stands out to the next.
const turns = () => [...document.querySelectorAll("[data-turn]")];

// Where the reader is: the turn with the keyboard, else the one last gone to, else by scrolling.
function current(all) {
  const focused = document.activeElement?.closest("[data-turn]");
  if (focused) return all.indexOf(focused);
  const chosen = all.findIndex((turn) => turn.classList.contains("is-chosen"));
  if (chosen >= 0) {
    const { top, bottom } = all[chosen].getBoundingClientRect();
    if (bottom > 0 && top < innerHeight) return chosen;
  }
  const line = innerHeight * 0.3;
  return all.findLastIndex((turn) => turn.getBoundingClientRect().top < line);
}

function go(turn) {
  if (!turn) return;
  const address = new URL(location.href);
  address.searchParams.delete("turn");
  address.hash = turn.id;
  history.replaceState(null, "", address);
  for (const other of document.querySelectorAll(".turn.is-chosen")) other.classList.remove("is-chosen");
  turn.classList.add("is-chosen");
  turn.scrollIntoView({ block: "start" });
  turn.focus({ preventScroll: true });
}

function next(flag) {
  const all = turns();
  const from = current(all);
  const flagged = all.map((turn, index) => [turn, index]).filter(([turn]) => turn.dataset.flags.split(" ").includes(flag));
  return (flagged.find(([, index]) => index > from) ?? flagged[0])?.[0];
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const all = turns();
  const at = current(all);
  if (event.key === "j") go(all[Math.min(at + 1, all.length - 1)]);
  else if (event.key === "k") go(all[Math.max(at - 1, 0)]);
}

export function startConversation() {
  if (!document.querySelector("#timeline") || !turns().length) return;
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-jump]");
    if (!link) return;
    event.preventDefault();
    go(next(link.dataset.jump));
    link.focus({ preventScroll: true });
  });
  const asked = new URLSearchParams(location.search).get("turn");
  if (asked && !location.hash) go(document.getElementById(`turn-${asked}`));
}
