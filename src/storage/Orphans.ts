import type { Workpiece } from './Workpiece.js';

/** How often the store is asked again whether an upload that was aborted is gone. */
const rounds = 3;

/**
 * Ends the multipart uploads that a crash or a lost answer left open: those under the keys that this recording's note names, and no
 * others. The keys hold the recording's own id, so nobody else's upload can be among them.
 *
 * @param keep - the one in use
 * @returns whether none but that is open any more
 */
export async function abortOrphans({ note, store, visit }: Workpiece, keep: string | null): Promise<boolean> {
  const { multipart } = store;
  let isClean = true;
  for (const { key } of note.content.multiparts) {
    for (let round = 0; ; round++) {
      const open = await visit.ask(async () => await multipart.open(key));
      const orphans = open.filter(({ uploadId }) => uploadId !== keep);
      if (orphans.length === 0) break;
      if (round === rounds) {
        isClean = false;
        break;
      }
      for (const orphan of orphans) await visit.ask(async () => await multipart.abort(orphan));
    }
  }
  return isClean;
}
