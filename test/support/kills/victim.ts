import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { frames } from './payload.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const BIN = `${ROOT}bin/artrie-pages.js`;
const VERIFIER = fileURLToPath(new URL('../verifier-child.ts', import.meta.url));
const WRITER = fileURLToPath(new URL('../writer-child.ts', import.meta.url));

/** A process that is going to be killed, and what it says until then. */
export class Victim {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  #output = '';
  #stderr = '';
  #hear: () => void = () => undefined;

  /** @param limitKib - the most KiB that a file of it may have */
  constructor(args: readonly string[], stdin: 'pipe' | 'ignore', limitKib?: number) {
    const command = [process.execPath, ...args];
    const limited = ['bash', '-c', 'ulimit -f "$0"; exec "$@"', String(limitKib), ...command];
    const [name = '', ...rest] = limitKib === undefined ? command : limited;
    this.#child = spawn(name, rest, { cwd: ROOT, stdio: [stdin, 'pipe', 'pipe'] });
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.#output += chunk.toString('latin1');
      this.#hear();
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString()));
    this.#child.stdin?.on('error', () => undefined); // it ends while it is written to
    this.#closed = once(this.#child, 'close');
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** The lines that it has said since this was last asked. A line that was cut off is none. */
  takeLines(): string[] {
    const end = this.#output.lastIndexOf('\n') + 1;
    const lines = this.#output.slice(0, end).split('\n').slice(0, -1);
    this.#output = this.#output.slice(end);
    return lines;
  }

  /** Resolves when it has said anything, has ended, or the time is over. */
  async firstWord(milliseconds: number): Promise<void> {
    if (this.#output !== '') return;
    const over = new AbortController();
    const heard = new Promise<void>((resolve) => (this.#hear = resolve));
    const late = setTimeout(milliseconds, undefined, { signal: over.signal }).catch(() => undefined);
    await Promise.race([heard, this.#closed, late]);
    over.abort();
  }

  /** Resolves when it has ended by itself, or the time is over. @returns whether it has ended */
  async endsWithin(milliseconds: number): Promise<boolean> {
    const over = new AbortController();
    const late = setTimeout(milliseconds, undefined, { signal: over.signal }).catch(() => undefined);
    await Promise.race([this.#closed, late]);
    over.abort();
    return !this.isRunning;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }

  send(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends its input, and waits for its end. @returns its exit code */
  async finish(): Promise<number | null> {
    this.#child.stdin?.end();
    await this.#closed;
    return this.#child.exitCode;
  }

  /** Sends it nodes of a stream for as long as it lives. @param restMs - between two pieces of 64 KiB; 0 for as fast as it takes them @param first - the node to begin with */
  async feed(stream: number, restMs: number, first = 0): Promise<void> {
    let sent = first;
    for (;;) {
      const input = this.#child.stdin;
      if (!this.isRunning || input?.writable !== true) return;
      const { data, end } = frames(stream, sent, 65_536);
      sent = end;
      // Waiting for the drain fails where the process ends meanwhile.
      if (!input.write(data)) await Promise.race([once(input, 'drain').catch(() => undefined), this.#closed]);
      if (restMs > 0) await setTimeout(restMs);
    }
  }
}

/** `append` of the command line, which is to be fed. */
export const startAppend = (path: string, options: readonly string[], limitKib?: number): Victim =>
  new Victim([BIN, 'append', path, '--framing', 'u32', ...options], 'pipe', limitKib);

/** Any command line, without input. */
export const startCommand = (args: readonly string[], limitKib?: number): Victim =>
  new Victim([BIN, ...args], 'ignore', limitKib);

/** The writer child of the library. */
export const startWriter = (path: string, stream: number, seed: number, kinds: string): Victim =>
  new Victim(['--import', 'tsx', WRITER, path, String(stream), String(seed), kinds], 'pipe');

/** The child that verifies a file over and over. */
export const startVerifier = (path: string): Victim => new Victim(['--import', 'tsx', VERIFIER, path], 'pipe');
