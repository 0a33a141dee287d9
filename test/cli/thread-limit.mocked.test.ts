import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test, vi } from 'vitest';
import { output, runInProcess } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';

vi.mock('node:worker_threads', { spy: true });

test('append --jobs, where the system starts no thread, exits 3 with one clear line', async () => {
  vi.mocked(Worker).mockImplementation(function () {
    throw Object.assign(new Error('EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' });
  });
  const path = join(temporaryFolder(), 'a.part');
  await output(['create', path]);
  const args = ['append', path, '--encoding', 'hex', '--jobs', '4'];
  const { exit, stderr } = await runInProcess(args, { stdin: [Buffer.from('6162\n')] });
  expect({ exit, stderr }).toEqual({
    exit: 3,
    stderr: 'artrie-pages: a thread could not be started (EAGAIN); use a smaller --jobs\n',
  });
});
