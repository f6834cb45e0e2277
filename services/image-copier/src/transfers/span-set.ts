/** Bytes `from` up to, and without, `to`. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Which bytes of a blob are there: spans in order that neither touch nor overlap. */
export class SpanSet {
  #spans: Span[];

  constructor(spans: readonly Span[] = []) {
    this.#spans = [];
    for (const span of spans) this.add(span);
  }

  get spans(): readonly Span[] {
    return this.#spans;
  }

  /** Bytes in sum. */
  get bytes(): number {
    return this.#spans.reduce((sum, { from, to }) => sum + to - from, 0);
  }

  add({ from, to }: Span): void {
    if (from >= to) return;
    const before = this.#spans.filter((span) => span.to < from);
    const after = this.#spans.filter((span) => span.from > to);
    const touched = this.#spans.slice(before.length, this.#spans.length - after.length);
    const merged = {
      from: Math.min(from, touched[0]?.from ?? from),
      to: Math.max(to, touched.at(-1)?.to ?? to),
    };
    this.#spans = [...before, merged, ...after];
  }

  /** Where the run of known bytes that holds `at` ends; `at` itself when that byte is not known. */
  endOf(at: number): number {
    return this.#spans.find(({ from, to }) => from <= at && at < to)?.to ?? at;
  }

  /** Where the first span after `at` begins, or undefined. */
  startAfter(at: number): number | undefined {
    return this.#spans.find(({ from }) => from > at)?.from;
  }

  covers({ from, to }: Span): boolean {
    return from >= to || this.endOf(from) >= to;
  }
}
