import { totalmem } from 'node:os';

const share = 0.8;

/**
 * What the process may take where the configuration doesn't say: four fifths of what the machine, or its control group, has.
 *
 * @param constrained - of the control group, bytes; where there is none, Node says 0 or far more than there is, depending on
 *   its version
 * @param total - of the machine, bytes
 * @returns bytes
 */
export function memoryLimit(constrained = process.constrainedMemory(), total = totalmem()): number {
  return share * (constrained > 0 && constrained < total ? constrained : total);
}
