// Starts ReDoc on our own OpenAPI document, with the fonts of the reader's system instead of a font server's.
const sans = 'system-ui, sans-serif';
Redoc.init('/openapi.json', {
  hideDownloadButton: false,
  expandResponses: '200,201,202',
  theme: { typography: { fontFamily: sans, headings: { fontFamily: sans }, code: { fontFamily: 'ui-monospace, monospace' } } },
}, document.getElementById('docs'));
