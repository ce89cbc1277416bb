/**
 * The moments of an upload at which a crash leaves something different behind; told right after the thing has happened, so
 * that a test can end the process there. Those of a chunk come for its lanes' own files, too. All of them are in the table above `RecordingUpload`.
 */
export const uploadSteps = [
  'chunk_put',
  'chunk_noted',
  'chunk_unlinked',
  'sidecar_put',
  'multipart_noted',
  'multipart_begun',
  'part_put',
  'part_noted',
  'completing',
  'completed',
  'audio_noted',
  'portal_noted',
  'portal_put',
  'final_written',
  'manifest_put',
  'manifest_noted',
  'folder_removed',
] as const;

export type UploadStep = (typeof uploadSteps)[number];
