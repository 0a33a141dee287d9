import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/**
 * Bundles what processes run, so that they are plain Node: no loader is in their memory, and none has touched the code
 * that is measured. The library and the packages of the peers are loaded by them as they are.
 * @param entry - its name in this folder
 * @returns the path of the bundle, in `folder`
 */
export async function bundle(entry: string, folder: string): Promise<string> {
  const outfile = join(folder, basename(entry).replace(/\.ts$/, '.mjs'));
  await build({
    entryPoints: [fileURLToPath(new URL(entry, import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    // Optional, and native.
    external: ['fs-native-extensions'],
    logLevel: 'warning',
  });
  return outfile;
}
