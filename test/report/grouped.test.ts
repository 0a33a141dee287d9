import { describe, expect, test } from 'vitest';
import { PageStoreError } from '../../src/errors.ts';
import { inGroups } from '../../src/report/grouped.ts';
import type { FindingGroup, Reporter } from '../../src/report/reporter.ts';
import type { Finding } from '../../src/verify/verify.ts';
import { finding, summary, totals } from '../support/report.ts';

/** What a reporter is told. */
async function told(tell: (reporter: Reporter) => Promise<void>): Promise<(FindingGroup | string)[]> {
  const calls: (FindingGroup | string)[] = [];
  const reporter = inGroups({
    begin: async () => void calls.push('begin'),
    finding: async (group) => void calls.push(group),
    file: async () => void calls.push('file'),
    error: async () => void calls.push('error'),
    end: async () => void calls.push('end'),
  });
  await tell(reporter);
  return calls;
}

const each =
  (findings: readonly Finding[]) =>
  async (reporter: Reporter): Promise<void> => {
    for (const one of findings) await reporter.finding(one);
    await reporter.file(summary());
  };

const at = (slot: number, change: Partial<Finding> = {}): Finding =>
  finding({ slot, message: `page 2, slot ${slot}: the node at ${7 * slot} with 5 bytes is outside`, ...change });

describe('findings in groups', () => {
  test('the same of neighbouring slots is one, with the fields of the first', async () => {
    const calls = await told(each([at(3), at(4), at(5), at(6)]));
    expect(calls).toEqual([{ ...at(3), lastSlot: 6, count: 4 }, 'file']);
  });

  test('one finding is passed on as it is', async () => {
    const one = at(3);
    const [first] = await told(each([one]));
    expect(first).toBe(one);
  });

  test('one and several bytes are the same message', async () => {
    const [message, other] = ['slot 3: the node with 1 byte', 'slot 4: the node with 20 bytes'];
    expect(await told(each([at(3, { message }), at(4, { message: other })]))).toHaveLength(2);
  });

  test.each<[string, Partial<Finding>]>([
    ['code', { code: 'SLOT_OVERLAP' }],
    ['severity', { severity: 'warning' }],
    ['block', { block: 3 }],
    ['file', { file: 'other.part' }],
    ['message', { message: 'page 2, slot 4: something else' }],
    ['next command', { next: 'artrie-pages repair --dry-run data/words.part' }],
    ['flipped bit', { flippedBit: { offset: 786_401, bit: 3 } }],
    ['slot that is no neighbour', { slot: 5 }],
    ['slot before', { slot: 2 }],
    ['slot that is the same', { slot: 3 }],
  ])('another %s begins another group', async (_, change) => {
    const findings = [at(3), at(4, change)];
    expect(await told(each(findings))).toEqual([...findings, 'file']);
  });

  test('findings without a slot are never together', async () => {
    const findings = [1, 2].map((block) => {
      const { slot: _, ...rest } = finding({ code: 'PAGE_CHECKSUM', block });
      return rest;
    });
    expect(await told(each(findings))).toEqual([...findings, 'file']);
  });

  test('a group ends with its file, read to its end or not', async () => {
    const calls = await told(async (reporter) => {
      await reporter.begin();
      await reporter.finding(at(3));
      await reporter.error(new PageStoreError('IO', 'read failed', {}), 'data/words.part');
      await reporter.finding(at(4));
      await reporter.file(summary());
      await reporter.end(totals());
    });
    expect(calls).toEqual(['begin', at(3), 'error', at(4), 'file', 'end']);
  });
});
