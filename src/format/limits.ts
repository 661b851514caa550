/** The numbers of docs/format.md that shape pages. They are part of the identity version: changing one changes every root. */
export const identityVersion = 1;

/** A page may end from this many records on. */
export const pageRecordsMin = 1024;
/** A page ends after this many records at the latest. */
export const pageRecordsMax = 16_384;
/** Rows are counted as if written one after the other; a page ends before the record that would take it over this. */
export const pageBytesMax = 1 << 20;
/** Large values count with 40 bytes there; a page ends before the record that would take them over this, so that a page fits memory. */
export const pageLargeBytesMax = 16 << 20;
/** A key hash below this ends a page: one in 3,072, so that pages hold 4,096 records on average. */
export const cutHashBelow = 1_398_101;

/** Longer values are stored on their own. */
export const largeValueBytes = 256 * 1024;
/** No key column may be longer: 1,024 of them must fit an index page. Names of files have 255 bytes at most. */
export const keyBytesMax = 4000;
export const largePartBytes = 1 << 20;
/** What a page holds in place of a large value: its length (u64) and its SHA-256. */
export const largeReferenceBytes = 40;

/** Patches rest on each other at most this often (docs/design/patch-chains.md). A reader refuses a longer chain. */
export const chainMax = 16;
