/*
 * What `npm test` has left out because something that it needs beside the clone isn't there. `bash .ci/run` has all of it, and fails where it can't
 * be had.
 */
const needed = [
  [
    'REELAY_LIVEKIT',
    'rooms of a LiveKit server and phone calls into them: REELAY_LIVEKIT=$(.ci/livekit) npm run test:rooms',
  ],
  [
    'REELAY_POSTGRES',
    'the catalogue in PostgreSQL: .ci/postgres start FOLDER prints a server for REELAY_POSTGRES',
  ],
] as const;

for (const [variable, what] of needed)
  if ((process.env[variable] ?? '') === '') console.log(`Left out without ${variable}: ${what}`);
