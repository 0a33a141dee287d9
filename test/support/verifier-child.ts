// A process that verifies a page file repeatedly until its standard input ends. It prints the result of each run as a JSON
// line. Argument: the file.

import { verify } from '../../src/verify/verify.ts';

/** The result of one run of verify. */
export interface VerifyRun {
  readonly changed: boolean;
  readonly findings: readonly string[];
  /** The error that ended the run. */
  readonly failure?: string;
}

const [path = ''] = process.argv.slice(2);
const input = { ended: false };
process.stdin.on('end', () => (input.ended = true)).resume();
while (!input.ended) process.stdout.write(`${JSON.stringify(await verifyOnce())}\n`);

async function verifyOnce(): Promise<VerifyRun> {
  const findings: string[] = [];
  try {
    const { changed } = await verify(path, {
      onFinding: ({ severity, code, message }) => {
        findings.push(`${severity} ${code}: ${message}`);
      },
    });
    return { changed, findings };
  } catch (error) {
    return {
      changed: true,
      findings,
      failure: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
}
