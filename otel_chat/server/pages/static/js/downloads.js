// Tables as CSV, as they stand on the page. A cell that a spreadsheet would run as a formula gets
// an apostrophe: as in queries/cells.py, which says why also after semicolons and line breaks.
const UNSEEN = String.raw`\p{Cf}\p{Z}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0`;
const BLANK = String.raw`\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f`;
const STARTS = String.raw`[=+@\-\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20]`;
const RISKY = new RegExp(`^[${UNSEEN}${BLANK}]*${STARTS}|^[\\x00-\\x1f\\x7f-\\x9f]`, "u");
const RISKY_INSIDE = new RegExp(`([;\\r\\n])([${UNSEEN}${BLANK}]*${STARTS})`, "gu");

export function guarded(text) {
  const inner = text.replace(RISKY_INSIDE, "$1'$2");
  return RISKY.test(text) ? `'${inner}` : inner;
}

function cell(element) {
  const said = element.cloneNode(true);
  // What stands below a share, as its interval, would make words of a number.
  said.querySelector(".bar ~ .cell-sub")?.remove();
  const safe = guarded(said.textContent.trim().replaceAll("\u202f", " "));
  return /[",;\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function save(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

export function startDownloads() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-download]");
    if (!button) return;
    const table = document.querySelector(`[data-table="${CSS.escape(button.dataset.download)}"]`);
    const lines = [...table.rows].map((row) => [...row.cells].map(cell).join(","));
    save(`${button.dataset.download}.csv`, `\ufeff${lines.join("\r\n")}\r\n`, "text/csv");
  });
}
