import { readFile } from 'node:fs/promises';
import { loopPart, type Part, type Round } from '@kuik/runtime';
import type { ServingCertificate } from './admission-server.ts';

export interface CertificateFilesOptions {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly checkMs: number;
  readonly use: (certificate: ServingCertificate) => void;
  readonly onRound: (round: Round) => void;
}

/** Serves a certificate that somebody else makes (cert-manager, a benchmark): two files, read again when they change. */
export class CertificateFiles implements Part {
  readonly name = 'certificates';
  readonly #options: CertificateFilesOptions;
  readonly #loop: Part;
  #last = '';

  constructor(options: CertificateFilesOptions) {
    const { checkMs, onRound } = options;
    this.#options = options;
    this.#loop = loopPart({ name: this.name, everyMs: checkMs, tick: () => this.round(), onRound });
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.round();
    await this.#loop.start?.(signal);
  }

  async close(): Promise<void> {
    await this.#loop.close?.();
  }

  /** Reads both files and installs them when they changed. Throws when they cannot be read or do not fit. */
  async round(): Promise<void> {
    const [certificate, key] = await Promise.all([
      readFile(this.#options.certificateFile, 'utf8'),
      readFile(this.#options.keyFile, 'utf8'),
    ]);
    if (this.#last === certificate + key) return;
    this.#options.use({ certificate, key });
    this.#last = certificate + key;
  }
}
