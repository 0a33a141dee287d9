import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import type { BlockFile } from '../../src/disk/block-file.ts';
import type { Finding, VerifyOptions, VerifyReport } from '../../src/verify/verify.ts';
import { verify } from '../../src/verify/verify.ts';

/** Verifies bytes or a file and keeps all findings. */
export async function verifyAll(
  source: Uint8Array | BlockFile,
  options?: VerifyOptions,
): Promise<{ findings: Finding[]; summary: VerifyReport }> {
  const findings: Finding[] = [];
  const file = source instanceof Uint8Array ? new MemoryBlockFile(source) : source;
  const summary = await verify(file, { ...options, onFinding: (finding) => void findings.push(finding) });
  return { findings, summary };
}

/** Findings as `severity CODE block` or `severity CODE block:slot`, which is what most tests compare. */
export const brief = (findings: readonly Finding[]): string[] =>
  findings.map(
    ({ severity, code, block, slot }) => `${severity} ${code} ${block}${slot === undefined ? '' : `:${slot}`}`,
  );
