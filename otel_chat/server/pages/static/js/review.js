// The queue of reviews by keys. Without this, its form and its links do the same.
const form = document.querySelector("[data-review-form]");
const typing = (target) => target.matches("textarea, select, input:not([type=radio], [type=checkbox])");

// By its place on the keyboard: with Shift a digit is another sign.
const keyOf = ({ code, key }) => (code.startsWith("Digit") ? code.slice(5) : key.toLowerCase());

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || typing(event.target)) return;
  const key = keyOf(event);
  const link = document.querySelector(`[data-key-link="${CSS.escape(key)}"]`);
  const value = form?.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (link && !event.shiftKey) location.assign(link.href);
  else if (form && key === "s" && !event.shiftKey) form.requestSubmit();
  else if (value) {
    value.checked = event.shiftKey || !value.checked;
    if (event.shiftKey) form.requestSubmit();
  } else return;
  event.preventDefault();
});
