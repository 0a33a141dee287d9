import type { ErrorCode, ErrorDetail } from '../../errors.ts';
import type { BlockRange, ScanBatch, ScanSettings } from '../../verify/scan-batch.ts';

/** What a thread that verifies is asked; it gives one answer to each. */
export type VerifyRequest =
  | {
      readonly kind: 'open';
      readonly path: string;
      /** Device and inode: the path may lead to another file by now. */
      readonly identity: string;
      readonly settings: ScanSettings;
    }
  | { readonly kind: 'scan'; readonly range: BlockRange }
  /** For the next batch of the range. */
  | { readonly kind: 'next' }
  | { readonly kind: 'close' };

/** What it answers: a batch to `scan` and `next`, nothing to `open` and `close`. */
export type VerifyAnswer =
  | { readonly kind: 'done' }
  | { readonly kind: 'batch'; readonly batch: ScanBatch }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** An error, as a message carries it. */
export interface Failure {
  /** Of a PageStoreError. */
  readonly code?: ErrorCode;
  readonly detail?: ErrorDetail;
  readonly message: string;
}
