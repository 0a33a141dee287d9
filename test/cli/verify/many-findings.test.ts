import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jsonLines, runInProcess } from '../../support/cli.ts';
import { fileWithHole, fileWithHostileDirectory } from '../../support/damage.ts';
import { temporaryFolder } from '../../support/files.ts';
import { junitProblems, sarifProblems } from '../../support/report.ts';

const before = process.cwd();

beforeAll(async () => {
  process.chdir(temporaryFolder());
  writeFileSync('hole-v1.part', await fileWithHole('v1'));
  writeFileSync('hole-v2.part', await fileWithHole('v2'));
  writeFileSync('hostile.part', await fileWithHostileDirectory());
});

afterAll(() => process.chdir(before));

async function report(file: string, format: string, ...options: string[]): Promise<string> {
  const { exit, stdout } = await runInProcess(['verify', file, '--format', format, ...options]);
  expect(exit).toBe(1);
  return stdout.toString();
}

/** The findings of a report as JSON Lines, and how many there are. */
async function counted(file: string, ...options: string[]): Promise<Counted> {
  const lines = jsonLines(await report(file, 'json', ...options));
  const groups = lines.filter(({ type }) => type === 'finding');
  const singles = groups.reduce((sum, { count = 1 }) => sum + Number(count), 0);
  const omitted = lines.find(({ type }) => type === 'omitted');
  return { groups, singles, omitted, total: Number(lines.at(-1)!['error']) + Number(lines.at(-1)!['warning']) };
}

interface Counted {
  readonly groups: readonly Record<string, unknown>[];
  readonly singles: number;
  readonly omitted: Record<string, unknown> | undefined;
  readonly total: number;
}

describe('12 KiB of zeros in a directory', () => {
  test('of a V1 page are one finding, and its checksum another', async () => {
    const text = await report('hole-v1.part', 'text');
    expect(text).toMatch(
      / SLOT_BOUNDS at block 1, slots 2,339 to 3,874 \(1,536 findings\), byte \d+: the first: page 1, /,
    );
    expect(text.split('\n').length).toBeLessThan(7);
    const { groups, total } = await counted('hole-v1.part');
    expect(total).toBe(1537);
    expect(groups.map(({ code, slot, lastSlot, count }) => [code, slot, lastSlot, count])).toEqual([
      ['SLOT_BOUNDS', 2339, 3874, 1536],
      ['PAGE_CHECKSUM', undefined, undefined, undefined],
    ]);
  });

  test('of a V2 page are one finding, and those that follow from it are a few', async () => {
    const { groups, total } = await counted('hole-v2.part');
    expect(total).toBeGreaterThan(7000);
    const outside = groups.filter(({ code }) => code === 'SLOT_BOUNDS');
    expect(outside.map(({ slot, lastSlot, count }) => [slot, lastSlot, count])).toEqual([[254, 7999, 7746]]);
    expect(groups.length).toBeLessThan(10);
  });
});

describe.each(['hole-v1.part', 'hole-v2.part', 'hostile.part'])('%s', (file) => {
  test('--all reports each finding on its own, and the counts are the same', async () => {
    const all = await counted(file, '--all');
    const some = await counted(file);
    expect(all.groups).toHaveLength(all.total);
    expect(all.groups.some((each) => 'count' in each || 'lastSlot' in each)).toBe(false);
    expect(all.omitted).toBeUndefined();
    expect(some.total).toBe(all.total);
    const { error = 0, warning = 0 } = some.omitted ?? {};
    expect(some.singles + Number(error) + Number(warning)).toBe(all.total);
    expect((await report(file, 'text', '--all')).match(/ at block \d+(:\d+)?, byte /g)).toHaveLength(all.total);
  });
});

describe('a directory of garbage', () => {
  test.each([
    ['text', 100_000],
    ['json', 200_000],
    ['junit', 100_000],
    ['sarif', 500_000],
    ['github', 20_000],
  ])('has a bounded report as %s', async (format, most) => {
    expect(Buffer.byteLength(await report('hostile.part', format))).toBeLessThan(most);
  });

  test('has a bounded report with --all where others read it, which they accept', async () => {
    const sarif = await report('hostile.part', 'sarif', '--all');
    expect(Buffer.byteLength(sarif)).toBeLessThan(500_000);
    const small = await report('hole-v2.part', 'sarif');
    expect(sarifProblems(small)).toEqual([]);
    const junit = await report('hostile.part', 'junit', '--all');
    expect(Buffer.byteLength(junit)).toBeLessThan(200_000);
    expect(await junitProblems(junit)).toEqual([]);
    const commands = await report('hostile.part', 'github', '--all');
    // Two of each code: a page does not take all that there are.
    expect(commands.match(/^::error /gm)).toHaveLength(5);
  });

  test('does not hide what is found after it', async () => {
    const codes = new Set((await counted('hostile.part')).groups.map(({ code }) => code));
    expect([...codes]).toEqual(['SLOT_BOUNDS', 'SLOT_OVERLAP', 'PAGE_CHECKSUM', 'ENTRY_COUNT']);
    expect(await report('hostile.part', 'text')).toMatch(
      /^hostile\.part: [\d,]+ findings more, not printed: [\d,]+ SLOT_/m,
    );
  });
});
