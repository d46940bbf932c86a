// Draws the API's description. Only questions can be asked from the page: what changes data is
// meant for programs, which bring a token of their own.
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
const theme = () => root.classList.toggle("dark-mode", root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
theme();
system.addEventListener("change", theme);
new MutationObserver(theme).observe(root, { attributeFilter: ["data-theme"] });

const place = document.getElementById("api-description");

window.SwaggerUIBundle({
  url: place.dataset.description,
  domNode: place,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  supportedSubmitMethods: ["get"],
  validatorUrl: null,
});
