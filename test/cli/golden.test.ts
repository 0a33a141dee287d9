import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { GOLDEN_NAMES, goldenBytes, goldenNodes, goldenPath } from '../support/files.ts';
import { runInProcess } from '../support/cli.ts';

describe.each(GOLDEN_NAMES)('%s, which the Rust code wrote,', (name) => {
  const path = goldenPath(name);

  test('read --all prints the nodes that a third program found', async () => {
    const { exit, stdout } = await runInProcess(['read', path, '--all', '--encoding', 'hex']);
    expect(exit).toBe(0);
    const expected = goldenNodes(name).map((node) => `${node.hex}\n`);
    expect(stdout.toString()).toBe(expected.join(''));
  });

  test('dump shows the file, each block, and each block as a hexdump', async () => {
    const blocks = goldenBytes(name).length / 262_144;
    const whole = await runInProcess(['dump', path]);
    expect(whole.exit).toBe(0);
    expect(whole.stdout.toString()).toContain('0x5041525400010000');
    expect(whole.stdout.toString().match(/ V[12] page /g)?.length ?? 0).toBe(blocks - 1);
    for (let block = 0; block < blocks; block++) {
      for (const form of [[], ['--hex']]) {
        const { exit, stdout, stderr } = await runInProcess(['dump', path, '--block', String(block), ...form]);
        expect(exit).toBe(0);
        expect(stderr).toBe('');
        expect(stdout.toString()).toContain(block === 0 ? 'blockCount' : 'nodeCount');
      }
    }
  });

  test('is not changed by commands that only read', async () => {
    const before = readFileSync(path);
    for (const command of ['read', 'stat', 'dump', 'verify']) {
      await runInProcess([command, path, ...(command === 'read' ? ['--all'] : [])]);
    }
    expect(readFileSync(path).equals(before)).toBe(true);
  });
});
