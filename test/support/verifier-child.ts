// A process that verifies a page file over and over, until its standard input ends. It prints a line for each run,
// with what was found, as JSON. Argument: the file.

import { verify } from '../../src/verify/verify.ts';

/** What one run of verify found. */
export interface VerifyRun {
  readonly changed: boolean;
  readonly findings: readonly string[];
  /** The error that it ended with. */
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
