/**
 * Builds the page into dist/studio: three hashed files that a strict CSP allows. JSX is compiled by
 * Vite's own transform, so that no plugin is needed.
 */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  logLevel: 'warn',
  build: {
    outDir: '../dist/studio',
    emptyOutDir: true,
    target: 'es2022',
    // Inlined as data: URLs, images would need an exception in the CSP.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
