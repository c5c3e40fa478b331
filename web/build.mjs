// Copies what the documentation pages need from node_modules into internal/web/assets, where the Go binary embeds it.
// Texts are stored gzipped only: that is how nearly every client takes them, and it keeps 2 MB out of the binary.

import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const here = import.meta.dirname ?? new URL('.', import.meta.url).pathname;
const from = join(here, 'node_modules');
const to = join(here, '..', 'internal', 'web', 'assets');

// Name of the asset -> file of the package. The licences travel with the code.
const files = {
  'swagger-ui.js': 'swagger-ui-dist/swagger-ui-bundle.js',
  'swagger-ui.css': 'swagger-ui-dist/swagger-ui.css',
  'swagger-ui-license.txt': ['swagger-ui-dist/LICENSE', 'swagger-ui-dist/NOTICE', 'swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt'],
  'redoc.js': 'redoc/bundles/redoc.standalone.js',
  'redoc-license.txt': ['redoc/LICENSE', 'redoc/bundles/redoc.standalone.js.LICENSE.txt', 'redoc/bundles/d87bcbdbea8f8f5aa26f.worker.js.LICENSE.txt'],
};

// The page must not load anything from elsewhere: ReDoc's logo becomes an empty image, source maps are not shipped.
const logo = 'https://cdn.redoc.ly/redoc/logo-mini.svg';
const patches = {
  'redoc.js': (text) => {
    if (!text.includes(logo)) throw new Error(`redoc.js no longer names ${logo}: look at what its pages load now`);
    return text.replaceAll(logo, 'data:,');
  },
};

mkdirSync(to, { recursive: true });
for (const old of readdirSync(to)) if (old !== 'README.md') rmSync(join(to, old));

const versions = {};
for (const [name, sources] of Object.entries(files)) {
  let text = [sources].flat().map((file) => readFileSync(join(from, file), 'utf8')).join('\n');
  text = text.replace(/\n?\/[/*]# sourceMappingURL=[^\n]*\n?$/, '\n');
  if (patches[name]) text = patches[name](text);
  writeFileSync(join(to, `${name}.gz`), gzipSync(text, { level: 9 }));
}
for (const name of ['swagger-ui-dist', 'redoc']) {
  versions[name] = JSON.parse(readFileSync(join(from, name, 'package.json'), 'utf8')).version;
}
writeFileSync(join(to, 'built.json'), JSON.stringify(versions) + '\n'); // last: make takes it for the sign that all is there
console.log(`assets: swagger-ui ${versions['swagger-ui-dist']}, redoc ${versions.redoc}`);
