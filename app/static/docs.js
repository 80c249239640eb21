"use strict";

const darkScheme = matchMedia("(prefers-color-scheme: dark)");
const applyScheme = () => document.documentElement.classList.toggle("dark-mode", darkScheme.matches);
darkScheme.addEventListener("change", applyScheme);
applyScheme();

SwaggerUIBundle({
  dom_id: "#reference",
  url: `${document.documentElement.dataset.root}/openapi.json`,
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null, // no badge, which another host would draw
});
