import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Copier } from '../../src/bytes/buffer.ts';

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

test('a copier copies any range of several sources to any offset, and changes no other byte', () => {
  const copyOf = fc.record({
    source: fc.nat(2),
    start: fc.nat(1500),
    bytes: fc.oneof(fc.nat(12), fc.nat(700)),
    offset: fc.nat(1300),
  });
  fc.assert(
    fc.property(fc.array(copyOf, { minLength: 1, maxLength: 30 }), (copies) => {
      const backing = Uint8Array.from({ length: 6000 }, (_, at) => at * 7 + (at >> 8));
      const shared = new Uint8Array(new SharedArrayBuffer(2210), 3);
      shared.set(backing.subarray(900, 900 + shared.length));
      const sources = [backing.subarray(1, 2300), backing.subarray(2501, 5000), shared];
      const target = new Uint8Array(2100).subarray(5);
      const wanted = target.slice();
      const copier = new Copier();
      for (const [index, { source, start, bytes, offset }] of copies.entries()) {
        const from = sources[source]!;
        from[start] = index; // what is copied is what is there now
        copier.copy(from, start, start + bytes, target, viewOf(target), offset);
        for (let at = 0; at < bytes; at++) wanted[offset + at] = from[start + at]!;
        expect(Buffer.compare(target, wanted)).toBe(0);
      }
    }),
  );
});

test('a copier reads the present content of a source that has grown', () => {
  const memory = new SharedArrayBuffer(64, { maxByteLength: 256 });
  const source = new Uint8Array(memory);
  const target = new Uint8Array(64);
  const copier = new Copier();
  for (const size of [64, 64, 128, 128, 256, 256]) {
    memory.grow(size);
    source.fill(size - 1);
    copier.copy(source, size - 16, size, target, viewOf(target), 8);
    expect([...target.subarray(8, 24)]).toEqual(Array.from({ length: 16 }, () => size - 1));
  }
});
