// What is fetched when it is opened: the facts and spans of a turn. What came once stays.
const fetched = new Map();

// What was fetched before, at once; nothing where it was not.
export function fill(details) {
  const link = details.querySelector(":scope > a");
  const found = link && fetched.get(link.href);
  if (!found) return Boolean(details.querySelector(":scope > [data-fetched]"));
  const wanted = details.dataset.more === "spans" ? "#turn-spans" : "#turn-known, #turn-spans, #turn-happened";
  const parts = [...new DOMParser().parseFromString(found, "text/html").querySelectorAll(wanted)];
  for (const part of parts) {
    part.removeAttribute("id");
    part.dataset.fetched = "";
  }
  link.replaceWith(...parts);
  details.dispatchEvent(new Event("filled", { bubbles: true }));
  return true;
}

async function open(details) {
  if (!details.open || fill(details)) return;
  const link = details.querySelector(":scope > a");
  details.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(link.href);
    if (answer.ok) fetched.set(link.href, await answer.text());
  } catch {
    // The link stays: it leads to the same on a page of its own.
  }
  details.removeAttribute("aria-busy");
  fill(details);
}

export function startMore(afterFill) {
  // A toggle does not bubble.
  document.addEventListener("toggle", (event) => event.target.matches?.("details[data-more]") && open(event.target), true);
  document.addEventListener("filled", afterFill);
}
