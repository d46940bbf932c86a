// Draws the API's description. Only questions can be asked from the page: what changes data is
// meant for programs, which bring a token of their own.
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
