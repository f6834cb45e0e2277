import type { ByteSink, RepositoryClient, Upload } from '@kuik/registry';

export type Side = 'upstream' | 'cache';

/**
 * Remembers which of a copy's two registries an error came from. The first one that an error passes is the one that failed: a broken
 * source breaks the upload that reads from it, and the other way round.
 */
export class Sides {
  readonly #failed = new WeakMap<object, Side>();

  of(error: unknown): Side {
    return (typeof error === 'object' && error !== null ? this.#failed.get(error) : undefined) ?? 'upstream';
  }

  /** The same client, whose errors are remembered as this side's. */
  watch(client: RepositoryClient, side: Side): RepositoryClient {
    return this.#watchAll(
      client,
      {
        openBlob: async (...args: Parameters<RepositoryClient['openBlob']>) => {
          const blob = await client.openBlob(...args).catch(this.#note(side));
          return this.#watchAll(
            blob,
            {
              deliver: (...delivery: Parameters<typeof blob.deliver>) =>
                blob.deliver(...delivery).catch(this.#note(side)),
            },
            side,
          );
        },
        startUpload: async (...args: Parameters<RepositoryClient['startUpload']>) => {
          const started = await client.startUpload(...args).catch(this.#note(side));
          return started.mounted
            ? started
            : { mounted: false as const, upload: this.#watchUpload(started.upload, side) };
        },
        continueUpload: (location: string) => this.#watchUpload(client.continueUpload(location), side),
      },
      side,
    );
  }

  #watchUpload(upload: Upload, side: Side): Upload {
    type Source = (sink: ByteSink) => Promise<void>;
    // What the source throws is its own, digests and sizes that do not fit included, unless the sink threw it first.
    const watchedSink =
      (source: Source): Source =>
      (sink) =>
        source((chunk) => this.#take(sink, chunk, side)).catch(this.#note(other(side)));
    return this.#watchAll(
      upload,
      {
        write: (source: Source, ...rest: [number, number, AbortSignal?]) =>
          upload.write(watchedSink(source), ...rest).catch(this.#note(side)),
        putWhole: (source: Source, ...rest: [number, string, AbortSignal?]) =>
          upload.putWhole(watchedSink(source), ...rest).catch(this.#note(side)),
      },
      side,
    );
  }

  #take(sink: ByteSink, chunk: Buffer, side: Side): Promise<void> | undefined {
    try {
      return sink(chunk)?.catch(this.#note(side));
    } catch (error) {
      return this.#note(side)(error);
    }
  }

  #watchAll<T extends object>(target: T, own: Partial<Record<keyof T, unknown>>, side: Side): T {
    return new Proxy(target, {
      get: (object, key) => {
        if (Object.hasOwn(own, key)) return own[key as keyof T];
        const value: unknown = Reflect.get(object, key, object);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          const result: unknown = Reflect.apply(value, object, args);
          return result instanceof Promise ? result.catch(this.#note(side)) : result;
        };
      },
    });
  }

  #note(side: Side): (error: unknown) => never {
    return (error) => {
      if (typeof error === 'object' && error !== null && !this.#failed.has(error)) this.#failed.set(error, side);
      throw error;
    };
  }
}

function other(side: Side): Side {
  return side === 'cache' ? 'upstream' : 'cache';
}
