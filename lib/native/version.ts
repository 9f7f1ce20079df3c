/**
 * The version of this package; part of the ABI number, so that another version's library is told
 * apart.
 */
export const VERSION = "0.2.0";
