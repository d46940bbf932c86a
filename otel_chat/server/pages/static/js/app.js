// Everything here makes a page that works without it nicer: nothing is shown by script alone.
import { drawCharts, redrawCharts } from "./charts.js";
import { startConversation } from "./conversation.js";
import { startLists } from "./list.js";
import { startNoting } from "./noting.js";
import { startViews } from "./views.js";
import { startDownloads } from "./downloads.js";
import { startLater } from "./later.js";
import { startLive } from "./live.js";
import { startPictures } from "./pictures.js";
import { startRefresh } from "./refresh.js";
import { startThemeSwitch } from "./theme-switch.js";
import { startPopovers } from "./popovers.js";

function startFilters() {
  document.addEventListener("change", (event) => event.target.closest("[data-filters]")?.requestSubmit());
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-filters]")) return;
    for (const field of event.target.elements) if (field.name && !field.value) field.disabled = true;
  });
}

function startCopying() {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.classList.add("is-done");
      button.addEventListener("pointerleave", () => button.classList.remove("is-done"), { once: true });
    });
  }
}

function showWhatNeedsAScript() {
  for (const element of document.querySelectorAll("[data-needs-script]")) element.hidden = false;
}

showWhatNeedsAScript();
document.querySelector(".nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
document.addEventListener("htmx:afterSwap", showWhatNeedsAScript);
startLater(drawCharts);
startThemeSwitch(redrawCharts);
startFilters();
startCopying();
startPopovers();
startDownloads();
startPictures();
startLive(drawCharts);
startConversation();
startLists();
startNoting();
startViews();
startRefresh(drawCharts);
drawCharts();
