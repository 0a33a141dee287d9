import type { Output } from './context.ts';
import { encodeBytes, type Encoding } from './encoding.ts';
import { type Framing, frameOf } from './framing.ts';

const BUFFER_BYTES = 65_536;

/** Writes nodes with their framing, gathered so that a small one costs no promise. */
export class NodeWriter {
  readonly #output: Output;
  readonly #encoding: Encoding;
  readonly #framing: Framing;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;

  constructor(output: Output, encoding: Encoding, framing: Framing) {
    this.#output = output;
    this.#encoding = encoding;
    this.#framing = framing;
  }

  /** @returns false, with nothing written, where the buffer has to be written out first: see {@link write} */
  tryWrite(node: Uint8Array): boolean {
    const data = encodeBytes(node, this.#encoding);
    const { before, after } = frameOf(this.#framing, data.length);
    if (this.#used + before.length + data.length + after.length > BUFFER_BYTES) return false;
    this.#put(before);
    if (typeof data === 'string') this.#used += this.#buffer.write(data, this.#used, 'latin1');
    else this.#put(data);
    this.#put(after);
    return true;
  }

  async write(node: Uint8Array): Promise<void> {
    await this.flush();
    if (this.tryWrite(node)) return;
    const data = encodeBytes(node, this.#encoding);
    const { before, after } = frameOf(this.#framing, data.length);
    await this.#output.write(before);
    await this.#output.write(data);
    await this.#output.write(after);
  }

  async flush(): Promise<void> {
    const bytes = this.#buffer.subarray(0, this.#used);
    this.#used = 0;
    await this.#output.write(bytes);
  }

  #put(bytes: Uint8Array): void {
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }
}
