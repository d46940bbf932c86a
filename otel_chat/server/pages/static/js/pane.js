// The reading pane beside the list: what was said in the row at hand. On small screens there is
// none, and a row leads to its page.
const WIDE = matchMedia("(width >= 1080px)");
const ended = new Map();
let current = null;
let asking = null;

const pane = () => document.querySelector("[data-pane]");
const row = (link) => link?.closest("tr");
const links = () => [...document.querySelectorAll("[data-list] [data-row-link]")];

export const link = () => links().find((one) => one.dataset.reading === current);
export const isOpen = () => Boolean(pane()) && !pane().hidden;

// The list may have come anew since.
function mark() {
  for (const one of links()) {
    const read = one.dataset.reading === current && isOpen();
    if (read) one.setAttribute("aria-current", "true");
    else one.removeAttribute("aria-current");
    row(one).classList.toggle("is-current", read);
  }
}

function show(text) {
  pane().removeAttribute("aria-busy");
  pane().innerHTML = text;
  pane().scrollTop = 0;
  window.htmx?.process(pane());
  pane().dispatchEvent(new Event("filled", { bubbles: true }));
}

export async function read(wanted) {
  if (!pane() || !WIDE.matches || !wanted) return;
  current = wanted.dataset.reading;
  pane().hidden = false;
  pane().parentElement.classList.add("is-open");
  mark();
  asking?.abort();
  const had = ended.get(current);
  if (had) {
    show(had);
    return;
  }
  asking = new AbortController();
  pane().setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(current, { signal: asking.signal });
    const text = await answer.text();
    if (!answer.ok) throw new Error(answer.statusText);
    show(text);
    // What has ended does not change, but for what is noted about it.
    if (pane().querySelector("[data-ended]")) ended.set(current, text);
  } catch (error) {
    if (error.name === "AbortError") return;
    pane().removeAttribute("aria-busy");
    pane().textContent = "This conversation could not be read: the server does not answer, or no longer has it.";
  }
}

export function close() {
  if (!isOpen()) return;
  const was = link();
  pane().hidden = true;
  pane().parentElement.classList.remove("is-open");
  pane().replaceChildren();
  mark();
  was?.focus();
}

export function startPane() {
  if (!pane()) return;
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-pane-close]")) close();
    const line = event.target.closest("[data-list] tbody tr");
    if (!line || event.target.closest("a, button, input, label") || !getSelection().isCollapsed) return;
    const chosen = line.querySelector("[data-row-link]");
    chosen.focus({ preventScroll: true });
    read(chosen);
  });
  document.addEventListener("noted", () => ended.delete(current));
  document.addEventListener("htmx:afterSwap", mark);
  document.addEventListener("htmx:afterSettle", mark);
}
