import { grouped } from '../bytes/encodings.ts';
import type { Severity } from '../format/problem.ts';
import { countOf, type FindingGroup } from './reporter.ts';

/** What a report leaves out: findings by severity, and by code. */
export interface Omitted extends Readonly<Record<Severity, number>> {
  readonly codes: Readonly<Record<string, number>>;
}

interface Limits extends Readonly<Record<Severity, number>> {
  /** As many findings of each code in a file are in the report in any case, so that none is crowded out. */
  readonly ofEachCode: number;
  /** At most as many of a code are written for one block, so that a damaged directory hides no other block. */
  readonly ofCodeInBlock: number;
}

/** What a limit has to know of a finding. */
type Limited = Pick<FindingGroup, 'severity' | 'count' | 'block'> & { readonly code: string };

/** For one file in a report that people read, or a program line by line. */
export const FILE_LIMITS: Limits = { error: 1000, warning: 1000, info: 1000, ofEachCode: 10, ofCodeInBlock: 100 };

/**
 * Keeps a report short: a damaged directory can have more findings than anyone can read or upload. Each severity has a
 * limit of its own, so that others cannot crowd out errors. A group counts as one towards a limit; what is left out is
 * counted in single findings.
 */
export class FindingLimit {
  readonly #limits: Limits;
  #admitted = { error: 0, warning: 0, info: 0 };
  /** By severity and code. */
  #admittedOfKind = new Map<string, number>();
  #block: number | undefined;
  #admittedInBlock = new Map<string, number>();
  #omitted = { error: 0, warning: 0, info: 0 };
  #omittedOfCode = new Map<string, number>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /**
   * Whether to write it. If not, it is counted as left out.
   * @param isFull - whether there is no room for it for another reason
   */
  admits(finding: Limited, isFull = false): boolean {
    const { severity, code, block } = finding;
    if (block !== this.#block) this.#admittedInBlock = new Map();
    this.#block = block;
    // An info of a code takes no room from an error of it.
    const kind = `${severity} ${code}`;
    const ofKind = this.#admittedOfKind.get(kind) ?? 0;
    const inBlock = this.#admittedInBlock.get(kind) ?? 0;
    const hasRoom = this.#admitted[severity] < this.#limits[severity] || ofKind < this.#limits.ofEachCode;
    if (!isFull && hasRoom && inBlock < this.#limits.ofCodeInBlock) {
      this.#admitted[severity]++;
      this.#admittedOfKind.set(kind, ofKind + 1);
      this.#admittedInBlock.set(kind, inBlock + 1);
      return true;
    }
    this.#omitted[severity] += countOf(finding);
    this.#omittedOfCode.set(code, (this.#omittedOfCode.get(code) ?? 0) + countOf(finding));
    return false;
  }

  /** @returns undefined if nothing was left out */
  get omitted(): Omitted | undefined {
    if (this.#omittedOfCode.size === 0) return undefined;
    return { ...this.#omitted, codes: Object.fromEntries(this.#omittedOfCode) };
  }

  /** Counts those of each code again, since another file begins. */
  nextFile(): void {
    this.#admittedOfKind = new Map();
    this.#admittedInBlock = new Map();
  }

  /** Begins to count again. */
  reset(): void {
    this.nextFile();
    this.#admitted = { error: 0, warning: 0, info: 0 };
    this.#omitted = { error: 0, warning: 0, info: 0 };
    this.#omittedOfCode = new Map();
  }
}

/** `1,200 SLOT_BOUNDS, 3 SLOT_OVERLAP` */
export function codesText({ codes }: Omitted): string {
  return Object.entries(codes)
    .map(([code, count]) => `${grouped(count)} ${code}`)
    .join(', ');
}

export function omittedCount({ error, warning, info }: Omitted): number {
  return error + warning + info;
}
