import { EventEmitter } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { fileOffset } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { type Finding, Verifier, verify, type VerifyReport } from '../../src/verify/verify.ts';
import { temporaryFolder } from '../support/files.ts';

vi.mock('node:worker_threads', { spy: true });
const path = join(temporaryFolder(), 'file');

/** 300 blocks, of which threads take 64 at a time. */
beforeAll(async () => {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file);
  await store.allocate(300);
  await store.close();
  for (const block of [2, 66, 130, 200, 299]) file.bytes[fileOffset(block, 8)]! ^= 4;
  writeFileSync(path, file.bytes);
});

const refusal = (): Error => Object.assign(new Error('EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' });

/** Node makes a thread, which then finds that it cannot run, as with too many open files. */
class StillbornWorker extends EventEmitter {
  constructor() {
    super();
    setImmediate(() => this.emit('error', refusal()));
  }

  postMessage(): void {}

  async terminate(): Promise<number> {
    return 1;
  }
}

async function verifyTwice(threads: number): Promise<{ findings: Finding[]; reports: VerifyReport[] }> {
  const findings: Finding[] = [];
  const reports: VerifyReport[] = [];
  const verifier = new Verifier({ threads });
  try {
    const onFinding = (finding: Finding): void => void findings.push(finding);
    for (let round = 0; round < 2; round++) reports.push(await verifier.verify(path, { onFinding }));
  } finally {
    await verifier.close();
  }
  return { findings, reports };
}

describe('where the system starts no more threads, verify goes on with those that it has', async () => {
  const { Worker: RealWorker } = await vi.importActual<{ Worker: typeof Worker }>('node:worker_threads');
  beforeEach(() => void vi.mocked(Worker).mockReset());

  test('with none', async () => {
    const alone = await verifyTwice(1);
    expect(alone.findings).toHaveLength(20);
    vi.mocked(Worker).mockImplementation(function () {
      throw refusal();
    });
    expect(await verifyTwice(8)).toEqual(alone);
    // One attempt for each file.
    expect(Worker).toHaveBeenCalledTimes(2);
  });

  test('with some', async () => {
    const alone = await verifyTwice(1);
    let started = 0;
    vi.mocked(Worker).mockImplementation(function (...args) {
      if (started === 1) throw refusal();
      started++;
      return new RealWorker(...args);
    });
    expect(await verifyTwice(8)).toEqual(alone);
    expect(started).toBe(1);
  });

  test('with none, where a thread fails after it was made', async () => {
    const alone = await verifyTwice(1);
    vi.mocked(Worker).mockImplementation(function () {
      return new StillbornWorker() as unknown as Worker;
    });
    expect(await verifyTwice(3)).toEqual(alone);
    expect(Worker).toHaveBeenCalled();
  });

  test('another error of a thread is reported', async () => {
    vi.mocked(Worker).mockImplementation(function () {
      throw new TypeError('a wrong option');
    });
    await expect(verify(path, { threads: 2 })).rejects.toThrow('a wrong option');
  });
});
