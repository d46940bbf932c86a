"use strict";

const $ = (id) => document.getElementById(id);
const analytics = document.body.dataset.analytics;
let conversation = null;
let spoken = false;

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`The bot answered ${answer.status}.`);
  return answer;
}

function show(sender, text) {
  const line = document.createElement("p");
  line.className = sender;
  line.textContent = text;
  $("log").append(line);
  $("log").scrollTop = $("log").scrollHeight;
  return line;
}

function lock(closed) {
  for (const id of ["message", "send", "solved"]) $(id).disabled = closed;
  $("again").hidden = !closed;
  $("suggestions").hidden = closed;
}

async function open() {
  $("log").replaceChildren();
  for (const button of document.querySelectorAll(".rate")) button.setAttribute("aria-pressed", "false");
  const answer = await post("/api/conversations", { channel: "web", user_type: "client" });
  const made = await answer.json();
  conversation = made.conversation_id;
  spoken = false;
  $("analytics").href = `${analytics}/conversations/${encodeURIComponent(conversation)}`;
  $("analytics").textContent = "See it in analytics";
  $("state").textContent = "Customer help";
  lock(false);
  show("assistant", made.welcome);
  $("message").focus();
}

async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    waiting += value;
    const blocks = waiting.split("\n\n");
    waiting = blocks.pop();
    for (const block of blocks) {
      const [name, data] = block.split("\n");
      yield [name.slice("event: ".length), JSON.parse(data.slice("data: ".length))];
    }
  }
}

async function say(text) {
  show("user", text);
  spoken = true;
  $("send").disabled = true;
  const line = show("assistant", "");
  line.classList.add("writing");
  let ended = false;
  try {
    const answer = await post(`/api/conversations/${conversation}/messages`, { text });
    for await (const [name, data] of events(answer)) {
      if (name === "piece") line.textContent += data.text;
      if (name === "failed") { line.textContent = data.message; line.classList.add("failed"); }
      if (name === "done" && data.handed_off) $("state").textContent = "With our team";
      if (name === "done") ended = data.ended;
      $("log").scrollTop = $("log").scrollHeight;
    }
  } catch (error) {
    line.textContent = `${error.message} Please try again.`;
    line.classList.add("failed");
  }
  line.classList.remove("writing");
  lock(ended);
  if (ended) show("system", "The conversation has ended.");
  else $("message").focus();
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("message").value.trim();
  if (!text || $("send").disabled) return;
  $("message").value = "";
  say(text);
});

for (const chip of document.querySelectorAll(".chip")) {
  chip.addEventListener("click", () => { if (!$("send").disabled) say(chip.textContent); });
}

for (const button of document.querySelectorAll(".rate")) {
  button.addEventListener("click", async () => {
    for (const other of document.querySelectorAll(".rate")) other.setAttribute("aria-pressed", String(other === button));
    await post(`/api/conversations/${conversation}/feedback`, { value: Number(button.value) });
    show("system", `Thank you: ${button.value} of 5.`);
  });
}

$("solved").addEventListener("click", async () => {
  await post(`/api/conversations/${conversation}/end`, { outcome: "resolved" });
  lock(true);
  show("system", "The conversation has ended. Glad to have helped.");
  $("again").focus();
});

$("again").addEventListener("click", open);

window.addEventListener("pagehide", () => {
  if (!conversation || !spoken || $("message").disabled) return;
  const body = new Blob([JSON.stringify({ outcome: "abandoned" })], { type: "application/json" });
  navigator.sendBeacon(`/api/conversations/${conversation}/end`, body);
});
open().catch((error) => show("system", `${error.message} Reload the page to try again.`));
