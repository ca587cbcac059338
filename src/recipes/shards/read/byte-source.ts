/** Reads a stream of chunks by counts of bytes. Memory holds one chunk and what is asked for. */
export class ByteSource {
  /** Number of bytes read so far. */
  position = 0;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array();
  #at = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Reads `length` bytes, or fewer at the end of the stream. The bytes are a copy. */
  async read(length: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    await this.#pass(length, (part) => parts.push(part));
    return Buffer.concat(parts);
  }

  /** Skips bytes. Returns false if the stream ended before. */
  async skip(length: number): Promise<boolean> {
    return (await this.#pass(length, () => {})) === length;
  }

  /** Reads to the end of the stream. Returns the position of the first byte that is not zero, and stops there. */
  async firstNonZero(): Promise<number | undefined> {
    for (;;) {
      const at = this.#chunk.subarray(this.#at).findIndex((byte) => byte !== 0);
      if (at >= 0) return this.position + at;
      this.position += this.#chunk.length - this.#at;
      this.#at = this.#chunk.length;
      const next = await this.#chunks.next();
      if (next.done === true) return undefined;
      [this.#chunk, this.#at] = [next.value, 0];
    }
  }

  /** Ends the stream, also before its end. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #pass(length: number, take: (part: Uint8Array) => void): Promise<number> {
    let passed = 0;
    while (passed < length) {
      if (this.#at === this.#chunk.length) {
        const next = await this.#chunks.next();
        if (next.done === true) break;
        [this.#chunk, this.#at] = [next.value, 0];
      }
      const part = this.#chunk.subarray(this.#at, this.#at + length - passed);
      take(part);
      this.#at += part.length;
      passed += part.length;
    }
    this.position += passed;
    return passed;
  }
}
