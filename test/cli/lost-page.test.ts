import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { runInProcess } from '../support/cli.ts';
import { damaged, smallFile } from '../support/damage.ts';
import { makeNodes } from '../support/nodes.ts';

const folder = mkdtempSync(join(tmpdir(), 'lost-page-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([['export'], ['read', '--all']])(
  '%s says of a page whose magic is zero that it is left out',
  async (...args) => {
    const path = join(folder, 'zeroed.part');
    const bytes = damaged(await smallFile('v2'), (copy) => copy.fill(0, fileOffset(1), fileOffset(1, 8)));
    writeFileSync(path, bytes);
    const told = await runInProcess([...args, path]);
    expect(told.exit).toBe(5);
    expect(told.stderr).toContain('block 1 begins with 8 zero bytes instead of the page magic 0x3256415241545942');
    expect(told.stderr).toContain('artrie-pages repair --dry-run');
    expect(told.stderr).toContain('do not add up to the digest');
    const { stderr } = await runInProcess([...args, path, '--quiet']);
    expect(stderr).toMatch(/^artrie-pages: .*do not add up to the digest.*\n$/);
  },
);

test.each([
  ['the whole block', BLOCK_BYTES],
  ['its first sector', 512],
])('commands that promise all nodes exit 5 where a page has lost %s, after what they could read', async (_, bytes) => {
  const path = join(folder, 'lost.part');
  const good = await smallFile('v1', true, 200);
  writeFileSync(
    path,
    damaged(good, (copy) => copy.fill(0, fileOffset(1), fileOffset(1) + bytes)),
  );
  const other = join(folder, 'good.part');
  writeFileSync(other, good);
  for (const args of [
    ['read', '--all', path],
    ['read', '--key', 'no such key', path],
    ['export', path],
    ['stat', path],
    ['diff', path, other],
    ['diff', '--nodes', path, other],
    ['compact', path, join(folder, 'target.part')],
    ['compact', '--replace', path],
  ]) {
    const { exit, stdout: printed, stderr } = await runInProcess(args);
    const stdout = Buffer.from(printed).toString();
    expect({ args, exit, stderr }).toMatchObject({ args, exit: 5 });
    expect(stdout + stderr, args.join(' ')).toMatch(/digest|PAGES_DIGEST|damaged place/);
    if (args[0] === 'stat') expect(stdout).toContain('blocks');
  }
  expect(readdirSync(folder)).not.toContain('target.part');
  expect((await runInProcess(['read', '--all', other])).exit).toBe(0);
});

test('recover says that a page was overwritten with zeros, and exits 5 if it is to be strict', async () => {
  const store = await PageStore.create(join(folder, 'pages.part'));
  await store.appendMany(makeNodes(1000, 1000, 1100));
  await store.finalize();
  await store.close();
  const bytes = readFileSync(join(folder, 'pages.part'));
  const path = join(folder, 'zeros.part');
  writeFileSync(
    path,
    damaged(bytes, (copy) => copy.fill(0, fileOffset(2), fileOffset(3))),
  );
  const run = async (...args: string[]): Promise<{ exit: number; stdout: string }> => {
    const { exit, stdout } = await runInProcess(['recover', ...args]);
    return { exit, stdout: Buffer.from(stdout).toString() };
  };
  const told = await run(path, join(folder, 'recovered.part'), '--strict');
  expect(told.exit).toBe(5);
  expect(told.stdout).toContain('the page headers do not add up to the digest of the last commit: a page is lost');
  const json = await run(path, join(folder, 'again.part'), '--json');
  expect(json.exit).toBe(0);
  const summary: unknown = JSON.parse(json.stdout.trimEnd().split('\n').at(-1) ?? '');
  expect(summary).toMatchObject({
    isWhole: false,
    digest: 'differs',
    missing: expect.stringContaining('a page is lost'),
  });
  expect((await run(join(folder, 'pages.part'), join(folder, 'whole.part'), '--strict')).exit).toBe(0);
});
