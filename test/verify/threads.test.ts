import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { identityOf } from '../../src/disk/node-fs.ts';
import { VerifyServer } from '../../src/verify/verify-threads.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { fileOffset } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { type Finding, Verifier, verify, type VerifyOptions, type VerifyReport } from '../../src/verify/verify.ts';
import { runCli } from '../support/cli.ts';
import { text } from '../support/nodes.ts';

let folder = '';
let path = '';

/** 300 blocks; some are free, and some are damaged in every way that causes a finding in a block. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'artrie-pages-threads-'));
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

interface Result {
  readonly findings: Finding[];
  readonly report: VerifyReport;
}

async function verifyWith(verifier: Verifier, options: Omit<VerifyOptions, 'threads'> = {}): Promise<Result> {
  const findings: Finding[] = [];
  const report = await verifier.verify(path, { ...options, onFinding: (finding) => void findings.push(finding) });
  return { findings, report };
}

async function closing<T>(verifier: Verifier, work: (verifier: Verifier) => Promise<T>): Promise<T> {
  try {
    return await work(verifier);
  } finally {
    await verifier.close();
  }
}

describe('verify with several threads', () => {
  test('reports the same findings in the same order as one thread, for one file after another', async () => {
    const alone = await closing(new Verifier(), (verifier) => verifyWith(verifier, { requireFinalized: true }));
    expect(alone.findings.length).toBeGreaterThan(300);
    await closing(new Verifier({ threads: 3 }), async (verifier) => {
      for (let round = 0; round < 2; round++) {
        expect(await verifyWith(verifier, { requireFinalized: true })).toEqual(alone);
      }
    });
  });

  test('prints the same as with one thread', async () => {
    const alone = await runCli(['verify', path]);
    expect(alone.exit).toBe(1);
    expect(String(alone.stdout)).toContain('PAGE_MAGIC');
    const { exit, stdout } = await runCli(['verify', '--jobs', '2', path]);
    expect(exit).toBe(1);
    expect(String(stdout)).toBe(String(alone.stdout));
  });

  test('reports what was checked when it is aborted, and can check another file afterwards', async () => {
    await closing(new Verifier({ threads: 2 }), async (verifier) => {
      const stop = new AbortController();
      const { report } = await verifyWith(verifier, { signal: stop.signal, onProgress: () => stop.abort() });
      expect(report).toMatchObject({ interrupted: true, blocks: 65, findings: { error: 4 } });
      expect((await verifyWith(verifier)).report.interrupted).toBe(false);
    });
  });

  test('stops with the error that onFinding throws, and can check another file afterwards', async () => {
    await closing(new Verifier({ threads: 2 }), async (verifier) => {
      const full = new Error('no room');
      const failing = verifier.verify(path, {
        onFinding: () => {
          throw full;
        },
      });
      await expect(failing).rejects.toBe(full);
      expect((await verifyWith(verifier)).report.blocks).toBe(301);
    });
  });

  test('runs concurrent calls of one verifier one after the other', async () => {
    await closing(new Verifier({ threads: 2 }), async (verifier) => {
      const [one, other] = await Promise.all([verifyWith(verifier), verifyWith(verifier)]);
      expect(one).toEqual(other);
      expect(one.report).toMatchObject({ ok: false, interrupted: false, blocks: 301 });
    });
  });

  test('is an option of verify, for a file given by its path', async () => {
    const alone = await verify(path);
    expect(await verify(path, { threads: 3 })).toEqual(alone);
    await expect(verify(new MemoryBlockFile(), { threads: 2 })).rejects.toThrow(
      new TypeError('verify: options.threads above 1 needs a path, since every thread opens the file itself'),
    );
    await expect(verify(path, { threads: 0 })).rejects.toThrow(TypeError);
  });

  test('refuses a call after close', async () => {
    const verifier = new Verifier({ threads: 2 });
    await verifier[Symbol.asyncDispose]();
    await expect(verifier.verify(path)).rejects.toThrow(new TypeError('Verifier.verify: the verifier is closed'));
  });
});

describe('a failed thread is an error, not a file without findings: the thread', () => {
  const scriptWith = (name: string, code: string): URL => {
    const file = join(folder, `${name}.mjs`);
    writeFileSync(file, code);
    return pathToFileURL(file);
  };
  const answering = (answer: string): string =>
    `import { parentPort } from 'node:worker_threads'; parentPort.on('message', (request) => { ${answer} });`;

  test.each([
    ['does not exist', () => pathToFileURL(join(folder, 'nothing.mjs')), /Cannot find module.*--jobs 1/],
    ['ends at once', () => scriptWith('ends', 'process.exit(0)'), /exit code 0; try again with one thread/],
    ['throws', () => scriptWith('throws', "throw new Error('out of luck')"), /out of luck; try again with one thread/],
    [
      'ends in the middle',
      () =>
        scriptWith(
          'middle',
          answering("request.kind === 'open' ? parentPort.postMessage({ kind: 'done' }) : process.exit(7)"),
        ),
      /exit code 7/,
    ],
    // Large arrays: with small objects, Node 24 collects garbage for minutes before it gives up.
    [
      'exceeds its memory limit',
      () => scriptWith('memory', answering('const kept = []; for (;;) kept.push(Array(10_000).fill(kept));')),
      /memory.*--jobs 1/,
    ],
    [
      'sends no batch',
      () => scriptWith('none', answering("parentPort.postMessage({ kind: 'done' })")),
      /64 blocks before its end/,
    ],
  ])('%s', async (_, script, message) => {
    await closing(new Verifier({ threads: 2 }, script()), async (verifier) => {
      await expect(verifyWith(verifier)).rejects.toThrow(message);
      // The verifier stays usable, and starts another thread.
      await expect(verifyWith(verifier)).rejects.toThrow(message);
    });
  });

  test('a file that was replaced by another one meanwhile is refused', async () => {
    const server = new VerifyServer();
    const settings = {
      requirements: { checksums: false, finalized: false, trie: false },
      rootBlock: 0,
      batchBlocks: 64,
      openFrom: 0,
      openEnd: 0,
    };
    const identity = await identityOf(path);
    const other = join(folder, 'other');
    writeFileSync(other, readFileSync(path));
    expect(await server.answer({ kind: 'open', path, identity, settings })).toEqual({ kind: 'done' });
    expect(await server.answer({ kind: 'open', path: other, identity, settings })).toMatchObject({
      kind: 'failed',
      failure: { code: 'IO', message: expect.stringContaining('verify it again') as string, detail: { file: other } },
    });
    // After the failure no file is open.
    expect(await server.answer({ kind: 'scan', range: { first: 1, end: 2 } })).toMatchObject({ kind: 'failed' });
  });
});
