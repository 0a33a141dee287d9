import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { expectOneError, output, runInProcess } from '../support/cli.ts';
import { goldenPath, temporaryFolder } from '../support/files.ts';

const root = temporaryFolder();
let folders = 0;

/** A folder with `a.part`, of three nodes, and `lines`, from which it could be imported. */
async function newFolder(): Promise<{ a: string; b: string; map: string; lines: string }> {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  const [a, b, map, lines] = ['a.part', 'b.part', 'map', 'lines'].map((name) => join(folder, name));
  const names = { a: a ?? '', b: b ?? '', map: map ?? '', lines: lines ?? '' };
  await output(['create', names.a]);
  await output(['append', names.a, 'one', 'two', 'one']);
  writeFileSync(names.lines, '{"type":"node","text":"a"}\n');
  return names;
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;

describe('a file made from another has its permissions', () => {
  test.each([
    ['0600', 0o600, 0o600],
    ['0640', 0o640, 0o640],
    ['0666, whatever the umask', 0o666, 0o666],
    ['0755, and is not to be executed', 0o755, 0o644],
    ['0400, and is written to by its owner', 0o400, 0o600],
  ])('mode %s', async (_, mode, expected) => {
    const { a, b, map } = await newFolder();
    chmodSync(a, mode);
    await output(['compact', a, b, '--map', map]);
    expect([b, map].map(modeOf)).toEqual([expected, expected]);
    chmodSync(b, 0o644);
    chmodSync(map, 0o644);
    await output(['recover', a, b, '--map', map, '--force']);
    expect([b, map].map(modeOf)).toEqual([expected, expected]);
  });

  test('the undo file of a repair, which contains bytes of it', async () => {
    const { a } = await newFolder();
    const bytes = readFileSync(a);
    bytes[0x20]! ^= 1; // of block_count, which the checksum of the header then gives away
    writeFileSync(a, bytes);
    chmodSync(a, 0o600);
    expect((await runInProcess(['repair', a])).exit).toBe(0);
    expect(modeOf(`${a}.undo`)).toBe(0o600);
  });
});

describe('the name of a file that exists', () => {
  test.each(['create', 'import', 'compact', 'recover'])('is refused by %s, which mentions --force', async (name) => {
    const { a, b, lines } = await newFolder();
    writeFileSync(b, 'mine');
    const args = { create: [b], import: [b, '--input', lines], compact: [a, b], recover: [a, b] }[name] ?? [];
    const { exit, stderr } = await runInProcess([name, ...args]);
    expect({ exit, stderr }).toEqual({
      exit: 3,
      stderr: `artrie-pages: ${b}: file already exists; use --force to replace it\n`,
    });
    expectOneError(stderr);
    expect(readFileSync(b, 'utf8')).toBe('mine');
    expect(readdirSync(join(b, '..')).filter((each) => each.endsWith('.new'))).toEqual([]);
    expect((await runInProcess([name, ...args, '--force'])).exit).toBe(0);
  });
});

test('a report without space does not affect what was acknowledged', async () => {
  const { exit, stderr } = await runInProcess(['verify', goldenPath('v1'), '--output', '/dev/full', '--quiet']);
  expect(exit).toBe(3);
  expect(stderr).toContain('no space left on the device (ENOSPC)');
});

test('reports link to the homepage of the package', async () => {
  const { homepage } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    homepage: string;
  };
  expect(homepage).toMatch(/^https:/);
  const sarif = JSON.parse(await output(['verify', goldenPath('v1'), '--format', 'sarif'])) as {
    runs: { tool: { driver: { informationUri: string; rules: { helpUri: string }[] } } }[];
  };
  const driver = sarif.runs[0]!.tool.driver;
  expect(driver.informationUri).toBe(homepage);
  expect(driver.rules.every(({ helpUri }) => helpUri.startsWith(`${homepage}/`))).toBe(true);
});
