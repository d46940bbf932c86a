// Builds the page; Grafana's icons and its font lie where its components look for them.
import { cpSync } from 'node:fs';
import { defineConfig } from 'vite';

const FONTS = {
  'latin-400-normal': 'Inter-Regular',
  'latin-500-normal': 'Inter-Medium',
};

const assets = {
  name: 'grafana-assets',
  closeBundle() {
    cpSync('node_modules/@grafana/ui/dist/public/img/icons', 'dist/public/build/img/icons', {
      recursive: true,
    });
    for (const [file, name] of Object.entries(FONTS)) {
      cpSync(
        `node_modules/@fontsource/inter/files/inter-${file}.woff2`,
        `dist/public/fonts/inter/${name}.woff2`,
      );
    }
  },
};

export default defineConfig({
  base: './',
  plugins: [assets],
  esbuild: { jsx: 'automatic' },
  build: { sourcemap: false, chunkSizeWarningLimit: 20000, target: 'es2022' },
});
