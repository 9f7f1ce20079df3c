/** The version of this package. It is part of the ABI number, so each library fits one version. */
export const VERSION = "0.2.0";
