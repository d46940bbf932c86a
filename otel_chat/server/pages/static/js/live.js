// Figures as they come. Each event is whole, so that after a pause there is nothing to catch up on.
const GLYPHS = { pause: "M9 6v12M15 6v12", play: "M8 5l11 7-11 7z" };
const THIN = "\u202f";
const AGAIN = 12_000;

const whole = new Intl.NumberFormat("en-GB");
const written = {
  avg_response_time_ms: (ms) => (ms < 999.5 ? `${Math.round(ms)}${THIN}ms` : `${(ms / 1000).toFixed(1)}${THIN}s`),
  avg_satisfaction: (share) => `${Math.round(share * 100)}${THIN}%`,
};

function byScale(scales) {
  const told = scales
    .slice(0, 2)
    .filter((scale) => scale.mean !== null)
    .map((scale) => `${scale.mean.toFixed(1)} on ${scale.lowest} to ${scale.highest}`);
  return [...told, "in the last hour"].join(", ");
}

// The link goes along with its figure: to the same minutes before the present.
function lead(link, value, answer) {
  if (link.dataset.counts !== undefined) link.dataset.counts = value;
  const address = new URL(link.href);
  if (!address.searchParams.has("from")) return;
  const now = Date.parse(answer.timestamp);
  address.searchParams.set("from", new Date(now - answer.minutes * 60_000).toISOString());
  address.searchParams.set("to", answer.timestamp);
  link.href = address;
}

function show(answer) {
  document.querySelector("section[aria-labelledby=card-avg_satisfaction] .card-note").textContent = byScale(answer.satisfaction_by_scale);
  for (const card of document.querySelectorAll("section[aria-labelledby^=card-]")) {
    const name = card.getAttribute("aria-labelledby").slice("card-".length);
    const value = answer[name];
    const figure = card.querySelector(".figure");
    const text = value === null ? "no data" : (written[name] ?? whole.format)(value);
    figure.classList.toggle("is-empty", value === null);
    const link = figure.querySelector("a");
    if (link) lead(link, value, answer);
    if (figure.textContent.trim() === text) continue;
    (link ?? figure).textContent = text;
    card.classList.remove("is-new");
    requestAnimationFrame(() => card.classList.add("is-new"));
  }
}

export function startLive(afterSwap) {
  const state = document.querySelector("[data-live]");
  if (!state) return;
  const status = state.querySelector("[data-live-status]");
  const button = state.querySelector("[data-live-switch]");
  const label = state.querySelector("[data-live-label]");
  const glyph = button.querySelector("path");
  let source = null;
  let fetched = Date.now();
  let last = "";
  const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: document.body.dataset.zone });

  const told = (text, bad = false) => {
    status.textContent = text;
    state.classList.toggle("is-stale", bad);
  };
  const panels = () => {
    const region = document.querySelector("#live-panels");
    if (document.hidden || region.querySelector(":popover-open, details[open]") || region.contains(document.activeElement)) return;
    fetched = Date.now();
    htmx.ajax("GET", state.dataset.livePanels, { target: "#live-panels", select: "#live-panels", swap: "outerHTML show:none focus-scroll:false" });
  };
  const onAnswer = (event) => {
    const answer = JSON.parse(event.data);
    show(answer);
    last = clock.format(new Date(answer.timestamp));
    told(`As of ${last}, every 5 s`);
    if (Date.now() - fetched > AGAIN) panels();
  };
  const open = () => {
    told(last ? `As of ${last}` : "Connecting…");
    source = new EventSource(state.dataset.live);
    source.addEventListener("realtime", onAnswer);
    source.addEventListener("error", (event) => {
      if (event.data) {
        // The server's own word: it will not go on, whoever asks again.
        source.close();
        told(JSON.parse(event.data).message, true);
      } else if (source.readyState === EventSource.CLOSED) {
        told("The stream was refused: reload the page to try again", true);
      } else {
        told(`Connection lost, trying again${last ? `: figures of ${last}` : ""}`, true);
      }
    });
  };
  button.addEventListener("click", () => {
    const pause = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(pause));
    label.textContent = pause ? "Resume" : "Pause";
    glyph.setAttribute("d", pause ? GLYPHS.play : GLYPHS.pause);
    if (pause) {
      source.close();
      told(last ? `Paused: figures of ${last}` : "Paused");
    } else {
      open();
      panels();
    }
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target?.id === "live-panels") afterSwap();
  });
  // A stream that a hidden page holds is one that another reader cannot have.
  document.addEventListener("visibilitychange", () => {
    if (button.getAttribute("aria-pressed") === "true") return;
    source.close();
    if (!document.hidden) open();
  });
  open();
}
