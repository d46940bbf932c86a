// Times are by the reader's clock, which only the browser knows.
const KEY = "otel_chat_zone";
const YEAR = 365 * 24 * 3600;

export function startZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone) return;
  const kept = `${KEY}=${encodeURIComponent(zone)}`;
  const known = () => document.cookie.split("; ").includes(kept);
  if (known()) return;
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `${kept}; path=/; max-age=${YEAR}; samesite=lax${secure}`;
  const asked = new URLSearchParams(location.search).has("timezone");
  if (known() && !asked && document.body.dataset.zone !== zone) location.reload();
}
