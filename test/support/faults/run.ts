import type { PageFormat } from '../../../src/index.ts';
import { random as newRandom } from '../nodes.ts';
import type { State } from './blocks-file.ts';
import { type Fault, FAULT_KINDS, type FaultKind, type FaultPlace, makeFault, withoutDigest } from './faults.ts';
import { type History, makeHistory } from './history.ts';
import { isAfterPowerCut, isHarmed, type Reading, readState, type Verdict, verifyState } from './reading.ts';
import { type BrokenRule, brokenRules, harmOf } from './rules.ts';

/** What became of the faults of one kind. */
export interface Tally {
  faults: number;
  /** Those that verify reports as an error. */
  found: number;
  /** Those after which a reader does not get all acknowledged nodes, or gets freed ones. */
  harmful: number;
  /** Harmful ones that verify reports as an error, as a warning only, or not at all. */
  error: number;
  warning: number;
  unnoticed: number;
  /** Harmful ones after which `read` gave other bytes, or a walk over all nodes ended, without an error. */
  wrongReads: number;
  shortScans: number;
  /** Those without an error after which the file is one that a power cut may have left. They are not harmful. */
  powerCut: number;
}

export const TWO_FAULTS = 'two faults';
export type Row = FaultKind | typeof TWO_FAULTS;
export type Tallies = Partial<Record<Row, Tally>>;

export interface FaultReport {
  readonly withDigest: Tallies;
  readonly without: Tallies;
  readonly failures: Failure[];
}

/** Something that must not be. */
export interface Failure extends BrokenRule {
  readonly row: Row | typeof NO_FAULT | typeof NO_ROW;
  /** The options that make it again. */
  readonly repeat: string;
  /** The faults, and where they are. */
  readonly faults: string;
}

const NO_FAULT = 'no fault';
const NO_ROW = 'any fault';

export interface FaultOptions {
  readonly seed: number;
  /** Numbers of the faults: from `from` on, `count` of them. The seed and the number make the fault. */
  readonly from: number;
  readonly count: number;
  /** Milliseconds after which no further fault is made. */
  readonly milliseconds?: number;
  readonly kinds?: readonly FaultKind[];
  /** Whether every third fault is two at once. */
  readonly doubles?: boolean;
  /** Whether files are read as well as verified; true by default. If not, `harmful` and what depends on it are 0. */
  readonly reads?: boolean;
  /** Whether a writer, repair and recover are let loose on the file as well. */
  readonly rules?: boolean;
  /** Whether the same faults are made in files without a digest as well. */
  readonly without?: boolean;
  readonly mostFailures?: number;
  /** Whether the last change of each file is only in its commit record. */
  readonly killed?: boolean;
  /** Faults in the same file: to make one takes as long as to judge 30. */
  readonly perFile?: number;
}

const FAULTS_PER_FILE = 30;

export async function runFaults(options: FaultOptions): Promise<FaultReport> {
  const report: FaultReport = { withDigest: {}, without: {}, failures: [] };
  const {
    from,
    count,
    seed,
    killed = false,
    milliseconds = Infinity,
    mostFailures = Infinity,
    perFile = FAULTS_PER_FILE,
  } = options;
  const deadline = performance.now() + milliseconds;
  let files: Files | undefined;
  for (let index = from; index < from + count; index++) {
    if (performance.now() > deadline || report.failures.length >= mostFailures) break;
    const fileIndex = Math.floor(index / perFile);
    if (files?.index !== fileIndex) files = await makeFiles({ seed, perFile, killed }, fileIndex, report.failures);
    try {
      await judgeFault(files, index, options, report);
    } catch (error) {
      // A defect of the library, whatever the file is; it must not end the campaign without its number.
      const details = error instanceof Error ? (error.stack ?? error.message) : String(error);
      const repeat = repeatOptions(seed, index, perFile);
      report.failures.push({
        rule: 'another error is thrown than a PageStoreError',
        details,
        row: NO_ROW,
        repeat,
        faults: '',
      });
    }
  }
  return report;
}

