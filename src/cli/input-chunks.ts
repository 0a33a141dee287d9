import { type Input, InputReader } from './input.ts';

const CHUNK_BYTES = 65_536;

/**
 * The pieces of an input, each valid until the next is asked for.
 * @throws the signal's reason once it is aborted, also while it waits
 */
export async function* inputChunks(input: Input, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  const reader = new InputReader(input.source, { target: () => buffer, filled: () => undefined }, signal);
  for (;;) {
    const event = await reader.nextEvent(false);
    if (event.kind !== 'bytes') return;
    yield buffer.subarray(0, event.bytes);
  }
}
