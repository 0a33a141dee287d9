// Decoding hex and base64, beside what Node has for it. Run: npm run bench:decode

import { decodeBase64 } from '../../src/bytes/encodings.ts';
import { decodeHex } from '../../src/bytes/encodings.ts';
import { random } from '../support/nodes.ts';
import { machineOf } from './machine.ts';

const ROUNDS = 21;
const WARM_UP = 4;
const NODE_BYTES = [43, 4096, 262_008];
const TOTAL_BYTES = 4 * 2 ** 20;

const RULES = {
  hex: /^(?:[0-9a-fA-F]{2})*$/,
  base64: /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
};
type Encoding = keyof typeof RULES;

/** Texts that stand one behind the other, each with a byte behind it. */
interface Texts {
  readonly source: Buffer;
  readonly ends: readonly number[];
}

/** Decodes a text into a target, and says how many bytes it was. */
type Decoder = (source: Buffer, start: number, end: number, target: Buffer) => number;

const ours: Record<Encoding, Decoder> = {
  hex: (source, start, end, target) => decodeHex(source, start, end, target, 0),
  base64: (source, start, end, target) => decodeBase64(source, start, end, target, 0),
};

/** Buffer.write says nothing of what is no hex or base64, so the rule is asked first. */
function native(encoding: Encoding): Decoder {
  return (source, start, end, target) => {
    const text = source.toString('latin1', start, end);
    if (!RULES[encoding].test(text)) throw new Error('not valid');
    return target.write(text, 0, encoding);
  };
}

/** As `native`, and with a buffer for each node. */
function nativeObjects(encoding: Encoding): Decoder {
  return (source, start, end) => {
    const text = Buffer.from(source.buffer, source.byteOffset + start, end - start).toString('latin1');
    if (!RULES[encoding].test(text)) throw new Error('not valid');
    return Buffer.from(text, encoding).length;
  };
}

function textsOf(encoding: Encoding, nodeBytes: number): Texts {
  const next = random(nodeBytes);
  const parts: Buffer[] = [];
  const ends: number[] = [];
  let end = -1;
  for (let made = 0; made < TOTAL_BYTES; made += nodeBytes) {
    const node = Buffer.from(Array.from({ length: nodeBytes }, () => 256 * next()));
    const text = Buffer.from(`${node.toString(encoding)}\n`);
    parts.push(text);
    ends.push((end += text.length));
  }
  return { source: Buffer.concat(parts), ends };
}

/** Nanoseconds a node. */
function timeOf(decoder: Decoder, { source, ends }: Texts, target: Buffer): number {
  const began = performance.now();
  let start = 0;
  for (const end of ends) {
    decoder(source, start, end, target);
    start = end + 1;
  }
  return (1e6 * (performance.now() - began)) / ends.length;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;

const { cpu, cores, kernel, node } = machineOf('.');
console.log(`machine: ${cores} x ${cpu}, Node ${node}, ${kernel}`);
console.log(`command: npm run bench:decode (${ROUNDS} interleaved rounds of 4 MiB of nodes after ${WARM_UP})`);
for (const encoding of ['hex', 'base64'] as const) {
  for (const nodeBytes of NODE_BYTES) {
    const texts = textsOf(encoding, nodeBytes);
    const target = Buffer.alloc(2 * nodeBytes);
    const decoders = {
      ours: ours[encoding],
      'regex, Buffer.write': native(encoding),
      'regex, Buffer.from': nativeObjects(encoding),
    };
    const times = new Map<string, number[]>(Object.keys(decoders).map((name) => [name, []]));
    // Interleaved, so that a busy spell of a shared machine meets all of them.
    for (let round = 0; round < WARM_UP + ROUNDS; round++) {
      for (const [name, decoder] of Object.entries(decoders)) {
        const time = timeOf(decoder, texts, target);
        if (round >= WARM_UP) times.get(name)?.push(time);
      }
    }
    const mine = median(times.get('ours') ?? []);
    for (const [name, values] of times) {
      const [least, most] = [Math.min(...values), Math.max(...values)];
      const text = `median ${median(values).toFixed(0)} ns/node, min ${least.toFixed(0)}, max ${most.toFixed(0)}`;
      console.log(`${encoding} of ${nodeBytes} bytes, ${name}: ${text}, ratio ${(median(values) / mine).toFixed(1)}`);
    }
  }
}
