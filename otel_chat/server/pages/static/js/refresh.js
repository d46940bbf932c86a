import { fill } from "./more.js";

// Brings the figures up to date every 30 seconds, or as the page says, and keeps the reader's place.
const KEY = "otel-chat-refresh";
const GLYPHS = { pause: "M9 6v12M15 6v12", play: "M8 5l11 7-11 7z" };

function remembered() {
  try {
    return localStorage.getItem(KEY) === "paused";
  } catch {
    return false;
  }
}

function remember(paused) {
  try {
    localStorage.setItem(KEY, paused ? "paused" : "running");
  } catch {
    // The choice holds for this page only.
  }
}

function busy(region) {
  const selection = getSelection();
  return (
    document.hidden ||
    region.dataset.held !== undefined ||
    region.querySelector(":popover-open") !== null ||
    (!selection.isCollapsed && region.contains(selection.anchorNode))
  );
}

// What the reader had opened and where the keyboard stood, by names that outlive the swap.
function takeNote(region) {
  const open = [...region.querySelectorAll("details[open][data-keep]")].map((d) => d.dataset.keep);
  const focused = document.activeElement;
  const inside = region.contains(focused) && focused !== document.body;
  const chosen = region.querySelector(".is-chosen")?.id;
  return { open, chosen, scroll: scrollY, index: inside ? [...region.querySelectorAll("a, button, summary, [tabindex]")].indexOf(focused) : -1,
    href: inside ? focused.getAttribute("href") : null };
}

function restore(region, note) {
  for (const key of note.open) {
    const details = region.querySelector(`details[data-keep="${CSS.escape(key)}"]`);
    if (!details) continue;
    details.open = true;
    if (details.matches("[data-more]")) fill(details);
  }
  if (note.index < 0) return;
  const same = note.href && region.querySelector(`a[href="${CSS.escape(note.href)}"]`);
  const target = same || region.querySelectorAll("a, button, summary, [tabindex]")[note.index];
  target?.focus({ preventScroll: true });
}

export function startRefresh(afterSwap) {
  const bar = document.querySelector("[data-refresh-bar]");
  if (!bar || !document.querySelector("[data-refresh]") || !window.htmx) return;
  const button = bar.querySelector("[data-refresh-switch]");
  const label = bar.querySelector("[data-refresh-label]");
  const glyph = button.querySelector("path");
  const status = bar.querySelector("[data-refresh-status]");
  let paused = remembered();
  let note = null;

  const region = () => document.querySelector("[data-refresh]");
  const every = () => Number(region().dataset.every ?? 30);
  const over = () => region().dataset.ended !== undefined;
  const show = () => {
    bar.hidden = over();
    button.setAttribute("aria-pressed", String(paused));
    label.textContent = paused ? "Resume" : "Pause";
    glyph.setAttribute("d", paused ? GLYPHS.play : GLYPHS.pause);
    const at = `Figures of ${region().dataset.at}`;
    status.textContent = paused ? `${at}, paused` : `${at}, every ${every()} s`;
    bar.classList.toggle("is-paused", paused);
  };

  const refresh = () => {
    if (paused || over() || busy(region())) return;
    note = takeNote(region());
    htmx.ajax("GET", location.pathname + location.search, {
      target: "#live",
      select: "#live",
      swap: "outerHTML show:none focus-scroll:false",
    });
  };

  document.addEventListener("htmx:afterSwap", (event) => {
    if (["rows", "timeline"].includes(event.detail.target?.id)) {
      // The first page again would take away what the reader went on to.
      region().dataset.held = "";
      status.textContent = `Figures of ${region().dataset.at}, held while you read on`;
    }
    if (event.detail.target?.id !== "live") return;
    bar.classList.remove("is-stale");
    restore(region(), note ?? { open: [], index: -1 });
    afterSwap();
    document.body.dispatchEvent(new Event("refreshed"));
    // Between the old and the new content the page was shorter, and may have moved.
    if (note) scrollTo({ top: note.scroll, behavior: "instant" });
    show();
  });
  // Classes are put back to what the server says until then.
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target?.id === "live" && note?.chosen) document.getElementById(note.chosen)?.classList.add("is-chosen");
  });
  for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.addEventListener(failure, (event) => {
      const later = event.detail.elt?.closest?.(".later");
      if (later && later.querySelector(".chart-empty")) later.querySelector(".chart-empty").textContent = "This could not be worked out; it is tried again with the next refresh.";
      bar.classList.add("is-stale");
      status.textContent = `The server does not answer: figures of ${region().dataset.at}`;
    });
  }
  button.addEventListener("click", () => {
    paused = !paused;
    remember(paused);
    show();
    refresh();
  });
  document.addEventListener("visibilitychange", refresh);
  setTimeout(function again() {
    refresh();
    setTimeout(again, every() * 1000);
  }, every() * 1000);
  show();
}
