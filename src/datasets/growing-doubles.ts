/** A growing list of doubles with eight bytes per value, for the columns of large files. */
export class GrowingDoubles {
  #values = new Float64Array(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const grown = new Float64Array(2 * this.#length);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#length++] = value;
  }

  view(): Float64Array<ArrayBuffer> {
    return this.#values.subarray(0, this.#length);
  }
}
