/** The version in package.json, which a bundle cannot read; `architecture.spec` holds both equal. */
export const VERSION = '0.1.0';
