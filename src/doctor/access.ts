import type { AccountConfig, Config } from '../config/Config.js';
import { isLoopback } from '../config/isFromHere.js';
import { type Check, type Findings, ok, warning } from './Check.js';

/** Who may ask the control port, and whose calls are taken. */
export function accessChecks(config: Config): Check[] {
  const { control, accounts } = config;
  const keys = control.adminKeys.length + accounts.reduce((sum, { apiKeys }) => sum + apiKeys.length, 0);
  return [
    { name: 'keys', subject: 'control port', ...keyFindings(keys, control.host) },
    ...accounts.map((account): Check => ({
      name: 'secrets',
      subject: account.id,
      ...secretFindings(account),
    })),
  ];
}

function keyFindings(keys: number, host: string): Findings {
  if (keys > 0) return ok(`${keys} keys`);
  if (host === 'localhost' || isLoopback(host)) return ok('no keys: this machine alone is answered');
  const detail = `no keys, and control.host is ${host}: this machine alone is answered all the same`;
  return warning(detail, 'Make a key with reelay key, and put its digest into control.adminKeys.');
}

function secretFindings({ twilio, jambonz }: AccountConfig): Findings {
  const kinds = [
    twilio.authTokens.length > 0 ? ['Twilio signatures'] : [],
    jambonz.credentials.length > 0 ? ['jambonz credentials'] : [],
  ].flat();
  if (kinds.length > 0) return ok(kinds.join(' and '));
  const detail = 'no secrets: its calls are taken from this machine only';
  return warning(detail, 'Give it twilio.authToken or jambonz credentials.');
}