interface Files {
  readonly index: number;
  readonly history: History;
  readonly other: History;
}

const repeatOptions = (seed: number, index: number, perFile: number): string =>
  `--seed ${seed} --only ${index}${perFile === FAULTS_PER_FILE ? '' : ` with ${perFile} faults for each file`}`;

async function makeFiles(
  { seed, perFile, killed }: { readonly seed: number; readonly perFile: number; readonly killed: boolean },
  index: number,
  failures: Failure[],
): Promise<Files> {
  const format: PageFormat = index % 2 === 0 ? 'v1' : 'v2';
  const history = await makeHistory(format, mixed(seed, 2 * index), killed);
  const other = await makeHistory(format, mixed(seed, 2 * index + 1), killed);
  // The judge itself has to find nothing wrong with a good file.
  const { final, contents } = history;
  const reading = await readState(final, contents);
  const { errors, warnings } = await verifyState(final);
  const broken = await brokenRules({ state: final, contents, reading, isExcused: false });
  if (isHarmed(reading) || reading.scan !== 'whole')
    broken.push({ rule: 'read: not all is there', details: harmOf(reading) });
  const findings = [...errors, ...warnings];
  if (findings.length > 0) broken.push({ rule: 'verify: there are findings', details: findings.join(', ') });
  const repeat = repeatOptions(seed, index * perFile, perFile);
  for (const each of broken) failures.push({ ...each, row: NO_FAULT, repeat, faults: format });
  return { index, history, other };
}

const mixed = (seed: number, index: number): number => Math.imul(seed, 0x9e37_79b1) ^ Math.imul(index + 1, 0x85eb_ca6b);

async function judgeFault(
  { history, other }: Files,
  index: number,
  {
    seed,
    kinds = FAULT_KINDS,
    doubles = false,
    rules = false,
    without = false,
    reads = true,
    perFile = FAULTS_PER_FILE,
  }: FaultOptions,
  { withDigest, without: withoutTallies, failures }: FaultReport,
): Promise<void> {
  const random = newRandom(mixed(seed, index) ^ 0x5bd1_e995);
  const place: FaultPlace = { history, other, random };
  const wanted = doubles && index % 3 === 2 ? 2 : 1;
  const faults: Fault[] = [];
  let state: State = history.final;
  for (let nth = 0; nth < wanted; nth++) {
    const kind =
      wanted === 1
        ? kinds[(doubles ? index - Math.floor(index / 3) : index) % kinds.length]!
        : kinds[Math.floor(random() * kinds.length)]!;
    const fault = makeFault(kind, state, place);
    if (fault === undefined) return;
    faults.push(fault);
    state = fault.state;
  }
  const row: Row = faults.length === 1 ? faults[0]!.kind : TWO_FAULTS;
  const judged = await judgeState(state, history, (withDigest[row] ??= newTally()), reads);
  const text = faults.map(({ kind, what }) => `${kind}: ${what}`).join('; ');
  const fail = (broken: BrokenRule): void =>
    void failures.push({
      ...broken,
      row,
      repeat: repeatOptions(seed, index, perFile),
      faults: `${history.format}, ${text}`,
    });
  const { reading, isEarlier, verdict } = judged;
  if (!isEarlier) {
    if (isHarmed(reading) && verdict.errors.length === 0)
      fail({
        rule: 'verify: no error',
        details: `${verdict.warnings.join(', ') || 'nothing'}, with ${harmOf(reading)}`,
      });
    if (reading.scan === 'short')
      fail({ rule: 'read: a walk over all nodes ends without an error', details: harmOf(reading) });
  }
  if (rules) {
    const damaged = { state, contents: history.contents, reading, isExcused: isEarlier };
    for (const each of await brokenRules(damaged)) fail(each);
  }
  if (without) await judgeState(withoutDigest(state), history, (withoutTallies[row] ??= newTally()));
}

