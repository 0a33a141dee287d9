import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const documents = ['README.md', 'CHANGELOG.md', ...pagesOf('docs'), ...pagesOf('fixtures')];

function pagesOf(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { encoding: 'utf8', recursive: true })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name));
}

/** The text without its examples, which have no links and no headings. */
function proseOf(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8').replaceAll(/^```[\s\S]*?^```$/gm, '');
}

/** What a heading is linked by: lower case, without punctuation, hyphens for spaces. */
function anchorsOf(path: string): string[] {
  return [...proseOf(path).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test.each(documents)('each link of %s leads somewhere', (path) => {
  const targets = [...proseOf(path).matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(([, target = '']) => target);
  const broken = targets.filter((target) => {
    const [file = '', anchor] = target.split('#');
    const page = file === '' ? path : normalize(join(dirname(path), file));
    if (!existsSync(join(ROOT, page))) return true;
    return anchor !== undefined && (statSync(join(ROOT, page)).isDirectory() || !anchorsOf(page).includes(anchor));
  });
  expect(broken).toEqual([]);
});
