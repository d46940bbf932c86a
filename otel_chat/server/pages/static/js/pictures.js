// Charts, grids and diagrams as PNG, drawn here: nothing is sent anywhere.
import { save } from "./downloads.js";

const SCALE = 2;
const EDGE = 20;
const HEAD = 48;

const style = (element) => getComputedStyle(element);
const token = (name) => {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = style(probe).color;
  probe.remove();
  return found;
};

function sheet(panel, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = (width + 2 * EDGE) * SCALE;
  canvas.height = (height + HEAD + EDGE) * SCALE;
  const context = canvas.getContext("2d");
  context.scale(SCALE, SCALE);
  context.fillStyle = token("surface");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = token("text");
  context.font = `600 16px ${style(document.body).fontFamily}`;
  context.fillText(panel.querySelector("h2").textContent.trim(), EDGE, 30);
  legend(context, panel, width + EDGE);
  return { canvas, context };
}

function legend(context, panel, right) {
  context.font = `12px ${style(document.body).fontFamily}`;
  let x = right;
  for (const entry of [...panel.querySelectorAll(".legend li")].reverse()) {
    const text = entry.textContent.trim();
    x -= context.measureText(text).width;
    context.fillStyle = token("muted");
    context.fillText(text, x, 29);
    const swatch = style(entry.querySelector(".swatch"));
    context.fillStyle = swatch.borderTopColor;
    if (!swatch.backgroundColor.endsWith(", 0)")) context.fillStyle = swatch.backgroundColor;
    context.fillRect(x - 16, 20, 10, 10);
    x -= 34;
  }
}

function ofCanvas(panel, drawn) {
  const { width, height } = drawn.getBoundingClientRect();
  const { canvas, context } = sheet(panel, width, height);
  context.drawImage(drawn, EDGE, HEAD, width, height);
  return canvas;
}

function ofTable(panel, table) {
  const whole = table.getBoundingClientRect();
  const { canvas, context } = sheet(panel, whole.width, whole.height);
  for (const cell of table.querySelectorAll("th, td")) {
    const box = cell.getBoundingClientRect();
    const look = style(cell);
    const x = box.x - whole.x + EDGE;
    const y = box.y - whole.y + HEAD;
    context.fillStyle = look.backgroundColor;
    context.fillRect(x, y, box.width, box.height);
    if (cell.tagName !== "TH" || cell.querySelector(".visually-hidden")) continue;
    const right = look.textAlign === "right" || look.textAlign === "end";
    context.fillStyle = look.color;
    context.font = `${look.fontSize} ${look.fontFamily}`;
    context.textAlign = right ? "right" : "left";
    context.fillText(cell.textContent.trim(), right ? x + box.width - 8 : x, y + box.height / 2 + 4);
  }
  return canvas;
}

const LOOKS = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-linejoin", "paint-order", "font-family", "font-size"];

// A drawing of its own knows no style sheet, so what it looks like is written into a copy.
async function ofDrawing(panel, drawing) {
  const { width, height } = drawing.viewBox.baseVal;
  const copy = drawing.cloneNode(true);
  const originals = drawing.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((element, index) => {
    const look = style(originals[index]);
    for (const name of LOOKS) element.setAttribute(name, look.getPropertyValue(name));
  });
  copy.setAttribute("xmlns", drawing.namespaceURI);
  copy.setAttribute("width", width * SCALE);
  copy.setAttribute("height", height * SCALE);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  const { canvas, context } = sheet(panel, width, height);
  context.drawImage(image, EDGE, HEAD, width, height);
  return canvas;
}

async function picture(panel) {
  const drawn = panel.querySelector("canvas");
  if (drawn) return ofCanvas(panel, drawn);
  const table = panel.querySelector("[data-picture-table]");
  return table ? ofTable(panel, table) : ofDrawing(panel, panel.querySelector("svg.flow-drawing"));
}

export function startPictures() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-picture]");
    if (!button) return;
    const canvas = await picture(button.closest("[data-picture-of]"));
    canvas.toBlob((blob) => save(`${button.dataset.picture}.png`, blob, "image/png"));
  });
}
