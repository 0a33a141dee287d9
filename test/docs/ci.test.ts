import { execFile } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { FORMATS } from '../../src/cli/check-files.ts';
import { goldenPath, temporaryFolder } from '../support/files.ts';
import { junitProblems, sarifProblems } from '../support/report.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const document = readFileSync(join(ROOT, 'docs/ci.md'), 'utf8');

function blocks(language: string): string[] {
  return [...document.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
    ([, block = '']) => block,
  );
}

const folder = temporaryFolder();
const STATES = ['sound', 'damaged', 'missing', 'foreign'] as const;
type State = (typeof STATES)[number];

/** The exit code of verify for each state of the files. */
const EXITS: Readonly<Record<State, number>> = { sound: 0, damaged: 1, missing: 3, foreign: 3 };

beforeAll(() => {
  const tools = { 'artrie-pages': '"$@"', npx: '"${@:3}"' };
  for (const [name, args] of Object.entries(tools)) {
    writeFileSync(join(folder, name), `#!/bin/bash\nexec '${process.execPath}' '${ROOT}bin/artrie-pages.js' ${args}\n`);
    chmodSync(join(folder, name), 0o755);
  }
});

/** A folder like the checkout of a pipeline. */
function checkout(state: State): string {
  const place = mkdtempSync(join(folder, `${state}-`));
  mkdirSync(join(place, 'data/deep'), { recursive: true });
  if (state === 'missing') return place;
  copyFileSync(goldenPath('empty'), join(place, 'data/one.part'));
  copyFileSync(goldenPath(state === 'damaged' ? 'stale-header' : 'v1'), join(place, 'data/deep/two.part'));
  if (state === 'foreign')
    writeFileSync(join(place, 'data/three.part'), 'version https://git-lfs.github.com/spec/v1\n');
  return place;
}

interface Ran {
  readonly exit: number;
  readonly printed: string;
}

async function run(script: string, place: string): Promise<Ran> {
  return new Promise((resolve) => {
    const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}` };
    // Like in a pipeline, the first command that fails ends the script.
    execFile('bash', ['-e', '-c', script], { cwd: place, env }, (error, stdout, stderr) => {
      resolve({ exit: error ? Number(error.code) : 0, printed: stdout + stderr });
    });
  });
}

const scripts = blocks('sh').map((script, index) => ({ script, name: `${index}: ${script.split('\n')[0]}` }));

describe('the scripts of docs/ci.md', () => {
  test('are four', () => expect(scripts).toHaveLength(4));

  test.each(scripts)('$name: fails if and only if verify does', async ({ script }) => {
    const results = await Promise.all(
      (['sound', 'damaged', 'missing'] as const).map(async (state) => [
        state,
        (await run(script, checkout(state))).exit,
      ]),
    );
    const { sound, damaged, missing } = EXITS;
    expect(Object.fromEntries(results)).toEqual({ sound, damaged, missing });
  });

  test('the one with a message for each exit code prints it', async () => {
    const { printed } = await run(scripts[0]!.script, checkout('damaged'));
    expect(printed).toMatch(/^damaged:\n\{"type":"finding","code":"FILE_HEADER_CHECKSUM".*"data\/deep\/two\.part"/m);
    expect((await run(scripts[0]!.script, checkout('foreign'))).printed).toContain('a file could not be read');
  });

  test('the one for cron prints nothing if all files are valid, and the report otherwise', async () => {
    expect((await run(scripts[2]!.script, checkout('sound'))).printed).toBe('');
    const { printed } = await run(scripts[2]!.script, checkout('damaged'));
    expect(printed).toMatch(
      /^data\/deep\/two\.part: error FILE_HEADER_CHECKSUM[\s\S]*\nartrie-pages verify: exit 1\n$/,
    );
    const place = checkout('damaged');
    const held = `flock verify.lock bash -e -c '${scripts[2]!.script.replaceAll("'", String.raw`'\''`)}'`;
    expect(await run(held, place)).toEqual({ exit: 0, printed: '' });
  });

  test('the one for a backup copies valid files only', async () => {
    for (const state of STATES) {
      const place = checkout(state);
      await run(scripts[3]!.script, place);
      expect({ state, copied: existsSync(join(place, 'backup')) }).toEqual({ state, copied: state === 'sound' });
    }
  });
});

/** The lines of a pipeline that run verify, as the shell reads them. */
const steps = blocks('yaml').flatMap((block) =>
  [...block.matchAll(/^ +- (?:run: )?((?:npx --yes )?artrie-pages verify .*)$/gm)].map(([, step = '']) => step),
);

describe('the pipelines of docs/ci.md', () => {
  test('have a step for each service', () => expect(steps).toHaveLength(3));

  test.each(steps)('%s', async (step) => {
    for (const state of ['sound', 'damaged', 'foreign'] as const) {
      const place = checkout(state);
      const { exit, printed } = await run(step, place);
      // None of them fails on info.
      expect({ state, exit }).toEqual({ state, exit: EXITS[state] });
      const [, report] = / --output (\S+)/.exec(step) ?? [];
      if (report === undefined) {
        expect(printed.match(/^::error file=data/gm)?.length ?? 0).toBe(state === 'sound' ? 0 : 1);
        continue;
      }
      // A report exists for the upload, whatever was found.
      const text = readFileSync(join(place, report), 'utf8');
      expect(report.endsWith('.xml') ? await junitProblems(text) : sarifProblems(text)).toEqual([]);
    }
  });

  test('upload the report that they write', () => {
    for (const block of blocks('yaml')) {
      const [, written] = / --output (\S+)/.exec(block) ?? [];
      const uploaded = /(?:sarif_file|junit): (\S+)/.exec(block)?.[1];
      expect(uploaded).toBe(written);
    }
  });
});

test('docs/ci.md names only existing formats', () => {
  for (const [, format] of document.matchAll(/--format (\w+)/g)) expect(FORMATS).toContain(format);
});
