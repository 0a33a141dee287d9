import { existsSync } from 'node:fs';
import { examine, verifyFaults } from './examine.ts';
import { keyOf, Ledger, refOf } from './ledger.ts';
import { nodeFor } from './payload.ts';
import { startAppend, startCommand } from './victim.ts';

/** A place for a file that has an end. */
export interface Shortage {
  /** The file to fill; it is created. */
  readonly path: string;
  readonly format: 'v1' | 'v2';
  /** Options of `append`. */
  readonly appendOptions: readonly string[];
  /** What the error has to say. */
  readonly words: string;
  /** The most KiB that a file may have, where that is what runs out. */
  readonly limitKib?: number;
  /** Ends the shortage; a limit of KiB is gone by then. */
  readonly makeRoom: () => void;
}

/** What became of a command: `done`, or `refused` in one clear line with exit 3. */
export type Outcomes = Readonly<Record<string, 'done' | 'refused'>>;

const STREAM = 1;

/** Fills a file to the end of its place, tries each command there, makes room, and goes on. @throws where anything is wrong */
export async function runOutOfSpace(shortage: Shortage): Promise<{ outcomes: Outcomes; nodes: number }> {
  const run = new Run(shortage);
  await run.all();
  return { outcomes: run.outcomes, nodes: run.ledger.nodeCount };
}

class Run {
  readonly ledger = new Ledger();
  readonly outcomes: Record<string, 'done' | 'refused'> = {};
  readonly #shortage: Shortage;
  #limitKib: number | undefined;

  constructor(shortage: Shortage) {
    this.#shortage = shortage;
    this.#limitKib = shortage.limitKib;
  }

  async all(): Promise<void> {
    const { path, format, appendOptions, makeRoom } = this.#shortage;
    await this.#must('create', path, '--page-format', format);
    await this.#appendOne('append of the first node');
    await this.#fill(appendOptions);
    await this.#check('after append');
    // A batch that fails takes all of its pages with it: the last byte is reached by small ones.
    if (appendOptions.length === 0) await this.#fill(['--batch', '7']);
    await this.#check('after append of small batches');
    for (let time = 0; time < 3; time++) await this.#appendOne('append of one node');
    await this.#check('after appending single nodes');
    for (const args of [['stat'], ['verify', '--fail-on', 'warning'], ['read', '--all'], ['dump']]) {
      await this.#must(args[0]!, path, ...args.slice(1));
    }
    await this.#update('update');
    await this.#check('after update');
    await this.#free();
    await this.#check('after free');
    await this.#appendOne('append to a freed block');
    await this.#check('after append to a freed block');
    await this.#try('finalize', path);
    await this.#check('after finalize');

    makeRoom();
    this.#limitKib = undefined;
    for (let time = 0; time < 5; time++) await this.#appendOne('append with room');
    await this.#update('update with room');
    await this.#try('finalize', path);
    await this.#check('with room');
    const late = ['append with room', 'update with room', 'finalize'].filter((name) => this.outcomes[name] !== 'done');
    if (late.length > 0) throw new Error(`refused although there is room: ${late.join(', ')}`);
    const faults = await verifyFaults(path, true);
    if (existsSync(`${path}.journal`)) faults.push('the journal is still there');
    if (faults.length > 0) throw new Error(`at the end: ${faults.join('; ')}`);
  }

  /** Appends nodes without end, which has to fail. */
  async #fill(options: readonly string[]): Promise<void> {
    const { path, words } = this.#shortage;
    let index = this.ledger.acknowledged.get(STREAM) ?? 0;
    const append = startAppend(path, options, this.#limitKib);
    await append.feed(STREAM, 0, index);
    const exit = await append.finish();
    for (const line of append.takeLines()) {
      const [block = 0, slot = 0] = line.split(':').map(Number);
      this.ledger.append(keyOf(block, slot), { stream: STREAM, index: index++, version: 0 });
    }
    if (this.#outcomeOf(exit, append.stderr) !== 'refused') throw new Error('append met no end');
    if (!append.stderr.includes(words)) throw new Error(`append does not say '${words}': ${append.stderr}`);
  }

  async #appendOne(name: string): Promise<void> {
    const index = this.ledger.acknowledged.get(STREAM) ?? 0;
    const data = nodeFor({ stream: STREAM, index, version: 0 }).toString('hex');
    const [line = ''] = await this.#try(name, this.#shortage.path, data, '--encoding', 'hex');
    if (this.outcomes[name] !== 'done') return;
    const [block = 0, slot = 0] = line.split(':').map(Number);
    this.ledger.append(keyOf(block, slot), { stream: STREAM, index, version: 0 });
  }

  async #update(name: string): Promise<void> {
    const [key, entry] = [...this.ledger.nodesIn(this.ledger.blocks.at(-1)!)][0]!;
    const version = entry.version + 1;
    const data = nodeFor({ ...entry, version }).toString('hex');
    await this.#try(name, this.#shortage.path, refOf(key), data, '--encoding', 'hex');
    if (this.outcomes[name] !== 'done') return;
    this.ledger.intendUpdate(key, version);
    this.ledger.updated(key, version);
  }

  async #free(): Promise<void> {
    const block = this.ledger.blocks[0]!;
    await this.#try('free', this.#shortage.path, String(block));
    if (this.outcomes['free'] === 'done') this.ledger.freed(block);
  }

  /** Runs a command, the first word of `name`, that may be refused. @returns what it printed */
  async #try(name: string, ...args: readonly string[]): Promise<string[]> {
    const command = startCommand([name.split(' ')[0]!, ...args], this.#limitKib);
    const exit = await command.finish();
    this.outcomes[name] = this.#outcomeOf(exit, command.stderr);
    const clear = this.outcomes[name] === 'done' || command.stderr.includes(this.#shortage.words);
    if (!clear) throw new Error(`${name} does not say '${this.#shortage.words}': ${command.stderr}`);
    return command.takeLines();
  }

  async #must(name: string, ...args: readonly string[]): Promise<void> {
    await this.#try(name, ...args);
    if (this.outcomes[name] !== 'done') throw new Error(`${name} was refused`);
  }

  #outcomeOf(exit: number | null, stderr: string): 'done' | 'refused' {
    // What takes longer than a second tells how far it is, a line each time.
    const errors = stderr.split('\n').filter((line) => !line.startsWith(`${this.#shortage.path}: `));
    if (exit === 0 && errors.join('\n') === '') return 'done';
    if (exit === 3 && /^artrie-pages: [^\n]+\n$/.test(errors.join('\n'))) return 'refused';
    throw new Error(`exit ${exit} and on stderr: ${stderr}`);
  }

  async #check(when: string): Promise<void> {
    const { path } = this.#shortage;
    const { faults, extra } = await examine(path, this.ledger, STREAM);
    const all = [...faults, ...(await verifyFaults(path, false))];
    if (extra.size > 0) all.push(`${extra.size} nodes are there of which the command said that they are not`);
    if (all.length > 0) throw new Error(`${when}: ${all.slice(0, 5).join('; ')}`);
  }
}
