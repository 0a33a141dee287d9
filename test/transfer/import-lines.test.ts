import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
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
    ['as in an export', join(GOOD)],
    ['without a last newline', GOOD.join('\n')],
    ['with the line ends of Windows', GOOD.map((line) => `${line}\r\n`).join('')],
    ['with a byte order mark', `\ufeff${join(GOOD)}`],
    ['with empty lines', GOOD.map((line) => `\n${line}\n \r\n`).join('')],
    ['with unknown fields', join(GOOD.map((line) => line.replace('}', ',"later":{"a":[1]},"note":"x"}')))],
    [
      'with fields in another order and spaces',
      join(GOOD.toSpliced(2, 1, ' { "text" : "\\u0061" , "ref":"2:0", "type":"node" } ')),
    ],
  ])('%s are imported', async (_, lines) => {
    for (const pieceBytes of [Infinity, 1, 7]) {
      const { bytes, report } = await imported(lines, {}, pieceBytes);
      expect(nodesIn(bytes)).toEqual(['2:0 61', '2:1 ff']);
      expect(report).toEqual({ refs: 'kept', blocks: 4, pages: 1, freeBlocks: 2, nodes: 2, lostSlots: 0, bytes: 2 });
      expect((await verifyAll(bytes)).findings).toEqual([]);
    }
  });

  test('of nodes without refs are packed into pages in order', async () => {
    const big = 'x'.repeat(200_000);
    const lines = join([
      `{"type":"node","text":"${big}"}`,
      '{"type":"node","base64":"/w=="}',
      `{"type":"node","text":"${big}"}`,
    ]);
    const { bytes, report } = await imported(lines, { pageFormat: 'v2' });
    expect(specNodes(bytes).map(({ ref, bytes: node }) => `${ref} ${node.length}`)).toEqual([
      '1:0 200000',
      '1:1 1',
      '2:0 200000',
    ]);
    expect(report).toEqual({ refs: 'new', blocks: 3, pages: 2, freeBlocks: 0, nodes: 3, lostSlots: 0, bytes: 400_001 });
    expect(PAGE_HEADER.read(bytes, BLOCK_BYTES).version).toBe(2);
    expect((await verifyAll(bytes)).findings).toEqual([]);
  });

  test('of an export with edited nodes are imported: the byte count of the summary is not checked', async () => {
    const lines = Buffer.from(await exported(await smallFile('v2'))).toString();
    const edited = lines.replace(/"ref":"1:7","(text|base64)":"[^"]*"/, '"ref":"1:7","text":"edited, and longer"');
    expect(edited).not.toBe(lines);
    expect(nodesIn((await imported(edited)).bytes)[7]).toBe(`1:7 ${hexOf(Buffer.from('edited, and longer'))}`);
  });

  test('of read --json are imported without their refs', async () => {
    const lines = join([
      '{"type":"node","bytes":1,"encoding":"base64","data":"/w=="}',
      '{"type":"node","bytes":1,"encoding":"hex","data":"fE"}',
      '{"type":"summary","schema":1,"command":"read","file":"a.part","nodes":2,"bytes":2}',
    ]);
    expect(nodesIn((await imported(lines)).bytes)).toEqual(['1:0 ff', '1:1 fe']);
  });
});

describe('the library', () => {
  test('refuses wrong arguments', async () => {
    const file = new MemoryBlockFile();
    await expect(importNodes(['text'] as never, file)).rejects.toThrow(TypeError);
    await expect(importNodes([], 7 as never)).rejects.toThrow(TypeError);
    await expect(importNodes([], file, { pageFormat: 'v3' as never })).rejects.toThrow(RangeError);
    await expect(exportNodes(7 as never).next()).rejects.toThrow(TypeError);
  });

  test('replaces a BlockFile only with replace', async () => {
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

  test('stops an export at its signal, before the next page', async () => {
    const stop = new AbortController();
    const lines = exportNodes(new MemoryBlockFile(await smallFile('v1')), { signal: stop.signal });
    stop.abort(new Error('enough'));
    const texts: string[] = [];
    const read = async (): Promise<void> => {
      for await (const piece of lines) texts.push(Buffer.from(piece).toString());
    };
    await expect(read()).rejects.toThrow('enough');
    expect(texts.join('')).toBe('{"type":"file","schema":1,"command":"export","blocks":2}\n');
  });

  test('ends an export if onPage throws', async () => {
    const stop = new Error('enough');
    const file = new MemoryBlockFile(await smallFile('v1'));
    const lines = exportNodes(file, {
      onPage: (page) => {
        expect(page).toEqual({ block: 1, blocks: 2, orphanedBytes: 0, lostSlots: 0 });
        throw stop;
      },
    });
    expect((await lines.next()).value).toBeInstanceOf(Uint8Array);
    await expect(lines.next()).rejects.toBe(stop);
  });
});
