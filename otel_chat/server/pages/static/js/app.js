// Everything here makes a page that works without it nicer: nothing is shown by script alone.
import { drawCharts, redrawCharts } from "./charts.js";
import { startConversation } from "./conversation.js";
import { startLists } from "./list.js";
import { startNoting } from "./noting.js";
import { startViews } from "./views.js";
import { startDownloads } from "./downloads.js";
import { startLater } from "./later.js";
import { startLive } from "./live.js";
import { startMore } from "./more.js";
import { startPictures } from "./pictures.js";
import { startRefresh } from "./refresh.js";
import { startThemeSwitch } from "./theme-switch.js";
import { startPopovers } from "./popovers.js";
import { startZone } from "./zone.js";

function startFilters() {
  // A pointer chooses once; with keys one goes through what is offered, until Enter or Apply.
  let byKeys = false;
  document.addEventListener("pointerdown", () => (byKeys = false), true);
  document.addEventListener("keydown", (event) => {
    byKeys = true;
    const form = event.target.closest("[data-filters].is-changed");
    if (form && event.key === "Enter" && event.target.matches("select")) {
      event.preventDefault();
      form.requestSubmit();
    }
  }, true);
  document.addEventListener("change", (event) => {
    const form = event.target.closest("[data-filters]");
    if (byKeys) form?.classList.add("is-changed");
    else form?.requestSubmit();
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-filters]")) return;
    for (const field of event.target.elements) if (field.name && !field.value) field.disabled = true;
  });
}

function startCopying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    button.classList.add("is-done");
    button.addEventListener("pointerleave", () => button.classList.remove("is-done"), { once: true });
  });
}

function showWhatNeedsAScript() {
  const wanted = navigator.clipboard ? "[data-needs-script], [data-copy]" : "[data-needs-script]";
  for (const element of document.querySelectorAll(wanted)) element.hidden = false;
}

showWhatNeedsAScript();
document.querySelector(".nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
document.addEventListener("htmx:afterSwap", showWhatNeedsAScript);
startLater(drawCharts);
startThemeSwitch(redrawCharts);
startFilters();
startCopying();
startPopovers();
startZone();
startDownloads();
startPictures();
startLive(drawCharts);
startConversation();
startMore(showWhatNeedsAScript);
startLists();
startNoting();
startViews();
startRefresh(drawCharts);
drawCharts();
