// Draws the tables marked as charts. The figures and their wording come from the table.
const drawn = new Map();

// light-dark() is resolved by the browser only where a colour is used, so one is used.
function colour(name) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const whole = new Intl.NumberFormat("en-GB");
const short = new Intl.NumberFormat("en-GB", { notation: "compact" });
function tick(unit, value) {
  if (unit === "By") {
    const step = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), 4);
    return `${+(value / 1000 ** step).toPrecision(3)} ${["B", "kB", "MB", "GB", "TB"][step]}`;
  }
  if (unit === "s") return value < 1 && value > 0 ? `${+(value * 1000).toPrecision(3)} ms` : `${+value.toPrecision(3)} s`;
  if (unit === "1") return `${+(value * 100).toPrecision(3)} %`;
  if (unit === "USD") return `$${+value.toPrecision(2)}`;
  if (!Number.isInteger(value)) return null;
  return value < 10_000 ? whole.format(value) : short.format(value);
}

function read(figure) {
  const table = figure.querySelector("table");
  const heads = [...table.querySelectorAll("thead th")].slice(1);
  const rows = [...table.querySelectorAll("tbody tr")];
  return {
    labels: rows.map((row) => row.cells[0].textContent.trim()),
    hrefs: rows.map((row) => row.cells[0].querySelector("a")?.href),
    cut: rows.map((row) => "cut" in row.dataset),
    columns: heads.map((head, index) => ({
      label: head.textContent.trim(),
      kind: head.dataset.kind,
      colour: head.dataset.colour,
      unit: head.dataset.unit,
      band: "band" in head.dataset,
      values: rows.map((row) => {
        const value = row.cells[index + 1].dataset.value;
        return value === undefined ? null : Number(value);
      }),
      written: rows.map((row) => row.cells[index + 1].textContent.trim()),
    })),
  };
}

function dataset(column, count, cut) {
  const ink = colour(column.colour);
  const lighter = `color-mix(in srgb, ${ink} 45%, transparent)`;
  const base = { label: column.label, data: column.values, written: column.written };
  if (column.kind === "bar") {
    return { ...base, type: "bar", backgroundColor: cut.map((is) => (is ? lighter : ink)), hoverBackgroundColor: ink, borderRadius: 2, stack: "all", barPercentage: 0.9, categoryPercentage: 0.9 };
  }
  // A point alone between two gaps would not be seen as a line.
  const lonely = column.values.map((v, i, all) => v !== null && (all[i - 1] ?? null) === null && (all[i + 1] ?? null) === null);
  const soft = `color-mix(in srgb, ${ink} 16%, transparent)`;
  return { ...base, type: "line", fill: column.band ? "-1" : false, borderColor: ink, backgroundColor: column.band ? soft : ink, borderWidth: 2, cubicInterpolationMode: "monotone",
    segment: { borderColor: (part) => (cut[part.p0DataIndex] || cut[part.p1DataIndex] ? lighter : undefined) },
    borderDash: column.colour === "warn" ? [5, 3] : [], pointRadius: lonely.map((is) => (is || count === 1 ? 3 : 0)), pointHoverRadius: 4, pointHoverBackgroundColor: ink, pointHoverBorderColor: ink, spanGaps: false };
}

function options(unit) {
  const muted = colour("muted");
  const font = { family: getComputedStyle(document.body).fontFamily, size: 12 };
  return {
    animation: false,
    maintainAspectRatio: false,
    interaction: { mode: "index", intersect: false },
    scales: {
      x: { stacked: true, grid: { display: false }, border: { color: colour("line") }, ticks: { color: muted, font, maxRotation: 0, autoSkip: true, autoSkipPadding: 24 } },
      y: { stacked: true, beginAtZero: true, border: { display: false }, grid: { color: colour("line-soft") }, ticks: { color: muted, font, maxTicksLimit: 5, callback: (value) => tick(unit, value) } },
    },
    plugins: {
      legend: { display: false },
      tooltip: {
        backgroundColor: colour("tip"), titleColor: colour("tip-text"), bodyColor: colour("tip-text"), titleFont: font, bodyFont: font, padding: 10, boxPadding: 6, usePointStyle: true,
        callbacks: { label: (item) => `${item.dataset.label}: ${item.dataset.written[item.dataIndex]}` },
      },
    },
  };
}

