// A line at the foot of the page that says what happened, and goes away.
const FOR = 6000;
let line = null;
let timer = 0;

export function tell(text) {
  if (!line) {
    line = document.createElement("p");
    line.className = "telling";
    line.setAttribute("role", "status");
    document.body.append(line);
  }
  line.textContent = text;
  line.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => (line.hidden = true), FOR);
}
