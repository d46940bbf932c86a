// Going through a conversation: by keyboard, and from one turn that stands out to the next.
const turns = () => [...document.querySelectorAll("[data-turn]")];

// A turn by an address of it, as far as it is on the page.
function loaded(address) {
  const { hash, searchParams } = new URL(address, location.href);
  return document.getElementById(hash.slice(1) || `turn-${searchParams.get("turn")}`);
}

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

// The next turn of a kind is on the page, on one after it, or the first of all again.
function next(link) {
  const all = turns();
  const following = all.slice(current(all) + 1);
  const turn = following.find((one) => one.dataset.flags.split(" ").includes(link.dataset.jump));
  if (turn) return go(turn);
  const address = link.dataset.later ?? link.href;
  const there = loaded(address);
  if (there) go(there);
  else location.assign(address);
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
    const link = event.target.closest("[data-jump], .strip a");
    if (!link) return;
    if (link.matches("[data-jump]")) {
      event.preventDefault();
      next(link);
      link.focus({ preventScroll: true });
    } else if (loaded(link.getAttribute("href"))) {
      event.preventDefault();
      go(loaded(link.getAttribute("href")));
    }
  });
  const asked = new URLSearchParams(location.search).get("turn");
  if (asked && !location.hash) go(document.getElementById(`turn-${asked}`));
}
