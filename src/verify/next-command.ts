import type { Problem } from '../format/problem.ts';

/** Says which command line to run next for a problem. @param file - as a shell takes it */
export type NextStep = (problem: Problem, file: string) => string;

/** Shows the block that the problem is in. */
export const lookAtBlock: NextStep = ({ block = 0 }, file) => `artrie-pages dump ${file} --block ${block}`;

/** Shows the bytes of the block that the problem is in. */
export const lookAtBytes: NextStep = (problem, file) => `${lookAtBlock(problem, file)} --hex`;

/** Shows a row for each block. */
export const lookAtBlocks: NextStep = (_, file) => `artrie-pages dump ${file}`;

/** Shows what can be derived again without guessing; where nothing can, that is not the step to take. */
export const repair: NextStep = (problem, file) =>
  problem.isBeyondRepair === true ? recover(problem, file) : repairCommand(file);

/** The command line that shows what can be derived again. @param file - as a shell takes it */
export const repairCommand = (file: string): string => `artrie-pages repair --dry-run ${file}`;

/** The same, with new checksums for nodes that nobody has checked: only on request. */
export const repairStale: NextStep = (_, file) => `artrie-pages repair --dry-run --stale-checksums ${file}`;

/** The same, with a bit that explains a wrong checksum, but may not be what is wrong. */
export const repairLikely: NextStep = (_, file) => `artrie-pages repair --dry-run --likely-bits ${file}`;

/** Writes all that can still be read to a new file. */
export const recover: NextStep = (_, file) => `artrie-pages recover ${file} ${recovered(file)}`;

/** Gives pages what they lack: checksums, and the seal. */
export const finalize: NextStep = (_, file) => `artrie-pages finalize ${file}`;

/** Where one bit explains the problem, it can be put right; else it takes another step. */
export const repairOr =
  (otherwise: NextStep): NextStep =>
  (problem, file) =>
    (problem.flippedBit && problem.isBeyondRepair !== true ? repair : otherwise)(problem, file);

/** Another step for what cannot be mended. */
export const ifBeyondRepair =
  (step: NextStep, otherwise: NextStep): NextStep =>
  (problem, file) =>
    (problem.isBeyondRepair === true ? step : otherwise)(problem, file);

/** One step for what is an error, another for what is less. */
export const ifError =
  (step: NextStep, otherwise: NextStep): NextStep =>
  (problem, file) =>
    (problem.severity === 'error' ? step : otherwise)(problem, file);

/** Name of the file that recovery writes, beside the damaged one. @param file - as a shell takes it */
function recovered(file: string): string {
  return file.endsWith("'") ? `${file.slice(0, -1)}.recovered'` : `${file}.recovered`;
}