// A line between two steps of a scale, with what it stands for.
const mark = (at, label) => ({
  id: "mark",
  afterDatasetsDraw({ ctx, chartArea, scales }) {
    const step = scales.x.getPixelForValue(1) - scales.x.getPixelForValue(0);
    const x = scales.x.getPixelForValue(at) - step / 2;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour("text");
    ctx.setLineDash([4, 3]);
    ctx.beginPath();
    ctx.moveTo(x, chartArea.top);
    ctx.lineTo(x, chartArea.bottom);
    ctx.stroke();
    ctx.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    ctx.textAlign = at > 4 ? "right" : "left";
    ctx.fillText(label, x + (at > 4 ? -6 : 6), chartArea.top + 10);
    ctx.restore();
  },
});

// A click opens the bucket's rows; a drag from one to another takes the time between as the page's.
function followPointer(canvas, chart, hrefs) {
  const at = (event) => {
    const x = event.clientX - canvas.getBoundingClientRect().left;
    return Math.min(Math.max(chart.scales.x.getValueForPixel(x) ?? 0, 0), hrefs.length - 1);
  };
  let from = null;
  canvas.classList.add("opens");
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = at(event);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (from === null) return;
    chart.dragged = [from, at(event)].sort((a, b) => a - b);
    chart.draw();
  });
  canvas.addEventListener("pointercancel", () => {
    from = chart.dragged = null;
    chart.draw();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (from === null) return;
    const [first, last] = [from, at(event)].sort((a, b) => a - b);
    from = chart.dragged = null;
    const timed = new URL(hrefs[first]).searchParams.has("from");
    if (first === last || !timed) return location.assign(hrefs[first]);
    const here = new URL(location.href);
    here.searchParams.delete("window");
    here.searchParams.set("from", new URL(hrefs[first]).searchParams.get("from"));
    here.searchParams.set("to", new URL(hrefs[last]).searchParams.get("to"));
    location.assign(here);
  });
}

const range = {
  id: "range",
  beforeDatasetsDraw({ ctx, chartArea, scales, dragged }) {
    if (!dragged) return;
    const half = (scales.x.getPixelForValue(1) - scales.x.getPixelForValue(0)) / 2;
    const [left, right] = [scales.x.getPixelForValue(dragged[0]) - half, scales.x.getPixelForValue(dragged[1]) + half];
    ctx.save();
    ctx.fillStyle = colour("accent-soft");
    ctx.fillRect(left, chartArea.top, right - left, chartArea.bottom - chartArea.top);
    ctx.restore();
  },
};

function draw(figure) {
  const area = figure.querySelector(".chart-area");
  const { labels, columns, hrefs, cut } = read(figure);
  const settings = options(columns[0].unit);
  const bars = columns.some((column) => column.kind === "bar");
  settings.scales.y.stacked = bars;
  settings.scales.x.stacked = bars;
  area.hidden = false;
  const chart = new window.Chart(area.querySelector("canvas"), {
    data: { labels, datasets: columns.map((column) => dataset(column, labels.length, cut)) },
    options: settings,
    plugins: [range, ...(figure.dataset.mark ? [mark(Number(figure.dataset.mark), figure.dataset.markLabel)] : [])],
  });
  if (hrefs.every(Boolean)) followPointer(area.querySelector("canvas"), chart, hrefs);
  drawn.set(figure, chart);
}

export function drawCharts() {
  for (const [figure, chart] of drawn) {
    if (figure.isConnected) continue;
    chart.destroy();
    drawn.delete(figure);
  }
  if (!window.Chart) return;
  for (const figure of document.querySelectorAll("[data-chart]")) {
    if (!drawn.has(figure) && figure.querySelector("canvas")) draw(figure);
  }
}

export function redrawCharts() {
  for (const chart of drawn.values()) chart.destroy();
  drawn.clear();
  drawCharts();
}
