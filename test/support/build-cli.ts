import { execFileSync } from 'node:child_process';

/** Tests that start the executable run what is in src/ now, not what was there at the last install. */
export function setup(): void {
  execFileSync('npm', ['run', '--silent', 'build:cli'], { stdio: ['ignore', 'ignore', 'inherit'] });
}
