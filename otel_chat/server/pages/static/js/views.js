// Saved views: the address of a page with its filters, kept by the API under a name.
const PLACE = "/api/v1/views";

async function ask(path, options = {}) {
  try {
    const answer = await fetch(path, { headers: { "Content-Type": "application/json" }, ...options });
    const body = await answer.json();
    return answer.ok ? [body, ""] : [null, body.error.message];
  } catch {
    return [null, "The server does not answer."];
  }
}

function entry(view, dropped) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = view.address;
  link.textContent = view.name;
  if (view.address === location.pathname + location.search) link.setAttribute("aria-current", "page");
  const drop = document.createElement("button");
  drop.type = "button";
  drop.className = "meaning";
  drop.textContent = "×";
  drop.setAttribute("aria-label", `Forget the view ${view.name}`);
  drop.addEventListener("click", () => dropped(view));
  item.append(link, drop);
  return item;
}

export function startViews() {
  const popover = document.querySelector("[data-views]");
  if (!popover) return;
  const list = popover.querySelector("[data-views-list]");
  const said = popover.querySelector("[data-views-note]");
  const form = popover.querySelector("[data-views-form]");

  const drop = async (view) => {
    const path = `${PLACE}/${encodeURIComponent(view.name)}?tenant=${encodeURIComponent(view.tenant)}`;
    const [, fault] = await ask(path, { method: "DELETE" });
    await fill(fault);
  };
  const fill = async (fault = "") => {
    const [found, missing] = await ask(PLACE);
    if (found) list.replaceChildren(...found.items.map((view) => entry(view, drop)));
    const none = found && !found.items.length ? "No view is saved yet. Name this one to keep its page, window and filters." : "";
    said.textContent = fault || missing || none;
  };

  popover.addEventListener("toggle", (event) => {
    if (event.newState === "open") fill();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const field = form.querySelector("input");
    const body = JSON.stringify({ address: location.pathname + location.search });
    const [kept, fault] = await ask(`${PLACE}/${encodeURIComponent(field.value.trim())}`, { method: "PUT", body });
    if (kept) field.value = "";
    await fill(fault);
  });
}
