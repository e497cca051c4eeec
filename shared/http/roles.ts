import type { CallerRole } from './caller.ts';

/** Who may read, and who may record. */
export const READERS: readonly CallerRole[] = ['application', 'operator', 'auditor'];
/** Who decides on what an instance keeps. */
export const OPERATORS: readonly CallerRole[] = ['operator'];
export const WRITERS: readonly CallerRole[] = ['application'];
/** Who may append: operators only what carries out a resolution, which the handler sees to. */
export const APPENDERS: readonly CallerRole[] = ['application', 'operator'];
