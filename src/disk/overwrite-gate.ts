/** Keeps reads of a writer apart from bytes that it is overwriting: between two writes a page is a mixture of before and after. */
export class OverwriteGate {
  #begun = 0;
  #underWay: Promise<void> | undefined;

  /** Overwrites; one at a time. */
  async run(overwrite: () => Promise<void>): Promise<void> {
    this.#begun++;
    this.#underWay = overwrite();
    try {
      await this.#underWay;
    } finally {
      this.#underWay = undefined;
    }
  }

  /** Reads once more where an overwrite has begun meanwhile. */
  async read(read: () => Promise<void>): Promise<void> {
    let begun: number;
    do {
      await this.#underWay?.catch(() => undefined); // whoever overwrites is told
      begun = this.#begun;
      await read();
    } while (begun !== this.#begun);
  }
}
