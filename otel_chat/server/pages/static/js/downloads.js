// Tables as CSV, as they stand on the page. A cell that a spreadsheet would run as a formula gets
// an apostrophe.
const RISKY = /^[=+\-@\t\r]/;

function cell(element) {
  const text = element.textContent.trim().replaceAll("\u202f", " ");
  const safe = RISKY.test(text) ? `'${text}` : text;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
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
