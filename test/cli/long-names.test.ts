import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { pathBeside } from '../../src/disk/node-names.ts';
import { output, runCli, runInProcess } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';
import { damaged } from '../support/damage.ts';
import { buildRefusals, canRefuse, KILL_AT_FOLDER_SYNC } from '../support/refusals.ts';

const root = temporaryFolder();
let folders = 0;

/** A path in a folder of its own, whose name has so many bytes. */
function longPath(bytes: number, character: string = 'n'): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  const end = '.part';
  const start = character.repeat(Math.floor((bytes - end.length) / Buffer.byteLength(character)));
  return join(folder, `${start.padEnd(start.length + bytes - end.length - Buffer.byteLength(start), '-')}${end}`);
}

describe('the name of a file beside another one', () => {
  test('is its name and a suffix, as long as there is room', () => {
    const path = longPath(250);
    expect(pathBeside(path, '.lock')).toBe(`${path}.lock`);
    expect(pathBeside('a.part', '.journal')).toBe('a.part.journal');
  });

  test.each(['n', 'é', '漢', '😀'])(
    'is else short, whole characters, and another one for each name: %s',
    (character) => {
      const [path, other] = [longPath(255, character), longPath(254, character)];
      const names = [path, other].map((each) => pathBeside(join(root, each.slice(dirname(each).length)), '.journal'));
      expect(new Set(names).size).toBe(2);
      for (const name of names) {
        expect(name).toMatch(/\.[\da-f]{16}\.journal$/);
        expect(name).not.toContain('\uFFFD');
        expect(Buffer.byteLength(name.slice(root.length + 1))).toBeLessThan(200);
      }
      expect(
        Buffer.byteLength(
          pathBeside(pathBeside(path, '.lock.pid'), `.${'0'.repeat(50)}`).slice(dirname(path).length + 1),
        ),
      ).toBeLessThan(256);
    },
  );
});

describe('a page file with a long name', () => {
  test.each([
    [214, 'n'],
    [215, 'n'],
    [247, 'n'],
    [248, 'n'],
    [250, 'é'],
    [255, 'n'],
    [255, '漢'],
  ])('of %i bytes can be used by all commands (%s)', async (bytes, character) => {
    const path = longPath(bytes, character);
    await output(['create', path]);
    await output(['append', path, 'node']);
    await output(['update', path, '1:0', 'done']);
    await output(['compact', path, '--replace', '-q']);
    const exported = await output(['export', path]);
    await output(['import', path, '--replace', '-q'], { stdin: [Buffer.from(exported, 'latin1')] });
    await output(['verify', path]);
    expect(await output(['read', path, '1:0'])).toBe('done');
    const [copy, link] = [longPath(bytes, 'c'), join(dirname(path), 'link')];
    await output(['compact', path, copy, '-q', '--map', longPath(bytes, 'm')]);
    await output(['recover', path, copy, '--force', '-q']);
    symlinkSync(path, link);
    await output(['append', link, 'more']);
    writeFileSync(
      path,
      damaged(readFileSync(path), (copy) => (copy[40]! ^= 1)),
    ); // a bit of the header
    await output(['repair', path, '-q']);
    const undo = pathBeside(path, '.undo');
    expect(existsSync(undo)).toBe(true);
    await output(['repair', path, '--undo', undo, '-q']);
    expect(readdirSync(dirname(path)).filter((name) => /journal|\.new$|\.old$/.test(name))).toEqual([]);
  });

  test('has one writer at a time, and its files are found through all names', async () => {
    const path = longPath(255);
    await output(['create', path]);
    const lock = pathBeside(path, '.lock');
    expect(readdirSync(dirname(path))).toContain(lock.slice(dirname(path).length + 1));
    const taken = await runInProcess(['create', pathBeside(path, '.journal')]);
    expect(taken.exit).toBe(0); // nobody can tell whose name it is
    for (const beside of [lock, pathBeside(path, '.journal')]) {
      const { exit, stderr } = await runInProcess(['compact', path, beside, '--force']);
      expect({ exit, stderr }).toMatchObject({
        exit: 3,
        stderr: expect.stringContaining('for its lock or journal') as string,
      });
    }
    const copying = await runInProcess(['append', path, '--input', lock]);
    expect(copying.exit).toBe(2);
  });

  test.runIf(canRefuse)('whose writer was killed in an update is completed by the next one', async () => {
    const path = longPath(255);
    await output(['create', path]);
    await output(['append', path, 'node']);
    const env = { ...buildRefusals(dirname(path))({}), ...KILL_AT_FOLDER_SYNC };
    expect((await runCli(['update', path, '1:0', 'done'], { env })).exit).toBe(null);
    expect(readdirSync(dirname(path)).filter((name) => name.endsWith('.journal'))).toHaveLength(1);
    expect(await output(['read', path, '1:0'])).toBe('node');
    await output(['append', path, 'more']);
    expect(readdirSync(dirname(path)).filter((name) => name.endsWith('.journal'))).toEqual([]);
  });

  test('has a target of `recover` suggested that can be created', async () => {
    const path = longPath(255);
    await output(['create', path]);
    writeFileSync(
      path,
      damaged(readFileSync(path), (copy) => copy.fill(9, 262_144 + 20, 262_144 + 60)),
    );
    for (const command of ['verify', 'repair']) {
      const { stdout, stderr } = await runInProcess([command, path]);
      const [, target = ''] = /artrie-pages recover \S+ (\S+)/.exec(`${stdout.toString()}${stderr}`) ?? [];
      expect(target).toMatch(/\.[\da-f]{16}\.recovered$/);
    }
  });

  test('that is too long for the file system is refused, with the length that is not', async () => {
    for (const args of [['create'], ['append'], ['verify']]) {
      const { exit, stderr } = await runInProcess([...args, longPath(256)]);
      expect({ exit, stderr }).toMatchObject({ exit: 3, stderr: expect.stringContaining('255 bytes') as string });
    }
  });
});
