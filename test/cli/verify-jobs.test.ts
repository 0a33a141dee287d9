import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { identityOf } from '../../src/disk/node-fs.ts';
import { Verifier } from '../../src/verify/verify-threads.ts';
import { VerifyServer } from '../../src/verify/verify-threads.ts';
import { MemoryBlockFile } from '../../src/disk/memory-block-file.ts';
import { fileOffset } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import type { Finding, VerifyOptions, VerifySummary } from '../../src/verify/rule.ts';
import { runCli } from '../support/cli.ts';
import { text } from '../support/nodes.ts';

const SCRIPT = new URL('../../dist/bin/verify-worker.js', import.meta.url);

let folder = '';
let path = '';

/** 300 blocks, of which some are free and some are damaged in each way that findings of a block can be. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'artrie-pages-verify-jobs-'));
  path = join(folder, 'file');
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file);
  await store.append(text('a node'));
  await store.allocate(299);
  for (const block of [70, 130, 131, 290]) await store.free(block);
  await store.close();
  const { bytes } = file;
  for (const block of [2, 64, 65, 66, 128, 129, 200, 299, 300]) bytes[fileOffset(block, 8)]! ^= 4;
  bytes.fill(0, fileOffset(100), fileOffset(101));
  bytes.fill(9, fileOffset(150), fileOffset(150) + 8);
  bytes.fill(7, fileOffset(130), fileOffset(130) + 8);
  writeFileSync(path, bytes);
});

afterAll(() => rmSync(folder, { recursive: true }));

async function verifyWith(
  verifier: Verifier,
  options?: VerifyOptions,
): Promise<{ findings: Finding[]; summary: VerifySummary }> {
  const findings: Finding[] = [];
  const summary = await verifier.verifyPath(path, (finding) => void findings.push(finding), options);
  return { findings, summary };
}

async function closing<T>(verifier: Verifier, work: (verifier: Verifier) => Promise<T>): Promise<T> {
  try {
    return await work(verifier);
  } finally {
    await verifier.close();
  }
}

describe('verify in threads', () => {
  test('finds the same as one thread, in the same order, one file after the other', async () => {
    const alone = await closing(new Verifier(1), (verifier) => verifyWith(verifier, { requireFinalized: true }));
    expect(alone.findings.length).toBeGreaterThan(300);
    await closing(new Verifier(3, SCRIPT), async (verifier) => {
      for (let round = 0; round < 2; round++) {
        expect(await verifyWith(verifier, { requireFinalized: true })).toEqual(alone);
      }
    });
  });

  test('prints the same as one thread does', async () => {
    const alone = await runCli(['verify', path]);
    expect(alone.exit).toBe(1);
    expect(String(alone.stdout)).toContain('PAGE_MAGIC');
    const { exit, stdout } = await runCli(['verify', '--jobs', '2', path]);
    expect(exit).toBe(1);
    expect(String(stdout)).toBe(String(alone.stdout));
  });

  test('tells what it has found where it is interrupted, and can go on with another file', async () => {
    await closing(new Verifier(2, SCRIPT), async (verifier) => {
      const stop = new AbortController();
      const { summary } = await verifyWith(verifier, { signal: stop.signal, onProgress: () => stop.abort() });
      expect(summary).toMatchObject({ interrupted: true, blocks: 65, findings: { error: 4 } });
      expect((await verifyWith(verifier)).summary.interrupted).toBe(false);
    });
  });

  test('what the receiver of findings throws ends it, and the next file is none the worse', async () => {
    await closing(new Verifier(2, SCRIPT), async (verifier) => {
      const full = new Error('no room');
      const failing = verifier.verifyPath(path, () => {
        throw full;
      });
      await expect(failing).rejects.toBe(full);
      expect((await verifyWith(verifier)).summary.blocks).toBe(301);
    });
  });
});

describe('a thread that fails is an error, and not a file without findings', () => {
  const script = (name: string, code: string): URL => {
    const place = join(folder, `${name}.mjs`);
    writeFileSync(place, code);
    return pathToFileURL(place);
  };
  const answering = (answer: string): string =>
    `import { parentPort } from 'node:worker_threads'; parentPort.on('message', (request) => { ${answer} });`;

  test.each([
    ['is not there', () => pathToFileURL(join(folder, 'nothing.mjs')), /Cannot find module.*--jobs 1/],
    ['ends at once', () => script('ends', 'process.exit(0)'), /exit code 0; try again with --jobs 1/],
    ['throws', () => script('throws', "throw new Error('out of luck')"), /out of luck; try again with --jobs 1/],
    [
      'ends in the middle',
      () =>
        script(
          'middle',
          answering("request.kind === 'open' ? parentPort.postMessage({ kind: 'done' }) : process.exit(7)"),
        ),
      /exit code 7/,
    ],
    [
      'has more to keep than it may',
      () => script('memory', answering('const kept = []; for (;;) kept.push({ more: Array(1000).fill(kept) });')),
      /memory.*--jobs 1/,
    ],
    [
      'gives no batch',
      () => script('none', answering("parentPort.postMessage({ kind: 'done' })")),
      /64 blocks before its end/,
    ],
  ])('%s', async (_, place, message) => {
    await closing(new Verifier(2, place()), async (verifier) => {
      await expect(verifyWith(verifier)).rejects.toThrow(message);
      // Not the second time either.
      await expect(verifyWith(verifier)).rejects.toThrow(message);
    });
  });

  test('a file that another one has taken the place of meanwhile is refused', async () => {
    const server = new VerifyServer();
    const settings = {
      demands: { checksums: false, finalized: false },
      rootBlock: 0,
      batchBlocks: 64,
      batchProblems: 9,
    };
    const identity = await identityOf(path);
    const other = join(folder, 'other');
    writeFileSync(other, readFileSync(path));
    expect(await server.answer({ kind: 'open', path, identity, settings })).toEqual({ kind: 'done' });
    expect(await server.answer({ kind: 'open', path: other, identity, settings })).toMatchObject({
      kind: 'failed',
      failure: { code: 'IO', message: expect.stringContaining('verify it again') as string, detail: { file: other } },
    });
    // What it has after that is no file at all.
    expect(await server.answer({ kind: 'scan', range: { first: 1, end: 2 } })).toMatchObject({ kind: 'failed' });
  });
});
