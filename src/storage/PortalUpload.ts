import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { canEncodeMp3, mp3BytesOf } from '../audio/Mp3.js';
import type { WholeAudio } from '../spool/Manifest.js';
import { maxPlainBytes } from './partSize.js';
import { portalMetadata } from './portalMetadata.js';
import type { PortalKeys } from './PortalKeys.js';
import { portalFileName, renderPortal } from './renderPortal.js';
import { digestOf } from './WholeDigest.js';
import { wholeWavOf } from './WholeUpload.js';
import { deliver, type Workpiece } from './Workpiece.js';

/** How an account's portal looks for a call. */
export interface PortalForm {
  readonly format: WholeAudio['format'];
  /** IANA name. */
  readonly timeZone: string;
}

export interface PortalUploadOptions {
  readonly portalOf: (accountId: string) => Promise<PortalForm>;
  readonly portalKeys: PortalKeys;
  /** Largest object for a portal, bytes. Default: what every store takes with one request. */
  readonly mostPortalBytes?: number | undefined;
}

const contentTypes = { mp3: 'audio/mpeg', wav: 'audio/wav' } as const;

/**
 * The one object per call that jambonz's portal looks for. Its key doesn't hold the recording's id, so the key is chosen so that
 * nothing is written over, and noted; and it is stored with one request, because an upload in parts that a crash leaves open
 * under such a key could be anybody's.
 */
export class PortalUpload {
  readonly #work: Workpiece;
  readonly #options: PortalUploadOptions;
  readonly #form: PortalForm;

  private constructor(work: Workpiece, options: PortalUploadOptions, form: PortalForm) {
    this.#work = work;
    this.#options = options;
    this.#form = form;
  }

  /**
   * A format that was noted holds: what the account wants may have changed meanwhile. Audio of a rate that no MP3 can have
   * becomes a WAV.
   *
   * @returns null for a call that is too long for one request
   */
  static async of(work: Workpiece, options: PortalUploadOptions): Promise<PortalUpload | null> {
    const { manifest, note, visit } = work;
    const form = await visit.askWhere(async () => await options.portalOf(manifest.accountId));
    const wav = wholeWavOf(work, true);
    const possible = form.format === 'mp3' && canEncodeMp3(wav) ? 'mp3' : 'wav';
    const format = note.content.portal?.format ?? possible;
    const bytes = format === 'mp3' ? mp3BytesOf(wav) : wav.bytes;
    if (bytes > (options.mostPortalBytes ?? maxPlainBytes)) return null;
    return new PortalUpload(work, options, { ...form, format });
  }

  /** Whether the portal's object is itself the whole call without loss. */
  get isLossless(): boolean {
    return this.#form.format === 'wav';
  }

  /** @throws ReelayError `checksum_mismatch` for a chunk that isn't what was sealed; whatever `Visit.ask` throws */
  async store(): Promise<void> {
    const { recording, manifest, note, visit } = this.#work;
    const { format } = this.#form;
    const known = note.content.portal?.key;
    if (known !== undefined && note.content.audio.some(({ key }) => key === known)) return;
    const file = join(recording.path, portalFileName(format));
    const content = await this.#render(file);
    try {
      const key = await this.#claim(content, file);
      visit.step('portal_put');
      const audio: WholeAudio = { key, ...content };
      await note.change((before) => ({ ...before, audio: [...before.audio, audio] }));
      visit.step('audio_noted');
    } finally {
      this.#options.portalKeys.release(manifest);
    }
    await unlink(file);
  }

  /** What it will hold; of a WAV, nothing vouches for its audio but this look at it. */
  async #render(file: string): Promise<Omit<WholeAudio, 'key'>> {
    const { recording, manifest, visit } = this.#work;
    const wav = wholeWavOf(this.#work, true);
    return await visit.ask(async () => {
      if (this.isLossless) await digestOf(recording.folder, wav, manifest.chunks, wav.bytes);
      return await renderPortal(wav, this.#form.format, file, visit.signal);
    });
  }

  /** @returns the key under which it is stored now */
  async #claim(content: Omit<WholeAudio, 'key'>, file: string): Promise<string> {
    const { manifest, note, store, visit } = this.#work;
    const { format, timeZone } = this.#form;
    const noted = note.content.portal?.key ?? null;
    const { portalKeys } = this.#options;
    const { key, isStored } = await visit.ask(
      async () => await portalKeys.claim(store, manifest, content, { timeZone, noted }),
    );
    await note.change((before) => ({ ...before, portal: { key, format } }));
    visit.step('portal_noted');
    const { sha256 } = content;
    const object = { kind: 'portal', name: key, key, file, sha256, sealedMs: null, isPlain: true } as const;
    const dress = { contentType: contentTypes[format], metadata: portalMetadata(manifest) };
    if (!isStored) await deliver(this.#work, { ...object, ...dress });
    return key;
  }
}
