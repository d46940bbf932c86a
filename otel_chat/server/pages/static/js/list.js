// Going through the list of conversations by keyboard, and on from one to the next.
import { toggle } from "./noting.js";
import * as pane from "./pane.js";

const KEY = "otel-chat-list";
const links = () => [...document.querySelectorAll("[data-list] [data-row-link]")];

function remember() {
  try {
    const places = links().map((link) => link.pathname + link.search);
    sessionStorage.setItem(KEY, JSON.stringify(places));
  } catch {
    // Without storage there is no way from one conversation to the next.
  }
}

function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? [];
  } catch {
    return [];
  }
}

function typing(event) {
  return event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea");
}

// The row with the keyboard, else the one that is read.
function here(all) {
  const focused = all.findIndex((link) => link.closest("tr").contains(document.activeElement));
  return focused >= 0 ? focused : all.indexOf(pane.link());
}

function go(step) {
  const all = links();
  const at = here(all);
  if (at + step >= all.length) document.querySelector("#paging [hx-get]")?.click();
  const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
  next?.focus();
  next?.closest("tr").scrollIntoView({ block: "nearest" });
  pane.read(next);
}

function onListKey(event) {
  if (typing(event)) return;
  if (event.key === "j") go(1);
  else if (event.key === "k") go(-1);
  else if (event.key === "x") toggle(links()[here(links())]?.closest("tr").querySelector("[data-review]"));
  else if (event.key === "r" && pane.isOpen()) document.querySelector("[data-pane]").focus();
  else if (event.key === "Escape") pane.close();
  else if (event.key === "/") {
    document.querySelector("[data-search]")?.focus();
    event.preventDefault();
  }
}

function startList() {
  if (!document.querySelector("[data-list]")) return;
  remember();
  pane.startPane();
  document.addEventListener("keydown", onListKey);
  document.addEventListener("htmx:afterSwap", remember);
}

// The turn in the address belongs to one conversation; the place in the list is the conversation.
const bare = (place) => place.replace(/([?&])turn=[^&]*&?/, "$1").replace(/[?&]$/, "");

function startSteps() {
  const steps = document.querySelector("[data-steps]");
  if (!steps) return;
  const all = remembered();
  const at = all.map(bare).indexOf(bare(location.pathname + location.search));
  if (at < 0) return;
  for (const [link, place] of [[steps.querySelector("[data-step=previous]"), all[at - 1]], [steps.querySelector("[data-step=next]"), all[at + 1]]]) {
    if (place) link.href = place;
    else link.setAttribute("aria-disabled", "true");
  }
  steps.querySelector("[data-step-place]").textContent = `${at + 1} of ${all.length}`;
  steps.hidden = false;
  document.addEventListener("keydown", (event) => {
    if (typing(event)) return;
    if (event.key === "n" && all[at + 1]) location.assign(all[at + 1]);
    else if (event.key === "p" && all[at - 1]) location.assign(all[at - 1]);
    else if (event.key === "x") toggle(document.querySelector("[data-review]"));
  });
}

export function startLists() {
  startList();
  startSteps();
}
