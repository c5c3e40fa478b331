// Starts Swagger UI on our own OpenAPI document.
SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  filter: true,
  persistAuthorization: false,
  validatorUrl: null, // it would send the document to a server of others
});