const NOT_READ: Reading = { intact: new Set(), wrong: [], failed: [], scan: 'whole', strange: [] };

async function judgeState(
  state: State,
  history: History,
  tally: Tally,
  reads = true,
): Promise<{ reading: Reading; verdict: Verdict; isEarlier: boolean }> {
  const reading = reads ? await readState(state, history.contents) : NOT_READ;
  const verdict = await verifyState(state);
  tally.faults++;
  if (verdict.errors.length > 0) tally.found++;
  const isHarmful = isHarmed(reading);
  const isNotFound = verdict.errors.length === 0;
  const isEarlier = isNotFound && isHarmful && isAfterPowerCut(state, history.windows);
  const isComplete = isNotFound && !isHarmful && isAfterPowerCut(state, history.lastWindows);
  if (isEarlier || isComplete) tally.powerCut++;
  else if (isHarmful) {
    tally.harmful++;
    if (verdict.errors.length > 0) tally.error++;
    else if (verdict.warnings.length > 0) tally.warning++;
    else tally.unnoticed++;
    if (reading.wrong.length > 0) tally.wrongReads++;
    if (reading.scan === 'short') tally.shortScans++;
  }
  return { reading, verdict, isEarlier };
}

export const newTally = (): Tally => ({
  faults: 0,
  found: 0,
  harmful: 0,
  error: 0,
  warning: 0,
  unnoticed: 0,
  wrongReads: 0,
  shortScans: 0,
  powerCut: 0,
});

/** Adds the figures of another run. */
export function addTallies(into: Tallies, from: Tallies): void {
  for (const row of [...FAULT_KINDS, TWO_FAULTS] as const) {
    const added = from[row];
    if (added === undefined) continue;
    const tally = (into[row] ??= newTally());
    for (const count of Object.keys(added) as (keyof Tally)[]) tally[count] += added[count];
  }
}

const HEADS: Readonly<Record<keyof Tally, string>> = {
  faults: 'faults',
  found: 'with error',
  harmful: 'harmful',
  error: '.. error',
  warning: '.. warning',
  unnoticed: '.. unnoticed',
  wrongReads: 'wrong reads',
  shortScans: 'short walks',
  powerCut: 'power cut',
};

/** A line for each kind, and one for all. */
export function tableOf(tallies: Tallies): string[] {
  const line = (name: string, cells: readonly (string | number)[]): string =>
    [name.padEnd(28), ...cells.map((cell) => String(cell).padStart(13))].join('');
  const all = newTally();
  const lines = [line('kind', Object.values(HEADS))];
  for (const row of [...FAULT_KINDS, TWO_FAULTS] as const) {
    const tally = tallies[row];
    if (tally === undefined) continue;
    for (const count of Object.keys(all) as (keyof Tally)[]) all[count] += tally[count];
    lines.push(line(row, Object.values(tally)));
  }
  return [...lines, line('all', Object.values(all))];
}

/** How the file came to be in which a fault is made, for a person who looks into a failure. */
export async function scriptOf(seed: number, fault: number, killed: boolean): Promise<string> {
  const index = Math.floor(fault / FAULTS_PER_FILE);
  const { format, script, final } = await makeHistory(index % 2 === 0 ? 'v1' : 'v2', mixed(seed, 2 * index), killed);
  return `${format}, ${final.blocks.length} blocks: ${script.join('; ')}`;
}

/** A line for each rule that was broken and each kind of fault that broke it, with one case of it. */
export function failureLines(failures: readonly Failure[]): string[] {
  const groups = new Map<string, Failure[]>();
  for (const failure of failures) {
    const key = `${failure.rule} [${failure.row}]`;
    groups.set(key, [...(groups.get(key) ?? []), failure]);
  }
  return [...groups]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, [first, ...rest]]) => {
      const { repeat, faults, details } = first!;
      return `${rest.length + 1} x ${key}, such as ${repeat}: ${faults}: ${details}`;
    });
}
