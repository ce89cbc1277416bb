import type { Workpiece } from './Workpiece.js';

/** How an account's portal looks for a call. */
export interface PortalForm {
  readonly format: 'mp3' | 'wav';
  /** IANA name. */
  readonly timeZone: string;
}

export type PortalOf = (accountId: string) => Promise<PortalForm>;

/** The one object per call that jambonz's portal looks for. */
export class PortalUpload {
  constructor(work: Workpiece, options: { readonly portalOf: PortalOf }) {
    void work;
    void options;
  }
  choose(): Promise<'mp3' | 'wav'> {
    return Promise.resolve('mp3');
  }
  async store(): Promise<void> {
    await Promise.resolve();
  }
}
