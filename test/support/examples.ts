import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const TYPESCRIPT = /^```ts\n([\s\S]*?)^```$/gm;

/** Runs the TypeScript examples of a document in order, in one folder. @returns what each prints */
export async function runExamples(document: string, folder: string): Promise<string[]> {
  const printed: string[] = [];
  for (const [, code = ''] of readFileSync(join(ROOT, document), 'utf8').matchAll(TYPESCRIPT)) {
    printed.push(await run(code, folder));
  }
  return printed;
}

/** Runs code that imports the package. @returns what it prints */
async function run(code: string, folder: string): Promise<string> {
  await build({
    stdin: { contents: code, loader: 'ts', resolveDir: ROOT },
    alias: Object.fromEntries(
      ['index', 'arena', 'format', 'testing'].map((name) => [
        name === 'index' ? 'artrie-pages' : `artrie-pages/${name}`,
        join(ROOT, `src/${name}.ts`),
      ]),
    ),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    external: ['fs-native-extensions'],
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    outfile: join(folder, 'example.mjs'),
  });
  return execFileSync(process.execPath, ['example.mjs'], { cwd: folder, encoding: 'utf8' });
}
