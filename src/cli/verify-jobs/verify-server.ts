import type { BlockFile } from '../../disk/block-file.ts';
import { CommittedView } from '../../disk/committed-view.ts';
import { openBlockFile } from '../../disk/node-block-file.ts';
import { identityOf } from '../../disk/node-same-file.ts';
import { PageStoreError } from '../../errors.ts';
import { ScanMemory, scanRange } from '../../verify/range-scan.ts';
import type { ScanBatch, ScanSettings } from '../../verify/scan-batch.ts';
import { replacedError } from './replaced-file.ts';
import type { VerifyAnswer, VerifyRequest } from './messages.ts';

interface OpenFile {
  readonly file: BlockFile;
  readonly view: CommittedView;
  readonly settings: ScanSettings;
}

/** What a thread that verifies does, without the thread: it has one file open at a time, and looks at ranges of it. */
export class VerifyServer {
  readonly #memory = new ScanMemory();
  #open: OpenFile | undefined;
  #batches: AsyncGenerator<ScanBatch> | undefined;

  /** Answers a request; the next one comes after the answer. */
  async answer(request: VerifyRequest): Promise<VerifyAnswer> {
    try {
      const batch = await this.#carryOut(request);
      return batch ? { kind: 'batch', batch } : { kind: 'done' };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const { message } = error;
      if (!(error instanceof PageStoreError)) return { kind: 'failed', failure: { message } };
      return { kind: 'failed', failure: { code: error.code, detail: error.detail, message } };
    }
  }

  async #carryOut(request: VerifyRequest): Promise<ScanBatch | undefined> {
    if (request.kind === 'close') return this.#close();
    if (request.kind === 'open') return this.#openFile(request.path, request.identity, request.settings);
    if (request.kind === 'scan') {
      if (this.#open === undefined) throw new Error('a range was to be verified before its file was opened');
      this.#batches = scanRange(this.#open.view, request.range, this.#open.settings, this.#memory);
    }
    return this.#nextBatch();
  }

  async #openFile(path: string, identity: string, settings: ScanSettings): Promise<undefined> {
    await this.#close();
    const file = await openBlockFile(path, 'read');
    try {
      if ((await identityOf(path)) !== identity) throw replacedError(path);
      this.#open = { file, view: await CommittedView.open(file), settings };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async #nextBatch(): Promise<ScanBatch> {
    const result = await this.#batches?.next();
    if (result === undefined || result.done === true) throw new Error('there is no range, or no more of it, to verify');
    return result.value;
  }

  async #close(): Promise<undefined> {
    const open = this.#open;
    this.#open = this.#batches = undefined;
    await open?.file.close();
  }
}
