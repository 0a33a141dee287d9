import { chmodSync, existsSync, linkSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Interrupted } from '../../src/cli/context.ts';
import { fileOffset } from '../../src/format/layout.ts';
import { expectOneError, jsonLines, output, publicCopy, runCli, runInProcess, unprivileged } from '../support/cli.ts';
import { damaged, smallFile } from '../support/damage.ts';
import { temporaryFolder } from '../support/files.ts';
import { text } from '../support/nodes.ts';

const bin = publicCopy();
const good = await smallFile('v1', false, 40);
const bad = damaged(good, (copy) => copy.fill(0xab, fileOffset(1, 300), fileOffset(1, 310)));
/** Two nodes of 150,000 bytes that share most of them: one has to move. */
const crowded = damaged(await smallFile('v1', false, 3), (_, view) => {
  for (const slot of [0, 1]) {
    view.setUint32(2 * 262_144 - 8 * (slot + 1), 64 + slot, true);
    view.setUint32(2 * 262_144 - 8 * (slot + 1) + 4, 150_000, true);
  }
});

function place(bytes: Uint8Array = bad): { folder: string; source: string; target: string } {
  const folder = temporaryFolder();
  const source = join(folder, 'source.part');
  writeFileSync(source, bytes);
  return { folder, source, target: join(folder, 'target.part') };
}

describe('recover', () => {
  test('creates a valid file, leaves the source unchanged, and reports each damaged block', async () => {
    const { source, target } = place();
    const report = await output(['recover', source, target]);
    expect(
      report
        .replaceAll(source, 'SOURCE')
        .replaceAll(target, 'TARGET')
        .replace(/stored checksum 0x.*/, 'stored checksum ...'),
    ).toBe(
      [
        'block 1: V1 page, damaged; finalized; 40 doubtful',
        '  PAGE_CHECKSUM: page 1: stored checksum ...',
        '  slots 0 to 39: doubtful',
        'SOURCE: 0 of 1 page intact',
        'TARGET: 40 nodes recovered (40 doubtful)',
        '',
      ].join('\n'),
    );
    expect(Buffer.compare(readFileSync(source), bad)).toBe(0);
    await output(['verify', '--fail-on', 'warning', target]);
  });

  test('reports the same as JSON Lines, with a line for each run of slots', async () => {
    const { source, target } = place();
    const lines = jsonLines(await output(['recover', source, target, '--json']));
    expect(lines.map(({ type }) => type)).toEqual(['block', 'block', 'slots', 'summary']);
    expect(lines[1]).toMatchObject({ block: 1, kind: 'page', format: 'v1', basis: 'header', isSealed: true });
    expect(lines[2]).toEqual({ type: 'slots', block: 1, from: 0, to: 39, state: 'doubtful' });
    expect(lines[3]).toMatchObject({
      command: 'recover',
      schema: 1,
      file: source,
      target,
      nodes: 40,
      root: 'none',
      rootPointer: '0',
      isWhole: false,
      slots: { sound: 0, doubtful: 40, lost: 0 },
    });
  });

  test('exits 0, and with --strict only if nothing is doubtful', async () => {
    const { source, target } = place();
    expect((await runInProcess(['recover', source, target, '--strict'])).exit).toBe(5);
    expect(existsSync(target)).toBe(true);
    const sound = place(good);
    expect((await runInProcess(['recover', sound.source, sound.target, '--strict'])).exit).toBe(0);
  });

  test('writes the new refs of moved nodes to the report and to --map', async () => {
    const { folder, source, target } = place(crowded);
    const map = join(folder, 'map');
    expect(await output(['recover', source, target, '--map', map])).toContain('moved: 1:1 is now 2:0\n');
    expect(readFileSync(map, 'utf8')).toBe('1:1 2:0\n');
    const node = await output(['read', target, '2:0']);
    expect(node.length).toBe(150_000);
    const again = await runInProcess(['recover', source, join(folder, 'other'), '--map', map]);
    expect(again.exit).toBe(3);
    expectOneError(again.stderr);
    expect(existsSync(join(folder, 'other'))).toBe(false);
  });

  test('replaces a target only with --force, and never the source, its journal or a link to it', async () => {
    const { folder, source, target } = place();
    writeFileSync(target, 'mine');
    const refused = await runInProcess(['recover', source, target]);
    expect(refused.exit).toBe(3);
    expectOneError(refused.stderr);
    expect(readFileSync(target, 'utf8')).toBe('mine');
    await output(['recover', source, target, '--force']);
    const [hard, symbolic] = [join(folder, 'hard'), join(folder, 'symbolic')];
    linkSync(source, hard);
    symlinkSync(source, symbolic);
    for (const same of [source, hard, symbolic, `${source}.journal`]) {
      const { exit, stderr } = await runInProcess(['recover', source, same, '--force']);
      expect({ same, exit }).toEqual({ same, exit: 3 });
      expect(stderr).toContain('choose another path for the new file');
    }
    for (const map of [source, target, hard]) {
      expect((await runInProcess(['recover', source, target, '--force', '--map', map])).exit).toBe(3);
    }
    expect(Buffer.compare(readFileSync(source), bad)).toBe(0);
  });

  test('refuses a file that is not a page file, and leaves nothing behind', async () => {
    for (const bytes of [new Uint8Array(0), text('some text\n')]) {
      const { folder, source, target } = place(bytes);
      const { exit, stderr } = await runInProcess(['recover', source, target]);
      expect(exit).toBe(3);
      expectOneError(stderr);
      expect(readdirSync(folder)).toEqual(['source.part']);
    }
    const { folder, target } = place();
    expect((await runInProcess(['recover', join(folder, 'none'), target])).exit).toBe(3);
    expect((await runInProcess(['recover', folder, target])).exit).toBe(3);
  });

  test('reads a source that is read-only', async () => {
    const { folder, source, target } = place();
    chmodSync(folder, 0o777);
    chmodSync(source, 0o444);
    const { exit, stderr } = await runCli(['recover', source, target], { ...unprivileged, bin });
    expect({ exit, stderr: stderr.toString() }).toEqual({ exit: 0, stderr: '' });
    expect(existsSync(target)).toBe(true);
  });

  test('leaves no target and no map when it is interrupted', async () => {
    const { folder, source, target } = place();
    const signal = AbortSignal.abort(new Interrupted('SIGINT'));
    const { exit, stderr } = await runInProcess(['recover', source, target, '--map', join(folder, 'map')], { signal });
    expect({ exit, stderr }).toEqual({ exit: 130, stderr: '' });
    expect(readdirSync(folder).filter((name) => !name.endsWith('.lock'))).toEqual(['source.part']);
  });

  test('prints its report with --quiet too', async () => {
    const { source, target } = place();
    expect((await output(['recover', source, target, '--quiet'])).split('\n').length).toBe(6);
    await output(['verify', target]);
  });
});
