import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/memory-block-file.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { PAGE_HEADER } from '../../src/format/page-header.ts';
import { exportNodes } from '../../src/transfer/export.ts';
import { importNodes } from '../../src/transfer/import.ts';
import { damaged, smallFile } from '../support/damage.ts';
import { exported, GOOD_LINES as GOOD, imported, joinLines as join } from '../support/exchange.ts';
import { hexOf } from '../support/nodes.ts';
import { specNodes } from '../support/spec-reader.ts';
import { verifyAll } from '../support/verify.ts';

const nodesIn = (bytes: Uint8Array): string[] => specNodes(bytes).map((node) => `${node.ref} ${hexOf(node.bytes)}`);

describe('lines written by hand', () => {
  test.each([
    ['as an export has them', join(GOOD)],
    ['without a newline behind the last', GOOD.join('\n')],
    ['that end as those of Windows do', GOOD.map((line) => `${line}\r\n`).join('')],
    ['with a byte order mark before them', `\ufeff${join(GOOD)}`],
    ['with empty lines between them', GOOD.map((line) => `\n${line}\n \r\n`).join('')],
    ['with fields that nobody knows', join(GOOD.map((line) => line.replace('}', ',"later":{"a":[1]},"note":"x"}')))],
    [
      'with their fields in another order and spaces',
      join(GOOD.toSpliced(2, 1, ' { "text" : "\\u0061" , "ref":"2:0", "type":"node" } ')),
    ],
  ])('%s make the file that they say', async (_, lines) => {
    for (const pieceBytes of [Infinity, 1, 7]) {
      const { bytes, summary } = await imported(lines, {}, pieceBytes);
      expect(nodesIn(bytes)).toEqual(['2:0 61', '2:1 ff']);
      expect(summary).toEqual({ refs: 'kept', blocks: 4, pages: 1, freeBlocks: 2, nodes: 2, bytes: 2 });
      expect((await verifyAll(bytes)).findings).toEqual([]);
    }
  });

  test('of nodes without refs are packed into pages in their order', async () => {
    const big = 'x'.repeat(200_000);
    const lines = join([
      `{"type":"node","text":"${big}"}`,
      '{"type":"node","base64":"/w=="}',
      `{"type":"node","text":"${big}"}`,
    ]);
    const { bytes, summary } = await imported(lines, { pageFormat: 'v2' });
    expect(specNodes(bytes).map(({ ref, bytes: node }) => `${ref} ${node.length}`)).toEqual([
      '1:0 200000',
      '1:1 1',
      '2:0 200000',
    ]);
    expect(summary).toEqual({ refs: 'new', blocks: 3, pages: 2, freeBlocks: 0, nodes: 3, bytes: 400_001 });
    expect(PAGE_HEADER.read(bytes, BLOCK_BYTES).version).toBe(2);
    expect((await verifyAll(bytes)).findings).toEqual([]);
  });

  test('of an export whose nodes were edited are taken: their bytes are not counted', async () => {
    const lines = Buffer.from(await exported(await smallFile('v2'))).toString();
    const edited = lines.replace(/"ref":"1:7","(text|base64)":"[^"]*"/, '"ref":"1:7","text":"edited, and longer"');
    expect(edited).not.toBe(lines);
    expect(nodesIn((await imported(edited)).bytes)[7]).toBe(`1:7 ${hexOf(Buffer.from('edited, and longer'))}`);
  });

  test('of nodes as read --json prints them are taken, without their refs', async () => {
    const lines = join([
      '{"type":"node","bytes":1,"encoding":"base64","data":"/w=="}',
      '{"type":"node","bytes":1,"encoding":"hex","data":"fE"}',
      '{"type":"summary","schema":1,"command":"read","file":"a.part","nodes":2,"bytes":2}',
    ]);
    expect(nodesIn((await imported(lines)).bytes)).toEqual(['1:0 ff', '1:1 fe']);
  });
});

describe('the library', () => {
  test('says what is misuse', async () => {
    const file = new MemoryBlockFile();
    await expect(importNodes(['text'] as never, file)).rejects.toThrow(TypeError);
    await expect(importNodes([], 7 as never)).rejects.toThrow(TypeError);
    await expect(importNodes([], file, { pageFormat: 'v3' as never })).rejects.toThrow(RangeError);
    await expect(exportNodes(7 as never).next()).rejects.toThrow(TypeError);
  });

  test('replaces a block file only where it is told to', async () => {
    const file = new MemoryBlockFile(await smallFile('v1'));
    const lines = [Buffer.from(join(GOOD))];
    await expect(importNodes(lines, file)).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    await importNodes(lines, file, { replace: true });
    expect(nodesIn(file.bytes.slice())).toEqual(['2:0 61', '2:1 ff']);
  });

  test('ends an export at the first damaged page, before the summary', async () => {
    const file = damaged(await smallFile('v1'), (copy) => (copy[BLOCK_BYTES + 70]! ^= 1));
    const pieces: string[] = [];
    const read = async (): Promise<void> => {
      for await (const piece of exportNodes(new MemoryBlockFile(file))) pieces.push(Buffer.from(piece).toString());
    };
    await expect(read()).rejects.toMatchObject({ code: 'PAGE_CHECKSUM', detail: { block: 1 } });
    expect(pieces.join('')).toBe('{"type":"file","schema":1,"command":"export","blocks":2}\n');
  });

  test('ends an export where a page is told and the listener throws', async () => {
    const stop = new Error('enough');
    const file = new MemoryBlockFile(await smallFile('v1'));
    const lines = exportNodes(file, {
      onPage: (page) => {
        expect(page).toEqual({ block: 1, blocks: 2, orphanedBytes: 0 });
        throw stop;
      },
    });
    expect((await lines.next()).value).toBeInstanceOf(Uint8Array);
    await expect(lines.next()).rejects.toBe(stop);
  });
});
