import type { Finding } from '../verify/verify.ts';
import type { FindingGroup, Reporter } from './reporter.ts';

/** Findings that continue each other so far. */
interface Run {
  readonly first: Finding;
  readonly shape: string;
  lastSlot: number | undefined;
  count: number;
}

/**
 * Passes on a run of findings that say the same of neighbouring slots as one: a hole in a directory is one damage.
 * Only the current run is in memory.
 */
export function inGroups(reporter: Reporter): Reporter {
  let run: Run | undefined;
  const flush = async (): Promise<void> => {
    const ended = run;
    run = undefined;
    if (ended) await reporter.finding(groupOf(ended));
  };
  return {
    begin: () => reporter.begin(),
    async finding(finding) {
      if (run && continues(run, finding)) {
        run.count++;
        run.lastSlot = finding.slot;
        return;
      }
      await flush();
      run = { first: finding, shape: shapeOf(finding.message), lastSlot: finding.slot, count: 1 };
    },
    async file(report) {
      await flush();
      await reporter.file(report);
    },
    async error(error, file) {
      await flush();
      await reporter.error(error, file);
    },
    async end(totals) {
      await flush();
      await reporter.end(totals);
    },
  };
}

function groupOf({ first, lastSlot, count }: Run): FindingGroup {
  if (count === 1 || lastSlot === undefined) return first;
  return Object.assign({}, first, { lastSlot, count });
}

function continues({ first, shape, lastSlot }: Run, finding: Finding): boolean {
  return (
    lastSlot !== undefined &&
    finding.slot === lastSlot + 1 &&
    finding.code === first.code &&
    finding.severity === first.severity &&
    finding.block === first.block &&
    finding.file === first.file &&
    finding.next === first.next &&
    finding.flippedBit?.offset === first.flippedBit?.offset &&
    finding.flippedBit?.bit === first.flippedBit?.bit &&
    shapeOf(finding.message) === shape
  );
}

/** A message without its numbers: `1 byte` and `2 bytes` are the same. */
function shapeOf(message: string): string {
  return message.replace(/\d+( \w+?s?\b)?/g, (_, noun: string | undefined = '') => `#${noun.replace(/s$/, '')}`);
}
