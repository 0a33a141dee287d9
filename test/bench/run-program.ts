import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Course } from './course.ts';

/**
 * Runs a program, which has to succeed.
 * @param input - its standard input
 * @returns how long that took, from the start of the process to its end
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  input = '',
): Promise<{ readonly seconds: number; readonly output: string }> {
  const began = process.hrtime.bigint();
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let [output, errors] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const closed = once(child, 'close');
  child.stdin.end(input);
  const [code] = (await closed) as [number | null];
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${errors}`);
  return { seconds, output };
}

export const runTool = async ({ settings }: Course, args: readonly string[]): ReturnType<typeof runProgram> =>
  runProgram(process.execPath, [settings.tool, ...args]);
