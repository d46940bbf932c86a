// Marks, tags and notes of conversations, kept by the API.
import { tell } from "./telling.js";

const place = ({ review, tenant }) =>
  `/api/v1/marks/${encodeURIComponent(review)}${tenant ? `?tenant=${encodeURIComponent(tenant)}` : ""}`;

// What is noted about a conversation now, or nothing where it could not be kept.
export async function note(button, change) {
  try {
    const answer = await fetch(place(button.dataset), {
      method: "PATCH",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(change),
    });
    const body = await answer.json();
    if (answer.ok) return body;
    tell(`Not kept: ${body.error.message}`);
  } catch {
    tell("Not kept: the server does not answer.");
  }
  return null;
}

// Of one conversation there may be a button in the list and one in the pane beside it.
function show({ dataset: { review, tenant } }, reviewed) {
  const same = `[data-review="${CSS.escape(review)}"][data-tenant="${CSS.escape(tenant)}"]`;
  for (const button of document.querySelectorAll(same)) {
    button.setAttribute("aria-pressed", String(reviewed));
    button.closest("tr")?.classList.toggle("is-reviewed", reviewed);
    const label = button.querySelector("[data-review-label]");
    if (label) label.textContent = reviewed ? "Reviewed" : "Mark reviewed";
  }
  document.dispatchEvent(new Event("noted"));
}

export async function toggle(button) {
  if (!button) return;
  const wanted = button.getAttribute("aria-pressed") !== "true";
  show(button, wanted);
  if (!(await note(button, { reviewed: wanted }))) show(button, !wanted);
}

function startForm(form) {
  const button = document.querySelector("[data-review]");
  const said = form.querySelector("[data-noting-status]");
  const tags = form.elements.tags;
  const text = form.elements.note;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const change = { tags: tags.value.split(",").map((tag) => tag.trim()).filter(Boolean) };
    if (text) change.note = text.value;
    said.textContent = "Keeping…";
    const kept = await note(button, change);
    said.textContent = kept ? "Kept" : "Not kept";
    if (!kept) return;
    tags.value = kept.tags.join(", ");
    const shown = document.querySelector("[data-tags-shown]");
    shown.replaceChildren(
      ...kept.tags.map((tag) => {
        const chip = document.createElement("span");
        chip.className = "tag is-own";
        chip.textContent = tag;
        return chip;
      }),
    );
  });
  form.addEventListener("input", () => (said.textContent = ""));
}

export function startNoting() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-review]");
    if (button) toggle(button);
  });
  const form = document.querySelector("[data-noting]");
  if (form) startForm(form);
}
