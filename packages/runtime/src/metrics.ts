import {
  Counter as PromCounter,
  Gauge as PromGauge,
  Histogram as PromHistogram,
  Registry,
  collectDefaultMetrics,
} from 'prom-client';

/** What a declared metric must say; the declarations of @kuik/contracts fit. */
export interface MetricSpec {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  readonly buckets?: readonly number[];
}

/** Values of a spec's labels. */
export type Labels<S extends MetricSpec> = Readonly<Record<NonNullable<S['labels']>[number], string | number>>;

export interface Counter<S extends MetricSpec = MetricSpec> {
  inc(labels?: Labels<S>, by?: number): void;
  /** Forgets one label set, counted or not: what it names is gone. */
  remove(labels: Labels<S>): void;
}

export interface Gauge<S extends MetricSpec = MetricSpec> {
  set(value: number, labels?: Labels<S>): void;
  inc(labels?: Labels<S>, by?: number): void;
  dec(labels?: Labels<S>, by?: number): void;
  remove(labels: Labels<S>): void;
  /** Forgets every label set: before a full list is set anew. */
  reset(): void;
}

export interface Histogram<S extends MetricSpec = MetricSpec> {
  observe(value: number, labels?: Labels<S>): void;
}

/** The metrics of one process. Asking twice for the same spec gives the same metric. */
export interface Metrics {
  counter<const S extends MetricSpec>(spec: S): Counter<S>;
  gauge<const S extends MetricSpec>(spec: S): Gauge<S>;
  histogram<const S extends MetricSpec>(spec: S): Histogram<S>;
  /** Runs before each scrape: to set gauges that are cheap to compute and dull to maintain. */
  onCollect(collect: () => void | Promise<void>): void;
  /** The text exposition format. */
  render(): Promise<string>;
  readonly contentType: string;
}

export interface MetricsOptions {
  readonly service: string;
  readonly version?: string;
  /** Node's own metrics (heap, event loop lag, GC). Default true. */
  readonly defaults?: boolean;
}

/** A registry with default metrics and `kuik_build_info`. */
export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  if (options.defaults ?? true) collectDefaultMetrics({ register: registry });
  const info = new PromGauge({
    name: 'kuik_build_info',
    help: 'Constant 1; the version is a label',
    labelNames: ['service', 'version', 'node'],
    registers: [registry],
  });
  info.set({ service: options.service, version: options.version ?? 'dev', node: process.version }, 1);
  return new PromMetrics(registry);
}

class PromMetrics implements Metrics {
  readonly #registry: Registry;
  readonly #made = new Map<string, unknown>();
  readonly #collectors: (() => void | Promise<void>)[] = [];

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  counter<const S extends MetricSpec>(spec: S): Counter<S> {
    return this.#once(spec, () => {
      const metric = new PromCounter(this.#configuration(spec));
      return {
        inc: (labels?: Labels<S>, by = 1) => (labels === undefined ? metric.inc(by) : metric.inc(labels, by)),
        remove: (labels: Labels<S>) => metric.remove(labels),
      };
    });
  }

  gauge<const S extends MetricSpec>(spec: S): Gauge<S> {
    return this.#once(spec, () => {
      const metric = new PromGauge(this.#configuration(spec));
      return {
        set: (value: number, labels?: Labels<S>) =>
          labels === undefined ? metric.set(value) : metric.set(labels, value),
        inc: (labels?: Labels<S>, by = 1) => (labels === undefined ? metric.inc(by) : metric.inc(labels, by)),
        dec: (labels?: Labels<S>, by = 1) => (labels === undefined ? metric.dec(by) : metric.dec(labels, by)),
        remove: (labels: Labels<S>) => metric.remove(labels),
        reset: () => metric.reset(),
      };
    });
  }

  histogram<const S extends MetricSpec>(spec: S): Histogram<S> {
    return this.#once(spec, () => {
      const metric = new PromHistogram({
        ...this.#configuration(spec),
        ...(spec.buckets ? { buckets: [...spec.buckets] } : {}),
      });
      return {
        observe: (value: number, labels?: Labels<S>) =>
          labels === undefined ? metric.observe(value) : metric.observe(labels, value),
      };
    });
  }

  onCollect(collect: () => void | Promise<void>): void {
    this.#collectors.push(collect);
  }

  async render(): Promise<string> {
    // One collector that fails must not cost the others' figures.
    await Promise.allSettled(this.#collectors.map(async (collect) => collect()));
    return this.#registry.metrics();
  }

  #configuration(spec: MetricSpec): { name: string; help: string; labelNames: string[]; registers: Registry[] } {
    return { name: spec.name, help: spec.help, labelNames: [...(spec.labels ?? [])], registers: [this.#registry] };
  }

  #once<M>(spec: MetricSpec, make: () => M): M {
    const made = (this.#made.get(spec.name) as M | undefined) ?? make();
    this.#made.set(spec.name, made);
    return made;
  }
}
