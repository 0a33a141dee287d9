import { blockOf, keyOf, type Ledger, refOf } from './ledger.ts';
import { nodeFor } from './payload.ts';
import { startAppend, startCommand, startWriter, type Victim } from './victim.ts';

/** One round: a writer at work on a file, and its end. */
export interface Round {
  readonly path: string;
  readonly ledger: Ledger;
  /** The stream whose nodes the writer appends: a new one for each round. */
  readonly stream: number;
  readonly next: () => number;
  /** How long the writer lives. */
  readonly lifeMs: number;
}

/** What the library child does in a round of the campaign of kills. */
const EVERYTHING = 'append,together,many,large,update,overlap,free,allocate,finalize';

const SECOND = 1000;

/** The kinds of rounds. Each resolves when the writer is dead and the ledger has all that it acknowledged. */
export const ROUNDS: readonly (readonly [string, (round: Round) => Promise<void>])[] = [
  ['append --batch 1', (round) => fedAppend(round, ['--batch', '1'])],
  ['append --batch 7', (round) => fedAppend(round, ['--batch', '7'])],
  ['append', (round) => fedAppend(round, [])],
  ['commands', commands],
  ['library', library],
  ['library, updates', (round) => library(round, 'append,update')],
];

/** Lets a writer live for its time: counted from its start, or, three times in four, from its first word. */
async function live(victim: Victim, { next, lifeMs }: Round): Promise<void> {
  if (next() < 0.75) await victim.firstWord(20 * SECOND);
  await victim.endsWithin(lifeMs);
  if (!victim.isRunning) throw new Error(`the writer ended by itself: ${victim.stderr}`);
  await victim.kill();
}

async function fedAppend(round: Round, options: readonly string[]): Promise<void> {
  const { path, ledger, stream, next } = round;
  const victim = startAppend(path, options);
  const fed = victim.feed(stream, next() < 0.5 ? 0 : 5);
  await live(victim, round);
  await fed;
  let index = ledger.acknowledged.get(stream) ?? 0;
  for (const line of victim.takeLines()) {
    const [block = 0, slot = 0] = line.split(':').map(Number);
    ledger.append(keyOf(block, slot), { stream, index: index++, version: 0 });
  }
}

async function library(round: Round, kinds: string = EVERYTHING): Promise<void> {
  const { path, ledger, stream, next } = round;
  const victim = startWriter(path, stream, Math.floor(next() * 2 ** 31), kinds);
  await victim.firstWord(20 * SECOND);
  await live(victim, round);
  for (const line of victim.takeLines()) if (line !== 'ready') ledger.takeLine(line, stream);
}

/** Commands one after another, until the time is over: the one that is at work then is killed. */
async function commands(round: Round): Promise<void> {
  // Commands that do one thing are short: start-up is most of their time, so a life is longer here.
  const end = performance.now() + 100 + 3 * round.lifeMs;
  for (;;) {
    const command = pickCommand(round);
    const victim = startCommand(command.args);
    const ended = await victim.endsWithin(Math.max(1, end - performance.now()));
    if (!ended) await victim.kill();
    const lines = victim.takeLines();
    if (ended && victim.stderr !== '') throw new Error(`${command.args.join(' ')}: ${victim.stderr}`);
    for (const line of lines) command.acknowledged(line);
    if (!ended) return;
  }
}

interface RunningCommand {
  readonly args: readonly string[];
  readonly acknowledged: (line: string) => void;
}

function pickCommand({ path, ledger, stream, next }: Round): RunningCommand {
  const choice = next();
  const blocks = ledger.blocks;
  const block = blocks[Math.floor(next() * blocks.length)];
  const keys = block === undefined ? [] : [...ledger.nodesIn(block).keys()];
  const key = keys[Math.floor(next() * keys.length)];
  if (key !== undefined && choice < 0.55) {
    const entry = ledger.at(key)!;
    const version = entry.version + 1;
    ledger.intendUpdate(key, version);
    const data = nodeFor({ stream: entry.stream, index: entry.index, version }).toString('hex');
    const args = ['update', path, refOf(key), data, '--encoding', 'hex'];
    return { args, acknowledged: () => ledger.updated(key, version) };
  }
  if (block !== undefined && blocks.length > 3 && choice < 0.65) {
    ledger.intendFree(block);
    return { args: ['free', path, String(block)], acknowledged: () => ledger.freed(block) };
  }
  if (choice < 0.75) {
    const args = ['allocate', path, '--count', String(1 + Math.floor(next() * 3))];
    return { args, acknowledged: (line) => void ledger.pages.add(Number(line)) };
  }
  if (choice < 0.8) {
    return {
      args: ['finalize', path],
      acknowledged: (line) => void ledger.sealed.add(Number(/^block (\d+): (?:already )?finalized/.exec(line)?.[1])),
    };
  }
  const index = ledger.acknowledged.get(stream) ?? 0;
  const data = nodeFor({ stream, index, version: 0 }).toString('hex');
  return {
    args: ['append', path, data, '--encoding', 'hex'],
    acknowledged: (line) => {
      const [at = 0, slot = 0] = line.split(':').map(Number);
      ledger.append(keyOf(at, slot), { stream, index, version: 0 });
    },
  };
}

/** Refs by chance, of nodes that have to be there. */
export function someKeys(ledger: Ledger, next: () => number, count: number): number[] {
  const blocks = ledger.blocks;
  return Array.from({ length: blocks.length === 0 ? 0 : count }, () => {
    const keys = [...ledger.nodesIn(blocks[Math.floor(next() * blocks.length)]!).keys()];
    return keys[Math.floor(next() * keys.length)]!;
  }).filter((key) => !ledger.doomed.has(blockOf(key)));
}
